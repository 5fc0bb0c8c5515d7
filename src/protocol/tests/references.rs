//! Assignments that refer to collections: whole first, then by reference, then one by one.

use super::*;
use crate::snapshot::Reference;

const ONE: &str = "xdstp://t/a/x/1";
const TWO: &str = "xdstp://t/a/x/2";
const ALL: &str = "xdstp://t/a/x/*";

/// The cluster `a`, whose assignment `whole` is also said by reference to the collection of these.
fn one_by_one(
    generation: u64,
    cluster: &str,
    whole: &str,
    members: &[(&str, &str)],
) -> Arc<ResourceSet> {
    let mut set = ResourceSet::new(Generation(generation));
    set.insert(ResourceKind::Cluster, resource("a", cluster));
    let mut reference = resource("a", "see");
    Arc::get_mut(&mut reference).unwrap().reference = Some(Box::new(Reference {
        collections: vec![ALL.into()],
        whole: resource("a", whole),
    }));
    set.insert(ResourceKind::Endpoint, reference);
    for (name, version) in members {
        set.insert(ResourceKind::LbEndpoint, resource(name, version));
    }
    Arc::new(set)
}

impl Story {
    fn publish(&mut self, set: Arc<ResourceSet>) -> String {
        self.stream.on_snapshot(set, self.now);
        self.sent()
    }

    /// A client that has the one endpoint.
    fn referred() -> Self {
        let mut story = Self::new(Variant::Delta);
        story.publish(one_by_one(1, "1", "w1", &[(ONE, "1")]));
        assert_eq!(story.ask('c', ""), "c a@1");
        assert_eq!(story.ask('e', "a"), "e a@w1");
        assert_eq!(story.ack('c'), "");
        assert_eq!(story.ack('e'), "e a@see");
        assert_eq!(story.ack('e'), "");
        assert_eq!(
            story.notices(),
            [""; 0],
            "nobody has asked for the endpoints"
        );
        assert_eq!(story.ask('m', ALL), format!("m {ONE}@1"));
        assert_eq!(story.notices(), [""; 0]);
        assert_eq!(story.ack('m'), "");
        assert_eq!(story.notices(), ["in force 1"]);
        story
    }
}

#[test]
fn one_endpoint_is_told_alone_and_its_answer_is_waited_for() {
    let mut story = Story::referred();
    let sent = story.publish(one_by_one(2, "1", "w2", &[(ONE, "2"), (TWO, "1")]));
    assert_eq!(sent, format!("m {ONE}@2 {TWO}@1"));
    assert_eq!(story.notices(), [""; 0]);
    assert_eq!(story.ack('m'), "");
    assert_eq!(story.notices(), ["in force 2"]);
    let sent = story.publish(one_by_one(3, "1", "w3", &[(TWO, "1")]));
    assert_eq!(sent, format!("m -{ONE}"));
    assert_eq!(story.notices(), [""; 0]);
    story.ack('m');
    assert_eq!(story.notices(), ["in force 3"]);
}

#[test]
fn a_refused_endpoint_is_not_in_force() {
    let mut story = Story::referred();
    story.publish(one_by_one(2, "1", "w2", &[(ONE, "2")]));
    assert_eq!(story.nack('m'), "");
    assert_eq!(
        story.notices(),
        [format!("nacked lb_endpoint 2 {ONE}: no good")]
    );
}

#[test]
fn a_changed_cluster_is_told_the_whole_again_and_then_everything_one_by_one() {
    let mut story = Story::referred();
    let sent = story.publish(one_by_one(2, "2", "w1", &[(ONE, "1")]));
    assert_eq!(sent, "c a@2, e a@w1");
    // Envoy lets go of the collection now, and asks again when it is told of it.
    story.ask('m', &format!("-{ALL}"));
    assert_eq!(story.ack('c'), "");
    assert_eq!(story.ack('e'), "e a@see");
    assert_eq!(story.ack('e'), "");
    assert_eq!(story.notices(), [""; 0]);
    assert_eq!(story.ask('m', ALL), format!("m {ONE}@1"));
    story.ack('m');
    assert_eq!(story.notices(), ["in force 2"]);
}

#[test]
fn who_asks_for_a_collection_again_is_told_all_of_it_again() {
    let mut story = Story::referred();
    assert_eq!(story.ask('m', ALL), format!("m {ONE}@1"));
}

#[test]
fn who_comes_back_is_told_the_whole_and_nothing_of_what_it_asked_for_before() {
    let mut story = Story::new(Variant::Delta);
    story.publish(one_by_one(2, "1", "w2", &[(TWO, "1")]));
    story.ask('c', "a=1");
    assert_eq!(story.ask('e', "a=see"), "e a@w2");
    assert_eq!(story.ask('m', ALL), "", "it is about to let go of it");
    story.ask('m', &format!("-{ALL}"));
    assert_eq!(story.ack('e'), "e a@see");
    assert_eq!(story.ask('m', ALL), format!("m {TWO}@1"));
}

#[test]
fn who_comes_back_with_the_whole_is_told_the_reference() {
    let mut story = Story::new(Variant::Delta);
    story.publish(one_by_one(2, "1", "w2", &[(TWO, "1")]));
    assert_eq!(story.ask('e', "a=w2"), "e a@see");
}

#[test]
fn the_whole_follows_changes_until_it_is_accepted() {
    let mut story = Story::new(Variant::Delta);
    story.publish(one_by_one(1, "1", "w1", &[(ONE, "1")]));
    assert_eq!(story.ask('e', "a"), "e a@w1");
    assert_eq!(story.publish(one_by_one(2, "1", "w2", &[(ONE, "2")])), "");
    assert_eq!(story.nack('e'), "e a@w2");
    assert_eq!(story.ack('e'), "e a@see");
}

#[test]
fn collections_are_not_divided_between_responses() {
    let mut story = Story::referred();
    let large = |name: String, bytes: usize| {
        Arc::new(Resource {
            delta_field: vec![0; bytes].into(),
            ..Arc::into_inner(resource(&name, "1")).unwrap()
        })
    };
    let mut all = ResourceSet::clone(&one_by_one(2, "1", "w1", &[]));
    for number in 10..18 {
        all.insert(
            ResourceKind::LbEndpoint,
            large(format!("xdstp://t/a/x/{number}"), 1 << 20),
        );
        all.insert(
            ResourceKind::LbEndpoint,
            large(format!("xdstp://t/a/y/{number}"), 1 << 20),
        );
    }
    let count = |sent: &str| (sent.matches("/x/").count(), sent.matches("/y/").count());
    let sent = story.publish(Arc::new(all));
    assert_eq!(count(&sent), (8, 0));
    assert_eq!(story.ask('m', "xdstp://t/a/y/*"), "");
    assert_eq!(count(&story.ack('m')), (0, 8));
}

#[test]
fn endpoints_stay_until_their_cluster_is_gone() {
    let mut story = Story::referred();
    let with_route = |generation, version: &str| {
        let mut set = ResourceSet::clone(&one_by_one(generation, "1", "w1", &[(ONE, "1")]));
        set.insert(ResourceKind::Route, resource("main", version));
        Arc::new(set)
    };
    story.publish(with_route(2, "1"));
    assert_eq!(story.ask('r', "main"), "r main@1");
    story.ack('r');
    assert_eq!(story.snapshot(3, "r:main@2"), "r main@2");
    assert_eq!(story.ack('r'), "c -a");
}

#[test]
fn what_is_to_go_and_stays_after_all_is_told_again() {
    let mut story = Story::referred();
    let with_route = |generation| {
        let mut set = ResourceSet::clone(&one_by_one(generation, "1", "w1", &[(ONE, "1")]));
        set.insert(ResourceKind::Route, resource("main", "1"));
        Arc::new(set)
    };
    story.publish(with_route(2));
    assert_eq!(story.ask('r', "main"), "r main@1");
    story.ack('r');
    assert_eq!(story.snapshot(3, "r:main@2"), "r main@2");
    assert_eq!(story.publish(with_route(4)), "e a@w1");
    story.ask('m', &format!("-{ALL}"));
    assert_eq!(story.ack('e'), "e a@see");
    assert_eq!(story.ack('r'), "");
    assert_eq!(story.ack('e'), "r main@1");
    story.ack('r');
    assert_eq!(story.ask('m', ALL), format!("m {ONE}@1"));
    story.notices();
    story.ack('m');
    assert_eq!(story.notices(), ["in force 4"]);
}

#[test]
fn a_collection_that_is_about_to_be_replaced_stays_as_it_is() {
    let mut story = Story::new(Variant::Delta);
    story.publish(one_by_one(1, "1", "w1", &[(ONE, "1")]));
    story.ask('e', "a");
    assert_eq!(story.ack('e'), "e a@see");
    // It has no member any more, but whoever says so makes the cluster empty before it is replaced.
    assert_eq!(story.snapshot(2, "c:a@1 e:a@w2"), "");
    assert_eq!(story.ask('m', ALL), "");
    assert_eq!(story.ack('e'), "e a@w2");
}

/// Envoy drops a collection and asks for it again in one message, if it is told both before it can send.
#[test]
fn who_lets_go_and_asks_again_at_once_is_told_everything() {
    let mut story = Story::referred();
    story.publish(one_by_one(2, "2", "w1", &[(ONE, "1")]));
    story.ack('c');
    assert_eq!(story.ack('e'), "e a@see");
    assert_eq!(
        story.publish(one_by_one(3, "2", "w1", &[(ONE, "1"), (TWO, "1")])),
        ""
    );
    assert_eq!(story.ask('m', ALL), format!("m {ONE}@1 {TWO}@1"));
}

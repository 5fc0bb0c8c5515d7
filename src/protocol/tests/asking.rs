//! What is asked for and what is answered, from a first request to one after a reconnect.

use super::*;

#[test]
fn nothing_is_answered_before_there_is_a_snapshot() {
    for variant in BOTH {
        let mut story = Story::new(variant);
        assert_eq!(story.ask('c', ""), "");
        assert_eq!(story.ask('e', "a"), "");
        assert_eq!(story.snapshot(1, "c:a@1 e:a@1"), "c a@1, e a@1");
    }
}

#[test]
fn delta_says_what_does_not_exist_and_serves_it_when_it_does() {
    let mut story = Story::settled(Variant::Delta);
    assert_eq!(story.ask('e', "new"), "e -new");
    assert_eq!(story.ack('e'), "");
    assert_eq!(
        story.snapshot(2, "c:a@1 e:a@1 e:new@1 l:in@1 r:main@1"),
        "e new@1"
    );
    story.ack('e');
    assert_eq!(
        story.ask('e', "new"),
        "e new@1",
        "asked for again, told again"
    );
    story.ack('e');
    assert_eq!(story.ask('e', "-new -phantom"), "");
    assert_eq!(story.snapshot(3, "c:a@1 e:a@1 e:new@2 l:in@1 r:main@1"), "");
}

#[test]
fn delta_answers_when_a_name_is_dropped_that_the_wildcard_still_covers() {
    let mut story = Story::settled(Variant::Delta);
    assert_eq!(story.ask('l', "in ghost"), "l in@1 -ghost");
    story.ack('l');
    assert_eq!(story.ask('l', "-in -ghost"), "l in@1 -ghost");
}

#[test]
fn sotw_stays_silent_about_missing_endpoints_and_serves_the_others() {
    let mut story = Story::settled(Variant::Sotw);
    assert_eq!(story.ask('e', "a missing"), "");
    assert_eq!(story.snapshot(2, "c:a@1 e:a@2 l:in@1 r:main@1"), "e a@2");
    story.ack('e');
    assert_eq!(
        story.snapshot(3, "c:a@1 e:a@2 e:missing@1 l:in@1 r:main@1"),
        "e missing@1"
    );
    story.ack('e');
    assert_eq!(story.ask('e', "a"), "");
    assert_eq!(
        story.ask('e', "a missing"),
        "e missing@1",
        "asked for anew, told anew"
    );
}

#[test]
fn grpc_clients_ask_for_clusters_by_name() {
    let mut story = Story::new(Variant::Sotw);
    story.snapshot(1, "c:v1@1 c:v2@1 c:other@1");
    assert_eq!(story.ask('c', "v1"), "c v1@1");
    assert_eq!(
        story.ask('c', "v1 v2"),
        "",
        "one unanswered response of a type"
    );
    assert_eq!(story.ack('c'), "c v1@1 v2@1");
    story.ack('c');
    assert_eq!(
        story.ask('c', "v1 v2 v3"),
        "c v1@1 v2@1",
        "absence tells that v3 does not exist"
    );
}

#[test]
fn a_delta_client_that_comes_back_gets_only_differences() {
    let mut story = Story::new(Variant::Delta);
    story.snapshot(7, "c:a@1 c:b@2 e:a@1 l:in@1 r:main@1");
    assert_eq!(story.ask('c', "a=1 b=1 gone=1"), "c b@2");
    assert_eq!(story.ask('e', "a=1"), "");
    assert_eq!(story.ask('l', "in=1"), "");
    assert_eq!(story.ack('c'), "", "its routes are not known yet");
    assert_eq!(story.notices(), [""; 0]);
    assert_eq!(story.ask('r', "main=0"), "r main@1");
    assert_eq!(story.ack('r'), "c -gone");
    story.ack('c');
    assert_eq!(story.notices(), ["in force 7"]);
}

#[test]
fn a_client_that_comes_back_without_routes_settles_after_a_while() {
    let mut story = Story::new(Variant::Delta);
    story.snapshot(7, "c:a@1");
    assert_eq!(story.ask('c', "a=1 gone=1"), "");
    let deadline = story.stream.next_deadline(story.now).unwrap();
    assert_eq!(story.wait(Span::between(story.now, deadline)), "c -gone");
    story.ack('c');
    assert_eq!(story.notices(), ["in force 7"]);
}

#[test]
fn a_sotw_client_that_comes_back_with_the_same_set_is_told_nothing() {
    let before = Story::settled(Variant::Sotw);
    let mut story = Story::new(Variant::Sotw);
    story.last = before.last;
    story.snapshot(2, "c:a@1 e:a@1 l:in@1 r:main@1");
    assert_eq!(story.ask('c', ""), "");
    assert_eq!(story.ask('l', ""), "");
    assert_eq!(
        story.ask('e', "a"),
        "e a@1",
        "names may be new to the client"
    );
    story.ack('e');
    story.ask('r', "main");
    story.ack('r');
    assert_eq!(story.notices(), ["in force 2"]);
    assert_eq!(
        story.snapshot(3, "c:a@1 c:b@1 e:a@1 l:in@1 r:main@1"),
        "c a@1 b@1"
    );
}

#[test]
fn late_and_foreign_nonces_answer_nothing() {
    for variant in BOTH {
        let mut story = Story::settled(variant);
        story.snapshot(2, "c:a@1 e:a@2 l:in@1 r:main@1");
        let names = if variant == Variant::Sotw { "a" } else { "" };
        let foreign = story.request('e', names, "listener-3", None);
        assert_eq!(story.put(foreign), "", "{variant:?}");
        let late = story.request('e', names, "endpoint-1", None);
        assert_eq!(story.put(late), "");
        assert_eq!(story.notices(), [""; 0]);
        story.ack('e');
        assert_eq!(story.notices(), ["in force 2"]);
    }
}

#[test]
fn unknown_types_do_not_exist() {
    for (variant, type_name, answers) in [
        (
            Variant::Delta,
            "type.googleapis.com/envoy.config.route.v3.VirtualHost",
            1,
        ),
        (
            Variant::Delta,
            "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            0,
        ),
        (
            Variant::Sotw,
            "type.googleapis.com/envoy.config.route.v3.VirtualHost",
            0,
        ),
    ] {
        let mut story = Story::new(variant);
        let mut request = story.request('r', "x", "", None);
        request.type_url = TypeUrl::parse(type_name);
        story.stream.on_request(request, story.now).unwrap();
        let response = story.stream.poll_response(story.now);
        assert_eq!(
            response.iter().flat_map(|r| &r.removed).count(),
            answers,
            "{type_name}"
        );
    }
}

#[test]
fn an_empty_wildcard_is_answered() {
    for variant in BOTH {
        let mut story = Story::new(variant);
        story.snapshot(1, "");
        assert_eq!(story.ask('c', ""), "c");
        assert_eq!(story.ack('c'), "");
        assert_eq!(story.notices(), ["in force 1"]);
    }
}

#[test]
fn a_collection_is_followed_member_by_member() {
    const ALL: &str = "xdstp://t/e/cart/v1/*";
    let mut story = Story::new(Variant::Delta);
    story.snapshot(1, "");
    let empty = format!("m -{ALL}");
    assert_eq!(
        story.ask('m', ALL),
        empty,
        "an empty collection is said to be so"
    );
    story.ack('m');
    let member = |name: &str, version: &str| format!("m:xdstp://t/e/cart/{name}@{version}");
    let two = format!(
        "{} {} {}",
        member("v1/a", "1"),
        member("v1/b", "1"),
        member("v2/c", "1")
    );
    assert_eq!(
        story.snapshot(2, &two),
        "m xdstp://t/e/cart/v1/a@1 xdstp://t/e/cart/v1/b@1"
    );
    story.ack('m');
    assert_eq!(
        story.snapshot(3, &member("v1/a", "2")),
        "m xdstp://t/e/cart/v1/a@2"
    );
    assert_eq!(story.ack('m'), "m -xdstp://t/e/cart/v1/b");
    story.ack('m');
    assert_eq!(
        story.notices().last().map(String::as_str),
        Some("in force 3")
    );
    assert_eq!(story.ask('m', &format!("-{ALL}")), "");
    assert_eq!(story.snapshot(4, &member("v1/a", "3")), "");
}

#[test]
fn what_was_told_can_be_looked_at() {
    let mut story = Story::settled(Variant::Delta);
    story.ask('e', "ghost");
    story.ack('e');
    story.snapshot(2, "c:a@2 e:a@1 l:in@1 r:main@2");
    story.nack('c');
    let held = story.stream.held().map(|held| {
        let version = held.version.as_deref().unwrap_or("-").to_owned();
        let accepted = held
            .accepted
            .map_or("-".to_owned(), |r| r.version.to_string());
        let state = match held.state {
            HeldState::Nacked(refusal) => format!("nacked ({})", refusal.message),
            state => format!("{state:?}"),
        };
        format!("{} {} {version} {accepted} {state}", held.kind, held.name)
    });
    assert_eq!(
        held.collect::<Vec<_>>(),
        [
            "cluster a 2 1 nacked (no good)",
            "endpoint a 1 1 Sent",
            "endpoint ghost - - NotThere",
            "listener in 1 1 Acked",
            "route main 1 1 Acked",
        ]
    );
}

#[test]
fn what_a_client_brings_is_looked_up_where_it_is_still_so() {
    let mut story = Story::new(Variant::Delta);
    let told = |story: &Story| {
        let held = story.stream.held().next().unwrap();
        (held.state == HeldState::Acked, held.told.is_some())
    };
    assert_eq!(story.ask('e', "a=1"), "");
    assert_eq!(told(&story), (true, false));
    assert_eq!(story.snapshot(1, "e:a@1"), "");
    assert_eq!(told(&story), (true, true));
}

#[test]
fn names_are_limited() {
    for variant in [Variant::Sotw, Variant::Delta] {
        let limits = Limits {
            names_per_type: 2,
            ..Limits::default()
        };
        let mut stream = Stream::new(variant, &limits);
        let mut ask = |count: usize| {
            let names: Vec<String> = (0..count).map(|n| n.to_string()).collect();
            let ask = match variant {
                Variant::Sotw => Ask::Sotw {
                    names,
                    version: String::new(),
                },
                Variant::Delta => Ask::Delta {
                    subscribe: names,
                    unsubscribe: Vec::new(),
                    initial_versions: BTreeMap::new(),
                },
            };
            let request = Request {
                type_url: TypeUrl::Served(ResourceKind::Endpoint),
                nonce: String::new(),
                error: None,
                ask,
            };
            stream.on_request(request, Time::UNIX_EPOCH)
        };
        ask(2).unwrap();
        let refused = ask(3).unwrap_err().to_string();
        assert!(
            refused.contains("at most 2 names of one type (`limits.namesPerType`)"),
            "{refused}"
        );
    }
}

#[test]
fn a_sotw_version_names_what_is_held_however_it_came() {
    let mut piecemeal = Story::new(Variant::Sotw);
    piecemeal.snapshot(1, "e:a@1 e:b@1");
    piecemeal.ask('e', "a b");
    piecemeal.ack('e');
    assert_eq!(piecemeal.snapshot(2, "e:a@2 e:b@1"), "e a@2");
    let mut at_once = Story::new(Variant::Sotw);
    at_once.snapshot(2, "e:a@2 e:b@1");
    at_once.ask('e', "a b");
    assert_eq!(piecemeal.last[&'e'].version, at_once.last[&'e'].version);
}

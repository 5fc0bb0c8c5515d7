//! Rules 41 to 48: what comes first, what comes last, and what waits.

use tidegate::domain::{Limits, Span};
use tidegate::protocol::GATE_TIMEOUT;

use super::client::{Ask, Client};
use super::row::{Rule, elsewhere, envoy, served, wire};
use super::variant::{ADS, DELTA_ADS, SEPARATE, SOTW, SOTW_ADS, Variant};
use super::warming;
use super::world::World;
use crate::stories::ordering;

pub(crate) const RULES: &[Rule] = &[
    served(
        41,
        "Additions go clusters, endpoints, listeners, routes.",
        &[
            wire("one change of all four types", ADS, additions_in_order),
            wire("secrets come before what asks for them", ADS, secrets_first),
            envoy(
                "no request finds its cluster missing while versions come and go",
                ordering::versions_come_and_go,
            ),
            envoy(
                "a listener that is added serves, and the one beside it notices nothing",
                ordering::a_listener_is_added,
            ),
        ],
    ),
    served(
        42,
        "Removals come last, after the proxy has let go of what named them.",
        &[
            wire(
                "a cluster goes after the routes were replaced",
                ADS,
                removals_last,
            ),
            wire(
                "a listener goes after its replacement and the routes are taken",
                ADS,
                listener_removal,
            ),
            wire(
                "routes go after the listener, clusters after both, endpoints last",
                DELTA_ADS,
                removals_in_order,
            ),
            wire(
                "secrets go after what asked for them",
                DELTA_ADS,
                secrets_last,
            ),
            wire(
                "a cluster stays while the route that replaces its own is refused",
                ADS,
                removal_waits_for_refused_route,
            ),
            envoy(
                "no request finds its cluster missing while versions come and go",
                ordering::versions_come_and_go,
            ),
            envoy(
                "listener, routes and cluster are replaced by others, and go",
                warming::everything_is_replaced,
            ),
        ],
    ),
    served(
        43,
        "Listeners and routes wait for the answer to clusters and endpoints; endpoints wait for nothing. No wait is for ever.",
        &[
            wire(
                "endpoints come while clusters are unanswered",
                ADS,
                endpoints_do_not_wait,
            ),
            wire("a refusal is an answer", ADS, refusal_opens_the_gate),
            wire(
                "endpoints of the same change are waited for, those of an earlier one are not",
                ADS,
                earlier_endpoints,
            ),
            wire(
                "after a while it goes on, and that is counted",
                ADS,
                late_answer_opens_the_gate,
            ),
            envoy(
                "a refused cluster stops the roll and not the traffic, and the next good edit heals it",
                ordering::a_refused_cluster_is_healed,
            ),
        ],
    ),
    served(
        44,
        "A changed cluster warms until its endpoints come again, so they do.",
        &[
            wire(
                "endpoints follow a changed cluster, unchanged",
                DELTA_ADS,
                endpoints_again,
            ),
            wire(
                "endpoints follow a changed cluster, unchanged",
                SOTW_ADS,
                endpoints_again,
            ),
            wire(
                "a warming client's repeated request is answered",
                SOTW,
                repeated_request,
            ),
            wire(
                "endpoints of other clusters are left alone",
                ADS,
                only_of_the_changed,
            ),
            envoy(
                "a cluster that changes under load is warm at once",
                ordering::a_cluster_changes,
            ),
        ],
    ),
    served(
        45,
        "A changed listener keeps its routes; the routes that a new one names are served when asked for.",
        &[
            wire("no route is sent again", ADS, listener_change),
            wire("a new name is answered", ADS, new_route_name),
            envoy(
                "a listener that is added serves, and the one beside it notices nothing",
                ordering::a_listener_is_added,
            ),
        ],
    ),
    served(
        46,
        "What warms may be replaced or removed.",
        &[
            wire(
                "a newer cluster replaces one that warms",
                ADS,
                warming_replaced,
            ),
            wire("a cluster that warms is removed", ADS, warming_removed),
            wire(
                "a client that comes back while clusters warm gets their endpoints",
                ADS,
                warming_across_reconnect,
            ),
            envoy(
                "a newer cluster replaces one that waits for its endpoints",
                warming::a_newer_cluster_replaces_one_that_warms,
            ),
            envoy(
                "a cluster that waits for its endpoints is removed",
                warming::a_cluster_that_warms_is_removed,
            ),
        ],
    ),
    served(
        47,
        "Each generation is whole: what it names, it has.",
        &[
            elsewhere(
                "all that a gateway names",
                "src/snapshot/compile/tests.rs",
                "an_audience_has_all_that_its_gateway_reaches",
            ),
            elsewhere(
                "an assignment for each cluster, empty if need be",
                "src/snapshot/compile/tests.rs",
                "every_cluster_has_an_assignment_also_without_endpoints",
            ),
        ],
    ),
    served(
        48,
        "Order holds on one stream; separate streams go each at its own pace.",
        &[wire(
            "no stream waits for another",
            SEPARATE,
            separate_streams,
        )],
    ),
];

/// A client that holds `c:a e:a l:in r:main`, all `@1`.
fn settled(world: &World, v: Variant) -> Client<'_> {
    world.publish("c:a@1 e:a@1 l:in@1 r:main@1");
    let mut client = world.client(v);
    for (letter, names) in [("c", ""), ("e", "a"), ("l", ""), ("r", "main")] {
        assert_ne!(client.ask(letter, names), "");
        assert_eq!(client.ack(letter), "");
    }
    client
}

fn additions_in_order(v: Variant) {
    let world = World::new();
    let mut client = settled(&world, v);
    world.publish("c:a@2 e:a@2 l:in@2 r:main@2");
    assert_eq!(client.heard(), "c a@2, e a@2");
    assert_eq!(client.ack("e"), "");
    assert_eq!(client.ack("c"), "l in@2, r main@2");
    assert_eq!(client.settle("l, r"), "l, r");
}

/// As an Envoy asks: for a secret once a cluster or a listener names it.
fn secrets_first(v: Variant) {
    let world = World::new();
    let mut client = settled(&world, v);
    world.publish("c:a@1 e:a@1 l:in@1 r:main@1 s:own@1");
    assert_eq!(client.ask("s", "own"), "s own@1");
    assert_eq!(client.ack("s"), "");
    world.publish("c:a@2 e:a@2 l:in@2 r:main@1 s:own@2");
    assert_eq!(client.heard(), "s own@2, c a@2, e a@2");
    assert_eq!(client.ack("s"), "");
    assert_eq!(client.ack("e"), "");
    assert_eq!(client.ack("c"), "l in@2");
    assert_eq!(client.ack("l"), "");
}

fn secrets_last(v: Variant) {
    let world = World::new();
    let mut client = settled(&world, v);
    world.publish("c:a@1 e:a@1 l:in@1 r:main@1 s:own@1");
    assert_eq!(client.ask("s", "own"), "s own@1");
    assert_eq!(client.ack("s"), "");
    world.publish("");
    assert_eq!(client.heard(), "l -in");
    assert_eq!(client.ack("l"), "r -main");
    assert_eq!(client.ack("r"), "c -a");
    assert_eq!(client.ack("c"), "e -a, s -own");
}

fn removals_last(v: Variant) {
    let world = World::new();
    let mut client = settled(&world, v);
    world.publish("c:b@1 e:b@1 l:in@1 r:main@2");
    // Until routes let go, the set holds both.
    assert_eq!(client.heard(), v.pick("c b@1", "c a@1 b@1"));
    assert_eq!(client.want("e", "b", ""), "e b@1");
    assert_eq!(client.ack("e"), "");
    assert_eq!(client.ack("c"), "r main@2");
    let heard = client.ack("r");
    assert_eq!(heard, v.pick("c -a", "c b@1"));
    let heard = client.ack("c");
    assert_eq!(heard, v.pick("e -a", ""));
    assert_eq!(client.settle(&heard), heard);
    assert_eq!(world.events().last().unwrap(), "test-id has 2");
}

fn listener_removal(v: Variant) {
    let world = World::new();
    let mut client = settled(&world, v);
    world.publish("c:a@1 e:a@1 l:two@1 r:main@2");
    assert_eq!(
        client.heard(),
        v.pick("l two@1, r main@2", "l in@1 two@1, r main@2")
    );
    assert_eq!(client.ack("l"), "");
    assert_eq!(client.ack("r"), v.pick("l -in", "l two@1"));
    assert_eq!(client.ack("l"), "");
}

fn removals_in_order(v: Variant) {
    let world = World::new();
    let mut client = settled(&world, v);
    world.publish("");
    for (letter, gone) in [
        ("l", "l -in"),
        ("r", "r -main"),
        ("c", "c -a"),
        ("e", "e -a"),
    ] {
        assert_eq!(client.heard(), gone);
        client.send(letter, client.answer(letter));
    }
    assert_eq!(client.heard(), "");
}

fn removal_waits_for_refused_route(v: Variant) {
    let world = World::new();
    let mut client = settled(&world, v);
    world.publish("c:b@1 e:a@1 l:in@1 r:main@2");
    assert_eq!(client.heard(), v.pick("c b@1", "c a@1 b@1"));
    assert_eq!(client.ack("c"), "r main@2");
    assert_eq!(client.nack("r", "no"), "");
    world.pass(GATE_TIMEOUT);
    assert_eq!(client.heard(), "");
    world.publish("c:b@1 e:a@1 l:in@1 r:main@3");
    assert_eq!(client.heard(), "r main@3");
    assert_eq!(client.ack("r"), v.pick("c -a", "c b@1"));
}

fn endpoints_do_not_wait(v: Variant) {
    let world = World::with("c:a@1 e:a@1 l:in@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1");
    assert_eq!(client.ask("e", "a"), "e a@1");
    // Listeners do wait.
    assert_eq!(client.ask("l", ""), "");
    assert_eq!(client.ack("e"), "");
    assert_eq!(client.ack("c"), "l in@1");
}

fn refusal_opens_the_gate(v: Variant) {
    let world = World::with("c:a@1 l:in@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1");
    assert_eq!(client.ask("l", ""), "");
    assert_eq!(client.nack("c", "no"), "l in@1");
}

fn earlier_endpoints(v: Variant) {
    let world = World::with("e:a@1 l:in@1 r:main@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("r", "main"), "r main@1");
    assert_eq!(client.ack("r"), "");
    assert_eq!(client.ask("e", "a"), "e a@1");
    world.publish("e:a@1 l:in@1 r:main@2");
    assert_eq!(client.heard(), "r main@2");
    assert_eq!(client.ack("r"), "");
    assert_eq!(client.ack("e"), "");
    world.publish("e:a@2 l:in@1 r:main@3");
    assert_eq!(client.heard(), "e a@2");
    // Still the same change, though the state is a newer one by now.
    world.publish("c:b@1 e:a@2 l:in@1 r:main@3");
    assert_eq!(client.heard(), "");
    assert_eq!(client.ack("e"), "r main@3");
}

fn late_answer_opens_the_gate(v: Variant) {
    let world = World::with("c:a@1 l:in@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1");
    assert_eq!(client.ask("l", ""), "");
    world.pass(Span::millis(
        u64::try_from(GATE_TIMEOUT.duration().as_millis()).unwrap() - 1,
    ));
    assert_eq!(client.heard(), "");
    assert_eq!(world.released(), Vec::<String>::new());
    world.pass(Span::millis(1));
    assert_eq!(client.heard(), "l in@1");
    assert_eq!(world.released(), ["cluster"]);
    assert_eq!(client.ack("l"), "");
    // The late answer counts all the same.
    assert_eq!(client.ack("c"), "");
    assert_eq!(world.events().last().unwrap(), "test-id has 1");
    assert!(GATE_TIMEOUT < Limits::default().ack_time);
}

fn endpoints_again(v: Variant) {
    let world = World::new();
    let mut client = settled(&world, v);
    world.publish("c:a@2 e:a@1 l:in@1 r:main@1");
    assert_eq!(client.heard(), "c a@2, e a@1");
    assert_eq!(client.ack("e"), "");
    assert_eq!(client.ack("c"), "");
}

fn repeated_request(v: Variant) {
    let world = World::with("e:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a"), "e a@1");
    let same = client.answer("e");
    assert_eq!(client.put("e", same.clone()), "");
    // What looks like the same ACK once more is Envoy asking for endpoints of a cluster that warms.
    assert_eq!(client.put("e", same), "e a@1");
    assert_eq!(client.ack("e"), "");
}

fn only_of_the_changed(v: Variant) {
    let world = World::with("c:a@1 c:b@1 e:a@1 e:b@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1 b@1");
    assert_eq!(client.ask("e", "a b"), "e a@1 b@1");
    assert_eq!((client.ack("c"), client.ack("e")), Default::default());
    world.publish("c:a@2 c:b@1 e:a@1 e:b@1");
    assert_eq!(client.heard(), v.pick("c a@2, e a@1", "c a@2 b@1, e a@1"));
}

fn listener_change(v: Variant) {
    let world = World::new();
    let mut client = settled(&world, v);
    world.publish("c:a@1 e:a@1 l:in@2 r:main@1");
    assert_eq!(client.heard(), "l in@2");
    assert_eq!(client.ack("l"), "");
}

fn new_route_name(v: Variant) {
    let world = World::new();
    let mut client = settled(&world, v);
    world.publish("c:a@1 e:a@1 l:in@1 l:two@1 r:main@1 r:second@1");
    assert_eq!(client.heard(), v.pick("l two@1", "l in@1 two@1"));
    assert_eq!(client.ack("l"), "");
    assert_eq!(client.want("r", "second", ""), "r second@1");
}

fn warming_replaced(v: Variant) {
    let world = World::new();
    let mut client = settled(&world, v);
    world.publish("c:a@2 e:a@1 l:in@1 r:main@1");
    assert_eq!(client.heard(), "c a@2, e a@1");
    assert_eq!(client.ack("e"), "");
    // The client withholds the cluster's answer while it warms.
    world.publish("c:a@3 e:a@1 l:in@1 r:main@1");
    assert_eq!(client.heard(), "");
    assert_eq!(client.ack("c"), "c a@3, e a@1");
    assert_eq!(client.settle("c, e"), "c, e");
}

fn warming_removed(v: Variant) {
    let world = World::new();
    let mut client = settled(&world, v);
    world.publish("c:a@1 c:b@1 e:a@1 e:b@1 l:in@1 r:main@1");
    assert_eq!(client.heard(), v.pick("c b@1", "c a@1 b@1"));
    world.publish("c:a@1 e:a@1 l:in@1 r:main@1");
    assert_eq!(client.heard(), "");
    assert_eq!(client.ack("c"), v.pick("c -b", "c a@1"));
    assert_eq!(client.ack("c"), "");
}

fn warming_across_reconnect(v: Variant) {
    let world = World::with("c:a@1 c:b@1 e:a@1 e:b@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1 b@1");
    let cluster = Ask {
        nonce: String::new(),
        held: client.last("c").versions.clone(),
        ..client.answer("c")
    };
    let mut client = client.reconnect();
    assert_eq!(client.put("c", cluster), "");
    let endpoints = client.ask("e", "a b");
    assert_eq!(endpoints, "e a@1 b@1");
}

fn separate_streams(v: Variant) {
    let world = World::with("c:a@1 e:a@1 l:in@1 r:main@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1");
    assert_eq!(client.ask("r", "main"), "r main@1");
    assert_eq!(client.ask("l", ""), "l in@1");
    assert_eq!(client.ask("e", "a"), "e a@1");
    world.publish("c:a@2 e:a@2 l:in@2 r:main@2");
    for letter in ["r", "l", "e", "c"] {
        assert!(client.ack(letter).starts_with(letter));
    }
}

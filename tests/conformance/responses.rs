//! Rules 33 to 40: when there is a response, and what it holds.

use envoy_types::pb::envoy::config::core::v3::Node;

use super::client::{Ask, Client};
use super::row::{Rule, elsewhere, not_served, served, wire};
use super::variant::{ALL, DELTA, DELTA_ADS, SOTW, Variant};
use super::world::{NODE, REPLICA, World};

pub(crate) const RULES: &[Rule] = &[
    served(
        33,
        "Only changes are sent, once, and only the newest.",
        &[
            wire("the same state under a new generation", ALL, same_again),
            wire("three states while one is unanswered", ALL, newest_only),
            wire(
                "there and back while one is unanswered",
                ALL,
                there_and_back,
            ),
        ],
    ),
    served(
        34,
        "A response has each name once, and never both there and gone.",
        &[
            wire("names asked for twice", ALL, names_twice),
            wire(
                "names of a type that is not served",
                DELTA_ADS,
                unserved_names_twice,
            ),
        ],
    ),
    served(
        35,
        "State-of-the-world listeners and clusters come as whole sets, and an empty set takes all away.",
        &[wire("the last one is removed", SOTW, emptied)],
    ),
    served(
        36,
        "Delta takes away by name alone, and only what the client may have.",
        &[
            wire("removed, and never again", DELTA, removed_once),
            wire("what others have", DELTA, removed_for_others),
            wire("removed and back", DELTA, removed_and_back),
            wire("a refused removal is not repeated", DELTA, refused_removal),
        ],
    ),
    served(
        37,
        "A refusal is told with node, type, generation, names and reason.",
        &[
            wire("to the engine, which shows it", ALL, nack_is_told),
            wire("a reason of 9 MB is cut short", ALL, endless_nack),
        ],
    ),
    not_served(
        38,
        "Errors of single resources, as `resource_errors`.",
        "Envoy 1.40 does not read them, and absence is told by other means",
        &[wire(
            "a missing name gets no such error",
            ALL,
            no_resource_errors,
        )],
    ),
    served(
        39,
        "Every response says which replica it is from.",
        &[wire("the identifier", ALL, identifier)],
    ),
    served(
        40,
        "Equal content is equal bytes.",
        &[
            wire("two servers, the same bytes", ALL, bytes_are_equal),
            elsewhere(
                "the same plan gives the same bytes",
                "src/snapshot/compile/tests.rs",
                "the_same_plan_gives_the_same_bytes",
            ),
            elsewhere(
                "maps have one encoding",
                "src/snapshot/overlay/tests.rs",
                "maps_have_one_encoding",
            ),
        ],
    ),
];

fn bytes_are_equal(v: Variant) {
    let said = |order: &str| {
        let world = World::with(order);
        let mut client = world.client(v);
        client.ask("c", "");
        let last = client.last("c").clone();
        (last.resources, last.bytes)
    };
    assert_eq!(said("c:a@1 c:b@2 c:d@3"), said("c:d@3 c:b@2 c:a@1"));
}

fn same_again(v: Variant) {
    let world = World::with("c:a@1 e:a@1 l:a@1 r:a@1");
    let mut client = world.client(v);
    for letter in ["c", "e", "l", "r"] {
        client.ask(letter, "a");
        assert_eq!(client.ack(letter), "");
    }
    for _ in 0..3 {
        world.publish("r:a@1 l:a@1 e:a@1 c:a@1");
        assert_eq!(client.heard(), "");
    }
    // It is in force without a word.
    assert_eq!(world.events().last().unwrap(), "test-id has 4");
}

fn newest_only(v: Variant) {
    let world = World::with("e:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a"), "e a@1");
    for content in 2..=4 {
        world.publish(&format!("e:a@{content}"));
        assert_eq!(client.heard(), "");
    }
    assert_eq!(client.ack("e"), "e a@4");
    assert_eq!(client.ack("e"), "");
}

fn there_and_back(v: Variant) {
    let world = World::with("e:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a"), "e a@1");
    world.publish("e:a@2");
    world.publish("e:a@1");
    assert_eq!(client.ack("e"), "");
    assert_eq!(world.events().last().unwrap(), "test-id has 3");
}

fn names_twice(v: Variant) {
    for letter in ["c", "e", "l", "r"] {
        let world = World::with("c:a@1 e:a@1 l:a@1 r:a@1");
        let mut client = world.client(v);
        let missing = v.pick(" -z", "");
        let heard = client.ask(letter, "a z a a z");
        assert_eq!(heard, format!("{letter} a@1{missing}"));
    }
    let world = World::with("c:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", "* a * a"), "c a@1");
}

fn emptied(v: Variant) {
    for letter in ["c", "l"] {
        let world = World::with(&format!("{letter}:a@1 {letter}:b@1"));
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, ""), format!("{letter} a@1 b@1"));
        assert_eq!(client.ack(letter), "");
        world.publish(&format!("{letter}:a@1"));
        assert_eq!(client.heard(), format!("{letter} a@1"));
        assert_eq!(client.ack(letter), "");
        world.publish("e:unrelated@1");
        assert_eq!(client.heard(), letter);
        assert_eq!(client.ack(letter), "");
    }
}

fn removed_once(v: Variant) {
    for letter in ["c", "e", "l", "r"] {
        let world = World::with("c:a@1 e:a@1 l:a@1 r:a@1");
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, "a"), format!("{letter} a@1"));
        assert_eq!(client.ack(letter), "");
        world.publish("");
        assert_eq!(client.heard(), format!("{letter} -a"));
        assert_eq!(client.ack(letter), "");
        world.publish("c:x@1 e:x@1 l:x@1 r:x@1");
        assert_eq!(client.heard(), "");
    }
}

fn removed_for_others(v: Variant) {
    let world = World::with("e:a@1 e:b@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a"), "e a@1");
    assert_eq!(client.ack("e"), "");
    world.publish("e:a@1");
    assert_eq!(client.heard(), "");
}

fn removed_and_back(v: Variant) {
    for letter in ["c", "e", "l", "r"] {
        let world = World::with("c:a@1 e:a@1 l:a@1 r:a@1");
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, "a"), format!("{letter} a@1"));
        assert_eq!(client.ack(letter), "");
        world.publish("");
        assert_eq!(client.heard(), format!("{letter} -a"));
        // It is back before the removal is answered.
        world.publish("c:a@1 e:a@1 l:a@1 r:a@1");
        assert_eq!(client.heard(), "");
        assert_eq!(client.ack(letter), format!("{letter} a@1"));
        assert_eq!(client.ack(letter), "");
    }
}

fn refused_removal(v: Variant) {
    for letter in ["c", "e", "l", "r"] {
        let world = World::with("c:a@1 e:a@1 l:a@1 r:a@1");
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, "a"), format!("{letter} a@1"));
        assert_eq!(client.ack(letter), "");
        world.publish("");
        assert_eq!(client.heard(), format!("{letter} -a"));
        assert_eq!(client.nack(letter, "I need it"), "");
        world.publish("c:x@1 e:x@1 l:x@1 r:x@1");
        assert_eq!(client.heard(), "");
        world.publish("c:a@2 e:a@2 l:a@2 r:a@2");
        assert_eq!(client.heard(), format!("{letter} a@2"));
    }
}

fn endless_nack(v: Variant) {
    let world = World::with("c:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1");
    assert_eq!(client.nack("c", &"no ".repeat(3_000_000)), "");
    let events = world.events();
    assert!(events.last().unwrap().len() < 2000);
}

fn unserved_names_twice(v: Variant) {
    let world = World::with("c:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("Nonsense", "x y x '' * y"), "Nonsense -x -y");
    assert_eq!(client.ask("Nonsense", "*"), "");
}

fn nack_is_told(v: Variant) {
    let world = World::new();
    world.publish_to("other", "c:x@1");
    world.publish("c:a@1 c:b@1");
    let mut client = world.client(v);
    let node = Node {
        id: NODE.into(),
        cluster: "edge".into(),
        ..Node::default()
    };
    let ask = Ask {
        node: Some(node),
        ..Ask::default()
    };
    assert_eq!(client.put("c", ask), "c a@1 b@1");
    client.nack("c", "Error adding/updating cluster(s) b:  no\n such  lb");
    let events = world.events();
    assert_eq!(
        events.last().unwrap(),
        "test-id refused cluster a b of 2: Error adding/updating cluster(s) b: no such lb"
    );
}

fn no_resource_errors(v: Variant) {
    let world = World::with("c:a@1 e:a@1");
    let mut client = world.client(v);
    // The client of these tests fails on any.
    assert_eq!(client.ask("e", "a z"), v.pick("e a@1 -z", "e a@1"));
    assert_eq!(client.ask("c", "z"), v.pick("c -z", "c"));
}

fn identifier(v: Variant) {
    let world = World::with("c:a@1 e:a@1");
    let mut client = Client::new(&world, v, NODE);
    client.ask("c", "");
    client.ask("e", "a");
    assert_eq!(client.last("c").identifier, REPLICA);
    assert_eq!(client.last("e").identifier, REPLICA);
}

//! Rules 1 to 6: streams, who opens them, types.

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::xds::core::v3::ContextParams;

use super::client::{Ask, Client};
use super::row::{Rule, served, wire};
use super::variant::{ADS, ALL, DELTA_ADS, SEPARATE, SOTW_ADS, Variant};
use super::world::{NODE, World};

pub(crate) const RULES: &[Rule] = &[
    served(
        1,
        "State of the world and delta, aggregated and by type, all mean the same.",
        &[
            wire(
                "a client gets all four types, and holds them",
                ALL,
                all_types,
            ),
            wire("secrets by name", ALL, secrets),
        ],
    ),
    served(
        2,
        "The node comes with a stream's first request, and holds for all later ones.",
        &[wire(
            "requests without a node follow one with it",
            ALL,
            node_once,
        )],
    ),
    served(
        3,
        "A first request without a node is an error that says so.",
        &[
            wire("no node", ALL, no_node),
            wire("a node without an id", ALL, empty_node),
            wire("a node whose id no one can have", ALL, odd_node),
        ],
    ),
    served(
        4,
        "A stream keeps its identity.",
        &[
            wire(
                "the same node may come again, and say more of itself",
                ALL,
                same_node,
            ),
            wire(
                "another node ends the stream, and is told nothing",
                ALL,
                other_node,
            ),
        ],
    ),
    served(
        5,
        "The type URL decides; where a service has one type, an empty one means that.",
        &[
            wire(
                "a type that is not served does not exist",
                DELTA_ADS,
                unknown_type,
            ),
            wire(
                "a type that is not served is not answered",
                SOTW_ADS,
                unknown_type,
            ),
            wire(
                "an aggregated request without a type harms nobody",
                ADS,
                no_type_url,
            ),
            wire(
                "an empty type URL is the service's type",
                SEPARATE,
                own_type,
            ),
            wire("another type's URL is an error", SEPARATE, foreign_type),
        ],
    ),
    served(
        6,
        "One request may have many names, and one node many streams of a type.",
        &[
            wire("many names in one request", ALL, many_names),
            wire(
                "two streams of one node, each with its own names",
                ALL,
                two_streams,
            ),
        ],
    ),
];

const ALL_TYPES: &str = "c:a@1 e:a@1 l:in@1 r:main@1";

fn all_types(v: Variant) {
    let world = World::with(ALL_TYPES);
    let mut client = world.client(v);
    for (letter, names, answer) in [
        ("c", "", "c a@1"),
        ("e", "a", "e a@1"),
        ("l", "", "l in@1"),
        ("r", "main", "r main@1"),
    ] {
        assert_eq!(client.ask(letter, names), answer);
        assert_eq!(client.ack(letter), "");
    }
    let events = world.events();
    assert_eq!(events.first().unwrap(), "test-id connected");
    assert_eq!(events.last().unwrap(), "test-id has 1");
}

fn secrets(v: Variant) {
    let world = World::with("s:tls@1 s:other@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("s", "tls"), "s tls@1");
    assert_eq!(client.ack("s"), "");
    world.publish("s:tls@2 s:other@2");
    assert_eq!(client.heard(), "s tls@2");
    assert_eq!(client.ack("s"), "");
}

fn node_once(v: Variant) {
    let world = World::with("c:a@1 e:a@1 e:b@1");
    let mut client = world.client(v);
    // The client of these tests says its node once on each stream.
    assert_eq!(client.ask("e", "a"), "e a@1");
    assert_eq!(client.ack("e"), "");
    assert_eq!(client.want("e", "b", ""), "e b@1");
    assert_eq!(client.ask("c", ""), "c a@1");
}

fn no_node(v: Variant) {
    let ask = Ask {
        is_nobody: true,
        ..Ask::default()
    };
    refused_at_once(v, ask, "node");
}

fn empty_node(v: Variant) {
    let ask = Ask {
        node: Some(Node {
            cluster: "edge".into(),
            ..Node::default()
        }),
        ..Ask::default()
    };
    refused_at_once(v, ask, "node");
}

fn odd_node(v: Variant) {
    for id in ["a b", "a\nb", &"x".repeat(10_000_000)] {
        let node = Node {
            id: id.into(),
            ..Node::default()
        };
        let ask = Ask {
            node: Some(node),
            ..Ask::default()
        };
        refused_at_once(v, ask, "node.id");
    }
}

fn refused_at_once(v: Variant, ask: Ask, why: &str) {
    let world = World::with(ALL_TYPES);
    let mut client = world.client(v);
    assert_eq!(client.put("c", ask), "! InvalidArgument");
    assert!(client.ends[0].message().contains(why), "{:?}", client.ends);
    assert_eq!(world.events(), Vec::<String>::new());
}

fn same_node(v: Variant) {
    let world = World::with(ALL_TYPES);
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a"), "e a@1");
    let mut again = client.answer("e");
    again.node = Some(Node {
        id: NODE.into(),
        user_agent_name: "grown".into(),
        dynamic_parameters: [("any".to_owned(), ContextParams::default())].into(),
        ..Node::default()
    });
    assert_eq!(client.put("e", again), "");
    world.publish("e:a@2");
    assert_eq!(client.heard(), "e a@2");
}

fn other_node(v: Variant) {
    let world = World::with(ALL_TYPES);
    world.publish_to("other", "c:secret@1 e:a@secret");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a"), "e a@1");
    let mut other = client.answer("e");
    other.node = Some(Node {
        id: "other".into(),
        ..Node::default()
    });
    assert_eq!(client.put("e", other), "! InvalidArgument");
    assert_eq!(world.events().last().unwrap(), "test-id disconnected");
}

fn unknown_type(v: Variant) {
    let world = World::with(ALL_TYPES);
    let mut client = world.client(v);
    let answer = v.pick("Nonsense -x -y", "");
    assert_eq!(client.ask("config.Nonsense", "x y"), answer);
    if v.is_delta {
        assert_eq!(client.ack("Nonsense"), "");
        // To hear it again is to be asked again.
        assert_eq!(client.ask("config.Nonsense", "x"), "Nonsense -x");
    }
    assert_eq!(client.ask("config.Nonsense", ""), "");
    assert_eq!(client.ask("c", ""), "c a@1");
}

fn no_type_url(v: Variant) {
    let world = World::with(ALL_TYPES);
    let mut client = world.client(v);
    let ask = Ask {
        type_url: Some(String::new()),
        ..Ask::default()
    };
    let heard = client.put("c", ask);
    if heard.is_empty() {
        assert_eq!(client.ask("c", ""), "c a@1");
    } else {
        assert_eq!(heard, "! InvalidArgument");
    }
}

fn own_type(v: Variant) {
    let world = World::with(ALL_TYPES);
    let mut client = world.client(v);
    let ask = Ask {
        type_url: Some(String::new()),
        ..Ask::default()
    };
    assert_eq!(client.put("c", ask.clone()), "c a@1");
    let ask = Ask {
        names: vec!["main".into()],
        ..ask
    };
    assert_eq!(client.put("r", ask), "r main@1");
}

fn foreign_type(v: Variant) {
    let world = World::with(ALL_TYPES);
    for url in [
        "type.googleapis.com/envoy.config.listener.v3.Listener",
        "type.googleapis.com/envoy.Nonsense",
        "Cluster",
    ] {
        let mut client = world.client(v);
        let ask = Ask {
            type_url: Some(url.into()),
            ..Ask::default()
        };
        assert_eq!(client.put("c", ask), "! InvalidArgument", "{url}");
    }
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1");
}

fn many_names(v: Variant) {
    let world = World::with("e:a@1 e:b@1 e:c@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "c a b"), "e a@1 b@1 c@1");
}

fn two_streams(v: Variant) {
    let world = World::with("r:a@1 r:b@1");
    let mut first = world.client(v);
    let mut second = Client::new(&world, v, NODE);
    assert_eq!(first.ask("r", "a"), "r a@1");
    assert_eq!(second.ask("r", "b"), "r b@1");
    assert_eq!((first.ack("r"), second.ack("r")), Default::default());
    assert_eq!(world.events(), ["test-id connected", "test-id has 1"]);
    world.publish("r:a@2 r:b@2");
    assert_eq!(first.heard(), "r a@2");
    assert_eq!(second.heard(), "r b@2");
    drop(first);
    assert_eq!(world.events(), Vec::<String>::new());
    assert_eq!(second.ack("r"), "");
    assert_eq!(world.events(), ["test-id has 2"]);
}

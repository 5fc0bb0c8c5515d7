//! Rules 54 to 59: slow clients, large messages, limits.

use tidegate::domain::Limits;
use tidegate::protocol::NAME_BYTES_MAX;
use tidegate::snapshot::ResourceKind;

use super::client::{Ask, Client};
use super::row::{Rule, elsewhere, served, wire};
use super::variant::{ADS, ALL, DELTA, SOTW, Variant};
use super::world::{NODE, STREAMS_PER_NODE_MAX, World, version};

pub(crate) const RULES: &[Rule] = &[
    served(
        54,
        "A slow client gets the newest state and no backlog.",
        &[
            wire("a thousand states while one is unanswered", ALL, coalesced),
            wire("a thousand requests that nobody listens to", ALL, flood),
        ],
    ),
    served(
        55,
        "A client that is stuck holds up nobody, and is cut off after a while.",
        &[
            wire("others go on", ALL, stuck_alone),
            wire("the end of patience", ALL, cut_off),
            elsewhere(
                "one that reads nothing is cut off as well",
                "src/xds/tests/limits.rs",
                "a_peer_that_reads_nothing_is_cut_and_the_others_on_its_connection_are_not",
            ),
        ],
    ),
    served(
        56,
        "Requests go before pushes.",
        &[wire(
            "a new client is answered while others are behind",
            ALL,
            requests_first,
        )],
    ),
    served(
        57,
        "Large messages pass, and large answers come in pieces that clients take.",
        &[
            wire(
                "50,000 names in one request, each answered",
                ALL,
                many_names,
            ),
            wire(
                "50,000 versions in the first request of a client that comes back",
                DELTA,
                many_versions,
            ),
            wire("pieces under 4 MiB", ALL, pieces),
            wire("50,000 removals, in such pieces", DELTA, removals_in_pieces),
            wire(
                "one piece larger than 4 MiB, where it cannot be split",
                SOTW,
                one_piece,
            ),
        ],
    ),
    served(
        58,
        "A peer that is gone without a word is noticed by HTTP/2 pings.",
        &[elsewhere(
            "a connection whose pings are not answered is dropped",
            "src/serving/tests/life.rs",
            "who_gives_all_room_and_then_reads_nothing_is_dropped",
        )],
    ),
    served(
        59,
        "Beyond a limit there is RESOURCE_EXHAUSTED, and memory for everybody else.",
        &[
            wire("names of a type on a stream", ALL, too_many_names),
            wire("streams of a node", ADS, too_many_streams),
            wire("a name of 10 MB", ALL, long_name),
            wire("a request of 40 MB", ALL, too_large_request),
            elsewhere(
                "bytes of a node, and the time to the first request",
                "src/xds/tests/limits.rs",
                "a_stream_ends_with_the_name_of_the_limit",
            ),
            elsewhere(
                "connections",
                "src/serving/tests/life.rs",
                "connections_are_limited_and_a_place_is_free_again_when_one_ends",
            ),
        ],
    ),
];

fn coalesced(v: Variant) {
    let world = World::with("e:a@0");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a"), "e a@0");
    for content in 1..=1000 {
        world.publish(&format!("e:a@{content}"));
        world.idle();
    }
    assert_eq!(client.ack("e"), "e a@1000");
    assert_eq!(client.ack("e"), "");
}

fn flood(v: Variant) {
    let world = World::with("c:a@1 e:a@1");
    let mut client = world.client(v);
    client.send("e", Ask::of(&["a"]));
    for round in 0..1000 {
        client.send(
            "e",
            Ask::of(if round % 2 == 0 { &["a", "z"] } else { &["a"] }),
        );
    }
    let heard = client.heard();
    let answers = heard.split(", ").count();
    assert!(heard.starts_with("e a@1") && answers == 1, "{heard}");
    let mut other = Client::new(&world, v, NODE);
    assert_eq!(other.ask("e", "a"), "e a@1");
}

fn stuck_alone(v: Variant) {
    let world = World::with("e:a@1");
    let mut stuck = world.client(v);
    stuck.send("e", Ask::of(&["a"]));
    let mut other = world.client(v);
    assert_eq!(other.ask("e", "a"), "e a@1");
    for content in 2..50 {
        assert_eq!(other.ack("e"), "");
        world.publish(&format!("e:a@{content}"));
        assert_eq!(other.heard(), format!("e a@{content}"));
    }
    assert_eq!(stuck.heard(), "e a@1");
    assert_eq!(stuck.ack("e"), "e a@49");
}

fn cut_off(v: Variant) {
    let world = World::with("e:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a"), "e a@1");
    world.pass(Limits::default().ack_time);
    assert_eq!(client.heard(), "! DeadlineExceeded");
    assert_eq!(world.events().last().unwrap(), "test-id disconnected");
}

fn requests_first(v: Variant) {
    let world = World::with("e:a@1");
    let mut busy: Vec<Client<'_>> = (0..5)
        .map(|_| {
            let mut client = world.client(v);
            assert_eq!(client.ask("e", "a"), "e a@1");
            client
        })
        .collect();
    // Each has a push to come once it has answered; the one that asks first waits for none of them.
    world.publish("e:a@2");
    assert_eq!(world.client(v).ask("e", "a"), "e a@2");
    for client in &mut busy {
        assert_eq!(client.ack("e"), "e a@2");
    }
}

/// As many as a stream may have of one type.
const NAMES: usize = 50_000;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("name-{n:06}")).collect()
}

fn endpoints(names: &[String], content: &str) -> Vec<(ResourceKind, String, String)> {
    let each = |name: &String| (ResourceKind::Endpoint, name.clone(), content.to_owned());
    names.iter().map(each).collect()
}

fn many_names(v: Variant) {
    let world = World::new();
    let names = names(NAMES);
    world.publish_all(NODE, endpoints(&names, "1"));
    let mut client = world.client(v);
    client.send(
        "e",
        Ask {
            names: names.clone(),
            ..Ask::default()
        },
    );
    let mut told = 0;
    let mut heard = client.heard();
    while !heard.is_empty() {
        told += client.last("e").resources.len();
        heard = client.ack("e");
    }
    assert_eq!(told, NAMES);
    assert_eq!(world.events().last().unwrap(), "test-id has 1");
}

fn many_versions(v: Variant) {
    let world = World::new();
    let names = names(NAMES);
    world.publish_all(NODE, endpoints(&names, "1"));
    let of = |name: &String| (name.clone(), version(ResourceKind::Endpoint, name, "1"));
    let mut held: super::world::Versions = names.iter().map(of).collect();
    held.insert(names[7].clone(), "old".into());
    let mut client = world.client(v);
    let ask = Ask {
        names: names.clone(),
        held,
        ..Ask::default()
    };
    assert_eq!(client.put("e", ask), format!("e {}@1", names[7]));
}

/// What a gRPC client takes unless told otherwise.
const CLIENT_BYTES_MAX: usize = 4 * 1024 * 1024;

fn pieces(v: Variant) {
    let world = World::new();
    let names = names(64);
    let content = "x".repeat(200_000);
    world.publish_all(NODE, endpoints(&names, &content));
    let mut client = world.client(v);
    client.send(
        "e",
        Ask {
            names,
            ..Ask::default()
        },
    );
    let mut told = 0;
    let mut count = 0;
    let mut heard = client.heard();
    while !heard.is_empty() {
        let last = client.last("e");
        assert!(last.bytes < CLIENT_BYTES_MAX, "{}", last.bytes);
        told += last.resources.len();
        count += 1;
        heard = client.ack("e");
    }
    assert!(told == 64 && count > 1, "{told} resources in {count}");
}

fn removals_in_pieces(v: Variant) {
    let world = World::new();
    let long = "n".repeat(150);
    let names: Vec<String> = names(NAMES)
        .into_iter()
        .map(|name| long.clone() + &name)
        .collect();
    world.publish_all(NODE, endpoints(&names, "1"));
    let mut client = world.client(v);
    client.send(
        "e",
        Ask {
            names,
            ..Ask::default()
        },
    );
    while !client.heard().is_empty() {
        client.send("e", client.answer("e"));
    }
    world.publish("");
    let (mut gone, mut count) = (0, 0);
    while !client.heard().is_empty() {
        let last = client.last("e");
        assert!(last.bytes < CLIENT_BYTES_MAX, "{}", last.bytes);
        gone += last.removed.len();
        count += 1;
        client.send("e", client.answer("e"));
    }
    assert!(gone == NAMES && count > 1, "{gone} removals in {count}");
}

fn one_piece(v: Variant) {
    let world = World::new();
    let content = "x".repeat(200_000);
    let cluster = |name: String| (ResourceKind::Cluster, name, content.clone());
    world.publish_all(NODE, names(64).into_iter().map(cluster).collect());
    let mut client = world.client(v);
    assert!(client.ask("c", "").starts_with("c name-000000@x"));
    assert_eq!(client.last("c").resources.len(), 64);
    assert_eq!(client.ack("c"), "");
}

fn too_many_names(v: Variant) {
    let world = World::with("e:a@1");
    let mut client = world.client(v);
    let ask = Ask {
        names: names(NAMES + 1),
        ..Ask::default()
    };
    assert_eq!(client.put("e", ask), "! ResourceExhausted");
    let message = client.ends[0].message();
    assert!(
        message.contains("50000") && message.contains("50001"),
        "{message}"
    );
    // Little by little is too many as well, in delta; a list that is short again is not.
    let mut client = world.client(v);
    client.ask("e", "a");
    let mut heard = client.ack("e");
    for part in names(NAMES).chunks(10_000) {
        let ask = Ask {
            names: part.to_owned(),
            ..client.answer("e")
        };
        heard = client.put("e", ask);
    }
    assert_eq!(heard.ends_with("! ResourceExhausted"), v.is_delta);
}

fn too_many_streams(v: Variant) {
    let world = World::with("c:a@1");
    let mut clients = Vec::new();
    let refused = loop {
        let mut client = world.client(v);
        let heard = client.ask("c", "");
        if heard != "c a@1" {
            break heard;
        }
        clients.push(client);
        assert!(clients.len() <= STREAMS_PER_NODE_MAX);
    };
    assert_eq!(refused, "! ResourceExhausted");
    let mut other = Client::new(&world, v, "other");
    world.publish_to("other", "c:b@1");
    assert_eq!(other.ask("c", ""), "c b@1");
    drop(clients);
    world.idle();
    assert_eq!(world.client(v).ask("c", ""), "c a@1");
}

fn long_name(v: Variant) {
    let world = World::with("e:a@1");
    for (bytes, answer) in [
        (NAME_BYTES_MAX, v.pick("e a@1 -n", "e a@1")),
        (NAME_BYTES_MAX + 1, "! ResourceExhausted"),
        (10_000_000, "! ResourceExhausted"),
    ] {
        let mut client = world.client(v);
        let heard = client.put("e", Ask::of(&["a", &"n".repeat(bytes)]));
        assert_eq!(heard.replace(&"n".repeat(bytes), "n"), answer);
    }
    if v.is_delta {
        let held = [("n".repeat(10_000_000), String::new())].into();
        let ask = Ask {
            held,
            ..Ask::default()
        };
        assert_eq!(world.client(v).put("c", ask), "! ResourceExhausted");
    }
}

fn too_large_request(v: Variant) {
    let world = World::with("e:a@1");
    let mut client = world.client(v);
    let name = "n".repeat(40_000_000);
    assert_eq!(client.put("e", Ask::of(&[&name])), "! ResourceExhausted");
    assert_eq!(world.client(v).ask("e", "a"), "e a@1");
}

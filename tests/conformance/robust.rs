//! Rules 60 to 66: who may connect, how it ends, and what one client can do to others.

use tidegate::snapshot::ResourceKind;
use tonic::Code;

use super::client::{Ask, Client};
use super::row::{Rule, elsewhere, envoy, served, wire};
use super::variant::{ADS, ALL, Variant};
use super::world::{NODE, World};
use crate::stories::{first_start, identity};

pub(crate) const RULES: &[Rule] = &[
    served(
        60,
        "Who connects may speak for the nodes that its certificate is for, and is told of no others.",
        &[
            elsewhere(
                "the names in a certificate, against the node",
                "src/serving/tests/tls.rs",
                "a_certificate_speaks_for_the_node_that_it_names",
            ),
            elsewhere(
                "no certificate of the right CA, no question",
                "src/serving/tests/tls.rs",
                "who_has_no_certificate_of_the_right_ca_never_gets_to_ask",
            ),
            elsewhere(
                "certificates and CAs change under way",
                "src/serving/tests/tls.rs",
                "certificates_change_under_way_and_who_is_no_longer_trusted_goes",
            ),
            envoy(
                "an Envoy with the certificate of another is told nothing",
                identity::nobody_is_told_what_is_anothers,
            ),
            envoy(
                "mtls.yaml rolls without loss while every certificate and CA is replaced",
                identity::certificates_change_in_mid_roll,
            ),
        ],
    ),
    served(
        61,
        "A shutdown ends streams with a word.",
        &[
            wire("UNAVAILABLE, and the streams are gone", ALL, shutdown),
            elsewhere(
                "one after the other, then the port",
                "src/serving/tests/life.rs",
                "a_drain_ends_streams_with_a_reason_and_then_the_port",
            ),
            elsewhere(
                "who does not end is ended",
                "src/serving/tests/life.rs",
                "a_drain_does_not_wait_for_who_does_not_end",
            ),
        ],
    ),
    served(
        62,
        "Connections end when they are old, each at a moment of its own.",
        &[elsewhere(
            "the age of a connection",
            "src/serving/tests/life.rs",
            "a_connection_that_is_old_ends",
        )],
    ),
    served(
        63,
        "Clients that all come at once all get their state.",
        &[
            wire("three hundred of them", ADS, storm),
            elsewhere(
                "a fleet of connections over sockets",
                "src/serving/tests/life.rs",
                "a_fleet_that_comes_at_once_is_let_in",
            ),
        ],
    ),
    served(
        64,
        "After a node's last stream nothing of it is left.",
        &[
            wire("gone, however the stream ended", ALL, forgotten),
            wire("half-closed by the client", ALL, half_closed),
            wire(
                "half-closed right behind the first request, which is answered",
                ALL,
                half_closed_at_once,
            ),
            wire("a thousand streams dropped without a word", ALL, resets),
        ],
    ),
    served(
        65,
        "Nothing is answered before the whole state is there.",
        &[
            wire("no word, then all of it", ALL, not_before_ready),
            wire(
                "nor to a node that nothing is known for",
                ALL,
                not_for_strangers,
            ),
            elsewhere(
                "until then the server says that it is not ready, and what is missing",
                "tests/contract/serving.rs",
                "readiness_says_what_is_missing",
            ),
            envoy(
                "an Envoy that connects before any instance is ready is told nothing, then everything",
                first_start::nothing_then_everything,
            ),
        ],
    ),
    served(
        66,
        "A bad request ends its own stream at most.",
        &[
            wire("odd names", ALL, odd_names),
            wire(
                "a state-of-the-world request on a delta method, and the other way round",
                ALL,
                other_message,
            ),
            wire("bytes that are no message", ALL, garbage),
            wire("bytes that are no gRPC", ALL, no_grpc),
            wire("contradictions in one request", ALL, contradictions),
            elsewhere(
                "a panic of our own",
                "src/serving/tests/life.rs",
                "a_panic_ends_one_stream",
            ),
        ],
    ),
];

fn shutdown(v: Variant) {
    let world = World::with("c:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1");
    world.shut_down();
    assert_eq!(client.awaited(), "! Unavailable");
    assert_eq!(world.events().last().unwrap(), "test-id disconnected");
}

fn storm(v: Variant) {
    let world = World::new();
    let mut clients: Vec<Client<'_>> = (0..300)
        .map(|n| {
            let node = format!("node-{n}");
            world.publish_to(&node, "c:a@1 e:a@1");
            let mut client = Client::new(&world, v, &node);
            client.send("c", Ask::default());
            client.send("e", Ask::of(&["a"]));
            client
        })
        .collect();
    for client in &mut clients {
        let heard = client.heard();
        assert_eq!(client.settle(&heard), "c a@1, e a@1");
    }
}

fn forgotten(v: Variant) {
    let world = World::with("e:a@1");
    for _ in 0..3 {
        let mut client = world.client(v);
        assert_eq!(client.ask("e", "a"), "e a@1");
        assert_eq!(client.ack("e"), "");
        drop(client);
        let events = world.events();
        assert_eq!(events[0], "test-id connected");
        assert_eq!(events.last().unwrap(), "test-id disconnected");
    }
}

fn half_closed(v: Variant) {
    let world = World::with("e:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a"), "e a@1");
    assert_eq!(client.finish(), "! Ok");
    assert_eq!(world.events().last().unwrap(), "test-id disconnected");
}

fn half_closed_at_once(v: Variant) {
    let world = World::with("e:a@1");
    let mut client = world.client(v);
    client.send("e", Ask::of(&["a"]));
    assert_eq!(client.finish(), "e a@1, ! Ok");
    assert_eq!(
        world.events(),
        ["test-id connected", "test-id disconnected"]
    );
}

fn resets(v: Variant) {
    let world = World::with("e:a@1");
    let mut other = world.client(v);
    assert_eq!(other.ask("e", "a"), "e a@1");
    for _ in 0..10 {
        // Beyond some number of them HTTP/2 lets the connection go, so each has a few.
        let mut client = world.client(v);
        for _ in 0..100 {
            client.send("e", Ask::of(&["a"]));
            client.hang_up();
        }
        world.idle();
    }
    assert_eq!(other.ack("e"), "");
    world.publish("e:a@2");
    assert_eq!(other.heard(), "e a@2");
    drop(other);
    assert_eq!(world.events().last().unwrap(), "test-id disconnected");
    assert_eq!(world.client(v).ask("e", "a"), "e a@2");
}

fn not_before_ready(v: Variant) {
    let world = World::new();
    let mut client = world.client(v);
    for letter in ["c", "l", "e", "r"] {
        assert_eq!(client.ask(letter, v.pick("a", "a")), "");
    }
    world.publish("c:a@1 e:a@1 l:a@1 r:a@1");
    let heard = client.heard();
    let heard = client.settle(&heard);
    let mut replies: Vec<&str> = heard.split(", ").collect();
    replies.sort_unstable();
    assert_eq!(replies, ["c a@1", "e a@1", "l a@1", "r a@1"]);
}

fn not_for_strangers(v: Variant) {
    let world = World::new();
    world.publish_to("other", "c:secret@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "");
    world.publish_to("other", "c:secret@2");
    assert_eq!(client.heard(), "");
    world.publish("c:a@1");
    assert_eq!(client.heard(), "c a@1");
}

fn odd_names(v: Variant) {
    let odd = [
        "../../etc/passwd",
        "a\u{0}b",
        "new\nline",
        "\u{202e}right-to-left",
        "**",
        "*a",
        "%2a",
        "☃",
        " ",
        "a b",
    ];
    let world = World::new();
    let triples = |names: &[&str]| -> Vec<_> {
        let each = |name: &&str| (ResourceKind::Endpoint, (*name).to_owned(), "1".to_owned());
        names.iter().map(each).collect()
    };
    world.publish_all(NODE, triples(&odd));
    let mut client = world.client(v);
    client.put("e", Ask::of(&odd));
    let mut told: Vec<String> = client
        .last("e")
        .resources
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    told.sort_unstable();
    let mut asked = odd.map(str::to_owned);
    asked.sort_unstable();
    assert_eq!(told, asked);
    assert_eq!(client.ack("e"), "");
    world.publish_all(NODE, Vec::new());
    client.heard();
    assert_eq!(client.ends.len(), 0);
}

fn other_message(v: Variant) {
    // The names of a delta request stand where a state-of-the-world request has its version, so what
    // arrives makes little sense. It may be answered or refused, and it must harm nobody.
    let world = World::with("c:a@1 e:a@1");
    let mut other = world.client(v);
    assert_eq!(other.ask("e", "a"), "e a@1");
    let mut client = world.client(v);
    client.is_confused = true;
    client.send("e", Ask::of(&["a"]));
    client.send("e", Ask::of(&["a", "b"]));
    world.idle();
    assert_eq!(other.ack("e"), "");
    world.publish("c:a@1 e:a@2");
    assert_eq!(other.heard(), "e a@2");
}

fn garbage(v: Variant) {
    let world = World::with("c:a@1");
    let mut other = world.client(v);
    assert_eq!(other.ask("c", ""), "c a@1");
    let ended = world.client(v).babble("c");
    assert_ne!(ended.code(), Code::Ok, "{ended:?}");
    assert_eq!(other.ack("c"), "");
    world.publish("c:a@2");
    assert_eq!(other.heard(), "c a@2");
}

fn no_grpc(v: Variant) {
    let world = World::with("c:a@1");
    let mut other = world.client(v);
    assert_eq!(other.ask("c", ""), "c a@1");
    let grpc = "application/grpc";
    for (content_type, body, code) in [
        // Nothing, a length of 4 GiB, less than was said, compression nobody agreed on, no flag at all.
        (grpc, &b""[..], Code::Ok),
        (grpc, b"\x00\xff\xff\xff\xff", Code::ResourceExhausted),
        (grpc, b"\x00\x00\x00\x00\x09abc", Code::Internal),
        (grpc, b"\x01\x00\x00\x00\x01\x00", Code::Internal),
        (grpc, b"\x07\x00\x00\x00\x01\x00", Code::Internal),
        ("text/plain", b"GET / HTTP/1.1\r\n\r\n", Code::Internal),
    ] {
        let ended = world.client(v).raw(v.path("c"), content_type, body);
        assert_eq!(ended, code, "{content_type} {body:?}");
    }
    assert_eq!(other.ack("c"), "");
    world.publish("c:a@2");
    assert_eq!(other.heard(), "c a@2");
}

fn contradictions(v: Variant) {
    let world = World::with("c:a@1 e:a@1");
    let mut client = world.client(v);
    let ask = Ask {
        names: ["*", "a", "", "*", "a"].map(str::to_owned).into(),
        unsubscribe: ["*", "", "ghost", "a", "*"].map(str::to_owned).into(),
        held: [
            ("a".to_owned(), String::new()),
            (String::new(), "1".to_owned()),
        ]
        .into(),
        version: "made-up".into(),
        nonce: "made-up".into(),
        error: Some("an error of nothing".into()),
        ..Ask::default()
    };
    client.put("c", ask.clone());
    client.put("e", ask);
    assert_eq!(client.ends.len(), 0);
    let events = world.events();
    assert!(
        !events.iter().any(|event| event.contains("refused")),
        "{events:?}"
    );
    let mut other = world.client(v);
    assert_eq!(other.ask("c", ""), "c a@1");
}

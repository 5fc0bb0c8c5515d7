//! Rules 21 to 28: nonces, and what an answer means.

use super::client::Ask;
use super::row::{Rule, envoy, served, wire};
use super::variant::{ALL, DELTA, DELTA_ADS, SOTW, SOTW_ADS, Variant};
use super::world::{World, held};
use crate::stories::ordering;

pub(crate) const RULES: &[Rule] = &[
    served(
        21,
        "Every response has a nonce of its own on its stream; nonces die with the stream.",
        &[
            wire("no nonce comes twice", ALL, nonces_are_new),
            wire(
                "a first request with an old nonce is answered",
                ALL,
                old_nonce_first,
            ),
        ],
    ),
    served(
        22,
        "A state-of-the-world request with an old nonce answers nothing, and its names count.",
        &[wire(
            "new names with a nonce of the past",
            SOTW,
            stale_names,
        )],
    ),
    served(
        23,
        "A delta request with an old nonce answers nothing, and its subscriptions count.",
        &[wire(
            "subscribe and unsubscribe with nonces of the past",
            DELTA,
            stale_delta,
        )],
    ),
    served(
        24,
        "A nonce of another type, or of nobody, answers nothing and harms nothing.",
        &[
            wire(
                "a listener's nonce on a cluster's request",
                DELTA_ADS,
                foreign_nonce,
            ),
            wire(
                "a listener's nonce on a cluster's request",
                SOTW_ADS,
                foreign_nonce,
            ),
            wire(
                "a nonce that was never given, 1 MB of it",
                ALL,
                invented_nonce,
            ),
            wire(
                "new names with a nonce of nobody count",
                ALL,
                names_with_an_odd_nonce,
            ),
            wire("no nonce at all, with and without a version", ALL, no_nonce),
            wire("the same answer twice", ALL, answered_twice),
        ],
    ),
    served(
        25,
        "An answer with an error is a refusal, whatever version it names.",
        &[
            wire(
                "with the version that was sent",
                ALL,
                nack_with_the_new_version,
            ),
            wire("without a word of why", ALL, nack_without_message),
            wire("a refusal of what was answered before", ALL, late_refusal),
            wire("a refusal of nothing", ALL, refusal_of_nothing),
        ],
    ),
    served(
        26,
        "What was refused is not sent again until it changes, and blocks nothing later.",
        &[
            wire(
                "silence, also when the same is published again",
                ALL,
                no_hot_loop,
            ),
            wire("what comes after it is sent", ALL, change_after_nack),
            wire("an operator may have it tried again", ALL, retried),
        ],
    ),
    served(
        27,
        "A refusal leaves open what of the response was taken: all of it counts as unknown.",
        &[
            wire(
                "when some of it changes, all of it is sent again",
                DELTA,
                nack_is_partial,
            ),
            wire(
                "who comes back without it is sent all of it",
                DELTA,
                back_after_nack,
            ),
            wire(
                "a whole set after a refusal takes away nothing that may be in use",
                SOTW,
                union_after_nack,
            ),
        ],
    ),
    served(
        28,
        "Accepted is not in effect: traffic waits for what proxies prove besides.",
        &[envoy(
            "a version has no weight before Envoy's own check of its first instance has passed",
            ordering::weight_waits_for_envoys_own_check,
        )],
    ),
];

fn nonces_are_new(v: Variant) {
    let world = World::with("e:a@0");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a"), "e a@0");
    for content in 1..50 {
        client.ack("e");
        world.publish(&format!("e:a@{content}"));
        // The client of these tests looks at every nonce.
        assert_eq!(client.heard(), format!("e a@{content}"));
    }
}

fn old_nonce_first(v: Variant) {
    let world = World::with("c:a@1 e:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a"), "e a@1");
    let mut ask = client.answer("e");
    ask.names = vec!["a".into()];
    ask.version.clear();
    let mut client = client.reconnect();
    assert_eq!(client.put("e", ask.clone()), "e a@1");
    ask.names.clear();
    ask.nonce = "clusters-of-another-server/7".into();
    assert_eq!(client.put("c", ask), "c a@1");
}

fn stale_names(v: Variant) {
    let world = World::with("e:a@1 e:b@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a"), "e a@1");
    let stale = client.answer("e");
    assert_eq!(client.ack("e"), "");
    world.publish("e:a@2 e:b@1");
    assert_eq!(client.heard(), "e a@2");
    let more = Ask {
        names: vec!["a".into(), "b".into()],
        ..stale
    };
    // It answers the response before the last one, so the last one still waits.
    assert_eq!(client.put("e", more), "");
    assert_eq!(client.ack("e"), "e b@1");
    assert_eq!(client.ack("e"), "");
}

fn stale_delta(v: Variant) {
    let world = World::with("e:a@1 e:b@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a"), "e a@1");
    let stale = client.answer("e");
    assert_eq!(client.ack("e"), "");
    world.publish("e:a@2 e:b@1");
    assert_eq!(client.heard(), "e a@2");
    let more = Ask {
        names: vec!["b".into()],
        unsubscribe: vec!["a".into()],
        ..stale
    };
    assert_eq!(client.put("e", more), "");
    assert_eq!(client.ack("e"), "e b@1");
    assert_eq!(client.ack("e"), "");
    world.publish("e:a@3 e:b@1");
    assert_eq!(client.heard(), "");
}

fn foreign_nonce(v: Variant) {
    let world = World::with("c:a@1 l:in@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1");
    assert_eq!(client.ack("c"), "");
    assert_eq!(client.ask("l", ""), "l in@1");
    let mut foreign = client.answer("l");
    foreign.names = Vec::new();
    assert_eq!(client.put("c", foreign), "");
    // The listener's response is not answered by that, and the clusters are as before.
    world.publish("c:a@2 l:in@1");
    assert_eq!(client.heard(), "c a@2");
    world.publish("c:a@2 l:in@2");
    assert_eq!(client.heard(), "");
    assert_eq!(client.ack("c"), "");
    assert_eq!(client.ack("l"), "l in@2");
}

fn invented_nonce(v: Variant) {
    let world = World::with("e:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a"), "e a@1");
    for nonce in ["endpoint-999999", "0", "*", &"n".repeat(1_000_000)] {
        let mut ask = client.answer("e");
        ask.nonce = nonce.into();
        assert_eq!(client.put("e", ask), "");
    }
    world.publish("e:a@2");
    assert_eq!(client.heard(), "", "the first response is not answered yet");
    assert_eq!(client.ack("e"), "e a@2");
}

fn names_with_an_odd_nonce(v: Variant) {
    let world = World::with("e:a@1 e:b@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a"), "e a@1");
    assert_eq!(client.ack("e"), "");
    let mut ask = client.answer("e");
    ask.names = v
        .pick(vec!["b"], vec!["a", "b"])
        .into_iter()
        .map(str::to_owned)
        .collect();
    ask.nonce = "whatever".into();
    assert_eq!(client.put("e", ask), "e b@1");
}

fn no_nonce(v: Variant) {
    for letter in ["c", "e", "l", "r"] {
        let world = World::with("c:a@1 e:a@1 l:a@1 r:a@1");
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, "a"), format!("{letter} a@1"));
        let mut ask = client.answer(letter);
        ask.nonce.clear();
        assert_eq!(client.put(letter, ask.clone()), "");
        ask.version.clear();
        assert_eq!(client.put(letter, ask), "");
        world.publish("c:a@2 e:a@2 l:a@2 r:a@2");
        assert_eq!(client.heard(), "", "the first response is not answered yet");
        assert_eq!(client.ack(letter), format!("{letter} a@2"));
    }
}

fn answered_twice(v: Variant) {
    for letter in ["c", "e", "l", "r"] {
        let world = World::with("c:a@1 e:a@1 l:a@1 r:a@1");
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, "a"), format!("{letter} a@1"));
        assert_eq!(client.ack(letter), "");
        // For endpoints that is how a state-of-the-world client asks for them again.
        let is_a_question = letter == "e" && !v.is_delta;
        let told = if is_a_question { "e a@1" } else { "" };
        assert_eq!(client.ack(letter), told);
        assert_eq!(client.settle(told), told);
        world.publish("c:a@2 e:a@2 l:a@2 r:a@2");
        assert_eq!(client.heard(), format!("{letter} a@2"));
    }
}

fn nack_with_the_new_version(v: Variant) {
    let world = World::with("c:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1");
    let mut nack = client.answer("c");
    nack.error = Some("no".into());
    assert_eq!(client.put("c", nack), "");
    let events = world.events();
    assert_eq!(events.last().unwrap(), "test-id refused cluster a of 1: no");
}

fn nack_without_message(v: Variant) {
    let world = World::with("c:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1");
    assert_eq!(client.nack("c", ""), "");
    let events = world.events();
    assert_eq!(
        events.last().unwrap().trim(),
        "test-id refused cluster a of 1:"
    );
}

fn late_refusal(v: Variant) {
    let world = World::with("c:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1");
    let first = Ask {
        error: Some("too late".into()),
        ..client.answer("c")
    };
    assert_eq!(client.ack("c"), "");
    assert_eq!(client.put("c", first.clone()), "", "accepted by now");
    world.publish("c:a@2");
    assert_eq!(client.heard(), "c a@2");
    assert_eq!(client.put("c", first), "", "the one before");
    assert_eq!(client.ack("c"), "");
    let events = world.events();
    assert_eq!(events.last().unwrap(), "test-id has 2");
    let refused = events.iter().filter(|event| event.contains("refused"));
    assert_eq!(refused.count(), 0, "{events:?}");
    // Nor does an acceptance undo a refusal.
    world.publish("c:a@3");
    assert_eq!(client.heard(), "c a@3");
    assert_eq!(client.nack("c", "no"), "");
    assert_eq!(client.ack("c"), "");
    assert_eq!(world.events(), ["test-id refused cluster a of 3: no"]);
}

fn refusal_of_nothing(v: Variant) {
    let world = World::with("c:a@1 e:a@1");
    let mut client = world.client(v);
    let refusal = Ask {
        error: Some("of what?".into()),
        nonce: "cluster-1".into(),
        version: "1".into(),
        ..Ask::default()
    };
    // As the first request of a type, it asks like any other.
    let heard = client.put("c", refusal.clone());
    assert_eq!(client.settle(&heard), "c a@1");
    let of_endpoints = Ask {
        nonce: String::new(),
        ..refusal
    };
    assert_eq!(client.put("e", of_endpoints), "");
    let events = world.events();
    let refused = events.iter().filter(|event| event.contains("refused"));
    assert_eq!(refused.count(), 0, "{events:?}");
}

fn no_hot_loop(v: Variant) {
    for letter in ["c", "e", "l", "r"] {
        let world = World::with("c:a@1 e:a@1 l:a@1 r:a@1");
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, "a"), format!("{letter} a@1"));
        assert_eq!(client.nack(letter, "no"), "");
        assert_eq!(client.nack(letter, "no"), "", "twice the same refusal");
        world.publish("c:a@1 e:a@1 l:a@1 r:a@1");
        assert_eq!(client.heard(), "");
        let refusals = world.events();
        let refusals = refusals.iter().filter(|event| event.contains("refused"));
        assert_eq!(refusals.count(), 1);
    }
}

fn change_after_nack(v: Variant) {
    for letter in ["c", "e", "l", "r"] {
        let world = World::with("c:a@1 e:a@1 l:a@1 r:a@1");
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, "a"), format!("{letter} a@1"));
        assert_eq!(client.nack(letter, "no"), "");
        world.publish("c:a@2 e:a@2 l:a@2 r:a@2");
        assert_eq!(client.heard(), format!("{letter} a@2"));
        assert_eq!(client.ack(letter), "");
        assert_eq!(world.events().last().unwrap(), "test-id has 2");
    }
}

fn retried(v: Variant) {
    let world = World::with("c:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1");
    assert_eq!(client.nack("c", "no"), "");
    world.retry();
    assert_eq!(client.heard(), "c a@1");
    assert_eq!(client.ack("c"), "");
    world.retry();
    assert_eq!(client.heard(), "");
}

fn nack_is_partial(v: Variant) {
    let world = World::with("c:base@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c base@1");
    assert_eq!(client.ack("c"), "");
    world.publish("c:base@1 c:good@1 c:bad@1");
    assert_eq!(client.heard(), "c bad@1 good@1");
    assert_eq!(client.nack("c", "bad"), "");
    world.publish("c:base@1 c:good@1 c:bad@2");
    assert_eq!(client.heard(), "c bad@2 good@1");
    assert_eq!(client.nack("c", "bad"), "");
    world.publish("c:base@1");
    assert_eq!(client.settle(""), "");
    let heard = client.heard();
    assert_eq!(heard, "c -bad -good");
}

fn back_after_nack(v: Variant) {
    let world = World::with("c:base@1 c:good@1 c:bad@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c bad@1 base@1 good@1");
    assert_eq!(client.nack("c", "bad"), "");
    let mut client = client.reconnect();
    let held = [held("c", "base", "1")].into();
    let ask = Ask {
        held,
        ..Ask::default()
    };
    assert_eq!(client.put("c", ask), "c bad@1 good@1");
}

fn union_after_nack(v: Variant) {
    let world = World::with("c:a@1 c:b@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1 b@1");
    assert_eq!(client.ack("c"), "");
    world.publish("c:a@2 c:b@1");
    assert_eq!(client.heard(), "c a@2 b@1");
    assert_eq!(client.nack("c", "a"), "");
    world.publish("c:a@2 c:b@2");
    // Without what it refuses, but with what it has under that name.
    let heard = client.heard();
    assert!(
        ["c a@1 b@2", "c a@2 b@2"].contains(&heard.as_str()),
        "{heard}"
    );
}

//! Rules 21 to 40: nonces, versions, answers, and what a response holds.

use envoy_types::pb::envoy::config::core::v3::Node;

use super::client::{Ask, Client};
use super::row::{Rule, elsewhere, envoy, not_served, served, wire};
use super::variant::{ALL, DELTA, DELTA_ADS, SOTW, SOTW_ADS, Variant};
use super::world::{NODE, REPLICA, Versions, World, kind, version};
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
    served(
        29,
        "Versions are of the content: equal on each replica and after each restart.",
        &[
            wire("two servers, the same versions", ALL, versions_are_equal),
            wire(
                "a change and back again is the old version",
                ALL,
                versions_return,
            ),
        ],
    ),
    served(
        30,
        "A client that comes back with the current version of everything is sent nothing; names may be new, so they are answered.",
        &[
            wire("the whole set, unchanged", SOTW, back_with_the_set),
            wire(
                "the whole set, changed meanwhile",
                SOTW,
                back_with_an_old_set,
            ),
            wire("names", SOTW, back_with_names),
        ],
    ),
    served(
        31,
        "A delta client that comes back says what it has, and is sent the difference.",
        &[
            wire("equal, changed, gone and new", DELTA, back_with_versions),
            wire(
                "of names that it does not ask for",
                DELTA,
                back_with_foreign_names,
            ),
            wire(
                "only on the first request of a type",
                DELTA,
                versions_too_late,
            ),
        ],
    ),
    served(
        32,
        "A client that comes back with everything loses nothing, and hears what changes later.",
        &[wire("silence, then a change", ALL, back_with_everything)],
    ),
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

fn versions_are_equal(v: Variant) {
    let said = |order: &str| {
        let world = World::with(order);
        let mut client = world.client(v);
        client.ask("c", "");
        let last = client.last("c").clone();
        v.pick(
            (String::new(), last.versions),
            (last.version, Versions::new()),
        )
    };
    assert_eq!(said("c:a@1 c:b@2 c:d@3"), said("c:d@3 c:b@2 c:a@1"));
    assert_ne!(said("c:a@1"), said("c:a@2"));
}

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

fn versions_return(v: Variant) {
    let world = World::with("e:a@1");
    let mut client = world.client(v);
    let mut versions = Vec::new();
    let mut heard = client.ask("e", "a");
    for content in [2, 1, 3] {
        assert!(!heard.is_empty());
        let last = client.last("e").clone();
        versions.push(v.pick(last.versions.get("a").cloned(), Some(last.version)));
        client.ack("e");
        world.publish(&format!("e:a@{content}"));
        heard = client.heard();
    }
    assert_eq!(versions[0], versions[2]);
    assert_ne!(versions[0], versions[1]);
}

fn back_with_the_set(v: Variant) {
    let world = World::with("c:a@1 l:a@1");
    for letter in ["c", "l"] {
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, ""), format!("{letter} a@1"));
        let ask = Ask {
            nonce: String::new(),
            ..client.answer(letter)
        };
        let mut client = client.reconnect();
        assert_eq!(client.put(letter, ask), "");
    }
}

fn back_with_an_old_set(v: Variant) {
    let world = World::with("c:a@1 c:old@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1 old@1");
    let ask = Ask {
        nonce: String::new(),
        ..client.answer("c")
    };
    world.publish("c:a@1 c:new@1");
    let mut client = client.reconnect();
    assert_eq!(client.put("c", ask), "c a@1 new@1");
}

fn back_with_names(v: Variant) {
    let world = World::with("e:a@1 e:b@1 c:a@1 c:b@1");
    for letter in ["e", "c"] {
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, "a b"), format!("{letter} a@1 b@1"));
        let ask = Ask {
            nonce: String::new(),
            ..client.answer(letter)
        };
        let mut client = client.reconnect();
        assert_eq!(client.put(letter, ask), format!("{letter} a@1 b@1"));
    }
}

fn back_with_versions(v: Variant) {
    let world = World::with("c:equal@1 c:changed@2 c:new@1");
    let mut client = world.client(v);
    let held = [
        held("c", "equal", "1"),
        held("c", "changed", "1"),
        held("c", "gone", "1"),
    ];
    let ask = Ask {
        held: held.into(),
        ..Ask::default()
    };
    let heard = client.put("c", ask);
    let heard = client.settle(&heard);
    // Removals wait until the other types have been heard of; time does it too.
    world.pass(tidegate::domain::Span::secs(10));
    let later = client.heard();
    let later = client.settle(&later);
    let all = [heard, later].into_iter().filter(|text| !text.is_empty());
    assert_eq!(
        all.collect::<Vec<_>>().join(", "),
        "c changed@2 new@1, c -gone"
    );

    for letter in ["e", "r"] {
        let world = World::with("e:equal@1 e:changed@2 e:new@1 r:equal@1 r:changed@2 r:new@1");
        let mut client = world.client(v);
        let ask = Ask {
            names: ["equal", "changed", "new", "gone"]
                .map(str::to_owned)
                .into(),
            held: ["equal", "changed", "gone"]
                .map(|name| self::held(letter, name, "1"))
                .into(),
            ..Ask::default()
        };
        let heard = client.put(letter, ask);
        let heard = client.settle(&heard);
        world.pass(tidegate::domain::Span::secs(10));
        let later = client.heard();
        let all = format!("{heard}, {}", client.settle(&later));
        assert!(
            all.contains("changed@2 new@1") && all.contains("-gone"),
            "{all}"
        );
        assert!(!all.contains("equal"), "{all}");
    }
}

fn back_with_foreign_names(v: Variant) {
    let world = World::with("e:a@1 e:b@1");
    let mut client = world.client(v);
    let ask = Ask {
        names: vec!["a".into()],
        held: [held("e", "b", "0"), held("e", "never", "0")].into(),
        ..Ask::default()
    };
    let heard = client.put("e", ask);
    assert_eq!(client.settle(&heard), "e a@1");
    world.publish("e:a@1 e:b@2");
    world.pass(tidegate::domain::Span::secs(10));
    assert_eq!(client.heard(), "");
}

fn versions_too_late(v: Variant) {
    let world = World::with("e:a@1 e:b@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a"), "e a@1");
    assert_eq!(client.ack("e"), "");
    let ask = Ask {
        names: vec!["b".into()],
        held: [held("e", "a", "0"), held("e", "b", "1")].into(),
        ..Ask::default()
    };
    assert_eq!(client.put("e", ask), "e b@1");
}

fn back_with_everything(v: Variant) {
    let world = World::with("c:a@1 l:a@1");
    let mut client = world.client(v);
    for letter in ["c", "l"] {
        assert_eq!(client.ask(letter, ""), format!("{letter} a@1"));
        assert_eq!(client.ack(letter), "");
    }
    let asks = ["c", "l"].map(|letter| Ask {
        nonce: String::new(),
        held: client.last(letter).versions.clone(),
        ..client.answer(letter)
    });
    let mut client = client.reconnect();
    for (letter, ask) in ["c", "l"].into_iter().zip(asks) {
        assert_eq!(client.put(letter, ask), "");
    }
    world.publish("c:a@2 l:a@1");
    assert_eq!(client.heard(), "c a@2");
    assert_eq!(client.ack("c"), "");
    world.publish("c:a@2 l:a@2");
    assert_eq!(client.heard(), "l a@2");
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

/// A name and its version, as a client that comes back says them.
fn held(letter: &str, name: &str, content: &str) -> (String, String) {
    (name.to_owned(), version(kind(letter), name, content))
}

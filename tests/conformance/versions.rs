//! Rules 29 to 32: versions, and clients that come back with them.

use super::client::Ask;
use super::row::{Rule, envoy, served, wire};
use super::variant::{ALL, DELTA, SOTW, Variant};
use super::world::{Versions, World, held};
use crate::stories::crash;

pub(crate) const RULES: &[Rule] = &[
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
            envoy(
                "after kill -9 in mid-roll Envoys are sent nothing that they have",
                crash::nothing_is_sent_twice,
            ),
        ],
    ),
    served(
        32,
        "A client that comes back with everything loses nothing, and hears what changes later.",
        &[wire("silence, then a change", ALL, back_with_everything)],
    ),
];

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
    for wildcard in ["", "*"] {
        back_with_a_wildcard(v, wildcard);
    }
    for letter in ["e", "r"] {
        let world = World::with("e:equal@1 e:changed@2 e:new@1 r:equal@1 r:changed@2 r:new@1");
        let mut client = world.client(v);
        let ask = Ask {
            names: ["equal", "changed", "new", "gone"]
                .map(str::to_owned)
                .into(),
            held: ["equal", "changed", "gone"]
                .map(|name| held(letter, name, "1"))
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

fn back_with_a_wildcard(v: Variant, wildcard: &str) {
    let world = World::with("c:equal@1 c:changed@2 c:new@1");
    let mut client = world.client(v);
    let before = [
        held("c", "equal", "1"),
        held("c", "changed", "1"),
        held("c", "gone", "1"),
    ];
    let ask = Ask {
        held: before.into(),
        ..Ask::of(&wildcard.split_whitespace().collect::<Vec<_>>())
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

//! Rules 11 to 20: what a client asks for by name, and what it then gets.

use super::client::Ask;
use super::row::{Rule, not_served, served, wire};
use super::variant::{ALL, DELTA, DELTA_ADS, SOTW, Variant};
use super::world::World;

pub(crate) const RULES: &[Rule] = &[
    served(
        11,
        "A state-of-the-world request lists every name; what is not in it is not wanted any more.",
        &[
            wire("a shorter list", SOTW, shorter_list),
            wire("no name at all, as `[]` and as `[\"\"]`", SOTW, no_names),
        ],
    ),
    served(
        12,
        "Delta requests add and take away; to take away what was never there is harmless.",
        &[
            wire("both in one request", DELTA, both_at_once),
            wire("the same name in both", DELTA, same_name_in_both),
            wire("the wildcard in both", DELTA, wildcard_in_both),
            wire("names that were never subscribed", DELTA, phantoms),
            wire(
                "names that only the wildcard covers",
                DELTA,
                phantom_under_wildcard,
            ),
        ],
    ),
    served(
        13,
        "What is not wanted any more is not sent, even if it was due.",
        &[
            wire("a change of it is not told", ALL, no_more_updates),
            wire("nor one that waited for an answer", ALL, no_queued_update),
        ],
    ),
    served(
        14,
        "Who takes back a name under a wildcard must hear whether it goes on.",
        &[wire("it exists, it does not", DELTA, name_under_wildcard)],
    ),
    served(
        15,
        "To take back names needs no answer, and gets none.",
        &[
            wire("one of two, and the last", ALL, no_answer),
            wire("the wildcard", DELTA, wildcard_dropped_silently),
        ],
    ),
    served(
        16,
        "What is newly asked for is sent, even if it was sent before.",
        &[
            wire("names dropped and asked for again", ALL, asked_again),
            wire(
                "a name subscribed twice without a break",
                DELTA,
                subscribed_twice,
            ),
            wire(
                "a name under a wildcard that covers it",
                ALL,
                name_beside_wildcard,
            ),
        ],
    ),
    served(
        17,
        "A name that does not exist is remembered, and served when it does.",
        &[wire("named before it is there", ALL, comes_later)],
    ),
    served(
        18,
        "In delta, a name that does not exist is told at once as removed.",
        &[
            wire("alone, and among others", DELTA, told_missing),
            wire("asked for again", DELTA, missing_again),
            wire(
                "never for extension configs, which Envoy would drop",
                DELTA_ADS,
                never_removed,
            ),
        ],
    ),
    served(
        19,
        "In state of the world a missing endpoint or route is no news, and holds up no other.",
        &[wire("one of two is missing", SOTW, absence_is_no_news)],
    ),
    not_served(
        20,
        "Aliases match subscriptions as names do.",
        "only virtual hosts and on-demand clusters have aliases, and neither is served",
        &[wire("an alias does not exist", DELTA_ADS, alias)],
    ),
];

fn shorter_list(v: Variant) {
    let world = World::with("e:a@1 e:b@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a b"), "e a@1 b@1");
    assert_eq!(client.ack("e"), "");
    assert_eq!(client.want("e", "", "a"), "");
    world.publish("e:a@2 e:b@1");
    assert_eq!(client.heard(), "");
    world.publish("e:a@3 e:b@3");
    assert_eq!(client.heard(), "e b@3");
}

fn no_names(v: Variant) {
    for (letter, nothing) in ["c", "e", "l", "r"]
        .into_iter()
        .zip(["", "''"].into_iter().cycle())
    {
        let world = World::with("c:a@1 e:a@1 l:a@1 r:a@1");
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, "a"), format!("{letter} a@1"));
        assert_eq!(client.ack(letter), "");
        let mut none = client.answer(letter);
        none.names = nothing.split_whitespace().map(|_| String::new()).collect();
        assert_eq!(client.put(letter, none), "", "{letter} {nothing:?}");
        world.publish("c:a@2 e:a@2 l:a@2 r:a@2");
        assert_eq!(client.heard(), "", "{letter} {nothing:?}");
    }
}

fn both_at_once(v: Variant) {
    let world = World::with("e:a@1 e:b@1 e:d@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a b"), "e a@1 b@1");
    assert_eq!(client.ack("e"), "");
    assert_eq!(client.ask("e", "d -a"), "e d@1");
    assert_eq!(client.ack("e"), "");
    world.publish("e:a@2 e:b@2 e:d@2");
    assert_eq!(client.heard(), "e b@2 d@2");
}

fn same_name_in_both(v: Variant) {
    let world = World::with("e:a@1 e:b@1");
    let mut client = world.client(v);
    let heard = client.ask("e", "a b -a");
    assert!(["e b@1", "e a@1 b@1"].contains(&heard.as_str()), "{heard}");
    assert_eq!(client.ack("e"), "");
    world.publish("e:a@2 e:b@2");
    let later = client.heard();
    let same = heard.replace("@1", "@2");
    assert_eq!(later, same, "what was told once goes on");
}

fn wildcard_in_both(v: Variant) {
    let world = World::with("c:a@1 c:b@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", "* a -*"), "c a@1");
    assert_eq!(client.ack("c"), "");
    world.publish("c:a@1 c:b@2");
    assert_eq!(client.heard(), "");
    assert_eq!(client.ask("c", "*"), "c b@2");
}

fn phantoms(v: Variant) {
    let world = World::with("c:a@1 e:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "-ghost"), "");
    assert_eq!(client.ask("e", "a -ghost -phantom"), "e a@1");
    assert_eq!(client.ack("e"), "");
    assert_eq!(client.ask("e", "-ghost -*"), "");
    world.publish("c:a@1 e:a@2");
    assert_eq!(client.heard(), "e a@2");
    // A first request that only takes away still asks for all clusters or for none.
    let heard = client.ask("c", "-ghost");
    assert!(["", "c a@1"].contains(&heard.as_str()), "{heard}");
}

fn phantom_under_wildcard(v: Variant) {
    let world = World::with("c:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1");
    assert_eq!(client.ack("c"), "");
    assert_eq!(client.ask("c", "-a"), "");
    world.publish("c:a@2");
    assert_eq!(client.heard(), "c a@2");
}

fn no_more_updates(v: Variant) {
    for letter in ["c", "e", "l", "r"] {
        let world = World::with("c:a@1 c:b@1 e:a@1 e:b@1 l:a@1 l:b@1 r:a@1 r:b@1");
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, "a b"), format!("{letter} a@1 b@1"));
        assert_eq!(client.ack(letter), "");
        let heard = client.want(letter, "", "a");
        client.settle(&heard);
        world.publish(&format!("{letter}:a@2 {letter}:b@1"));
        assert_eq!(client.heard(), "");
        world.publish(&format!("{letter}:a@2 {letter}:b@2"));
        assert_eq!(client.heard(), format!("{letter} b@2"));
    }
}

fn no_queued_update(v: Variant) {
    let world = World::with("e:a@1 e:b@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "a b"), "e a@1 b@1");
    world.publish("e:a@2 e:b@1");
    assert_eq!(client.heard(), "");
    // This answers the first response as well, in both variants.
    let mut ask = client.answer("e");
    if v.is_delta {
        ask.unsubscribe = vec!["a".into()];
    } else {
        ask.names = vec!["b".into()];
    }
    assert_eq!(client.put("e", ask), "");
    world.publish("e:a@2 e:b@2");
    assert_eq!(client.heard(), "e b@2");
}

fn name_under_wildcard(v: Variant) {
    let world = World::with("c:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", "* a z"), "c a@1 -z");
    assert_eq!(client.ack("c"), "");
    assert_eq!(client.ask("c", "-a"), "c a@1");
    assert_eq!(client.ack("c"), "");
    assert_eq!(client.ask("c", "-z"), "c -z");
    assert_eq!(client.ack("c"), "");
    world.publish("c:a@2 c:z@2");
    assert_eq!(client.heard(), "c a@2 z@2");
}

fn no_answer(v: Variant) {
    for letter in ["c", "e", "l", "r"] {
        let world = World::with("c:a@1 c:b@1 e:a@1 e:b@1 l:a@1 l:b@1 r:a@1 r:b@1");
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, "a b"), format!("{letter} a@1 b@1"));
        assert_eq!(client.ack(letter), "");
        let heard = client.want(letter, "", "a");
        // A state-of-the-world client is to learn that its set is smaller, once and no more.
        client.settle(&heard);
        assert_eq!(client.want(letter, "", "b"), "");
    }
}

fn wildcard_dropped_silently(v: Variant) {
    let world = World::with("c:a@1 l:a@1");
    let mut client = world.client(v);
    for letter in ["c", "l"] {
        assert_eq!(client.ask(letter, ""), format!("{letter} a@1"));
        assert_eq!(client.ack(letter), "");
        assert_eq!(client.ask(letter, "-*"), "");
    }
    world.publish("c:a@2 l:a@2");
    assert_eq!(client.heard(), "");
}

fn asked_again(v: Variant) {
    for letter in ["c", "e", "l", "r"] {
        let world = World::with("c:a@1 c:b@1 e:a@1 e:b@1 l:a@1 l:b@1 r:a@1 r:b@1");
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, "a b"), format!("{letter} a@1 b@1"));
        assert_eq!(client.ack(letter), "");
        let heard = client.want(letter, "", "a");
        client.settle(&heard);
        let heard = client.want(letter, "a", "");
        let whole = !v.is_delta && ["c", "l"].contains(&letter);
        let again = if whole { "a@1 b@1" } else { "a@1" };
        assert_eq!(heard, format!("{letter} {again}"));
    }
}

fn subscribed_twice(v: Variant) {
    for letter in ["c", "e", "l", "r"] {
        let world = World::with("c:a@1 e:a@1 l:a@1 r:a@1");
        let mut client = world.client(v);
        for _ in 0..3 {
            assert_eq!(client.ask(letter, "a"), format!("{letter} a@1"));
            assert_eq!(client.ack(letter), "");
        }
        // Also while the last one is unanswered; then once is enough.
        assert_eq!(client.ask(letter, "a"), format!("{letter} a@1"));
        assert_eq!(client.ask(letter, "a"), "");
        assert_eq!(client.ask(letter, "a"), "");
        assert_eq!(client.ack(letter), format!("{letter} a@1"));
        assert_eq!(client.ack(letter), "");
    }
}

fn name_beside_wildcard(v: Variant) {
    let world = World::with("c:a@1 c:b@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", "*"), "c a@1 b@1");
    assert_eq!(client.ack("c"), "");
    assert_eq!(client.want("c", "a", ""), v.pick("c a@1", "c a@1 b@1"));
    assert_eq!(client.ack("c"), "");
}

fn comes_later(v: Variant) {
    for letter in ["c", "e", "l", "r"] {
        let world = World::with("c:x@1 e:x@1 l:x@1 r:x@1");
        let mut client = world.client(v);
        let heard = client.ask(letter, "a");
        if v.is_delta {
            assert_eq!(heard, format!("{letter} -a"));
        }
        client.settle(&heard);
        world.publish("c:a@1 e:a@1 l:a@1 r:a@1");
        assert_eq!(client.heard(), format!("{letter} a@1"));
        assert_eq!(client.ack(letter), "");
        world.publish("c:a@2 e:a@2 l:a@2 r:a@2");
        assert_eq!(client.heard(), format!("{letter} a@2"));
    }
}

fn told_missing(v: Variant) {
    for letter in ["c", "e", "l", "r"] {
        let world = World::with("c:a@1 e:a@1 l:a@1 r:a@1");
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, "z"), format!("{letter} -z"));
        assert_eq!(client.ack(letter), "");
        assert_eq!(client.ask(letter, "y a"), format!("{letter} a@1 -y"));
        assert_eq!(client.ack(letter), "");
    }
}

fn missing_again(v: Variant) {
    let world = World::with("e:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "z"), "e -z");
    assert_eq!(client.ack("e"), "");
    assert_eq!(client.ask("e", "z"), "e -z");
    assert_eq!(client.ack("e"), "");
    world.publish("e:a@2");
    assert_eq!(client.heard(), "");
}

fn never_removed(v: Variant) {
    let world = World::with("c:a@1");
    let mut client = world.client(v);
    assert_eq!(
        client.ask("config.core.v3.TypedExtensionConfig", "filter"),
        ""
    );
    assert_eq!(client.ask("c", ""), "c a@1");
}

fn absence_is_no_news(v: Variant) {
    for letter in ["e", "r"] {
        let world = World::with("e:a@1 r:a@1");
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, "a z"), format!("{letter} a@1"));
        assert_eq!(client.ack(letter), "");
        // It is gone, and that is not said either.
        world.publish("c:unrelated@1");
        assert_eq!(client.heard(), "");
        world.publish("e:z@1 r:z@1");
        assert_eq!(client.heard(), format!("{letter} z@1"));
    }
}

fn alias(v: Variant) {
    let world = World::with("r:main@1");
    let mut client = world.client(v);
    let ask = Ask {
        names: vec!["main/example.com".into()],
        ..Ask::default()
    };
    let heard = client.put("config.route.v3.VirtualHost", ask);
    assert_eq!(heard, "VirtualHost -main/example.com");
}

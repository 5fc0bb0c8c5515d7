//! Rules 7 to 10: who asks for everything, and when an empty list means nothing.

use super::row::{Rule, served, wire};
use super::variant::{ALL, DELTA, SOTW, Variant};
use super::world::World;

pub(crate) const RULES: &[Rule] = &[
    served(
        7,
        "An empty first request for clusters or listeners asks for all of them.",
        &[
            wire("all there are, then all that come", ALL, legacy_wildcard),
            wire(
                "an answer also when there are none",
                ALL,
                wildcard_of_nothing,
            ),
        ],
    ),
    served(
        8,
        "`*` asks for all, and goes together with names.",
        &[
            wire("`*` alone", ALL, star),
            wire("`*` and a name that is not there", ALL, star_and_name),
            wire("`*` for endpoints and routes", ALL, star_of_named_types),
        ],
    ),
    served(
        9,
        "Once anything was named, an empty list means nothing.",
        &[
            wire(
                "the example of the specification, in lists",
                SOTW,
                example_sotw,
            ),
            wire(
                "the example of the specification, in increments",
                DELTA,
                example_delta,
            ),
            wire("`*` taken back is all taken back", ALL, star_taken_back),
            wire("an empty name is a name, of nothing", ALL, empty_name_first),
            wire(
                "an empty request after a name adds nothing",
                DELTA,
                empty_after_name,
            ),
        ],
    ),
    served(
        10,
        "For endpoints and routes an empty first request asks for nothing: they have no wildcard but `*`.",
        &[wire(
            "nothing comes until something is named",
            ALL,
            empty_named_types,
        )],
    ),
];

fn legacy_wildcard(v: Variant) {
    for (letter, first, second) in [
        ("c", "c:a@1 c:b@1", "c:a@1 c:b@1 c:d@1"),
        ("l", "l:a@1 l:b@1", "l:a@1 l:b@1 l:d@1"),
    ] {
        let world = World::with(first);
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, ""), format!("{letter} a@1 b@1"));
        assert_eq!(client.ack(letter), "");
        world.publish(second);
        let news = v.pick("d@1", "a@1 b@1 d@1");
        assert_eq!(client.heard(), format!("{letter} {news}"));
    }
}

fn wildcard_of_nothing(v: Variant) {
    for letter in ["c", "l"] {
        let world = World::with("e:a@1");
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, ""), letter);
        assert_eq!(client.ack(letter), "");
        world.publish(&format!("{letter}:a@1"));
        assert_eq!(client.heard(), format!("{letter} a@1"));
    }
}

fn star(v: Variant) {
    let world = World::with("c:a@1 c:b@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", "*"), "c a@1 b@1");
    assert_eq!(client.ack("c"), "");
    world.publish("c:a@1 c:b@2");
    assert_eq!(client.heard(), v.pick("c b@2", "c a@1 b@2"));
}

fn star_and_name(v: Variant) {
    let world = World::with("c:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", "* z"), v.pick("c a@1 -z", "c a@1"));
    assert_eq!(client.ack("c"), "");
    world.publish("c:a@1 c:z@1");
    assert_eq!(client.heard(), v.pick("c z@1", "c a@1 z@1"));
}

fn star_of_named_types(v: Variant) {
    let world = World::with("e:a@1 r:m@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", "*"), "e a@1");
    assert_eq!(client.ack("e"), "");
    assert_eq!(client.ask("r", "*"), "r m@1");
}

fn example_sotw(v: Variant) {
    let world = World::with("c:A@1 c:B@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c A@1 B@1");
    assert_eq!(client.ack("c"), "");
    let heard = client.want("c", "* A", "");
    assert_eq!(client.settle(&heard), "c A@1 B@1");
    let heard = client.want("c", "", "*");
    client.settle(&heard);
    world.publish("c:A@2 c:B@2");
    assert_eq!(client.heard(), "c A@2");
    assert_eq!(client.ack("c"), "");
    assert_eq!(client.want("c", "", "A"), "");
    world.publish("c:A@3 c:B@3");
    assert_eq!(client.heard(), "");
}

fn example_delta(v: Variant) {
    let world = World::with("c:A@1 c:B@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c A@1 B@1");
    assert_eq!(client.ack("c"), "");
    assert_eq!(client.ask("c", "A"), "c A@1");
    assert_eq!(client.ack("c"), "");
    assert_eq!(client.ask("c", "-*"), "");
    world.publish("c:A@2 c:B@2");
    assert_eq!(client.heard(), "c A@2");
    assert_eq!(client.ack("c"), "");
    assert_eq!(client.ask("c", "-A"), "");
    world.publish("c:A@3 c:B@3");
    assert_eq!(client.heard(), "");
}

fn star_taken_back(v: Variant) {
    let world = World::with("c:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", "*"), "c a@1");
    assert_eq!(client.ack("c"), "");
    assert_eq!(client.want("c", "", "*"), "");
    world.publish("c:a@2");
    assert_eq!(client.heard(), "");
    assert_eq!(client.want("c", "*", ""), "c a@2");
}

fn empty_name_first(v: Variant) {
    for letter in ["c", "e", "l", "r"] {
        let world = World::with("c:a@1 e:a@1 l:a@1 r:a@1");
        let mut client = world.client(v);
        assert_eq!(client.ask(letter, "''"), "");
        world.publish("c:a@2 e:a@2 l:a@2 r:a@2");
        assert_eq!(client.heard(), "");
        assert_eq!(client.ask(letter, "a ''"), format!("{letter} a@2"));
        assert_eq!(client.ack(letter), "");
    }
}

fn empty_after_name(v: Variant) {
    let world = World::with("c:a@1 c:b@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", "a"), "c a@1");
    assert_eq!(client.ack("c"), "");
    assert_eq!(client.ask("c", ""), "");
    world.publish("c:a@1 c:b@2");
    assert_eq!(client.heard(), "");
}

fn empty_named_types(v: Variant) {
    let world = World::with("e:a@1 r:m@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("e", ""), "");
    assert_eq!(client.ask("r", ""), "");
    world.publish("e:a@2 r:m@2");
    assert_eq!(client.heard(), "");
    assert_eq!(client.ask("e", "a"), "e a@2");
    assert_eq!(client.ack("e"), "");
    assert_eq!(client.ask("r", "m"), "r m@2");
}

//! The 18 scenarios of the public xDS test harness, and the 98 runs that it makes of them.
//!
//! State is set as the harness sets it: the scenario's types and no others, through the adapter's own gRPC
//! interface. The client has its habits: the node comes with each subscription and with no acknowledgement,
//! names are added without a nonce, and taking back everything in state of the world is a list of one empty
//! name. Each response is acknowledged at once; of two types on one state-of-the-world stream, both go under
//! the first one's URL, so the second one's response is never answered. At the end of each it counts: more
//! requests than responses.
//!
//! What it could ask of a variant and does not is a row as well, apart, so that the 98 stay the 98.

use envoy_types::pb::envoy::config::core::v3::Node;

use super::adapter::{Adapter, world};
use super::client::{Ask, Client};
use super::program::Program;
use super::row::{Rule, harness, served};
use super::variant::{ALL, DELTA, DELTA_ADS, SOTW, SOTW_ADS, Variant};
use super::world::{NODE, World};

/// Types with a wildcard, and those without.
const WHOLE: &[&str] = &["c", "l"];
const NAMED: &[&str] = &["e", "r"];
const EVERY: &[&str] = &["c", "e", "l", "r"];
/// Those that it names itself.
const SAID: &[&str] = &["l", "r"];
const PAIRS: &[&str] = &["c l", "r e"];
const PAIRS_BOTH_WAYS: &[&str] = &["c l", "l c", "r e", "e r"];
/// Not among the 98.
const OTHERS: &[&str] = &["c", "e"];

pub(crate) const RULES: &[Rule] = &[
    served(
        1,
        "A wildcard subscription gets all resources in one response.",
        &[harness(WHOLE, SOTW, wildcard)],
    ),
    served(
        2,
        "An update under a wildcard comes at the new version.",
        &[harness(WHOLE, SOTW, wildcard_update)],
    ),
    served(
        3,
        "A resource added under a wildcard comes.",
        &[harness(WHOLE, SOTW, wildcard_addition)],
    ),
    served(
        4,
        "Named resources come, and no others.",
        &[harness(SAID, ALL, named)],
    ),
    served(
        5,
        "Of named clusters or listeners all come when one is updated.",
        &[harness(WHOLE, SOTW, named_update)],
    ),
    served(
        6,
        "Of named routes or endpoints the updated one comes.",
        &[harness(NAMED, SOTW, named_update)],
    ),
    served(
        7,
        "A cluster or listener named before it exists comes with the others when it does.",
        &[harness(WHOLE, SOTW, comes_later)],
    ),
    served(
        8,
        "A route or endpoint named before it exists comes when it does.",
        &[harness(NAMED, SOTW, comes_later)],
    ),
    served(
        9,
        "Two types on one stream are both served.",
        &[harness(PAIRS, SOTW_ADS, two_types_under_one_url)],
    ),
    served(
        10,
        "Of clusters or listeners, updates come only for what is still named.",
        &[harness(WHOLE, SOTW, unsubscribe_some)],
    ),
    served(
        11,
        "Of routes or endpoints, updates come only for what is still named.",
        &[harness(NAMED, SOTW, unsubscribe_some)],
    ),
    served(
        12,
        "Who has taken back everything hears nothing.",
        &[harness(EVERY, SOTW, unsubscribe_all)],
    ),
    served(
        13,
        "Names subscribed one after the other come one after the other.",
        &[harness(EVERY, DELTA, one_after_another)],
    ),
    served(
        14,
        "An updated resource comes alone.",
        &[harness(EVERY, DELTA, update_alone)],
    ),
    served(
        15,
        "A resource named before it exists comes when it does.",
        &[harness(EVERY, DELTA, comes_later)],
    ),
    served(
        16,
        "A removed resource is told as removed, and comes when it is back.",
        &[harness(EVERY, DELTA, removed_and_back)],
    ),
    served(
        17,
        "What is taken back is not updated any more.",
        &[harness(EVERY, DELTA, unsubscribe_one_by_one)],
    ),
    served(
        18,
        "Two types on one stream are both served.",
        &[harness(PAIRS_BOTH_WAYS, DELTA_ADS, two_types)],
    ),
];

/// What is not among the 98.
pub(crate) const BESIDE: &[Rule] = &[
    served(
        0,
        "`tidegate serve --harness-adapter` serves what is set, and nothing before.",
        &[harness(&["r"], ALL, the_program)],
    ),
    served(
        1,
        "A wildcard subscription gets all resources in one response.",
        &[harness(WHOLE, DELTA, wildcard)],
    ),
    served(
        2,
        "An update under a wildcard comes at the new version.",
        &[harness(WHOLE, DELTA, wildcard_update)],
    ),
    served(
        3,
        "A resource added under a wildcard comes.",
        &[harness(WHOLE, DELTA, wildcard_addition)],
    ),
    served(
        4,
        "Named resources come, and no others.",
        &[harness(OTHERS, ALL, named)],
    ),
    served(
        12,
        "Who has taken back everything hears nothing.",
        &[harness(EVERY, DELTA, unsubscribe_all)],
    ),
];

/// A server with some resources of some types, all of version 1.
struct Scene {
    world: World,
    adapter: Adapter,
    variant: Variant,
}

impl Scene {
    fn new(variant: Variant, letters: &str, names: &str) -> Self {
        let world = world();
        let adapter = Adapter::connect(&world);
        let names = || names.split(' ');
        let each = letters
            .split(' ')
            .flat_map(|letter| names().map(move |name| (letter, name)));
        adapter.set_state(&world, "1", &each.collect::<Vec<_>>());
        Self {
            world,
            adapter,
            variant,
        }
    }

    fn client(&self) -> Client<'_> {
        self.world.client(self.variant)
    }

    fn update(&self, letter: &str, name: &str, version: &str) {
        self.adapter.update(&self.world, letter, name, version);
    }

    fn add(&self, letter: &str, name: &str, version: &str) {
        self.adapter.add(&self.world, letter, name, version);
    }

    fn remove(&self, letter: &str, name: &str, version: &str) {
        self.adapter.remove(&self.world, letter, name, version);
    }

    /// What of a change is told: the change alone, or in whole sets everything.
    fn told<'a>(&self, letter: &str, change: &'a str, all: &'a str) -> &'a str {
        let is_whole = !self.variant.is_delta && WHOLE.contains(&letter);
        if is_whole { all } else { change }
    }
}

/// One response with these names, at this version. It is acknowledged, and nothing follows.
fn expect(client: &mut Client<'_>, heard: &str, letter: &str, names: &str, version: &str) {
    let words = names.split(' ').map(|name| {
        if name.starts_with('-') {
            format!(" {name}")
        } else {
            format!(" {name}@")
        }
    });
    assert_eq!(heard, format!("{letter}{}", words.collect::<String>()));
    assert_eq!(client.last(letter).version, version);
    assert_eq!(client.ack(letter), "");
    assert!(client.requests() > client.responses());
}

/// The real program, over sockets.
fn the_program(v: Variant, letter: &str) {
    let directory = tempfile::tempdir().unwrap();
    let program = Program::start(directory.path());
    let (world, beside) = (World::at(program.xds), World::at(program.adapter));
    let adapter = Adapter::connect(&beside);
    let mut client = world.client(v);
    client.send(
        letter,
        Ask {
            names: vec!["A".into()],
            ..Ask::default()
        },
    );
    assert_eq!(client.heard(), "");
    adapter.set_state(&beside, "7", &[(letter, "A"), (letter, "B")]);
    let heard = client.awaited();
    assert_eq!(heard, format!("{letter} A@"));
    assert_eq!(client.last(letter).version, "7");
}

/// A subscription to these names; to what else it is subscribed it does not say.
fn to(names: &str) -> Ask {
    Ask {
        node: Some(Node {
            id: NODE.into(),
            ..Node::default()
        }),
        ..Ask::of(&names.split_whitespace().collect::<Vec<_>>())
    }
}

fn wildcard(v: Variant, letter: &str) {
    let scene = Scene::new(v, letter, "A B C");
    for ask in ["", "*"] {
        let mut client = scene.client();
        let heard = client.put(letter, to(ask));
        expect(&mut client, &heard, letter, "A B C", "1");
    }
}

fn wildcard_update(v: Variant, letter: &str) {
    let scene = Scene::new(v, letter, "A B C");
    let mut client = scene.client();
    let heard = client.put(letter, to(""));
    expect(&mut client, &heard, letter, "A B C", "1");
    scene.update(letter, "B", "2");
    let heard = client.heard();
    let told = scene.told(letter, "B", "A B C");
    expect(&mut client, &heard, letter, told, "2");
}

fn wildcard_addition(v: Variant, letter: &str) {
    let scene = Scene::new(v, letter, "A B C");
    let mut client = scene.client();
    let heard = client.put(letter, to(""));
    expect(&mut client, &heard, letter, "A B C", "1");
    scene.add(letter, "D", "2");
    let heard = client.heard();
    let told = scene.told(letter, "D", "A B C D");
    expect(&mut client, &heard, letter, told, "2");
}

fn named(v: Variant, letter: &str) {
    let scene = Scene::new(v, letter, "A B C D");
    let mut client = scene.client();
    let heard = client.put(letter, to("C A"));
    expect(&mut client, &heard, letter, "A C", "1");
}

fn named_update(v: Variant, letter: &str) {
    let scene = Scene::new(v, letter, "A B C D");
    let mut client = scene.client();
    let heard = client.put(letter, to("B D"));
    expect(&mut client, &heard, letter, "B D", "1");
    scene.update(letter, "B", "2");
    let heard = client.heard();
    let told = scene.told(letter, "B", "B D");
    expect(&mut client, &heard, letter, told, "2");
}

fn comes_later(v: Variant, letter: &str) {
    let scene = Scene::new(v, letter, "A B C");
    let mut client = scene.client();
    let heard = client.put(letter, to("A Z"));
    let missing = v.pick("A -Z", "A");
    expect(&mut client, &heard, letter, missing, "1");
    // In delta it comes under the version that all others have already.
    let version = v.pick("1", "2");
    scene.add(letter, "Z", version);
    let heard = client.heard();
    let told = scene.told(letter, "Z", "A Z");
    expect(&mut client, &heard, letter, told, version);
}

fn two_types_under_one_url(v: Variant, letters: &str) {
    let scene = Scene::new(v, letters, "A B C");
    let mut client = scene.client();
    let (first, second) = letters.split_once(' ').unwrap();
    let heard = client.put(first, to("B"));
    expect(&mut client, &heard, first, "B", "1");
    assert_eq!(client.put(second, to("B")), format!("{second} B@"));
    assert_eq!(client.last(second).version, "1");
    let mixed_up = client.answer(second);
    assert_eq!(client.put(first, mixed_up), "");
    scene.update(first, "B", "2");
    let heard = client.heard();
    expect(&mut client, &heard, first, "B", "2");
}

fn two_types(v: Variant, letters: &str) {
    let scene = Scene::new(v, letters, "A B C");
    let mut client = scene.client();
    let (first, second) = letters.split_once(' ').unwrap();
    client.send(first, to("B"));
    let heard = client.put(second, to("B"));
    let mut told: Vec<String> = client
        .settle(&heard)
        .split(", ")
        .map(str::to_owned)
        .collect();
    told.sort_unstable();
    let mut wanted = [first, second].map(|letter| format!("{letter} B@"));
    wanted.sort_unstable();
    assert_eq!(told, wanted);
    for letter in [first, second] {
        scene.update(letter, "B", "2");
        let heard = client.heard();
        expect(&mut client, &heard, letter, "B", "2");
    }
}

fn unsubscribe_some(v: Variant, letter: &str) {
    let scene = Scene::new(v, letter, "A B C D");
    let mut client = scene.client();
    let heard = client.put(letter, to("A B C"));
    expect(&mut client, &heard, letter, "A B C", "1");
    let fewer = Ask {
        names: vec!["A".into()],
        ..client.answer(letter)
    };
    assert_eq!(client.put(letter, fewer), "");
    scene.update(letter, "A", "2");
    let heard = client.heard();
    expect(&mut client, &heard, letter, "A", "2");
    scene.update(letter, "B", "3");
    assert_eq!(client.heard(), "");
}

fn unsubscribe_one_by_one(v: Variant, letter: &str) {
    let scene = Scene::new(v, letter, "A B");
    let mut client = scene.client();
    let heard = client.put(letter, to("A B"));
    expect(&mut client, &heard, letter, "A B", "1");
    for name in ["B", "A"] {
        assert_eq!(client.ask(letter, &format!("-{name}")), "");
        scene.update(letter, name, "2");
        assert_eq!(client.heard(), "");
    }
    assert!(client.requests() > client.responses());
}

fn unsubscribe_all(v: Variant, letter: &str) {
    let scene = Scene::new(v, letter, "A B C D");
    let mut client = scene.client();
    let heard = client.put(letter, to("A B"));
    expect(&mut client, &heard, letter, "A B", "1");
    let none = if v.is_delta {
        Ask {
            unsubscribe: vec!["A".into(), "B".into()],
            ..Ask::default()
        }
    } else {
        Ask {
            names: vec![String::new()],
            version: String::new(),
            ..client.answer(letter)
        }
    };
    assert_eq!(client.put(letter, none), "");
    scene.update(letter, "B", "2");
    assert_eq!(client.heard(), "");
    assert!(client.requests() > client.responses());
}

fn one_after_another(v: Variant, letter: &str) {
    let scene = Scene::new(v, letter, "A B C");
    let mut client = scene.client();
    for name in ["A", "B"] {
        let heard = client.put(letter, to(name));
        expect(&mut client, &heard, letter, name, "1");
    }
}

fn update_alone(v: Variant, letter: &str) {
    let scene = Scene::new(v, letter, "A B C");
    let mut client = scene.client();
    let heard = client.put(letter, to("A B C"));
    expect(&mut client, &heard, letter, "A B C", "1");
    scene.update(letter, "A", "2");
    let heard = client.heard();
    expect(&mut client, &heard, letter, "A", "2");
}

fn removed_and_back(v: Variant, letter: &str) {
    let scene = Scene::new(v, letter, "A B");
    let mut client = scene.client();
    let heard = client.put(letter, to("A B"));
    expect(&mut client, &heard, letter, "A B", "1");
    // It names the version that the client has.
    scene.remove(letter, "B", "1");
    let heard = client.heard();
    expect(&mut client, &heard, letter, "-B", "1");
    scene.add(letter, "B", "2");
    let heard = client.heard();
    expect(&mut client, &heard, letter, "B", "2");
    scene.adapter.clear_state(&scene.world);
    assert_eq!(
        client.heard(),
        "",
        "a state that is gone is not an empty one"
    );
}

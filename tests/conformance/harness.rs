//! The 18 scenarios of the public xDS test harness, and the 98 runs that it makes of them.
//!
//! State is set as the harness sets it, through the adapter's own gRPC interface, and the client has
//! its habits: each response is acknowledged at once and without a node, taking back everything in
//! state of the world is a list of one empty name, and of two types on one stream the first one's URL
//! goes with both acknowledgements. At the end of each it counts: more requests than responses.
//!
//! Where a scenario is run for two of the four types and the inventory of the harness does not say
//! which, the two are listeners and routes, as in the scenario on named resources that says so. The
//! other types are rows as well, apart, so that the 98 stay the 98.

use std::net::TcpStream;
use std::process::Command;

use super::adapter::{Adapter, world};
use super::client::{Ask, Client};
use super::row::{Rule, harness, served};
use super::variant::{ALL, DELTA, DELTA_ADS, SOTW, SOTW_ADS, Variant};
use super::world::World;
use crate::support::control_plane::two_free_addresses;
use crate::support::process::Process;
use crate::support::tools::tidegate;
use crate::support::wait::{SOON, eventually};

/// Types with a wildcard, and those without.
const WHOLE: &[&str] = &["c", "l"];
const NAMED: &[&str] = &["e", "r"];
const EVERY: &[&str] = &["c", "e", "l", "r"];
const SAID: &[&str] = &["l", "r"];
const PAIRS: &[&str] = &["c l", "e r"];
const PAIRS_BOTH_WAYS: &[&str] = &["c l", "l c", "e r", "r e"];
/// Not among the 98.
const OTHERS: &[&str] = &["c", "e"];

pub(crate) const RULES: &[Rule] = &[
    served(
        1,
        "A wildcard subscription gets all resources in one response.",
        &[harness(WHOLE, ALL, wildcard)],
    ),
    served(
        2,
        "An update under a wildcard comes at the new version.",
        &[harness(WHOLE, ALL, wildcard_update)],
    ),
    served(
        3,
        "A resource added under a wildcard comes.",
        &[harness(WHOLE, ALL, wildcard_addition)],
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
        &[harness(PAIRS, SOTW_ADS, two_types)],
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
        &[harness(EVERY, ALL, unsubscribe_all)],
    ),
    served(
        13,
        "Names subscribed one after the other come one after the other.",
        &[harness(SAID, DELTA, one_after_another)],
    ),
    served(
        14,
        "An updated resource comes alone.",
        &[harness(SAID, DELTA, update_alone)],
    ),
    served(
        15,
        "A resource named before it exists comes when it does.",
        &[harness(SAID, DELTA, comes_later)],
    ),
    served(
        16,
        "A removed resource is told as removed, and comes when it is back.",
        &[harness(SAID, DELTA, removed_and_back)],
    ),
    served(
        17,
        "What is taken back is not updated any more.",
        &[harness(SAID, DELTA, unsubscribe_some)],
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
        4,
        "Named resources come, and no others.",
        &[harness(OTHERS, ALL, named)],
    ),
    served(
        13,
        "Names subscribed one after the other come one after the other.",
        &[harness(OTHERS, DELTA, one_after_another)],
    ),
    served(
        14,
        "An updated resource comes alone.",
        &[harness(OTHERS, DELTA, update_alone)],
    ),
    served(
        15,
        "A resource named before it exists comes when it does.",
        &[harness(OTHERS, DELTA, comes_later)],
    ),
    served(
        16,
        "A removed resource is told as removed, and comes when it is back.",
        &[harness(OTHERS, DELTA, removed_and_back)],
    ),
    served(
        17,
        "What is taken back is not updated any more.",
        &[harness(OTHERS, DELTA, unsubscribe_some)],
    ),
];

/// A server whose state is set as `A`, `B` and `C` of each type, of version 1.
struct Scene {
    world: World,
    adapter: Adapter,
    variant: Variant,
}

impl Scene {
    fn new(variant: Variant) -> Self {
        let world = world();
        let adapter = Adapter::connect(&world);
        let each = EVERY
            .iter()
            .flat_map(|t| ["A", "B", "C"].map(|name| (*t, name)));
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
    let (xds, api) = two_free_addresses();
    let (adapter_at, _) = two_free_addresses();
    let mut command = Command::new(tidegate());
    command
        .args(["serve", "--exit-with-stdin"])
        .args(["--listen-xds", &xds.to_string()])
        .args(["--listen-api", &api.to_string()])
        .args(["--harness-adapter", &adapter_at.to_string()])
        .arg("--data")
        .arg(directory.path().join("data"));
    let mut process = Process::start("tidegate", &mut command, directory.path());
    for address in [adapter_at, xds] {
        eventually(SOON, "the ports to be open", || {
            process.check();
            TcpStream::connect(address)
        });
    }
    let (world, beside) = (World::at(xds), World::at(adapter_at));
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

fn wildcard(v: Variant, letter: &str) {
    let scene = Scene::new(v);
    for ask in ["", "*"] {
        let mut client = scene.client();
        let heard = client.ask(letter, ask);
        expect(&mut client, &heard, letter, "A B C", "1");
    }
}

fn wildcard_update(v: Variant, letter: &str) {
    let scene = Scene::new(v);
    let mut client = scene.client();
    let heard = client.ask(letter, "");
    expect(&mut client, &heard, letter, "A B C", "1");
    scene.update(letter, "B", "2");
    let heard = client.heard();
    expect(
        &mut client,
        &heard,
        letter,
        scene.told(letter, "B", "A B C"),
        "2",
    );
}

fn wildcard_addition(v: Variant, letter: &str) {
    let scene = Scene::new(v);
    let mut client = scene.client();
    let heard = client.ask(letter, "");
    expect(&mut client, &heard, letter, "A B C", "1");
    scene.add(letter, "D", "2");
    let heard = client.heard();
    expect(
        &mut client,
        &heard,
        letter,
        scene.told(letter, "D", "A B C D"),
        "2",
    );
}

fn named(v: Variant, letter: &str) {
    let scene = Scene::new(v);
    let mut client = scene.client();
    let heard = client.ask(letter, "A C");
    expect(&mut client, &heard, letter, "A C", "1");
}

fn named_update(v: Variant, letter: &str) {
    let scene = Scene::new(v);
    let mut client = scene.client();
    let heard = client.ask(letter, "A B");
    expect(&mut client, &heard, letter, "A B", "1");
    scene.update(letter, "B", "2");
    let heard = client.heard();
    expect(
        &mut client,
        &heard,
        letter,
        scene.told(letter, "B", "A B"),
        "2",
    );
}

fn comes_later(v: Variant, letter: &str) {
    let scene = Scene::new(v);
    let mut client = scene.client();
    let heard = client.ask(letter, "A D");
    let missing = if v.is_delta { "A -D" } else { "A" };
    expect(&mut client, &heard, letter, missing, "1");
    scene.add(letter, "D", "2");
    let heard = client.heard();
    expect(
        &mut client,
        &heard,
        letter,
        scene.told(letter, "D", "A D"),
        "2",
    );
}

fn two_types(v: Variant, letters: &str) {
    let scene = Scene::new(v);
    let mut client = scene.client();
    let (first, second) = letters.split_once(' ').unwrap();
    assert_eq!(client.ask(first, "A B"), format!("{first} A@ B@"));
    assert_eq!(client.ack(first), "");
    assert_eq!(client.ask(second, "B C"), format!("{second} B@ C@"));
    let mixed_up = Ask {
        names: client.answer(first).names,
        ..client.answer(second)
    };
    assert_eq!(client.put(first, mixed_up), "");
    assert_eq!(
        (&*client.last(first).version, &*client.last(second).version),
        ("1", "1")
    );
    assert!(client.requests() > client.responses());
}

fn unsubscribe_some(v: Variant, letter: &str) {
    let scene = Scene::new(v);
    let mut client = scene.client();
    let heard = client.ask(letter, "A B C");
    expect(&mut client, &heard, letter, "A B C", "1");
    assert_eq!(client.want(letter, "", "A C"), "");
    scene.update(letter, "A", "2");
    assert_eq!(client.heard(), "");
    scene.update(letter, "B", "3");
    let heard = client.heard();
    expect(&mut client, &heard, letter, "B", "3");
}

fn unsubscribe_all(v: Variant, letter: &str) {
    let scene = Scene::new(v);
    let mut client = scene.client();
    let heard = client.ask(letter, "A B");
    expect(&mut client, &heard, letter, "A B", "1");
    let none = if v.is_delta {
        Ask {
            unsubscribe: vec!["A".into(), "B".into()],
            ..client.answer(letter)
        }
    } else {
        Ask {
            names: vec![String::new()],
            ..client.answer(letter)
        }
    };
    assert_eq!(client.put(letter, none), "");
    scene.update(letter, "A", "2");
    assert_eq!(client.heard(), "");
    assert!(client.requests() > client.responses());
}

fn one_after_another(v: Variant, letter: &str) {
    let scene = Scene::new(v);
    let mut client = scene.client();
    for name in ["A", "B", "C"] {
        let heard = client.ask(letter, name);
        expect(&mut client, &heard, letter, name, "1");
    }
}

fn update_alone(v: Variant, letter: &str) {
    let scene = Scene::new(v);
    let mut client = scene.client();
    let heard = client.ask(letter, "A B C");
    expect(&mut client, &heard, letter, "A B C", "1");
    scene.update(letter, "B", "2");
    let heard = client.heard();
    expect(&mut client, &heard, letter, "B", "2");
}

fn removed_and_back(v: Variant, letter: &str) {
    let scene = Scene::new(v);
    let mut client = scene.client();
    let heard = client.ask(letter, "A B");
    expect(&mut client, &heard, letter, "A B", "1");
    scene.remove(letter, "B", "2");
    let heard = client.heard();
    expect(&mut client, &heard, letter, "-B", "2");
    scene.add(letter, "B", "3");
    let heard = client.heard();
    expect(&mut client, &heard, letter, "B", "3");
    scene.adapter.clear_state(&scene.world);
    assert_eq!(
        client.heard(),
        "",
        "a state that is gone is not an empty one"
    );
}

//! The machine against a client that does whatever the protocol allows: it answers late or not at
//! all, refuses, asks, drops and comes back. Whatever happened before, it ends with the snapshot.

mod references;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::message::{Ask, Notice, Request, Response, TypeUrl, Variant};
use super::{Stream, tests::resource};
use crate::domain::{Generation, Limits, Span, Time};
use crate::snapshot::{ResourceKind, ResourceSet};

const NAMES: [&str; 3] = ["a", "b", "c"];
const KINDS: usize = ResourceKind::ALL.len();

/// Each set with a generation that this divides is not grown out of the one before.
const BEGINS_ANEW: u64 = 5;

#[derive(Clone, Debug)]
enum Move {
    /// Which of the names exist, by type; and which of them change.
    Publish([[bool; 3]; KINDS], [[bool; 3]; KINDS]),
    Answer(usize, bool),
    Toggle(bool, usize),
    Reconnect,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (any::<[[bool; 3]; KINDS]>(), any::<[[bool; 3]; KINDS]>()).prop_map(|(e, c)| Move::Publish(e, c)),
        8 => (0..KINDS, prop::bool::weighted(0.8)).prop_map(|(k, ok)| Move::Answer(k, ok)),
        2 => (any::<bool>(), 0..3_usize).prop_map(|(route, name)| Move::Toggle(route, name)),
        1 => Just(Move::Reconnect),
    ];
    prop::collection::vec(one, 1..40)
}

struct Client {
    variant: Variant,
    stream: Stream,
    now: Time,
    is_back: bool,
    generation: u64,
    /// Version by name, of what exists.
    target: [BTreeMap<Arc<str>, u64>; KINDS],
    set: Arc<ResourceSet>,
    wanted: [BTreeSet<Arc<str>>; KINDS],
    held: [BTreeMap<Arc<str>, Arc<str>>; KINDS],
    version: [String; KINDS],
    unanswered: [Option<Response>; KINDS],
    in_force: Option<Generation>,
}

impl Client {
    fn new(variant: Variant) -> Self {
        let mut client = Self {
            variant,
            stream: Stream::new(variant, &Limits::default()),
            now: Time::UNIX_EPOCH,
            is_back: false,
            generation: 0,
            target: Default::default(),
            set: Arc::default(),
            wanted: Default::default(),
            held: Default::default(),
            version: Default::default(),
            unanswered: Default::default(),
            in_force: None,
        };
        client.connect();
        client
    }

    fn connect(&mut self) {
        self.stream = Stream::new(self.variant, &Limits::default());
        self.unanswered = Default::default();
        self.in_force = None;
        if self.generation > 0 {
            self.stream.on_snapshot(Arc::clone(&self.set), self.now);
        }
        for kind in ResourceKind::ALL {
            let held = self.held[kind as usize].iter();
            let held = held.map(|(name, version)| (name.to_string(), version.to_string()));
            let ask = match self.variant {
                Variant::Delta => {
                    Self::delta(self.wanted[kind as usize].clone(), None, held.collect())
                }
                Variant::Sotw => self.sotw(kind),
            };
            self.put(kind, ask, String::new(), None);
        }
    }

    fn delta(
        subscribe: BTreeSet<Arc<str>>,
        unsubscribe: Option<&str>,
        initial_versions: BTreeMap<String, String>,
    ) -> Ask {
        Ask::Delta {
            subscribe: subscribe.iter().map(ToString::to_string).collect(),
            unsubscribe: unsubscribe.into_iter().map(str::to_owned).collect(),
            initial_versions,
        }
    }

    fn sotw(&self, kind: ResourceKind) -> Ask {
        Ask::Sotw {
            names: self.wanted[kind as usize]
                .iter()
                .map(ToString::to_string)
                .collect(),
            version: self.version[kind as usize].clone(),
        }
    }

    fn put(&mut self, kind: ResourceKind, ask: Ask, nonce: String, error: Option<String>) {
        let request = Request {
            type_url: TypeUrl::Served(kind),
            nonce,
            error,
            ask,
        };
        self.stream.on_request(request, self.now).unwrap();
        self.receive();
    }

    /// The next set. Most grow out of the one before, as a compiler's do; some begin anew.
    fn grow(&mut self) {
        let generation = Generation(self.generation);
        let mut set = if self.generation.is_multiple_of(BEGINS_ANEW) {
            ResourceSet::new(generation)
        } else {
            self.set.next(generation)
        };
        set.replace_all(ResourceKind::ALL.into_iter().flat_map(|kind| {
            let of_kind = self.target[kind as usize].iter();
            of_kind.map(move |(name, version)| (kind, resource(name, &version.to_string())))
        }));
        self.set = Arc::new(set);
    }

    fn publish(&mut self, exists: [[bool; 3]; KINDS], changes: [[bool; 3]; KINDS]) {
        self.generation += 1;
        for (kind, target) in self.target.iter_mut().enumerate() {
            for (index, name) in NAMES.iter().enumerate() {
                if !exists[kind][index] {
                    target.remove(*name);
                } else if changes[kind][index] || !target.contains_key(*name) {
                    target.insert((*name).into(), self.generation);
                }
            }
        }
        self.grow();
        self.stream.on_snapshot(Arc::clone(&self.set), self.now);
        self.receive();
    }

    fn toggle(&mut self, kind: ResourceKind, name: &str) {
        let names = &mut self.wanted[kind as usize];
        let adds = names.insert(name.into());
        if !adds {
            names.remove(name);
            self.held[kind as usize].remove(name);
        }
        let ask = match self.variant {
            Variant::Delta if adds => Self::delta([name.into()].into(), None, BTreeMap::new()),
            Variant::Delta => Self::delta(BTreeSet::new(), Some(name), BTreeMap::new()),
            Variant::Sotw => self.sotw(kind),
        };
        self.put(kind, ask, String::new(), None);
    }

    fn answer(&mut self, kind: ResourceKind, accept: bool) -> bool {
        let Some(response) = self.unanswered[kind as usize].take() else {
            return false;
        };
        // Clients refuse content, never its absence.
        let held = &self.held[kind as usize];
        let accept = accept
            || response
                .resources
                .iter()
                .all(|r| held.get(&r.name) == Some(&r.version));
        if accept {
            self.apply(kind, &response);
        } else {
            // It is said again once the refusal is over.
            self.in_force = None;
        }
        let ask = match self.variant {
            Variant::Delta => Self::delta(BTreeSet::new(), None, BTreeMap::new()),
            Variant::Sotw => self.sotw(kind),
        };
        self.put(
            kind,
            ask,
            response.nonce,
            (!accept).then(|| "refused".to_owned()),
        );
        true
    }

    fn apply(&mut self, kind: ResourceKind, response: &Response) {
        let held = &mut self.held[kind as usize];
        if self.variant == Variant::Sotw && kind.has_wildcard() {
            held.clear();
        }
        self.version[kind as usize].clone_from(&response.version);
        for resource in &response.resources {
            if kind.has_wildcard() || self.wanted[kind as usize].contains(&resource.name) {
                held.insert(Arc::clone(&resource.name), Arc::clone(&resource.version));
            }
        }
        for name in &response.removed {
            held.remove(name);
        }
    }

    fn receive(&mut self) {
        while let Some(response) = self.stream.poll_response(self.now) {
            let TypeUrl::Served(kind) = response.type_url else {
                panic!("{response:?}")
            };
            self.check(kind, &response);
            self.unanswered[kind as usize] = Some(response);
        }
        while let Some(notice) = self.stream.poll_notice() {
            if let Notice::InForce(generation) = notice {
                assert!(
                    self.in_force < Some(generation),
                    "said once, and after each refusal"
                );
                self.in_force = Some(generation);
                self.check_in_force();
            }
        }
    }

    fn check(&self, kind: ResourceKind, response: &Response) {
        assert!(
            self.unanswered[kind as usize].is_none(),
            "two unanswered responses of a type"
        );
        let names = response
            .resources
            .iter()
            .map(|r| &r.name)
            .chain(&response.removed);
        let mut seen = BTreeSet::new();
        for name in names {
            let is_wanted = kind.has_wildcard() || self.wanted[kind as usize].contains(name);
            assert!(is_wanted, "{name} was not asked for");
            assert!(seen.insert(name), "{name} twice");
        }
        match kind {
            ResourceKind::Route if !response.resources.is_empty() => {
                assert!(
                    !self.is_changing(ResourceKind::Cluster),
                    "route before its clusters"
                );
            }
            ResourceKind::Cluster if self.takes_away(response) => {
                assert!(
                    !self.is_changing(ResourceKind::Route),
                    "cluster taken from under a route"
                );
                let routes = self.wanted_of(ResourceKind::Route);
                let held = &self.held[ResourceKind::Route as usize];
                let is_replaced = routes
                    .iter()
                    .all(|(name, version)| held.get(name) == Some(version));
                assert!(is_replaced, "cluster taken before the routes are replaced");
            }
            _ => {}
        }
    }

    /// Does an unanswered response of this type add or change anything?
    fn is_changing(&self, kind: ResourceKind) -> bool {
        let held = &self.held[kind as usize];
        let unanswered = self.unanswered[kind as usize].iter();
        unanswered
            .flat_map(|r| &r.resources)
            .any(|r| held.get(&r.name) != Some(&r.version))
    }

    fn takes_away(&self, response: &Response) -> bool {
        let held = &self.held[ResourceKind::Cluster as usize];
        match self.variant {
            Variant::Delta => response.removed.iter().any(|name| held.contains_key(name)),
            // What a client held before it came back is not known on a SotW stream.
            Variant::Sotw if self.is_back => false,
            Variant::Sotw => held
                .keys()
                .any(|name| response.resources.iter().all(|r| r.name != *name)),
        }
    }

    /// What the client is to hold of a type, by name.
    fn wanted_of(&self, kind: ResourceKind) -> BTreeMap<Arc<str>, Arc<str>> {
        let exists = self.target[kind as usize].iter();
        exists
            .filter(|(name, _)| kind.has_wildcard() || self.wanted[kind as usize].contains(*name))
            .map(|(name, version)| (Arc::clone(name), version.to_string().into()))
            .collect()
    }

    fn check_in_force(&self) {
        for kind in ResourceKind::ALL {
            let mut held = self.held[kind as usize].clone();
            if self.variant == Variant::Sotw && !kind.has_wildcard() {
                held.retain(|name, _| self.target[kind as usize].contains_key(name));
            }
            assert_eq!(held, self.wanted_of(kind), "in force, but not held: {kind}");
        }
    }

    fn settle(&mut self) {
        let mut turns = 0;
        loop {
            let answered = ResourceKind::ALL.map(|kind| self.answer(kind, true));
            if !answered.contains(&true) {
                if turns > 100 {
                    break;
                }
                turns = 101;
                self.now = Span::secs(4).after(self.now);
                self.receive();
            }
            turns += 1;
            assert!(turns < 200, "never settles");
        }
    }
}

fn converges(variant: Variant, moves: Vec<Move>) {
    let mut client = Client::new(variant);
    for step in moves {
        match step {
            Move::Publish(exists, changes) => client.publish(exists, changes),
            Move::Answer(kind, accept) => drop(client.answer(ResourceKind::ALL[kind], accept)),
            Move::Toggle(route, name) => {
                let kind = if route {
                    ResourceKind::Route
                } else {
                    ResourceKind::Endpoint
                };
                client.toggle(kind, NAMES[name]);
            }
            Move::Reconnect => {
                client.is_back = true;
                client.connect();
            }
        }
    }
    // Whatever was refused before is fixed by the last publication.
    client.publish([[true, false, true]; KINDS], [[true; 3]; KINDS]);
    client.settle();
    assert_eq!(client.in_force, Some(Generation(client.generation)));
    client.check_in_force();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn delta_converges_and_keeps_the_order(moves in moves()) {
        converges(Variant::Delta, moves);
    }

    #[test]
    fn sotw_converges_and_keeps_the_order(moves in moves()) {
        converges(Variant::Sotw, moves);
    }
}

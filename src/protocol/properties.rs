//! The machine against a client that keeps house as Envoy does, with endpoints one by one: it forgets
//! nothing by itself, asks for a collection only when it is told of it, and says of none what it holds.
//! Messages take their time in both directions, and streams end in the middle of anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use proptest::prelude::*;

use super::message::{Ask, Notice, Request, Response, TypeUrl, Variant};
use super::{Stream, tests::resource};
use crate::domain::{Generation, Limits, Span, Time};
use crate::snapshot::ResourceKind::{Cluster, Endpoint, LbEndpoint};
use crate::snapshot::{Reference, Resource, ResourceKind, ResourceSet};

const CLUSTERS: [&str; 2] = ["a", "b"];
const ZONES: usize = 2;
/// Of a zone.
const HOSTS: usize = 3;

/// What becomes of one cluster.
#[derive(Clone, Debug)]
struct Next {
    exists: bool,
    changes: bool,
    is_one_by_one: bool,
    /// Version by host, 0 for one that is not there.
    hosts: [[u8; HOSTS]; ZONES],
}

#[derive(Clone, Debug)]
enum Move {
    Publish([Next; 2]),
    /// The client takes the next response; which of its two words goes first?
    Receive(bool),
    /// The server takes the next request.
    Take,
    Reconnect,
}

fn next() -> impl Strategy<Value = Next> {
    let hosts = any::<[[u8; HOSTS]; ZONES]>();
    (
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.8),
        hosts,
    )
        .prop_map(|(exists, changes, is_one_by_one, hosts)| Next {
            exists,
            changes,
            is_one_by_one,
            hosts: hosts.map(|zone| zone.map(|version| version % 3)),
        })
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        2 => [next(), next()].prop_map(Move::Publish),
        6 => any::<bool>().prop_map(Move::Receive),
        6 => Just(Move::Take),
        1 => Just(Move::Reconnect),
    ];
    prop::collection::vec(one, 1..60)
}

/// Host → version.
type Hosts = BTreeMap<String, String>;

/// What it makes of one cluster.
#[derive(Debug, Default)]
struct Assigned {
    version: String,
    /// The cluster has changed, and no assignment has come since.
    is_warming: bool,
    /// What it asks for, and what has come of it; `None` if nothing has.
    collections: BTreeMap<String, Option<Hosts>>,
    /// Those in use.
    hosts: Hosts,
}

struct Envoy {
    stream: Stream,
    now: Time,
    responses: VecDeque<Response>,
    requests: VecDeque<Request>,
    clusters: BTreeMap<String, String>,
    assigned: BTreeMap<String, Assigned>,
    generation: u64,
    set: Arc<ResourceSet>,
    wanted: BTreeMap<String, Hosts>,
    /// Clusters that were to have no host once, or were not to be.
    were_empty: BTreeSet<String>,
    in_force: Option<Generation>,
}

fn directory(cluster: &str, zone: usize) -> String {
    format!("xdstp://t/{cluster}/{zone}/")
}

impl Envoy {
    fn new() -> Self {
        let mut envoy = Self {
            stream: Stream::new(Variant::Delta, &Limits::default()),
            now: Time::UNIX_EPOCH,
            responses: VecDeque::new(),
            requests: VecDeque::new(),
            clusters: BTreeMap::new(),
            assigned: BTreeMap::new(),
            generation: 0,
            set: Arc::default(),
            wanted: BTreeMap::new(),
            were_empty: BTreeSet::new(),
            in_force: None,
        };
        envoy.connect();
        envoy
    }

    /// Types are asked for in the order in which they were asked for first.
    fn connect(&mut self) {
        self.stream = Stream::new(Variant::Delta, &Limits::default());
        self.responses.clear();
        self.requests.clear();
        self.in_force = None;
        if self.generation > 0 {
            self.stream.on_snapshot(Arc::clone(&self.set), self.now);
        }
        self.ask(Cluster, vec![], vec![], self.clusters.clone());
        let held = self.assigned.iter();
        let held = held.filter(|(_, it)| !it.version.is_empty());
        let held = held.map(|(name, it)| (name.clone(), it.version.clone()));
        let held: BTreeMap<_, _> = held.collect();
        let names: Vec<_> = self.assigned.keys().cloned().collect();
        if !names.is_empty() {
            self.ask(Endpoint, names, vec![], held);
        }
        let all = self.assigned.values();
        let collections: Vec<_> = all.flat_map(|it| it.collections.keys().cloned()).collect();
        if !collections.is_empty() {
            self.ask(LbEndpoint, collections, vec![], BTreeMap::new());
        }
    }

    fn ask(
        &mut self,
        kind: ResourceKind,
        subscribe: Vec<String>,
        unsubscribe: Vec<String>,
        initial_versions: BTreeMap<String, String>,
    ) {
        self.requests.push_back(Request {
            type_url: TypeUrl::Served(kind),
            nonce: String::new(),
            error: None,
            ask: Ask::Delta {
                subscribe,
                unsubscribe,
                initial_versions,
            },
        });
    }

    fn take(&mut self) -> bool {
        let Some(request) = self.requests.pop_front() else {
            return false;
        };
        self.stream.on_request(request, self.now).unwrap();
        self.poll();
        true
    }

    fn poll(&mut self) {
        while let Some(response) = self.stream.poll_response(self.now) {
            self.responses.push_back(response);
        }
        while let Some(notice) = self.stream.poll_notice() {
            match notice {
                Notice::InForce(generation) => {
                    self.in_force = Some(generation);
                    self.check();
                }
                Notice::Acked { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Everything is as it is wanted.
    fn check(&self) {
        let used = self.assigned.iter();
        let used: BTreeMap<_, _> = used.map(|(n, it)| (n.clone(), it.hosts.clone())).collect();
        assert_eq!(used, self.wanted, "in force, but not in use");
        let warming = self.assigned.values().any(|it| it.is_warming);
        assert!(!warming, "{:?}", self.assigned);
    }

    fn publish(&mut self, next: &[Next; 2]) {
        self.generation += 1;
        let generation = Generation(self.generation);
        let mut all: Vec<(ResourceKind, Arc<Resource>)> = Vec::new();
        self.wanted.clear();
        for (name, next) in CLUSTERS.iter().zip(next).filter(|(_, next)| next.exists) {
            let before = self.set.of(Cluster).get(*name);
            let version = before.filter(|_| !next.changes).map_or_else(
                || self.generation.to_string(),
                |it| it.version.as_ref().to_owned(),
            );
            all.push((Cluster, resource(name, &version)));
            let (mut hosts, mut collections) = (Hosts::new(), BTreeSet::new());
            for (zone, versions) in next.hosts.iter().enumerate() {
                for (host, version) in versions.iter().enumerate().filter(|(_, v)| **v > 0) {
                    let directory = directory(name, zone);
                    let member = format!("{directory}{host}");
                    if next.is_one_by_one {
                        all.push((LbEndpoint, resource(&member, &version.to_string())));
                    }
                    hosts.insert(member, version.to_string());
                    collections.insert(format!("{directory}*"));
                }
            }
            let text = hosts
                .iter()
                .map(|(host, version)| format!("{host}={version} "));
            let whole = resource(name, &text.collect::<String>());
            if next.is_one_by_one && !hosts.is_empty() {
                let names = collections.iter().map(String::as_str).collect::<Vec<_>>();
                let mut reference = resource(name, &format!("see {}", names.join(" ")));
                let collections = collections.iter().map(|it| it.as_str().into()).collect();
                Arc::get_mut(&mut reference).unwrap().reference =
                    Some(Box::new(Reference { collections, whole }));
                all.push((Endpoint, reference));
            } else {
                all.push((Endpoint, whole));
            }
            self.wanted.insert((*name).to_owned(), hosts);
        }
        let empty = CLUSTERS.iter().map(ToString::to_string);
        let empty = empty.filter(|name| self.wanted.get(name).is_none_or(Hosts::is_empty));
        self.were_empty.extend(empty);
        let mut set = self.set.next(generation);
        set.replace_all(all);
        self.set = Arc::new(set);
        self.stream.on_snapshot(Arc::clone(&self.set), self.now);
        self.poll();
    }

    fn receive(&mut self, acks_first: bool) -> bool {
        let Some(response) = self.responses.pop_front() else {
            return false;
        };
        let TypeUrl::Served(kind) = response.type_url else {
            panic!("{response:?}")
        };
        let before = self.requests.len();
        match kind {
            Cluster => self.take_clusters(&response),
            Endpoint => self.take_assignments(&response),
            LbEndpoint => self.take_members(&response),
            other => panic!("{other}"),
        }
        for (name, assigned) in &self.assigned {
            let is_new = assigned.version.is_empty();
            let is_empty = assigned.hosts.is_empty() && !is_new;
            assert!(
                !is_empty || self.were_empty.contains(name),
                "an outage of {name}"
            );
        }
        let mut asked = self.requests.split_off(before.min(self.requests.len()));
        let ack = Request {
            type_url: TypeUrl::Served(kind),
            nonce: response.nonce,
            error: None,
            ask: Ask::Delta {
                subscribe: vec![],
                unsubscribe: vec![],
                initial_versions: BTreeMap::new(),
            },
        };
        // Of clusters it holds the answer back until it has their endpoints, so it has asked for them.
        if acks_first && kind != Cluster {
            asked.push_front(ack);
        } else {
            asked.push_back(ack);
        }
        self.requests.append(&mut asked);
        true
    }

    fn take_clusters(&mut self, response: &Response) {
        for cluster in &response.resources {
            let (name, version) = (cluster.name.to_string(), cluster.version.to_string());
            let before = self.clusters.insert(name.clone(), version.clone());
            let assigned = self.assigned.entry(name.clone()).or_default();
            if before.as_ref() != Some(&version) {
                assigned.is_warming = true;
            }
            if before.is_none() {
                self.ask(Endpoint, vec![name], vec![], BTreeMap::new());
            }
        }
        for name in &response.removed {
            self.clusters.remove(&**name);
            if let Some(gone) = self.assigned.remove(&**name) {
                self.ask(Endpoint, vec![], vec![name.to_string()], BTreeMap::new());
                self.drop_collections(&gone);
            }
        }
    }

    fn drop_collections(&mut self, of: &Assigned) {
        if !of.collections.is_empty() {
            let names = of.collections.keys().cloned().collect();
            self.ask(LbEndpoint, vec![], names, BTreeMap::new());
        }
    }

    fn take_assignments(&mut self, response: &Response) {
        for told in &response.resources {
            let name = told.name.to_string();
            let Some(mut assigned) = self.assigned.remove(&name) else {
                continue;
            };
            assigned.version = told.version.to_string();
            assigned.is_warming = false;
            if let Some(reference) = &told.reference {
                assert!(assigned.collections.is_empty(), "refers to the same again");
                let names = reference.collections.iter().map(ToString::to_string);
                assigned.collections = names.map(|name| (name, None)).collect();
                let names = assigned.collections.keys().cloned().collect();
                self.ask(LbEndpoint, names, vec![], BTreeMap::new());
            } else {
                self.drop_collections(&assigned);
                assigned.collections.clear();
                let hosts = told.version.split_whitespace();
                let hosts = hosts.map(|host| host.split_once('=').unwrap());
                assigned.hosts = hosts.map(|(h, v)| (h.to_owned(), v.to_owned())).collect();
            }
            self.assigned.insert(name, assigned);
        }
    }

    fn take_members(&mut self, response: &Response) {
        for assigned in self.assigned.values_mut() {
            for (collection, known) in &mut assigned.collections {
                let directory = collection.trim_end_matches('*');
                let told = response.resources.iter();
                let told: Vec<_> = told.filter(|it| it.name.starts_with(directory)).collect();
                let gone = response.removed.iter();
                let gone: Vec<_> = gone.filter(|it| it.starts_with(directory)).collect();
                if told.is_empty() && gone.is_empty() {
                    continue;
                }
                let known = known.get_or_insert_default();
                known.retain(|host, _| gone.iter().all(|gone| ***gone != **host));
                known.extend(
                    told.iter()
                        .map(|it| (it.name.to_string(), it.version.to_string())),
                );
            }
            let known: Option<Vec<_>> = assigned.collections.values().map(Option::as_ref).collect();
            if let Some(known) = known.filter(|known| !known.is_empty()) {
                assigned.hosts = known
                    .into_iter()
                    .flatten()
                    .map(|(h, v)| (h.clone(), v.clone()))
                    .collect();
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..2 {
            let mut turns = 0;
            while self.take() | self.receive(true) {
                turns += 1;
                assert!(turns < 200, "never settles");
            }
            // Who comes back may take so long to ask for all that it has.
            self.now = Span::secs(4).after(self.now);
            self.poll();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn endpoints_one_by_one_end_where_they_are_wanted(moves in moves(), last in [next(), next()]) {
        let mut envoy = Envoy::new();
        for step in moves {
            match step {
                Move::Publish(next) => envoy.publish(&next),
                Move::Receive(acks_first) => drop(envoy.receive(acks_first)),
                Move::Take => drop(envoy.take()),
                Move::Reconnect => envoy.connect(),
            }
        }
        envoy.publish(&last);
        envoy.settle();
        assert_eq!(envoy.in_force, Some(Generation(envoy.generation)));
        envoy.check();
    }
}

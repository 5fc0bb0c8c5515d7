//! The server's end: what there is, the stream machines, and a referee on each stream who sees every
//! message that goes over it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tidegate::domain::{Generation, Limits, Span, Time};
use tidegate::protocol::{Ask, Notice, Request, Response, Stream, TypeUrl, Variant};
use tidegate::snapshot::{Resource, ResourceKind, ResourceSet};

use super::asked::term;
use super::ledger::{Ledger, Versions};
use super::order;
use super::story::{NAMES, Publish};

/// A client that comes back asks for all that it wants within this time.
const SETTLES_IN: Span = Span::secs(3);

/// Bytes of a large resource: two of them are more than a response may have.
static LARGE: [u8; 2 << 20] = [0; 2 << 20];

/// What there is, by type.
pub(crate) type Exists = [Versions; ResourceKind::ALL.len()];

/// What is published, and what will be.
#[derive(Debug, Default)]
pub(crate) struct Source {
    are_large: bool,
    generation: u64,
    made: ResourceSet,
    exists: Exists,
    /// The last version of each name, that a name which comes back goes on from.
    last: Exists,
}

impl Source {
    pub(crate) fn new(are_large: bool) -> Self {
        Self {
            are_large,
            ..Self::default()
        }
    }

    /// Has some names exist and some change.
    pub(crate) fn edit(&mut self, kind: ResourceKind, exist: u8, change: u8) {
        /// Few, so that what was before comes back.
        const VERSIONS: u32 = 3;
        for (bit, name) in NAMES.into_iter().enumerate() {
            let version = self.last[kind as usize].entry(name).or_insert(1);
            if change & (1 << bit) != 0 {
                *version = *version % VERSIONS + 1;
            }
            if exist & (1 << bit) == 0 {
                self.exists[kind as usize].remove(name);
            } else {
                self.exists[kind as usize].insert(name, *version);
            }
        }
    }

    /// Has one name change into something that it never was.
    pub(crate) fn mend(&mut self, kind: ResourceKind, name: &'static str) {
        const NEW: u32 = 100;
        if let Some(version) = self.exists[kind as usize].get_mut(name) {
            *version += NEW;
        }
    }

    /// The next set.
    pub(crate) fn make(&mut self, how: Publish) {
        self.generation += 1;
        let generation = Generation(self.generation);
        let mut set = match how {
            Publish::Anew => ResourceSet::new(generation),
            Publish::Grown | Publish::Unseen => self.made.next(generation),
        };
        let size = if self.are_large { LARGE.len() } else { 1 };
        let field = Bytes::from_static(&LARGE[..size]);
        set.replace_all(ResourceKind::ALL.into_iter().flat_map(|kind| {
            let exist = self.exists[kind as usize].iter();
            let field = field.clone();
            exist.map(move |(name, version)| {
                let resource = Resource {
                    name: (*name).into(),
                    version: version.to_string().into(),
                    sotw_field: field.clone(),
                    delta_field: field.clone(),
                    reference: None,
                };
                (kind, Arc::new(resource))
            })
        }));
        self.made = set;
    }

    pub(crate) fn published(&self) -> Published {
        Published {
            set: Arc::new(self.made.clone()),
            exists: Arc::new(self.exists.clone()),
        }
    }
}

/// What streams are given.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) set: Arc<ResourceSet>,
    pub(crate) exists: Arc<Exists>,
}

/// A stream and its referee.
#[derive(Debug)]
pub(crate) struct Line {
    machine: Stream,
    variant: Variant,
    /// `None` for all types.
    only: Option<ResourceKind>,
    patience: Span,
    pub(crate) published: Option<Published>,
    ledgers: [Ledger; ResourceKind::ALL.len()],
    /// By the type that it was for.
    nonces: Vec<(ResourceKind, String)>,
    unserved: BTreeSet<&'static str>,
    settles_until: Option<Time>,
    in_force: Option<Generation>,
    /// How many responses were sent.
    pub(crate) responses: usize,
    pub(crate) to_client: VecDeque<(ResourceKind, Response)>,
    /// With what the client held of the type when it came back.
    pub(crate) to_server: VecDeque<(Request, Versions)>,
    /// Requests are what a client would send, so that the referee may believe them.
    pub(crate) is_sane: bool,
}

impl Line {
    pub(crate) fn new(
        variant: Variant,
        only: Option<ResourceKind>,
        published: Option<Published>,
        now: Time,
    ) -> Self {
        let limits = Limits::default();
        let mut machine = Stream::new(variant, &limits);
        if let Some(published) = &published {
            machine.on_snapshot(Arc::clone(&published.set), now);
        }
        Self {
            machine,
            variant,
            only,
            patience: limits.ack_time,
            published,
            ledgers: ResourceKind::ALL.map(|kind| Ledger::new(kind, variant)),
            nonces: Vec::new(),
            unserved: BTreeSet::new(),
            settles_until: None,
            in_force: None,
            responses: 0,
            to_client: VecDeque::new(),
            to_server: VecDeque::new(),
            is_sane: true,
        }
    }

    pub(crate) fn serves(&self, kind: ResourceKind) -> bool {
        self.only.is_none_or(|only| only == kind)
    }

    pub(crate) fn has_asked(&self, kind: ResourceKind) -> bool {
        self.ledgers[kind as usize].asked.has_begun
    }

    /// The nonce of a response of another type.
    pub(crate) fn nonce_of_another(&self, kind: ResourceKind) -> Option<&str> {
        let mut others = self.nonces.iter().rev().filter(|(of, _)| *of != kind);
        others.next().map(|(_, nonce)| nonce.as_str())
    }

    /// Is the newest set in force, as far as was said?
    pub(crate) fn is_in_force(&self) -> bool {
        let published = self.published.as_ref();
        self.in_force == published.map(|published| published.set.generation)
    }

    pub(crate) fn publish(&mut self, published: Published, now: Time) {
        self.machine.on_snapshot(Arc::clone(&published.set), now);
        for (ledger, exists) in self.ledgers.iter_mut().zip(&*published.exists) {
            ledger.see(exists);
        }
        self.published = Some(published);
    }

    pub(crate) fn retry(&mut self) {
        self.machine.retry();
        self.ledgers.iter_mut().for_each(Ledger::retry);
    }

    /// Hands the server the oldest request under way. `None` if there is none; `false` if the stream
    /// has to end for it.
    pub(crate) fn deliver(&mut self, now: Time) -> Option<bool> {
        let (request, held) = self.to_server.pop_front()?;
        match request.type_url {
            TypeUrl::Other(_) => {
                let Ask::Delta { subscribe, .. } = &request.ask else {
                    return Some(self.machine.on_request(request, now).is_ok());
                };
                self.unserved
                    .extend(subscribe.iter().filter_map(|name| term(name)));
            }
            TypeUrl::Served(kind) => self.note(kind, &request, &held, now),
        }
        Some(self.machine.on_request(request, now).is_ok())
    }

    fn note(&mut self, kind: ResourceKind, request: &Request, held: &Versions, now: Time) {
        let is_first = !self.has_asked(kind);
        let of = self
            .nonces
            .iter()
            .find(|(_, nonce)| *nonce == request.nonce);
        let is_of_another = of.is_some_and(|(of, _)| *of != kind);
        // Who mixes up two types may list the names of either, so neither is believed.
        if is_of_another && !is_first && self.variant == Variant::Sotw {
            return;
        }
        let ledger = &mut self.ledgers[kind as usize];
        if ledger.request(request, held) {
            // It is said again once the refusal is over.
            self.in_force = None;
        }
        if let Some(published) = &self.published {
            ledger.see(&published.exists[kind as usize]);
        }
        let wants_nothing = !ledger.asked.everything && ledger.asked.names.is_empty();
        let wants_nothing = is_first && wants_nothing;
        let comes_back = is_first
            && match &request.ask {
                Ask::Delta {
                    initial_versions, ..
                } => !initial_versions.is_empty(),
                Ask::Sotw { version, .. } => !version.is_empty(),
            };
        if comes_back || wants_nothing {
            self.settles_until.get_or_insert(SETTLES_IN.after(now));
        }
    }

    /// Has the server say all that it has to say; the generation that it says is in force, if any.
    pub(crate) fn pump(&mut self, now: Time) -> Option<Generation> {
        while let Some(response) = self.machine.poll_response(now) {
            assert!(
                self.nonces
                    .iter()
                    .all(|(_, nonce)| *nonce != response.nonce),
                "a nonce comes twice"
            );
            match response.type_url {
                TypeUrl::Other(_) => self.referee_unserved(&response),
                TypeUrl::Served(kind) => {
                    self.referee(kind, &response, now);
                    self.nonces.push((kind, response.nonce.clone()));
                    self.to_client.push_back((kind, response));
                    self.responses += 1;
                }
            }
        }
        let overdue = |ledger: &Ledger| ledger.is_overdue(self.patience, now);
        let is_overdue = self.ledgers.iter().any(overdue);
        assert_eq!(self.machine.overdue(now).is_some(), is_overdue, "overdue");
        let mut news = None;
        while let Some(notice) = self.machine.poll_notice() {
            if let Notice::InForce(generation) = notice {
                assert!(self.in_force < Some(generation), "in force, said twice");
                self.in_force = Some(generation);
                news = self.in_force;
            }
        }
        assert!(
            news.is_none() || self.is_in_force(),
            "what is no more is in force"
        );
        news
    }

    fn referee(&mut self, kind: ResourceKind, response: &Response, now: Time) {
        let published = self.published.as_ref();
        let published = published.expect("an answer before there is anything");
        assert!(self.serves(kind), "a stream for another type");
        let ledger = &mut self.ledgers[kind as usize];
        let effect = ledger.response(response, published, now);
        if self.only.is_none() && self.is_sane {
            let settles = self.settles_until.is_some_and(|until| now < until);
            order::check(kind, effect, &self.ledgers, published, settles, now);
        }
        if kind == ResourceKind::Cluster {
            let names = response.resources.iter().filter_map(|r| term(&r.name));
            names.for_each(|name| self.ledgers[ResourceKind::Endpoint as usize].warms(name));
        }
    }

    fn referee_unserved(&self, response: &Response) {
        assert_eq!(self.variant, Variant::Delta, "nothing can be said in SotW");
        assert!(
            response.resources.is_empty(),
            "of a type that is not served"
        );
        for name in &response.removed {
            let is_asked = self.unserved.contains(&**name);
            assert!(is_asked, "{name} was not asked for");
        }
    }

    /// When the server wants to look again.
    pub(crate) fn deadline(&self, now: Time) -> Option<Time> {
        let deadline = self.machine.next_deadline(now);
        assert!(deadline.is_none_or(|at| at > now), "a deadline in the past");
        deadline
    }

    pub(crate) fn is_overdue(&self, now: Time) -> bool {
        self.machine.overdue(now).is_some()
    }
}

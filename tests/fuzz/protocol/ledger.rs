//! One type on one stream, as seen on the wire: what was asked, what was told, how it was answered; and
//! whether the next response is one that the protocol allows.

use std::collections::{BTreeMap, BTreeSet};

use tidegate::domain::{Generation, Span, Time};
use tidegate::protocol::{Ask, GATE_TIMEOUT, Request, Response, Variant};
use tidegate::snapshot::ResourceKind;

use super::asked::{Asked, members, term};
use super::client::SOME;
use super::server::Published;

/// Versions by name.
pub(crate) type Versions = BTreeMap<&'static str, u32>;

/// What was said and heard of one type.
#[derive(Debug)]
pub(crate) struct Ledger {
    kind: ResourceKind,
    variant: Variant,
    pub(crate) asked: Asked,
    /// What the client has if it took every response.
    told: Versions,
    /// For whole responses: what it has for certain.
    accepted: Versions,
    /// For whole responses: all of the one that was accepted last.
    last: Versions,
    /// What it was told not to exist.
    absent: BTreeSet<&'static str>,
    /// What it may have, whatever became of its answers.
    may_hold: BTreeSet<&'static str>,
    /// What may be told again though it did not change.
    again: BTreeSet<&'static str>,
    /// A response may come that tells nothing.
    is_answer_due: bool,
    /// SotW: what a client says that it brings, until there is something to compare it with.
    brings: Option<Versions>,
    /// What it refused and was not told since.
    refused: Versions,
    unanswered: Option<Unanswered>,
}

/// A response without its answer.
#[derive(Debug)]
struct Unanswered {
    nonce: String,
    at: Time,
    generation: Generation,
    resources: Versions,
    removed: BTreeSet<&'static str>,
    /// What of the resources was wanted all the time since.
    kept: Versions,
    effect: Effect,
}

/// What a response does to what its client has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effect {
    /// Something new or changed.
    pub(crate) adds: bool,
    /// Something goes.
    pub(crate) takes: bool,
}

impl Ledger {
    pub(crate) fn new(kind: ResourceKind, variant: Variant) -> Self {
        Self {
            kind,
            variant,
            asked: Asked::new(kind, variant),
            told: Versions::new(),
            accepted: Versions::new(),
            last: Versions::new(),
            absent: BTreeSet::new(),
            may_hold: BTreeSet::new(),
            again: BTreeSet::new(),
            is_answer_due: false,
            brings: None,
            refused: Versions::new(),
            unanswered: None,
        }
    }

    /// Is each response the whole truth?
    fn is_whole(&self) -> bool {
        is_whole(self.kind, self.variant)
    }

    /// Takes a request of a client that holds `held` from an earlier stream.
    /// Was that a refusal?
    pub(crate) fn request(&mut self, request: &Request, held: &Versions) -> bool {
        let is_first = !self.asked.has_begun;
        let is_answer = |response: &mut Unanswered| !is_first && response.nonce == request.nonce;
        let answered = self.unanswered.take_if(is_answer);
        let is_refusal = answered.is_some() && request.error.is_some();
        if let Some(response) = answered {
            self.answer(response, is_refusal);
        }
        let had_everything = self.asked.everything;
        let again = self.asked.take(&request.ask);
        self.is_answer_due |= self.asked.everything && (!had_everything || !again.is_empty());
        // Until it accepts something, what it came with is unknown.
        self.is_answer_due |= self.is_whole() && (!again.is_empty() || self.accepted.is_empty());
        self.again.extend(again);
        // A warming cluster has a client ask once more.
        if self.kind == ResourceKind::Endpoint && self.variant == Variant::Sotw {
            self.again.extend(&self.asked.names);
        }
        match &request.ask {
            _ if !is_first => {}
            Ask::Delta {
                initial_versions, ..
            } => {
                self.told = versions(initial_versions.iter());
                self.may_hold.extend(self.told.keys());
            }
            Ask::Sotw { version, .. } => {
                let is_pure = self.asked.everything && self.asked.names.is_empty();
                let is_believed = is_pure && self.is_whole();
                let is_known = is_believed && version != SOME && !held.is_empty();
                self.brings = is_known.then(|| held.clone());
            }
        }
        let asked = &self.asked;
        let is_asked = |name: &str| asked.covers(name) || asked.names.contains(name);
        self.told.retain(|name, _| is_asked(name));
        self.accepted.retain(|name, _| is_asked(name));
        if let Some(response) = &mut self.unanswered {
            response.kept.retain(|name, _| is_asked(name));
        }
        self.refused.retain(|name, _| is_asked(name));
        for names in [&mut self.absent, &mut self.may_hold, &mut self.again] {
            names.retain(|name| is_asked(name));
        }
        is_refusal
    }

    /// There is this from now on. Of a SotW client that came back the server knows whether it holds just
    /// that, and nothing if it holds something else.
    pub(crate) fn see(&mut self, exists: &Versions) {
        if self.brings.take().is_some_and(|brings| brings == *exists) {
            self.told.clone_from(exists);
            self.accepted.clone_from(exists);
            self.again.clear();
            self.is_answer_due = false;
        }
        if self.variant == Variant::Sotw && !self.is_whole() {
            // What is gone cannot be said, so what comes back is told anew.
            self.told.retain(|name, _| exists.contains_key(name));
        }
    }

    fn answer(&mut self, response: Unanswered, is_refusal: bool) {
        let Unanswered {
            resources,
            removed,
            kept,
            ..
        } = response;
        if is_refusal {
            self.again.extend(resources.keys().chain(&removed));
            self.refused.extend(resources);
            if self.is_whole() {
                self.again.extend(&self.may_hold);
                self.told.clone_from(&self.accepted);
            }
        } else {
            if self.is_whole() {
                self.accepted = kept;
                self.told.clone_from(&self.accepted);
                self.last = resources;
            }
            self.may_hold.retain(|name| !removed.contains(name));
        }
    }

    /// The operator has what was refused tried again.
    pub(crate) fn retry(&mut self) {
        self.again.extend(self.refused.keys());
        self.refused.clear();
    }

    /// A cluster of this name was told, and waits for its endpoints.
    pub(crate) fn warms(&mut self, name: &'static str) {
        self.again.insert(name);
    }

    /// Takes a response; panics if it is none that may come.
    pub(crate) fn response(&mut self, said: &Response, published: &Published, now: Time) -> Effect {
        let exists = &published.exists[self.kind as usize];
        assert!(self.asked.has_begun, "nobody asked");
        assert!(self.unanswered.is_none(), "two unanswered of a type");
        let resources = versions(said.resources.iter().map(|r| (&r.name, &r.version)));
        let removed: BTreeSet<&str> = said.removed.iter().map(|name| known(name)).collect();
        let names = resources.keys().chain(&removed).collect::<BTreeSet<_>>();
        let count = said.resources.len() + said.removed.len();
        assert_eq!(names.len(), count, "a name comes twice");
        for name in resources.keys() {
            assert!(self.asked.covers(name), "{name} was not asked for");
        }
        let effect = if self.is_whole() {
            assert!(removed.is_empty(), "SotW takes away by leaving out");
            self.check_whole(&resources, exists)
        } else {
            self.check_part(&resources, &removed, exists)
        };
        if self.is_whole() {
            self.told.clear();
            // What is only kept until it may go is told anew when it comes back.
            let is_kept = |name: &str| resources.contains_key(name) && !exists.contains_key(name);
            self.again.retain(|name| is_kept(name));
        }
        for name in resources.keys().chain(&removed) {
            if !self.is_whole() {
                self.again.remove(name);
            }
            self.told.remove(name);
            self.absent.remove(name);
        }
        self.refused.retain(|name, version| {
            resources.get(name) != Some(version) && !removed.contains(name)
        });
        self.told.extend(&resources);
        self.absent.extend(&removed);
        self.may_hold.extend(resources.keys());
        self.is_answer_due = false;
        self.unanswered = Some(Unanswered {
            nonce: said.nonce.clone(),
            at: now,
            generation: published.set.generation,
            kept: resources.clone(),
            resources,
            removed,
            effect,
        });
        effect
    }

    /// State of the world, for clusters and listeners: what is left out is gone.
    fn check_whole(&self, resources: &Versions, exists: &Versions) -> Effect {
        for (name, version) in resources {
            let is_known = [exists, &self.told, &self.last].map(|of| of.get(name) == Some(version));
            assert!(is_known.contains(&true), "{name}@{version} is made up");
        }
        for (name, version) in exists {
            let is_said = resources.get(name) == Some(version) || !self.asked.covers(name);
            let is_refused = self.refused.get(name) == Some(version);
            assert!(is_said || is_refused, "{name}@{version} is left out");
        }
        let is_due = self.is_answer_due || !self.again.is_empty();
        assert!(is_due || *resources != self.told, "the same is told twice");
        Effect {
            adds: differ(resources, &self.told),
            takes: self.told.keys().any(|name| !resources.contains_key(name)),
        }
    }

    fn check_part(
        &self,
        resources: &Versions,
        removed: &BTreeSet<&'static str>,
        exists: &Versions,
    ) -> Effect {
        for (name, version) in resources {
            assert_eq!(exists.get(name), Some(version), "{name} is not so");
            let is_news = self.told.get(name) != Some(version) || self.again.contains(name);
            assert!(is_news, "{name}@{version} is told twice");
        }
        for name in removed {
            let mut inside = members(name).filter(|_| !self.asked.everything);
            let is_there = exists.contains_key(name) || inside.any(|m| exists.contains_key(m));
            assert!(!is_there, "{name} exists and is taken away");
            let is_asked = self.asked.names.contains(name) || self.again.contains(name);
            let is_held = self.may_hold.contains(name);
            assert!(is_asked || is_held, "{name} goes, which nobody holds");
            let is_news = !self.absent.contains(name) || self.again.contains(name);
            assert!(is_news, "{name} goes twice");
        }
        let is_empty = resources.is_empty() && removed.is_empty();
        let may_be_empty = self.variant == Variant::Delta && self.is_answer_due;
        assert!(!is_empty || may_be_empty, "it says nothing");
        Effect {
            adds: differ(resources, &self.told),
            takes: removed.iter().any(|name| self.may_hold.contains(name)),
        }
    }

    /// Is everything that is new told?
    fn is_told(&self, exists: &Versions) -> bool {
        let mut wanted = exists.iter().filter(|(name, _)| self.asked.covers(name));
        wanted.all(|(name, version)| {
            [&self.told, &self.refused]
                .into_iter()
                .any(|of| of.get(name) == Some(version))
        })
    }

    /// Is everything that is new told, and answered or given up on?
    pub(crate) fn is_answered(&self, exists: &Versions, now: Time) -> bool {
        self.is_told(exists) && !self.waits(now, |response| response.effect.adds)
    }

    /// The same, and was none of it refused?
    pub(crate) fn is_accepted(&self, exists: &Versions, now: Time) -> bool {
        let mut refused = self.refused.iter();
        let is_standing = |(name, version)| exists.get(name) == Some(version);
        self.is_answered(exists, now) && !refused.any(is_standing)
    }

    /// Is everything that is new told, and what is told of this generation answered or given up on?
    pub(crate) fn is_placed(&self, exists: &Versions, of: Generation, now: Time) -> bool {
        let is_one = |response: &Unanswered| response.effect.adds && response.generation == of;
        self.is_told(exists) && !self.waits(now, is_one)
    }

    /// Is everything that is gone told so, and answered or given up on?
    pub(crate) fn is_gone(&self, exists: &Versions, now: Time) -> bool {
        let mut gone = self.may_hold.iter().filter(|n| !exists.contains_key(*n));
        let is_told = match self.variant {
            Variant::Delta => gone.all(|name| self.absent.contains(name)),
            Variant::Sotw if self.is_whole() => {
                self.told.keys().all(|name| exists.contains_key(name))
            }
            Variant::Sotw => true,
        };
        is_told && !self.waits(now, |response| response.effect.takes)
    }

    fn waits(&self, now: Time, is_one: impl Fn(&Unanswered) -> bool) -> bool {
        let response = self.unanswered.as_ref().filter(|r| is_one(r));
        response.is_some_and(|response| now < GATE_TIMEOUT.after(response.at))
    }

    /// Has a response waited for its answer for so long?
    pub(crate) fn is_overdue(&self, patience: Span, now: Time) -> bool {
        let response = self.unanswered.as_ref();
        response.is_some_and(|response| patience.after(response.at) <= now)
    }
}

/// Is each response of this type the whole truth?
pub(crate) fn is_whole(kind: ResourceKind, variant: Variant) -> bool {
    variant == Variant::Sotw && kind.has_wildcard()
}

/// Names and versions as texts.
pub(crate) fn versions<'a, T: AsRef<str> + 'a>(
    texts: impl Iterator<Item = (&'a T, &'a T)>,
) -> Versions {
    let parsed = texts.map(|(name, version)| (known(name.as_ref()), version.as_ref().parse()));
    parsed
        .map(|(name, version)| (name, version.expect("a version is a number")))
        .collect()
}

fn known(name: &str) -> &'static str {
    term(name).unwrap_or_else(|| panic!("{name:?} is nobody's name"))
}

/// Does the first tell something new?
fn differ(now: &Versions, before: &Versions) -> bool {
    now.iter()
        .any(|(name, version)| before.get(name) != Some(version))
}

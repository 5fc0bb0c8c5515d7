//! A client as its maker wrote it: what it wants, what it holds, and what it says. It knows nothing of
//! the server but what arrives.

use std::collections::{BTreeMap, BTreeSet};

use tidegate::protocol::{Ask, Request, Response, TypeUrl, Variant};
use tidegate::snapshot::ResourceKind;

use super::asked::{members, term};
use super::ledger::{Versions, is_whole, versions};
use super::story::{Answer, EVERYTHING, Habits, Nonce, Return};

/// The version of a client that holds something, and not what it accepted last.
pub(crate) const SOME: &str = "some";

/// Why a client refuses.
const REFUSAL: &str = "no good";

/// All that a client has of one type.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) kind: ResourceKind,
    variant: Variant,
    habits: Habits,
    everything: bool,
    names: BTreeSet<&'static str>,
    /// On this stream.
    pub(crate) has_begun: bool,
    /// SotW: it has named something on this stream.
    has_named: bool,
    pub(crate) held: Versions,
    /// SotW: the version of what it accepted last.
    version: String,
    /// Of the response that it answered last, and of those before.
    nonces: Vec<String>,
    received: Option<Response>,
    /// Named, and not heard of since.
    waits_for: BTreeSet<&'static str>,
    /// Changed clusters that have not heard of their endpoints since.
    pub(crate) warming: BTreeSet<&'static str>,
    /// What it refused on this stream, and why.
    refused: Versions,
    culprits: BTreeSet<&'static str>,
}

impl Client {
    pub(crate) fn new(kind: ResourceKind, variant: Variant, habits: Habits) -> Self {
        Self {
            kind,
            variant,
            habits,
            everything: false,
            names: BTreeSet::new(),
            has_begun: false,
            has_named: false,
            held: Versions::new(),
            version: String::new(),
            nonces: Vec::new(),
            received: None,
            waits_for: BTreeSet::new(),
            warming: BTreeSet::new(),
            refused: Versions::new(),
            culprits: BTreeSet::new(),
        }
    }

    pub(crate) fn covers(&self, name: &str) -> bool {
        let collections = self.names.iter().filter(|_| self.variant == Variant::Delta);
        let mut collected = collections.flat_map(|term| members(term));
        self.everything || self.names.contains(name) || collected.any(|member| member == name)
    }

    /// Wants something more, and says so.
    pub(crate) fn subscribe(&mut self, term: &'static str) -> Request {
        self.want(term);
        let ask = self.ask(&[term], &[]);
        self.request(ask, self.last_nonce(), None)
    }

    /// Wants something no longer. `None` if there is nobody to tell.
    pub(crate) fn unsubscribe(&mut self, term: &'static str) -> Option<Request> {
        if !self.has_begun {
            return None;
        }
        self.want_no_more(term);
        let ask = self.ask(&[], &[term]);
        Some(self.request(ask, self.last_nonce(), None))
    }

    /// Says what it has said before.
    pub(crate) fn repeat(&mut self, nonce: Nonce, foreign: Option<&str>) -> Option<Request> {
        if !self.has_begun {
            return None;
        }
        let nonce = match nonce {
            Nonce::Last => self.last_nonce(),
            Nonce::Stale => self.nonces.first()?.clone(),
            Nonce::Foreign => foreign?.to_owned(),
            Nonce::Empty => String::new(),
        };
        let ask = self.ask(&[], &[]);
        Some(self.request(ask, nonce, None))
    }

    pub(crate) fn last_nonce(&self) -> String {
        self.nonces.last().cloned().unwrap_or_default()
    }

    fn want(&mut self, term: &'static str) {
        let is_repeat = if term == EVERYTHING {
            std::mem::replace(&mut self.everything, true)
        } else {
            !self.names.insert(term)
        };
        if is_repeat && self.variant == Variant::Sotw {
            return;
        }
        if is_repeat {
            // Whoever asks again has forgotten.
            self.held
                .retain(|name, _| *name != term && members(term).all(|member| member != *name));
        }
        if term != EVERYTHING {
            self.waits_for.insert(term);
        }
    }

    fn want_no_more(&mut self, term: &'static str) {
        let was_wanted = if term == EVERYTHING {
            std::mem::replace(&mut self.everything, false)
        } else {
            self.names.remove(term)
        };
        self.waits_for.remove(term);
        if !was_wanted {
            return;
        }
        if self.variant == Variant::Delta && self.everything {
            // It cannot know whether this is a part of everything, and waits to be told.
            self.held.remove(term);
        }
        // No server could tell what a version names that stands for more than is still held.
        SOME.clone_into(&mut self.version);
        self.forget_unwanted();
    }

    fn forget_unwanted(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        held.retain(|name, _| self.covers(name));
        self.held = held;
        let mut refused = std::mem::take(&mut self.refused);
        refused.retain(|name, _| self.covers(name));
        self.refused = refused;
    }

    fn ask(&mut self, subscribe: &[&'static str], unsubscribe: &[&'static str]) -> Ask {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let texts = |terms: &[&str]| terms.iter().map(ToString::to_string).collect();
        match self.variant {
            Variant::Delta => {
                let is_legacy = is_first && self.may_be_legacy();
                Ask::Delta {
                    subscribe: texts(if is_legacy { &[] } else { subscribe }),
                    unsubscribe: texts(unsubscribe),
                    initial_versions: BTreeMap::new(),
                }
            }
            Variant::Sotw => {
                let names = self.list();
                self.has_named |= !names.is_empty();
                Ask::Sotw {
                    names,
                    version: self.version.clone(),
                }
            }
        }
    }

    /// May an empty first request say what it wants?
    fn may_be_legacy(&self) -> bool {
        let is_pure = self.everything && self.names.is_empty();
        is_pure && self.habits.is_legacy && self.kind.has_wildcard()
    }

    fn list(&self) -> Vec<String> {
        if !self.has_named && self.may_be_legacy() {
            return Vec::new();
        }
        let everything = self.everything.then_some(EVERYTHING);
        let terms = everything.iter().chain(&self.names);
        let list: Vec<String> = terms.map(ToString::to_string).collect();
        let must_say = self.habits.says_blank || !self.has_named;
        if list.is_empty() && must_say {
            return vec![String::new()];
        }
        list
    }

    fn request(&self, ask: Ask, nonce: String, error: Option<String>) -> Request {
        Request {
            type_url: TypeUrl::Served(self.kind),
            nonce,
            error,
            ask,
        }
    }

    /// Begins a stream; `None` if there is nothing to ask for.
    pub(crate) fn connect(&mut self, how: Return) -> Option<Request> {
        let nonce = Some(self.last_nonce()).filter(|_| self.habits.keeps_nonce);
        self.has_begun = false;
        self.has_named = false;
        self.nonces.clear();
        self.received = None;
        self.waits_for.clear();
        self.warming.clear();
        self.refused.clear();
        self.culprits.clear();
        let before = self.held.len();
        match how {
            Return::Whole => {}
            Return::Without(some) => {
                let mut bit = 0;
                self.held.retain(|_, _| {
                    bit += 1;
                    some & (1 << (bit % 8)) == 0
                });
            }
            Return::Empty => {
                self.held.clear();
                self.version.clear();
            }
        }
        if self.held.len() < before && how != Return::Empty {
            SOME.clone_into(&mut self.version);
        }
        if !self.everything && self.names.is_empty() {
            return None;
        }
        let mut terms: Vec<_> = self.names.iter().copied().collect();
        terms.extend(self.everything.then_some(EVERYTHING));
        self.waits_for.clone_from(&self.names);
        let mut ask = self.ask(&terms, &[]);
        if let Ask::Delta {
            initial_versions, ..
        } = &mut ask
        {
            let held = self.held.iter();
            initial_versions.extend(held.map(|(name, v)| ((*name).to_owned(), v.to_string())));
            let is_unknown = |term: &&str| {
                let held = |name: &str| self.held.contains_key(name);
                !held(term) && !members(term).any(held)
            };
            self.waits_for = self.names.iter().copied().filter(is_unknown).collect();
        }
        Some(self.request(ask, nonce.unwrap_or_default(), None))
    }

    /// Takes a response in; it is answered later.
    pub(crate) fn receive(&mut self, response: Response) {
        let gone = response.removed.iter();
        let names = response.resources.iter().map(|r| &r.name).chain(gone);
        for name in names {
            self.waits_for
                .retain(|term| **term != **name && members(term).all(|member| *member != **name));
        }
        self.received = Some(response);
    }

    /// What it has received changes these.
    pub(crate) fn changes(&self) -> Versions {
        let resources = self.received.iter().flat_map(|r| &r.resources);
        let mut said = versions(resources.map(|r| (&r.name, &r.version)));
        said.retain(|name, version| self.covers(name) && self.held.get(name) != Some(version));
        said
    }

    /// Answers what it has received; `None` if there is nothing, or if the answer is never sent.
    pub(crate) fn answer(
        &mut self,
        answer: Answer,
        carries: Option<&'static str>,
    ) -> Option<Request> {
        let changes = self.changes();
        let response = self.received.take()?;
        if answer == Answer::Lose {
            return None;
        }
        let poison = self.habits.refuses.filter(|(kind, _)| *kind == self.kind);
        let poison = poison.and_then(|(_, name)| changes.get_key_value(name));
        let first = changes.iter().next().filter(|_| answer == Answer::Refuse);
        // It refuses content, and never that something is gone.
        let culprit = poison.or(first).map(|(name, _)| *name);
        self.apply(&response, culprit);
        let is_all_wanted = response.resources.iter().all(|r| self.covers(&r.name));
        if culprit.is_none() && is_all_wanted {
            self.version.clone_from(&response.version);
        }
        self.nonces.push(response.nonce.clone());
        let (mut subscribe, mut unsubscribe) = (None, None);
        if let Some(term) = carries {
            if self.names.contains(term) || (term == EVERYTHING && self.everything) {
                self.want_no_more(term);
                unsubscribe = Some(term);
            } else {
                self.want(term);
                subscribe = Some(term);
            }
        }
        let ask = self.ask(subscribe.as_slice(), unsubscribe.as_slice());
        let error = culprit.map(|_| REFUSAL.to_owned());
        Some(self.request(ask, response.nonce, error))
    }

    fn apply(&mut self, response: &Response, culprit: Option<&'static str>) {
        let is_whole = is_whole(self.kind, self.variant);
        let mut said = versions(response.resources.iter().map(|r| (&r.name, &r.version)));
        said.retain(|name, _| self.covers(name));
        if let Some(culprit) = culprit {
            self.culprits.insert(culprit);
            let held = &self.held;
            let changes = said.iter().filter(|(name, v)| held.get(*name) != Some(*v));
            self.refused.extend(changes);
            // A SotW client that takes a part of a whole keeps the version of the last whole. When it
            // comes back, no server could tell, so this one takes all or nothing.
            if is_whole || !self.habits.takes_part {
                self.warming.retain(|name| !said.contains_key(name));
                said.clear();
            } else {
                self.warming.remove(culprit);
                said.remove(culprit);
            }
        } else {
            self.refused
                .retain(|name, version| said.get(name) != Some(version));
            if is_whole {
                self.held.clear();
            }
        }
        self.held.extend(said);
        for name in response.removed.iter().filter_map(|name| term(name)) {
            self.held.remove(name);
            self.refused.remove(name);
        }
    }

    /// From now on nothing is refused.
    pub(crate) fn mend(&mut self) {
        self.habits.refuses = None;
    }

    /// What it refused and still would get, if anything.
    pub(crate) fn standing<'a>(
        &'a self,
        exists: &'a Versions,
    ) -> impl Iterator<Item = &'static str> + 'a {
        let stands = |(name, version): (&&'static str, &u32)| {
            (exists.get(name) == Some(version)).then_some(*name)
        };
        self.refused.iter().filter_map(stands)
    }

    /// What of that was at fault.
    pub(crate) fn culprits(&self, exists: &Versions) -> Vec<&'static str> {
        let standing = self.standing(exists);
        standing
            .filter(|name| self.culprits.contains(name))
            .collect()
    }

    /// Panics unless it holds what there is, or has refused it. It may hold what is gone if `may_keep`.
    pub(crate) fn check(&self, exists: &Versions, may_keep: bool) {
        let kind = self.kind;
        let refused: BTreeSet<_> = self.standing(exists).collect();
        for (name, version) in exists.iter().filter(|(name, _)| self.covers(name)) {
            let held = self.held.get(name);
            assert!(
                held == Some(version) || refused.contains(name),
                "{kind}: {name}@{version} is wanted and {held:?} is held"
            );
        }
        // That an assignment or a route is gone cannot be said in SotW.
        let is_told = self.variant == Variant::Delta || kind.has_wildcard();
        for name in self.held.keys().filter(|_| is_told && !may_keep) {
            assert!(exists.contains_key(name), "{kind}: {name} is gone and held");
        }
        // What it may hold and is gone, it is told when it may go; and of a secret, that it is not there
        // is never said.
        let may_wait = may_keep || kind.is_waited_for() || self.variant == Variant::Sotw;
        let mut waits_for = self.waits_for.iter();
        let unheard = waits_for.find(|term| !may_wait || exists.contains_key(*term));
        assert_eq!(unheard, None, "{kind}: asked for, and no word of it");
    }
}

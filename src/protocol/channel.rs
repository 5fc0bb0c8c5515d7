//! One type on one stream: what the client wants, what it was told, and how it answered.
//!
//! At most one response waits for its answer. What changes meanwhile only changes what is due, so
//! a slow client gets the newest state and never a backlog.

mod answer;
mod build;
mod due;
mod entry;
mod form;
mod held;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::message::{Ask, Refused, Variant};
use super::order::Op;
use super::subscription::{Change, Subscription, is_member, members_mut};
use crate::domain::{Generation, Span, Time};
use crate::snapshot::{Names, Resource, ResourceKind, ResourceSet};

use entry::{Content, Entry, Told};

use build::content_version;

pub(super) use answer::Answer;
pub(super) use build::{Built, is_nonce_of, take_fitting};
pub use held::{Held, HeldState};

/// One type on one stream.
#[derive(Debug)]
pub(super) struct Channel {
    kind: ResourceKind,
    variant: Variant,
    subscription: Subscription,
    entries: BTreeMap<Arc<str>, Entry>,
    /// Names to be told again although nothing changed.
    owed: BTreeSet<Arc<str>>,
    /// A response is due even if it names nothing.
    answer_owed: bool,
    /// SotW: the version that the client holds from an earlier stream.
    resumed_from: Option<String>,
    /// SotW: the client holds another set from an earlier stream, whose content is unknown.
    holds_unknown: bool,
    additions: BTreeSet<Arc<str>>,
    /// The generation since which there is something to add.
    due_since: Option<Generation>,
    removals: BTreeSet<Arc<str>>,
    outstanding: Option<Outstanding>,
    /// The nonce of the last response if it was accepted.
    accepted_nonce: Option<String>,
    /// Names that are to be told by reference, sooner or later.
    referring: Names,
    /// What was told by reference, and was last told so.
    referred: BTreeMap<Arc<str>, Arc<Resource>>,
    /// Names whose last word was refused.
    refused: Names,
    /// The refusal that came last, for people.
    refusal: Option<Refusal>,
}

/// A response without its answer.
#[derive(Debug)]
struct Outstanding {
    nonce: String,
    number: u64,
    generation: Generation,
    sent_at: Time,
    op: Op,
    /// Others stopped waiting for the answer.
    is_released: bool,
    said: Vec<(Arc<str>, Option<Arc<Resource>>)>,
    /// What a whole set has not, because it was refused and never accepted.
    left_out: Vec<Arc<str>>,
}

/// A refusal, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// Why, in the client's words.
    pub message: String,
    /// When the client said so.
    pub at: Time,
}

/// What a request asked for.
#[derive(Debug)]
pub(super) struct Asked {
    /// The client holds something from an earlier stream.
    pub(super) resumes: bool,
    /// Where it changes what is due.
    pub(super) news: News,
}

/// Where something changed.
#[derive(Debug)]
pub(super) enum News {
    Everywhere,
    /// Under these names; maybe none.
    Under(Names),
}

/// How far a type is with one kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Something is still to be sent, or to be answered.
    Busy,
    /// Nothing is left.
    Done,
    /// All is sent, but the answer takes too long.
    Late,
}

impl Channel {
    pub(super) fn new(kind: ResourceKind, variant: Variant) -> Self {
        Self {
            kind,
            variant,
            subscription: Subscription::default(),
            entries: BTreeMap::new(),
            owed: BTreeSet::new(),
            answer_owed: false,
            resumed_from: None,
            holds_unknown: false,
            additions: BTreeSet::new(),
            due_since: None,
            removals: BTreeSet::new(),
            outstanding: None,
            accepted_nonce: None,
            referring: Names::new(),
            referred: BTreeMap::new(),
            refused: Names::new(),
            refusal: None,
        }
    }

    pub(super) const fn kind(&self) -> ResourceKind {
        self.kind
    }

    pub(super) const fn is_asked(&self) -> bool {
        self.subscription.is_asked()
    }

    /// Is there anything that the client wants of this type?
    pub(super) fn wants_anything(&self) -> bool {
        self.subscription.is_wildcard() || !self.subscription.names().is_empty()
    }

    /// Does a refusal stand? To refuse that a name does not exist changes nothing.
    pub(super) fn is_refused(&self) -> bool {
        let counts = |entry: &Entry| match &entry.told {
            Told::Nacked(content, _) => !content.is_absent() || entry.may_hold,
            _ => false,
        };
        let entries = self.refused.iter().map(|name| self.entries.get(name));
        entries.flatten().any(counts)
    }

    /// When the response that waits for its answer was sent.
    pub(super) fn waiting_since(&self) -> Option<Time> {
        self.outstanding
            .as_ref()
            .map(|outstanding| outstanding.sent_at)
    }

    /// Is there such a change to send?
    pub(super) fn owes(&self, op: Op) -> bool {
        match op {
            Op::Add => self.answer_owed || !self.additions.is_empty(),
            Op::Remove => !self.removals.is_empty(),
        }
    }

    /// The generation since which there has been something to add, if there is.
    pub(super) const fn due_since(&self) -> Option<Generation> {
        self.due_since
    }

    /// How far it is with such changes, not counting answers to what is older than `since`.
    pub(super) fn progress(
        &self,
        op: Op,
        since: Option<Generation>,
        patience: Span,
        now: Time,
    ) -> Progress {
        if self.owes(op) {
            return Progress::Busy;
        }
        match &self.outstanding {
            Some(response) if response.op == op && Some(response.generation) >= since => {
                if patience.after(response.sent_at) <= now {
                    Progress::Late
                } else {
                    Progress::Busy
                }
            }
            _ => Progress::Done,
        }
    }

    /// Has the client acknowledged all that it wants, and is nothing left to remove?
    pub(super) fn is_current(&self) -> bool {
        !self.owes(Op::Add)
            && !self.owes(Op::Remove)
            && self.outstanding.is_none()
            && !self.is_refused()
    }

    /// Others go on without the answer. `true` the first time for this response.
    pub(super) fn release(&mut self) -> bool {
        let response = self.outstanding.as_mut();
        response.is_some_and(|response| !std::mem::replace(&mut response.is_released, true))
    }

    /// How many names the client has asked for.
    pub(super) fn names_asked_for(&self) -> usize {
        self.subscription.names().len()
    }

    /// Takes what a request asks for; its news are to be taken by [`Channel::take`].
    pub(super) fn on_ask(
        &mut self,
        ask: &Ask,
        is_repeat_of: Option<&str>,
    ) -> Result<Asked, Refused> {
        let has_wildcard = self.kind.has_wildcard();
        match (ask, self.variant) {
            (
                Ask::Delta {
                    subscribe,
                    unsubscribe,
                    initial_versions,
                },
                Variant::Delta,
            ) => {
                let change = self
                    .subscription
                    .change(subscribe, unsubscribe, has_wildcard);
                let news = self.news(&change);
                self.forget_uncovered(&change);
                self.tell_members_again(&change.asked_for);
                if change.first {
                    for (name, version) in initial_versions {
                        if self.subscription.covers(name) {
                            let entry = Entry::remembered(version);
                            self.entries.insert(name.as_str().into(), entry);
                        }
                    }
                }
                let resumes = change.first && !initial_versions.is_empty();
                self.answer_owed |= change.wildcard_added && !resumes;
                let entries = &self.entries;
                let asked_for = change.asked_for.into_iter();
                self.owed
                    .extend(asked_for.filter(|name| !(resumes && entries.contains_key(name))));
                Ok(Asked { resumes, news })
            }
            (Ask::Sotw { names, version }, Variant::Sotw) => {
                let change = self.subscription.replace(names, has_wildcard);
                self.forget_uncovered(&change);
                let resumes = change.first && !version.is_empty();
                // Elsewhere a version names what was asked for by name, and nothing of the rest.
                if resumes && has_wildcard && self.subscription.is_pure_wildcard() {
                    self.resumed_from = Some(version.clone());
                } else if has_wildcard {
                    self.holds_unknown |= resumes;
                    self.answer_owed |= change.wildcard_added || !change.asked_for.is_empty();
                    // It has refused all so far, and may hold what it wants and is gone.
                    self.answer_owed |= self.holds_unknown && change.narrowed;
                }
                // A warming cluster makes Envoy ask again for endpoints that it has, with a nonce
                // that it has answered; it waits for them.
                let is_repeat = self.outstanding.is_none()
                    && change.is_none()
                    && is_repeat_of.is_some_and(|n| self.accepted_nonce.as_deref() == Some(n));
                if is_repeat && self.kind == ResourceKind::Endpoint {
                    self.owed.extend(self.subscription.names().iter().cloned());
                }
                let news = if is_repeat {
                    News::Everywhere
                } else {
                    self.news(&change)
                };
                self.owed.extend(change.asked_for);
                Ok(Asked { resumes, news })
            }
            _ => Err(Refused::WrongVariant),
        }
    }

    fn news(&self, change: &Change) -> News {
        let asked_for = &change.asked_for;
        let has_collections = asked_for
            .iter()
            .any(|name| self.subscription.is_collection(name));
        if change.first || change.wildcard_added || change.narrowed || has_collections {
            News::Everywhere
        } else {
            News::Under(asked_for.clone())
        }
    }

    /// Works out what is due where something changed.
    pub(super) fn take(&mut self, news: News, target: &ResourceSet) {
        match news {
            News::Everywhere => self.refresh(target),
            News::Under(names) if names.is_empty() => {}
            News::Under(names) => self.refresh_names(target, &names),
        }
    }

    /// The names of resources that were told on this stream.
    pub(super) fn told_here(&self) -> impl Iterator<Item = &Arc<str>> {
        let entries = self.entries.iter();
        let is_here = |entry: &Entry| matches!(entry.told.content(), Some(Content::Resource(_)));
        entries.filter_map(move |(name, entry)| is_here(entry).then_some(name))
    }

    /// Tells again what was told of `name`, be it refused: what it was refused with may be mended by
    /// what makes it worth telling again.
    pub(super) fn owe_again(&mut self, name: &Arc<str>) {
        let told = self
            .entries
            .get(name)
            .and_then(|entry| entry.told.content());
        if told.is_some() {
            self.owed.insert(Arc::clone(name));
        }
    }

    /// Who asks for a collection again has none of it.
    fn tell_members_again(&mut self, asked_for: &Names) {
        let is_collection = |name: &&Arc<str>| self.subscription.is_collection(name);
        let collections: Vec<_> = asked_for.iter().filter(is_collection).collect();
        self.end_refusals_of(|_, name| collections.iter().any(|it| is_member(it, name)));
        for name in collections {
            for entry in members_mut(name, &mut self.entries) {
                entry.told = Told::Nothing;
            }
        }
    }

    fn forget_uncovered(&mut self, change: &Change) {
        if !change.narrowed {
            return;
        }
        self.end_refusals_of(|subscription, name| !subscription.covers(name));
        let subscription = &self.subscription;
        self.entries.retain(|name, _| subscription.covers(name));
        self.owed.retain(|name| subscription.covers(name));
        self.referring.retain(|name| subscription.covers(name));
        self.referred.retain(|name, _| subscription.covers(name));
    }
}

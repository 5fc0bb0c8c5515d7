//! What is due on a channel: which names are to be added, changed, repeated or taken away.
//!
//! Worked out anew after each request and each snapshot, for the names that it touched if those are
//! known, else for all. Both ways end with the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::entry::{Content, Entry, Told};
use super::form::form;
use super::{Channel, content_version};
use crate::protocol::message::Variant;
use crate::protocol::order::Op;
use crate::protocol::subscription::members;
use crate::snapshot::{ByName, Names, ResourceSet};

/// What is due under one name.
enum Due {
    Add,
    Forget,
    Nothing,
    Remove,
}

impl Channel {
    /// Works out all that is due.
    pub(in crate::protocol) fn refresh(&mut self, target: &ResourceSet) {
        let wanted = target.of(self.kind);
        if let Some(version) = self.resumed_from.take() {
            self.resume(&version, target);
        }
        self.try_refused_again(wanted);

        let mut additions = BTreeSet::new();
        let mut removals = BTreeSet::new();
        let mut forgotten = Vec::new();
        let mut referring = BTreeSet::new();
        let mut judge = |name: &Arc<str>| {
            if refers(name, wanted) {
                referring.insert(Arc::clone(name));
            }
            match self.due(name, wanted) {
                Due::Add => drop(additions.insert(Arc::clone(name))),
                Due::Forget => forgotten.push(Arc::clone(name)),
                Due::Nothing => {}
                Due::Remove => drop(removals.insert(Arc::clone(name))),
            }
        };
        self.subscription.names().iter().for_each(&mut judge);
        self.subscription.matching(wanted).for_each(&mut judge);
        let known = self.entries.keys().chain(&self.owed);
        known
            .filter(|name| !wanted.contains_key(*name))
            .for_each(judge);
        for name in forgotten {
            self.entries.remove(&name);
        }
        self.additions = additions;
        self.removals = removals;
        self.referring = referring;
        self.note_due(target);
    }

    /// Works out what is due under these names; nothing else has changed.
    pub(in crate::protocol) fn refresh_names<'a>(
        &mut self,
        target: &ResourceSet,
        names: impl IntoIterator<Item = &'a Arc<str>>,
    ) {
        let wanted = target.of(self.kind);
        let retried = self.try_refused_again(wanted);
        for name in names {
            self.refresh_name(name, wanted);
            // With it a collection may become empty, or be so no more.
            if let Some(collection) = self.subscription.collection_of(name).cloned() {
                self.refresh_name(&collection, wanted);
            }
        }
        for name in &retried {
            self.refresh_name(name, wanted);
        }
        self.note_due(target);
    }

    /// Remembers since when there is something to add.
    pub(super) fn note_due(&mut self, target: &ResourceSet) {
        if !self.owes(Op::Add) {
            self.due_since = None;
        } else if self.due_since.is_none() {
            self.due_since = Some(target.generation);
        }
    }

    fn refresh_name(&mut self, name: &Arc<str>, wanted: &ByName) {
        if !self.subscription.covers(name) {
            return;
        }
        let due = self.due(name, wanted);
        self.additions.remove(name);
        self.removals.remove(name);
        self.referring.remove(name);
        if refers(name, wanted) {
            self.referring.insert(Arc::clone(name));
        }
        match due {
            Due::Add => drop(self.additions.insert(Arc::clone(name))),
            Due::Forget => drop(self.entries.remove(name)),
            Due::Nothing => {}
            Due::Remove => drop(self.removals.insert(Arc::clone(name))),
        }
    }

    /// A SotW client that holds exactly this set need not be sent it again.
    fn resume(&mut self, version: &str, target: &ResourceSet) {
        let wanted = target.of(self.kind);
        let current = target.version(self.kind).map_or_else(
            || content_version(wanted.values()),
            |label| label.as_ref().to_owned(),
        );
        if version != current {
            self.answer_owed = true;
            self.holds_unknown = true;
            return;
        }
        let held = wanted.values();
        self.entries
            .extend(held.map(|resource| (Arc::clone(&resource.name), Entry::held(resource))));
    }

    /// What was refused together is tried again together once any of it changes or is asked for anew:
    /// only the client's message tells which of it was at fault, and it may have taken some or none.
    fn try_refused_again(&mut self, wanted: &ByName) -> Names {
        let Self {
            refused,
            entries,
            owed,
            ..
        } = self;
        let number = |name: &Arc<str>| match &entries.get(name)?.told {
            Told::Nacked(content, number) => Some((content, *number)),
            _ => None,
        };
        let changed: BTreeSet<u64> = refused
            .iter()
            .filter_map(|name| {
                let (content, number) = number(name)?;
                let resource = wanted.get(name);
                let resource = resource.map(|it| form(it, entries.get(name)));
                (!content.is(resource) || owed.contains(name)).then_some(number)
            })
            .collect();
        let is_over =
            |name: &&Arc<str>| number(name).is_none_or(|(_, number)| changed.contains(&number));
        let retried: Names = refused.iter().filter(is_over).cloned().collect();
        for name in &retried {
            refused.remove(name);
            if let Some(entry) = entries.get_mut(name).filter(|entry| entry.is_refused()) {
                entry.told = Told::Nothing;
            }
        }
        retried
    }

    fn due(&self, name: &Arc<str>, wanted: &ByName) -> Due {
        let is_owed = self.owed.contains(name);
        let entry = self.entries.get(name);
        let told = entry.and_then(|entry| entry.told.content());
        if let Some(resource) = self.form(name, wanted) {
            let is_told = told.is_some_and(|content| content.is(Some(resource)));
            return if is_owed || !is_told {
                Due::Add
            } else {
                Due::Nothing
            };
        }
        let has_members = || members(name, wanted).next().is_some();
        let is_open = self.subscription.is_open(name);
        if self.subscription.is_collection(name) && (!is_open || has_members()) {
            return Due::Nothing;
        }
        let may_hold = entry.is_some_and(|entry| entry.may_hold);
        let is_told = told.is_some_and(Content::is_absent);
        match self.variant {
            // Absence from a response says nothing of endpoints and routes, so nothing can be said.
            Variant::Sotw if !self.kind.has_wildcard() => Due::Forget,
            _ if may_hold && !is_told => Due::Remove,
            _ if self.kind.is_waited_for() => Due::Nothing,
            Variant::Delta if is_owed => Due::Add,
            Variant::Delta if !is_told && self.subscription.names().contains(name) => Due::Add,
            _ => Due::Nothing,
        }
    }
}

/// Is it told by reference, sooner or later?
fn refers(name: &Arc<str>, wanted: &ByName) -> bool {
    let resource = wanted.get(name);
    resource.is_some_and(|resource| resource.reference.is_some())
}

//! What is due on a channel, and the response that says it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Channel, Entry, Outstanding, Told};
use crate::domain::Time;
use crate::protocol::message::{Response, TypeUrl, Variant};
use crate::protocol::order::Op;
use crate::snapshot::{Resource, ResourceKind, ResourceSet};

/// Most encoded bytes of resources in a response that may be split; gRPC clients take 4 MiB.
const RESPONSE_BYTES_MAX: usize = 3 * 1024 * 1024;

/// A response, and what it newly tells.
#[derive(Debug)]
pub(in crate::protocol) struct Built {
    pub(in crate::protocol) response: Response,
    /// Names added, changed or repeated.
    pub(in crate::protocol) added: Vec<Arc<str>>,
}

/// What is due under one name.
enum Due {
    Add,
    Forget,
    Nothing,
    Remove,
}

type Wanted = BTreeMap<Arc<str>, Arc<Resource>>;

impl Channel {
    /// Works out anew what is due, after a request or a snapshot.
    pub(in crate::protocol) fn refresh(&mut self, target: &ResourceSet) {
        let wanted = target.of(self.kind);
        if let Some(version) = self.resumed_from.take() {
            self.resume(&version, target);
        }
        self.try_refused_again(wanted);

        let mut additions = BTreeSet::new();
        let mut removals = BTreeSet::new();
        let mut forgotten = Vec::new();
        let mut judge = |name: &Arc<str>| match self.due(name, wanted.get(name)) {
            Due::Add => drop(additions.insert(Arc::clone(name))),
            Due::Forget => forgotten.push(Arc::clone(name)),
            Due::Nothing => {}
            Due::Remove => drop(removals.insert(Arc::clone(name))),
        };
        self.subscription.names().iter().for_each(&mut judge);
        if self.subscription.is_wildcard() {
            let others = self.entries.keys().chain(&self.owed);
            wanted.keys().for_each(&mut judge);
            others
                .filter(|name| !wanted.contains_key(*name))
                .for_each(judge);
        }
        for name in forgotten {
            self.entries.remove(&name);
        }
        self.additions = additions;
        self.removals = removals;
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
        for (name, resource) in wanted {
            let entry = self.entries.entry(Arc::clone(name)).or_default();
            entry.told = Told::Acked(Some(Arc::clone(&resource.version)));
            entry.may_hold = true;
            entry.accepted = Some(Arc::clone(resource));
        }
    }

    /// What was refused together is tried again together once any of it changes: only the
    /// client's message tells which of it was at fault, and it may have taken some or none.
    fn try_refused_again(&mut self, wanted: &Wanted) {
        let version = |name: &Arc<str>| {
            wanted
                .get(name)
                .map(|resource| Arc::clone(&resource.version))
        };
        let changed: BTreeSet<u64> = self
            .entries
            .iter()
            .filter_map(|(name, entry)| match &entry.told {
                Told::Nacked(content, number) if *content != version(name) => Some(*number),
                _ => None,
            })
            .collect();
        self.is_refused = false;
        for entry in self.entries.values_mut() {
            match &entry.told {
                Told::Nacked(_, number) if changed.contains(number) => entry.told = Told::Nothing,
                // To refuse that a name does not exist changes nothing.
                Told::Nacked(content, _) => self.is_refused |= content.is_some() || entry.may_hold,
                _ => {}
            }
        }
    }

    fn due(&self, name: &Arc<str>, wanted: Option<&Arc<Resource>>) -> Due {
        let entry = self.entries.get(name);
        let told = entry.and_then(|entry| entry.told.content());
        let is_owed = self.owed.contains(name);
        if let Some(resource) = wanted {
            let is_told = told.is_some_and(|content| content.as_ref() == Some(&resource.version));
            return if is_owed || !is_told {
                Due::Add
            } else {
                Due::Nothing
            };
        }
        let may_hold = entry.is_some_and(|entry| entry.may_hold);
        let is_told = told.is_some_and(Option::is_none);
        match self.variant {
            // Absence from a response says nothing of endpoints and routes, so nothing can be said.
            Variant::Sotw if !self.kind.has_wildcard() => Due::Forget,
            _ if may_hold && !is_told => Due::Remove,
            Variant::Delta if is_owed => Due::Add,
            Variant::Delta if !is_told && self.subscription.names().contains(name) => Due::Add,
            _ => Due::Nothing,
        }
    }

    /// The next response, of additions or of removals. Not to be called while a response waits for
    /// its answer.
    pub(in crate::protocol) fn build(
        &mut self,
        target: &ResourceSet,
        op: Op,
        number: u64,
        now: Time,
    ) -> Built {
        debug_assert!(
            self.outstanding.is_none(),
            "one unanswered response of a type"
        );
        let wanted = target.of(self.kind);
        let said = match op {
            Op::Add => self.take_additions(wanted),
            Op::Remove => std::mem::take(&mut self.removals)
                .into_iter()
                .map(|name| (name, None))
                .collect(),
        };
        for (name, resource) in &said {
            let entry = self.entries.entry(Arc::clone(name)).or_default();
            entry.told = Told::Sent(
                resource
                    .as_ref()
                    .map(|resource| Arc::clone(&resource.version)),
            );
            entry.may_hold |= resource.is_some();
        }
        let added = said.iter().filter_map(|(_, resource)| resource.clone());
        let absent = said
            .iter()
            .filter(|(_, resource)| resource.is_none())
            .map(|(name, _)| Arc::clone(name));
        let resources = if self.is_whole() {
            self.whole_set(wanted, op)
        } else {
            added.clone().collect()
        };
        let removed = if self.variant == Variant::Delta {
            absent.collect()
        } else {
            Vec::new()
        };
        let added = added.map(|resource| Arc::clone(&resource.name)).collect();

        let version = match self.variant {
            _ if let Some(label) = target.version(self.kind) => label.as_ref().to_owned(),
            Variant::Delta => target.generation.to_string(),
            Variant::Sotw if self.is_whole() => content_version(&resources),
            Variant::Sotw => content_version(
                self.subscription
                    .names()
                    .iter()
                    .filter_map(|name| wanted.get(name)),
            ),
        };
        let nonce = nonce(self.kind, number);
        self.outstanding = Some(Outstanding {
            nonce: nonce.clone(),
            number,
            generation: target.generation,
            sent_at: now,
            op,
            is_released: false,
            said,
        });
        let type_url = TypeUrl::Served(self.kind);
        Built {
            response: Response {
                type_url,
                nonce,
                version,
                resources,
                removed,
            },
            added,
        }
    }

    /// Takes additions, as many as fit.
    fn take_additions(&mut self, wanted: &Wanted) -> Vec<(Arc<str>, Option<Arc<Resource>>)> {
        if self.holds_unknown {
            // A whole set without what was refused would take away what the client may have under
            // the same name from an earlier stream.
            let is_refused =
                |name: &&Arc<str>| self.entries.get(*name).is_some_and(Entry::is_refused);
            self.additions
                .extend(wanted.keys().filter(is_refused).cloned());
        }
        self.answer_owed = false;
        let mut bytes = 0;
        let mut taken = Vec::new();
        while let Some(name) = self.additions.pop_first() {
            let resource = wanted.get(&name).cloned();
            bytes += resource
                .as_ref()
                .map_or(name.len(), |resource| resource.delta_field.len());
            if bytes > RESPONSE_BYTES_MAX && !taken.is_empty() && !self.is_whole() {
                self.additions.insert(name);
                break;
            }
            self.owed.remove(&name);
            taken.push((name, resource));
        }
        taken
    }

    /// Does each response hold everything?
    pub(super) fn is_whole(&self) -> bool {
        self.variant == Variant::Sotw && self.kind.has_wildcard()
    }

    /// Everything that the client is to hold once it accepts: what is wanted, the last accepted
    /// content in place of a refused one, and, until it may go, what is to be removed.
    fn whole_set(&self, wanted: &Wanted, op: Op) -> Vec<Arc<Resource>> {
        let mut set: BTreeMap<&Arc<str>, &Arc<Resource>> = BTreeMap::new();
        for (name, entry) in &self.entries {
            if op == Op::Add || wanted.contains_key(name) {
                set.extend(entry.accepted.as_ref().map(|accepted| (name, accepted)));
            }
        }
        for (name, resource) in wanted {
            if self.subscription.covers(name)
                && !self.entries.get(name).is_some_and(Entry::is_refused)
            {
                set.insert(name, resource);
            }
        }
        set.into_values().cloned().collect()
    }
}

/// The nonce of a stream's response of this number. It names its type, so that an answer under
/// the wrong type is told from a late one.
fn nonce(kind: ResourceKind, number: u64) -> String {
    format!("{kind}-{number}")
}

/// Could this be the nonce of a response of this type?
pub(in crate::protocol) fn is_nonce_of(kind: ResourceKind, nonce: &str) -> bool {
    nonce
        .strip_prefix(&kind.to_string())
        .is_some_and(|rest| rest.starts_with('-'))
}

/// A name for a set of resources: equal sets have equal names, on each replica and after each
/// restart. The resources come sorted by name.
fn content_version<'a>(resources: impl IntoIterator<Item = &'a Arc<Resource>>) -> String {
    /// Bytes of the hash that are shown; 64 bits tell the sets of one proxy apart.
    const SHOWN_BYTES: usize = 8;
    let mut hash = blake3::Hasher::new();
    for resource in resources {
        for text in [&resource.name, &resource.version] {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
    }
    hash.finalize().to_hex()[..2 * SHOWN_BYTES].to_owned()
}

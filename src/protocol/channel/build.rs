//! The response that says what is due.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry::{Content, Entry, Told};
use super::{Channel, Outstanding};
use crate::domain::Time;
use crate::protocol::message::{Response, TypeUrl, Variant};
use crate::protocol::order::Op;
use crate::snapshot::{ByName, Names, Resource, ResourceKind, ResourceSet};

/// Most encoded bytes of resources in a response that may be split; gRPC clients take 4 MiB.
const RESPONSE_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Most bytes that a name takes besides itself: its tag and length.
const FIELD_BYTES_MAX: usize = 6;

/// A response, and what it newly tells.
#[derive(Debug)]
pub(in crate::protocol) struct Built {
    pub(in crate::protocol) response: Response,
    /// Names added, changed or repeated.
    pub(in crate::protocol) added: Vec<Arc<str>>,
}

impl Channel {
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
            Op::Remove => {
                let removals = if self.is_whole() {
                    std::mem::take(&mut self.removals).into_iter().collect()
                } else {
                    take_fitting(&mut self.removals, |name| name.len())
                };
                removals.into_iter().map(|name| (name, None)).collect()
            }
        };
        self.note_due(target);
        for (name, _) in &said {
            self.owed.remove(name);
        }
        free_if_empty(&mut self.owed);
        if self.entries.is_empty() {
            // Built whole, a map takes half the memory of one that grew name by name.
            let sent = said.iter().map(|(name, resource)| {
                let entry = Entry::sent(resource.as_ref());
                (Arc::clone(name), entry)
            });
            self.entries = sent.collect();
        } else {
            for (name, resource) in &said {
                let entry = self.entries.entry(Arc::clone(name)).or_default();
                entry.told = Told::Sent(Content::of(resource.as_ref()));
                entry.may_hold |= resource.is_some();
            }
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
        for resource in &resources {
            self.owed.remove(&resource.name);
        }
        let is_left_out = |name: &&Arc<str>| {
            let entry = self.entries.get(*name);
            entry.is_some_and(|entry| entry.is_refused() && entry.accepted.is_none())
        };
        let refused = self.refused.iter().filter(|_| self.is_whole());
        let left_out = refused.filter(is_left_out).cloned().collect();
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
            // What the client holds of the type once it accepts, so that it is the same after a
            // restart, whatever came in which response.
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
            left_out,
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
    fn take_additions(&mut self, wanted: &ByName) -> Vec<(Arc<str>, Option<Arc<Resource>>)> {
        if self.holds_unknown {
            // A whole set without what was refused would take away what the client may have under
            // the same name from an earlier stream.
            let is_refused =
                |name: &&Arc<str>| self.entries.get(*name).is_some_and(Entry::is_refused);
            self.additions
                .extend(wanted.keys().filter(is_refused).cloned());
        }
        self.answer_owed = false;
        let mut additions = std::mem::take(&mut self.additions);
        let bytes = |name: &Arc<str>| {
            let resource = self.form(name, wanted);
            resource.map_or(name.len(), |resource| resource.delta_field.len())
        };
        let taken = if self.is_whole() {
            std::mem::take(&mut additions).into_iter().collect()
        } else if self.kind == ResourceKind::LbEndpoint {
            take_collections(&mut additions, bytes)
        } else {
            take_fitting(&mut additions, bytes)
        };
        self.additions = additions;
        let taken = taken.into_iter().map(|name| {
            let resource = self.form(&name, wanted).cloned();
            (name, resource)
        });
        let mut said: Vec<_> = taken.collect();
        free_if_empty(&mut self.additions);
        if self.is_whole() {
            // What was never accepted cannot be kept until it may go: this response leaves it out.
            let entries = &self.entries;
            let is_left_out = |name: &Arc<str>| {
                let entry = entries.get(name);
                entry.is_none_or(|entry| entry.accepted.is_none())
            };
            let left_out = self.removals.extract_if(.., is_left_out);
            said.extend(left_out.map(|name| (name, None)));
        }
        said
    }

    /// Does each response hold everything?
    pub(super) fn is_whole(&self) -> bool {
        self.variant == Variant::Sotw && self.kind.has_wildcard()
    }

    /// Everything that the client is to hold once it accepts: what is wanted, the last accepted
    /// content in place of a refused one, and, until it may go, what is to be removed.
    fn whole_set(&self, wanted: &ByName, op: Op) -> Vec<Arc<Resource>> {
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

/// An emptied set keeps room for names, and there are many sets that are empty nearly always.
fn free_if_empty(names: &mut Names) {
    if names.is_empty() {
        *names = Names::new();
    }
}

/// Takes as many names as a response has room for, and one at least.
pub(in crate::protocol) fn take_fitting(
    names: &mut Names,
    bytes: impl Fn(&Arc<str>) -> usize,
) -> Vec<Arc<str>> {
    let mut room = RESPONSE_BYTES_MAX;
    let mut taken = Vec::new();
    while let Some(name) = names.pop_first() {
        let needed = bytes(&name) + FIELD_BYTES_MAX;
        if needed > room && !taken.is_empty() {
            names.insert(name);
            break;
        }
        room = room.saturating_sub(needed);
        taken.push(name);
    }
    taken
}

/// The same, and the rest of the last collection that the response begins: Envoy takes what comes first
/// of one for all of it, and lets go of the other endpoints until they come.
fn take_collections(names: &mut Names, bytes: impl Fn(&Arc<str>) -> usize) -> Vec<Arc<str>> {
    let mut taken = take_fitting(names, bytes);
    let directory = |name: &str| name.rfind('/').map_or(0, |slash| slash + 1);
    while let (Some(last), Some(next)) = (taken.last(), names.first())
        && last[..directory(last)] == next[..directory(next)]
    {
        taken.extend(names.pop_first());
    }
    taken
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
pub(in crate::protocol) fn content_version<'a>(
    resources: impl IntoIterator<Item = &'a Arc<Resource>>,
) -> String {
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

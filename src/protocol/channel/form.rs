//! In which form a client is told what may refer to collections (LEDS): whole, or by reference.
//!
//! Measured on Envoy 1.40 and read in its code, and the reason for the rule:
//!
//! - One that comes back does not say which members of a collection it holds, and keeps those that are
//!   gone. A whole assignment replaces them all.
//! - A changed cluster warms until its endpoints come again, and it asks for a collection again only if
//!   it had none in between. A whole assignment warms it at once.
//! - When an assignment is followed by another that refers to the same collection, the next member is
//!   applied to the first one, which is gone: the process may crash.
//!
//! So a reference is told to a client only that has accepted the whole on this stream right before, and
//! once told it stands until something must be told again.

use std::sync::Arc;

use super::entry::{Content, Entry, Told};
use super::{Answer, Channel};
use crate::snapshot::{ByName, Resource, ResourceSet};

impl Channel {
    /// What the client is to hold under `name` next; what it was told last, if it holds that already.
    pub(super) fn form<'a>(
        &self,
        name: &Arc<str>,
        wanted: &'a ByName,
    ) -> Option<&'a Arc<Resource>> {
        let resource = wanted.get(name)?;
        if self.owed.contains(name) {
            return Some(whole(resource));
        }
        Some(form(resource, self.entries.get(name)))
    }

    /// Goes on after an answer.
    pub(in crate::protocol) fn after(&mut self, answer: &Answer, target: &ResourceSet) {
        self.refresh_names(target, &answer.unsettled);
        if answer.is_ack && !self.referring.is_empty() {
            let names = answer.names.iter();
            let names: Vec<_> = names.filter(|it| self.referring.contains(*it)).collect();
            self.refresh_names(target, names);
        }
    }

    /// Notes what is told now. What a client asked for of a collection, it lets go of as soon as it is
    /// told the whole; and until it has asked again, nothing of the collection may be told to it, or it
    /// would take the first change for all that there is. So these collections are to be closed, and open
    /// again where it says so when they are asked for.
    pub(in crate::protocol) fn refer(
        &mut self,
        told: &[Arc<Resource>],
        target: &ResourceSet,
    ) -> Vec<(Arc<str>, bool)> {
        let mut closed = Vec::new();
        if self.referring.is_empty() && self.referred.is_empty() {
            return closed;
        }
        for resource in told {
            let opens = resource.reference.is_some();
            let before = if opens {
                let name = Arc::clone(&resource.name);
                self.referred.insert(name, Arc::clone(resource))
            } else {
                self.referred.remove(&resource.name)
            };
            let wanted = target.of(self.kind).get(&resource.name);
            let references = before
                .iter()
                .chain(wanted)
                .filter_map(|it| it.reference.as_ref());
            let collections = references.flat_map(|reference| &reference.collections);
            closed.extend(collections.map(|collection| (Arc::clone(collection), opens)));
        }
        closed
    }

    /// What was last told by reference, and to which collections.
    pub(in crate::protocol) fn referred(&self) -> Vec<(Arc<str>, Vec<Arc<str>>)> {
        let referred = self.referred.iter();
        let referred = referred.map(|(name, told)| {
            let reference = told.reference.iter();
            let collections = reference.flat_map(|reference| reference.collections.clone());
            (Arc::clone(name), collections.collect())
        });
        referred.collect()
    }

    /// Is something to be added, changed or repeated under this name?
    pub(in crate::protocol) fn owes_name(&self, name: &Arc<str>) -> bool {
        self.additions.contains(name)
    }

    /// Tells no more of a collection, until it is asked for again if that `opens` it.
    pub(in crate::protocol) fn close(&mut self, collection: &Arc<str>, opens: bool) {
        if !self.subscription.close(collection, opens) {
            return;
        }
        let subscription = &self.subscription;
        self.entries.retain(|name, _| subscription.covers(name));
        self.additions.retain(|name| subscription.covers(name));
        self.additions.remove(collection);
        self.removals.retain(|name| subscription.covers(name));
        if self.additions.is_empty() {
            self.due_since = None;
        }
    }

    /// Does nothing open this collection but its being told of again?
    pub(in crate::protocol) fn is_closed(&self, collection: &Arc<str>) -> bool {
        self.subscription.is_closed(collection)
    }

    /// The collections that the client is to ask for.
    pub(in crate::protocol) fn collections<'a>(
        &'a self,
        target: &'a ResourceSet,
    ) -> impl Iterator<Item = &'a Arc<str>> {
        let names = self.referring.iter();
        let wanted = names.filter_map(|name| target.of(self.kind).get(name));
        let references = wanted.filter_map(|resource| resource.reference.as_ref());
        references.flat_map(|reference| &reference.collections)
    }

    /// Has the client asked for this collection since it was told of it?
    pub(in crate::protocol) fn is_asked_for(&self, collection: &Arc<str>) -> bool {
        self.subscription.is_open(collection)
    }
}

fn whole(resource: &Arc<Resource>) -> &Arc<Resource> {
    let reference = resource.reference.as_ref();
    reference.map_or(resource, |reference| &reference.whole)
}

/// The same as [`Channel::form`] for what need not be told again.
pub(super) fn form<'a>(resource: &'a Arc<Resource>, entry: Option<&Entry>) -> &'a Arc<Resource> {
    let whole = whole(resource);
    let may_refer = match entry.map(|entry| &entry.told) {
        Some(Told::Acked(content)) => {
            content.is(Some(whole)) || is_whole(content) || says(content, resource)
        }
        Some(Told::Nacked(content, _) | Told::Sent(content)) => says(content, resource),
        Some(Told::Nothing) | None => false,
    };
    if may_refer { resource } else { whole }
}

/// Was this told on this stream, and did it refer to nothing?
fn is_whole(content: &Content) -> bool {
    matches!(content, Content::Resource(told) if told.reference.is_none())
}

/// Was this told on this stream, and did it say the same?
fn says(content: &Content, resource: &Resource) -> bool {
    matches!(content, Content::Resource(told) if told.version == resource.version)
}

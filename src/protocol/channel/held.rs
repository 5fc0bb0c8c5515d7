//! What a client was told of each name, for people who ask.

use std::sync::Arc;

use super::entry::{Content, Entry, Told};
use super::{Channel, Refusal};
use crate::snapshot::{Resource, ResourceKind};

/// What a client was last told under one name, and how far that got.
#[derive(Clone, Debug)]
pub struct Held {
    /// The type.
    pub kind: ResourceKind,
    /// The name.
    pub name: Arc<str>,
    /// How far it got.
    pub state: HeldState,
    /// The version last told; `None` if the name does not exist.
    pub version: Option<Arc<str>>,
    /// The resource last told; `None` if it does not exist, or if it was sent on an earlier stream and
    /// has changed since.
    pub told: Option<Arc<Resource>>,
    /// The resource last accepted on this stream, which a refusal leaves in force.
    pub accepted: Option<Arc<Resource>>,
}

/// How far the last word on a name got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldState {
    /// The client accepted it.
    Acked,
    /// The client refused the response that it was in.
    Nacked(Refusal),
    /// The client asked for it, and there is no such resource.
    NotThere,
    /// Not sent yet: what is sent before it waits for its answer.
    Pending,
    /// Sent, and not answered yet.
    Sent,
}

impl Channel {
    /// What the client was told of each name, and which names it asked for in vain.
    pub(in crate::protocol) fn held(&self) -> impl Iterator<Item = Held> {
        let entries = self.entries.iter();
        let entries = entries.map(|(name, entry)| self.held_under(name, Some(entry)));
        let asked = self.subscription.names().iter();
        let unknown = asked.filter(|name| !self.entries.contains_key(*name));
        entries.chain(unknown.map(|name| self.held_under(name, None)))
    }

    fn held_under(&self, name: &Arc<str>, entry: Option<&Entry>) -> Held {
        let told = entry.map_or(&Told::Nothing, |entry| &entry.told);
        let content = told.content();
        let state = match told {
            Told::Acked(Content::Absent) => HeldState::NotThere,
            Told::Acked(_) => HeldState::Acked,
            Told::Nacked(..) => HeldState::Nacked(self.refusal.clone().unwrap_or_default()),
            Told::Sent(_) => HeldState::Sent,
            Told::Nothing if self.additions.contains(name) => HeldState::Pending,
            Told::Nothing => HeldState::NotThere,
        };
        Held {
            kind: self.kind,
            name: Arc::clone(name),
            state,
            version: content.and_then(Content::version).cloned(),
            told: match content {
                Some(Content::Resource(resource)) => Some(Arc::clone(resource)),
                _ => None,
            },
            accepted: entry.and_then(|entry| entry.accepted.clone()),
        }
    }
}

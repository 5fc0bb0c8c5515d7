//! What the client knows under one name, and what it said to it.

use std::sync::Arc;

use crate::snapshot::Resource;

/// What the client knows under one name.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) told: Told,
    /// It may hold something: what was accepted, or part of a response that it refused.
    pub(super) may_hold: bool,
    /// The content last accepted. While a refusal stands, it is what the client still runs.
    pub(super) accepted: Option<Arc<Resource>>,
}

/// The last word on a name, and the answer to it.
#[derive(Debug, Default)]
pub(super) enum Told {
    Acked(Content),
    /// Refused, in the response of this number.
    Nacked(Content, u64),
    /// Nothing on this stream, or nothing that can be relied on.
    #[default]
    Nothing,
    Sent(Content),
}

/// What a name was said to mean.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// It does not exist.
    Absent,
    /// This was sent.
    Resource(Arc<Resource>),
    /// The client says that it holds this version from an earlier stream.
    Version(Arc<str>),
}

impl Entry {
    /// What a client brings from an earlier stream.
    pub(super) fn remembered(version: &str) -> Self {
        Self {
            told: Told::Acked(Content::Version(version.into())),
            may_hold: true,
            accepted: None,
        }
    }

    /// What the client is told first.
    pub(super) fn sent(resource: Option<&Arc<Resource>>) -> Self {
        Self {
            told: Told::Sent(Content::of(resource)),
            may_hold: resource.is_some(),
            accepted: None,
        }
    }

    /// A resource that the client is known to hold.
    pub(super) fn held(resource: &Arc<Resource>) -> Self {
        Self {
            told: Told::Acked(Content::Resource(Arc::clone(resource))),
            may_hold: true,
            accepted: Some(Arc::clone(resource)),
        }
    }

    pub(super) const fn is_refused(&self) -> bool {
        matches!(self.told, Told::Nacked(..))
    }
}

impl Told {
    pub(super) const fn content(&self) -> Option<&Content> {
        match self {
            Self::Acked(content) | Self::Nacked(content, _) | Self::Sent(content) => Some(content),
            Self::Nothing => None,
        }
    }
}

impl Content {
    pub(super) fn of(resource: Option<&Arc<Resource>>) -> Self {
        resource.map_or(Self::Absent, |resource| {
            Self::Resource(Arc::clone(resource))
        })
    }

    /// Is it this, or absence?
    pub(super) fn is(&self, resource: Option<&Arc<Resource>>) -> bool {
        self.version() == resource.map(|resource| &resource.version)
    }

    pub(super) const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// `None` if it does not exist.
    pub(super) fn version(&self) -> Option<&Arc<str>> {
        match self {
            Self::Absent => None,
            Self::Resource(resource) => Some(&resource.version),
            Self::Version(version) => Some(version),
        }
    }
}

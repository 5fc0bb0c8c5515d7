//! What goes over a stream, as plain values.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::domain::{Generation, Nack};
use crate::snapshot::{Resource, ResourceKind};

/// Longest resource name in a request, in bytes: longer than any address that servers take. Streams
/// remember names by the thousand.
pub const NAME_BYTES_MAX: usize = 4096;

/// How state is carried on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// Only differences, resource by resource.
    Delta,
    /// State of the world: each request lists every name, each listener or cluster response
    /// lists every resource.
    Sotw,
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Delta => "delta",
            Self::Sotw => "sotw",
        })
    }
}

/// The type that a message speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TypeUrl {
    /// One that Tidegate does not serve.
    Other(Arc<str>),
    /// One that it serves.
    Served(ResourceKind),
}

impl TypeUrl {
    /// Reads the text on the wire.
    pub fn parse(url: &str) -> Self {
        ResourceKind::from_type_url(url).map_or_else(|| Self::Other(url.into()), Self::Served)
    }

    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(url) => url,
            Self::Served(kind) => kind.type_url(),
        }
    }
}

/// One message from the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The type.
    pub type_url: TypeUrl,
    /// The nonce of the response that this answers; empty if none.
    pub nonce: String,
    /// Why that response was refused, in the client's words.
    pub error: Option<String>,
    /// What is wanted.
    pub ask: Ask,
}

/// What a request says of subscriptions; each variant of the protocol has its own way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Increments.
    Delta {
        /// Names to add, `*` for all.
        subscribe: Vec<String>,
        /// Names to drop.
        unsubscribe: Vec<String>,
        /// What the client holds from an earlier stream: version by name. Only the first request
        /// of a type is believed.
        initial_versions: BTreeMap<String, String>,
    },
    /// The whole list.
    Sotw {
        /// Every name wanted, `*` for all.
        names: Vec<String>,
        /// The last version accepted, maybe on an earlier stream; empty if none.
        version: String,
    },
}

impl Ask {
    /// The names that it adds, or may add, to what the stream remembers.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        let (names, initial_versions) = match self {
            Self::Delta {
                subscribe,
                initial_versions,
                ..
            } => (subscribe, Some(initial_versions)),
            Self::Sotw { names, .. } => (names, None),
        };
        let held = initial_versions.into_iter().flat_map(BTreeMap::keys);
        names.iter().chain(held)
    }
}

/// One message to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The type.
    pub type_url: TypeUrl,
    /// Unique on its stream.
    pub nonce: String,
    /// SotW: a hash of what the client holds when it accepts. Delta: the generation.
    pub version: String,
    /// What is new, changed or repeated, sorted by name.
    pub resources: Vec<Arc<Resource>>,
    /// Delta: what does not exist any more, or never did.
    pub removed: Vec<Arc<str>>,
}

/// What others should know of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A response was accepted.
    Acked {
        /// Its type.
        kind: ResourceKind,
        /// The generation that it was built from.
        generation: Generation,
    },
    /// An addition or removal stopped waiting for the answer to a response of this type, because
    /// [`GATE_TIMEOUT`](super::GATE_TIMEOUT) had passed.
    GateReleased(ResourceKind),
    /// The client has acknowledged everything it subscribes to, as of this generation, and
    /// nothing is left to remove.
    InForce(Generation),
    /// A response was refused.
    Nacked(ResourceKind, Nack),
}

/// Why a stream must end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A name that is longer than [`NAME_BYTES_MAX`].
    #[error(
        "a resource name may have at most {NAME_BYTES_MAX} bytes, this request has one of {bytes}"
    )]
    LongName {
        /// So long.
        bytes: usize,
    },
    /// More names of one type than a stream may have.
    #[error(
        "a stream may subscribe to at most {max} names of one type (`limits.namesPerType`), this request makes it {names}; ask for `*` or use several streams"
    )]
    TooManyNames {
        /// So many.
        names: usize,
        /// So many may be.
        max: usize,
    },
    /// A request of the other variant.
    #[error("a request of one protocol variant came on a stream of the other")]
    WrongVariant,
}

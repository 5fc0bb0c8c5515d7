//! A look at what each proxy was told, resource by resource, while its streams go on.

use std::sync::Arc;

use super::registry::Registry;
use crate::domain::{ProxyId, ProxyIdentity};
use crate::protocol::{Held, Variant};
use crate::snapshot::ResourceKind;

/// Looks at the streams of proxies. It takes each stream's own state, so what it shows is exactly
/// what was sent, also to a proxy that has stopped reading.
#[derive(Clone, Debug)]
pub struct Inspector {
    registry: Arc<Registry>,
}

/// One stream of a proxy.
#[derive(Clone, Debug)]
pub struct StreamState {
    /// How it carries state.
    pub variant: Variant,
    /// The one type that it is for; `None` for all of them.
    pub only: Option<ResourceKind>,
    /// What the proxy was told on it.
    pub held: Vec<Held>,
}

/// A connected proxy and its streams, in the order in which they were opened.
#[derive(Clone, Debug)]
pub struct ProxyState {
    /// Who it is.
    pub identity: ProxyIdentity,
    /// Its streams.
    pub streams: Vec<StreamState>,
}

impl Inspector {
    pub(super) const fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }

    /// What a proxy was told; `None` if it is not connected.
    pub fn proxy(&self, id: &ProxyId) -> Option<ProxyState> {
        self.registry.look_at(id)
    }

    /// The proxies that are connected, by id.
    pub fn connected(&self) -> Vec<ProxyId> {
        self.registry.connected()
    }
}

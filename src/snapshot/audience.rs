//! Who gets what: the resources of each gateway, and of a proxy that several gateways select.
//!
//! Each kind of client has resources of its own, so that none is ever told another's.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ResourceKind, ResourceSet};
use crate::domain::{Client, Generation, ProxyId, ProxyIdentity, ProxySelector};

/// One published generation, for everybody. Immutable; readers share it and never lock.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Its number.
    pub generation: Generation,
    /// How often an operator asked to try again what proxies refused of it.
    pub attempt: u64,
    audiences: Vec<Audience>,
    own: BTreeMap<ProxyId, Arc<ResourceSet>>,
}

/// The proxies that one gateway selects, and what they may see.
#[derive(Clone, Debug)]
pub struct Audience {
    /// Who.
    pub selector: ProxySelector,
    /// What, in the words of each kind of client; one that is missing is told nothing at all.
    pub resources: BTreeMap<Client, Arc<ResourceSet>>,
}

impl Snapshot {
    /// A snapshot of these audiences.
    pub fn new(generation: Generation, audiences: Vec<Audience>) -> Self {
        Self {
            generation,
            attempt: 0,
            audiences,
            own: BTreeMap::new(),
        }
    }

    /// The set that this one proxy was given.
    pub fn own(&self, proxy: &ProxyId) -> Option<&Arc<ResourceSet>> {
        self.own.get(proxy)
    }

    /// How many proxies have a set of their own.
    pub fn owners(&self) -> usize {
        self.own.len()
    }

    /// Gives one proxy a set of its own, whatever gateways select it; or, with `None`, no more.
    pub fn give(&mut self, proxy: ProxyId, resources: Option<Arc<ResourceSet>>) {
        match resources {
            Some(resources) => drop(self.own.insert(proxy, resources)),
            None => drop(self.own.remove(&proxy)),
        }
    }

    /// The same, to be tried once more on proxies that refused some of it.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            attempt: self.attempt + 1,
            ..self.clone()
        }
    }

    /// What `proxy` may see; `None` when no gateway selects it, so that it is told nothing at all
    /// rather than that nothing exists.
    pub fn for_proxy(&self, proxy: &ProxyIdentity) -> Option<Arc<ResourceSet>> {
        if let Some(own) = self.own.get(&proxy.id) {
            return Some(Arc::clone(own));
        }
        let client = proxy.client();
        let mut selected = self
            .audiences
            .iter()
            .filter(|audience| audience.selector.selects(proxy))
            .filter_map(|audience| audience.resources.get(&client));
        let first = selected.next()?;
        let mut rest = selected.peekable();
        if rest.peek().is_none() {
            return Some(Arc::clone(first));
        }
        let mut union = ResourceSet::clone(first);
        for resources in rest {
            for kind in ResourceKind::ALL {
                for resource in resources.of(kind).values() {
                    union.insert(kind, Arc::clone(resource));
                }
            }
        }
        Some(Arc::new(union))
    }
}

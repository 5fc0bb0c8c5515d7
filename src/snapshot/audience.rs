//! Who gets what: the resources of each gateway, and of a proxy that several gateways select.
//!
//! Each kind of client has resources of its own, so that none is ever told another's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Dialect, ResourceSet};
use crate::domain::{Generation, ProxyId, ProxyIdentity, ProxySelector};

/// One published generation, for everybody. Immutable to its readers, who share it.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Its number.
    pub generation: Generation,
    /// How often an operator asked to try again what proxies refused of it.
    pub attempt: u64,
    audiences: Arc<[Audience]>,
    unions: Arc<Unions>,
    own: BTreeMap<ProxyId, Arc<ResourceSet>>,
}

/// The proxies that one gateway selects, and what they may see.
#[derive(Clone, Debug)]
pub struct Audience {
    /// Who.
    pub selector: ProxySelector,
    /// What, in the plain words of each kind of client, and in others where it has those. A client that
    /// is missing is told nothing at all.
    pub resources: BTreeMap<Dialect, Arc<ResourceSet>>,
}

impl Audience {
    /// What it sees in these words, or in plain ones where there is no difference.
    fn in_words(&self, dialect: Dialect) -> Option<&Arc<ResourceSet>> {
        let own = self.resources.get(&dialect);
        own.or_else(|| self.resources.get(&Dialect::plain(dialect.client)))
    }
}

/// The words, and the positions of the audiences that select a proxy.
type Selected = (Dialect, Vec<usize>);

/// What proxies of several gateways see, made when the first of them asks and then shared.
#[derive(Debug, Default)]
struct Unions {
    /// Those of the snapshot before, to grow out of.
    before: BTreeMap<Selected, Arc<ResourceSet>>,
    /// Never locked over anything but making one.
    made: Mutex<BTreeMap<Selected, Arc<ResourceSet>>>,
}

impl Snapshot {
    /// A snapshot of these audiences.
    pub fn new(generation: Generation, audiences: Vec<Audience>) -> Self {
        Self {
            generation,
            attempt: 0,
            audiences: audiences.into(),
            unions: Arc::default(),
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

    /// The snapshot that follows this one. Streams look only at what changed where the audiences'
    /// sets grew out of the earlier ones.
    #[must_use]
    pub fn followed_by(&self, generation: Generation, audiences: Vec<Audience>) -> Self {
        let is_same = |(now, then): (&Audience, &Audience)| now.selector == then.selector;
        let are_same = audiences.len() == self.audiences.len()
            && audiences.iter().zip(&*self.audiences).all(is_same);
        let before = if are_same {
            self.unions.lock().clone()
        } else {
            BTreeMap::new()
        };
        Self {
            unions: Arc::new(Unions {
                before,
                made: Mutex::default(),
            }),
            ..Self::new(generation, audiences)
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

    /// What `proxy` may see, in the words that one of its streams understands; `None` when no gateway
    /// selects it, so that it is told nothing at all rather than that nothing exists.
    pub fn for_proxy(&self, proxy: &ProxyIdentity, words: Dialect) -> Option<Arc<ResourceSet>> {
        if let Some(own) = self.own.get(&proxy.id) {
            return Some(Arc::clone(own));
        }
        let all = self.audiences.iter().enumerate();
        let mut selected = all
            .filter(|(_, audience)| audience.selector.selects(proxy))
            .filter_map(|(position, audience)| Some((position, audience.in_words(words)?)));
        let (first, resources) = selected.next()?;
        let mut positions: Vec<usize> = selected.map(|(position, _)| position).collect();
        if positions.is_empty() {
            return Some(Arc::clone(resources));
        }
        positions.insert(0, first);
        Some(self.union((words, positions)))
    }

    fn union(&self, key: Selected) -> Arc<ResourceSet> {
        let mut made = self.unions.lock();
        if let Some(union) = made.get(&key) {
            return Arc::clone(union);
        }
        let mut union = match self.unions.before.get(&key) {
            Some(before) => before.next(self.generation),
            None => ResourceSet::new(self.generation),
        };
        let (words, positions) = &key;
        let parts = positions.iter().map(|position| &self.audiences[*position]);
        let parts = parts.filter_map(|audience| audience.in_words(*words));
        let all = parts.flat_map(|part| part.all());
        union.replace_all(all.map(|(kind, resource)| (kind, Arc::clone(resource))));
        let union = Arc::new(union);
        made.insert(key, Arc::clone(&union));
        union
    }
}

impl Unions {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Selected, Arc<ResourceSet>>> {
        // Whoever panics while holding the lock leaves whole entries behind.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::{Resource, ResourceKind};
    use super::*;
    use crate::domain::{Client, Locality};

    const WORDS: Dialect = Dialect::plain(Client::Envoy);

    fn audience(set: &ResourceSet) -> Audience {
        Audience {
            selector: ProxySelector::default(),
            resources: BTreeMap::from([(WORDS, Arc::new(set.clone()))]),
        }
    }

    fn cluster(name: &str, version: &str) -> Arc<Resource> {
        Arc::new(Resource {
            name: name.into(),
            version: version.into(),
            sotw_field: Bytes::new(),
            delta_field: Bytes::new(),
            reference: None,
        })
    }

    #[test]
    fn a_proxy_of_two_gateways_sees_both_and_shares_what_others_see() {
        let proxy = ProxyIdentity {
            id: "edge-1".parse().unwrap(),
            cluster: String::new(),
            metadata: BTreeMap::new(),
            locality: Locality::default(),
            agent: String::new(),
        };
        let (mut a, mut b) = (
            ResourceSet::new(Generation(1)),
            ResourceSet::new(Generation(1)),
        );
        a.insert(ResourceKind::Cluster, cluster("a", "1"));
        b.insert(ResourceKind::Cluster, cluster("b", "1"));
        let first = Snapshot::new(Generation(1), vec![audience(&a), audience(&b)]);
        let union = first.for_proxy(&proxy, WORDS).unwrap();
        assert_eq!(union.of(ResourceKind::Cluster).len(), 2);
        assert!(Arc::ptr_eq(
            &union,
            &first.for_proxy(&proxy, WORDS).unwrap()
        ));

        let mut b = b.next(Generation(2));
        b.insert(ResourceKind::Cluster, cluster("b", "2"));
        let second = first.followed_by(
            Generation(2),
            vec![audience(&a.next(Generation(2))), audience(&b)],
        );
        let next = second.for_proxy(&proxy, WORDS).unwrap();
        let changes = next.changes_since(&union).unwrap();
        let names: Vec<&str> = changes.of(ResourceKind::Cluster).map(|n| &**n).collect();
        assert_eq!((next.generation, names), (Generation(2), vec!["b"]));
    }
}

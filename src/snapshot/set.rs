//! Everything that one audience may see, and what changed from one generation to the next.
//!
//! A set that grows out of another shares with it what is equal, and remembers which names differ.
//! So a stream that holds an earlier set looks at a handful of names, not at all of them, and what
//! a change costs does not depend on how much there is that did not change.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::{Resource, ResourceKind};
use crate::domain::Generation;

/// Resources of one type, by name.
pub type ByName = BTreeMap<Arc<str>, Arc<Resource>>;

/// The names of one type that a change touched.
pub type Names = BTreeSet<Arc<str>>;

/// Changes that a set remembers. A stream that is further behind compares everything.
const CHANGES_MAX: usize = 64;

/// Everything that one audience may see, by type and name.
#[derive(Clone, Debug, Default)]
pub struct ResourceSet {
    /// The generation that it was built from.
    pub generation: Generation,
    by_kind: [Arc<ByName>; ResourceKind::ALL.len()],
    labels: BTreeMap<ResourceKind, Arc<str>>,
    history: History,
}

/// How a set came to be.
#[derive(Clone, Debug, Default)]
struct History {
    /// Shared by all sets that grew out of the same first one.
    line: Arc<()>,
    /// Number of the last change in this line.
    last: u64,
    /// The last changes, the newest at the back.
    changes: VecDeque<Arc<[Names; ResourceKind::ALL.len()]>>,
}

impl ResourceSet {
    /// An empty set of a generation.
    pub fn new(generation: Generation) -> Self {
        Self {
            generation,
            ..Self::default()
        }
    }

    /// A set that holds the same, to be changed into that of the next generation.
    #[must_use]
    pub fn next(&self, generation: Generation) -> Self {
        let mut next = Self {
            generation,
            ..self.clone()
        };
        next.history.last += 1;
        next.history.changes.push_back(Arc::default());
        if next.history.changes.len() > CHANGES_MAX {
            next.history.changes.pop_front();
        }
        next
    }

    /// The resources of one type, by name.
    pub fn of(&self, kind: ResourceKind) -> &ByName {
        &self.by_kind[kind as usize]
    }

    /// Adds or replaces one resource.
    pub fn insert(&mut self, kind: ResourceKind, resource: Arc<Resource>) {
        let known = self.of(kind).get(&resource.name);
        if known.is_some_and(|known| known.is_same(&resource)) {
            return;
        }
        self.note(kind, &resource.name);
        let map = Arc::make_mut(&mut self.by_kind[kind as usize]);
        map.insert(Arc::clone(&resource.name), resource);
    }

    /// Takes one resource away, if it is there.
    pub fn remove(&mut self, kind: ResourceKind, name: &str) -> Option<Arc<Resource>> {
        if !self.of(kind).contains_key(name) {
            return None;
        }
        let removed = Arc::make_mut(&mut self.by_kind[kind as usize]).remove(name)?;
        self.note(kind, &removed.name);
        Some(removed)
    }

    /// Has responses of this type bear `version`, where somebody outside names the states.
    pub fn label(&mut self, kind: ResourceKind, version: &str) {
        self.labels.insert(kind, version.into());
    }

    /// What somebody outside calls the state of this type.
    pub fn version(&self, kind: ResourceKind) -> Option<&Arc<str>> {
        self.labels.get(&kind)
    }

    /// Makes it hold these and nothing else. Of two of one name the last wins.
    pub fn replace_all(&mut self, all: impl IntoIterator<Item = (ResourceKind, Arc<Resource>)>) {
        let mut wanted: [ByName; ResourceKind::ALL.len()] = Default::default();
        for (kind, resource) in all {
            wanted[kind as usize].insert(Arc::clone(&resource.name), resource);
        }
        for (kind, wanted) in ResourceKind::ALL.into_iter().zip(wanted) {
            let gone = self
                .of(kind)
                .keys()
                .filter(|name| !wanted.contains_key(*name));
            for name in gone.cloned().collect::<Vec<_>>() {
                self.remove(kind, &name);
            }
            for resource in wanted.into_values() {
                self.insert(kind, resource);
            }
        }
    }

    /// Everything in it.
    pub fn all(&self) -> impl Iterator<Item = (ResourceKind, &Arc<Resource>)> {
        let of = |kind| self.of(kind).values().map(move |resource| (kind, resource));
        ResourceKind::ALL.into_iter().flat_map(of)
    }

    /// The names that may differ from those of `earlier`, by type; `None` if that is not remembered.
    pub fn changes_since(&self, earlier: &Self) -> Option<Changes<'_>> {
        let (now, then) = (&self.history, &earlier.history);
        let behind = usize::try_from(now.last.checked_sub(then.last)?).ok()?;
        let is_known = Arc::ptr_eq(&now.line, &then.line) && behind <= now.changes.len();
        is_known.then_some(Changes {
            history: now,
            behind,
        })
    }

    fn note(&mut self, kind: ResourceKind, name: &Arc<str>) {
        if let Some(change) = self.history.changes.back_mut() {
            Arc::make_mut(change)[kind as usize].insert(Arc::clone(name));
        }
    }
}

impl PartialEq for ResourceSet {
    /// Equal is what holds the same, however it came to be.
    fn eq(&self, other: &Self) -> bool {
        (self.generation, &self.by_kind, &self.labels)
            == (other.generation, &other.by_kind, &other.labels)
    }
}

impl Eq for ResourceSet {}

/// What changed between two sets of one line.
#[derive(Clone, Copy, Debug)]
pub struct Changes<'a> {
    history: &'a History,
    behind: usize,
}

impl<'a> Changes<'a> {
    /// The names of one type that changed; one that changed twice may come twice.
    pub fn of(self, kind: ResourceKind) -> impl Iterator<Item = &'a Arc<str>> {
        let changes = self.history.changes.iter().rev().take(self.behind);
        changes.flat_map(move |change| &change[kind as usize])
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use ResourceKind::{Cluster, Route};

    fn resource(name: &str, version: &str) -> Arc<Resource> {
        Arc::new(Resource {
            name: name.into(),
            version: version.into(),
            sotw_field: Bytes::new(),
            delta_field: Bytes::new(),
            reference: None,
        })
    }

    fn changed(now: &ResourceSet, then: &ResourceSet) -> Option<Vec<String>> {
        let changes = now.changes_since(then)?;
        let of = |kind| changes.of(kind).map(move |name| format!("{kind} {name}"));
        Some(ResourceKind::ALL.into_iter().flat_map(of).collect())
    }

    #[test]
    fn a_set_knows_what_it_changed() {
        let mut first = ResourceSet::new(Generation(1));
        first.insert(Cluster, resource("a", "1"));
        first.insert(Route, resource("r", "1"));
        let mut second = first.next(Generation(2));
        second.insert(Cluster, resource("a", "1"));
        second.insert(Route, resource("r", "2"));
        let mut third = second.next(Generation(3));
        third.remove(Cluster, "a");
        assert!(third.remove(Cluster, "never").is_none());
        assert_eq!(changed(&second, &second), Some(vec![]));
        assert_eq!(changed(&second, &first), Some(vec!["route r".into()]));
        let both = vec!["cluster a".to_owned(), "route r".to_owned()];
        assert_eq!(changed(&third, &first), Some(both));
        assert_eq!(changed(&first, &second), None, "back in time");
        assert_eq!(changed(&third, &ResourceSet::new(Generation(2))), None);
        assert_eq!(first.of(Route)["r"].version.as_ref(), "1");
    }

    #[test]
    fn replacing_all_notes_only_what_differs() {
        let mut first = ResourceSet::new(Generation(1));
        first.insert(Cluster, resource("a", "1"));
        first.insert(Cluster, resource("b", "1"));
        let mut second = first.next(Generation(2));
        second.replace_all([(Cluster, resource("a", "1")), (Route, resource("r", "1"))]);
        let differ = vec!["cluster b".to_owned(), "route r".to_owned()];
        assert_eq!(changed(&second, &first), Some(differ));
        assert_eq!(second.all().count(), 2);
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let first = ResourceSet::new(Generation(0));
        let last = (1..=CHANGES_MAX as u64).fold(first.clone(), |set, n| set.next(Generation(n)));
        assert!(last.changes_since(&first).is_some());
        assert!(last.next(Generation(99)).changes_since(&first).is_none());
    }

    #[test]
    fn an_untouched_type_is_shared() {
        let mut first = ResourceSet::new(Generation(1));
        first.insert(Cluster, resource("a", "1"));
        let mut second = first.next(Generation(2));
        second.insert(Route, resource("r", "1"));
        assert!(std::ptr::eq(first.of(Cluster), second.of(Cluster)));
    }
}

//! Which names a client wants of one type.
//!
//! An empty first request means everything, for listeners and clusters (the legacy wildcard). As
//! soon as a name was given, `*` included, an empty list means nothing, for as long as the stream
//! lives. For other types an empty first request means nothing.
//!
//! On a delta stream a name may stand for a collection: `xdstp://authority/type/a/b/*` is every
//! resource `xdstp://authority/type/a/b/x`, one level deep (cncf/xds TP1).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::snapshot::{ByName, Resource};

const WILDCARD: &str = "*";

/// How the names of collections begin and end.
const COLLECTION: (&str, &str) = ("xdstp://", "/*");

/// The names of one type on one stream.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    asked: bool,
    explicit: bool,
    wildcard: bool,
    names: BTreeSet<Arc<str>>,
    /// Some of the names are, or were, collections.
    collects: bool,
    /// Collections of which nothing is told, until they are asked for again where that opens them.
    closed: BTreeMap<Arc<str>, bool>,
}

/// What a request changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// It was the type's first request on the stream.
    pub(super) first: bool,
    /// The wildcard was switched on.
    pub(super) wildcard_added: bool,
    /// Names that must be told even if they were told before.
    pub(super) asked_for: BTreeSet<Arc<str>>,
    /// Something is not covered any more.
    pub(super) narrowed: bool,
}

impl Change {
    /// Does it change nothing?
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Subscription {
    /// Has the client ever asked for this type?
    pub(super) const fn is_asked(&self) -> bool {
        self.asked
    }

    pub(super) const fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    pub(super) const fn names(&self) -> &BTreeSet<Arc<str>> {
        &self.names
    }

    /// Is it everything and no name besides?
    pub(super) fn is_pure_wildcard(&self) -> bool {
        self.wildcard && self.names.is_empty()
    }

    /// Does the client want `name`, be it in a collection or because it wants everything?
    pub(super) fn covers(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name) || self.collection_of(name).is_some()
    }

    /// Does this name stand for a collection?
    pub(super) fn is_collection(&self, name: &str) -> bool {
        self.collects && is_collection(name)
    }

    /// Has the client asked for this collection, and may it be told of it?
    pub(super) fn is_open(&self, collection: &str) -> bool {
        self.names.contains(collection) && !self.closed.contains_key(collection)
    }

    /// Closes a collection, until it is asked for again if that `opens` it, or is let go. `false` if it
    /// was closed before.
    pub(super) fn close(&mut self, collection: &Arc<str>, opens: bool) -> bool {
        let before = self.closed.insert(Arc::clone(collection), opens);
        before.is_none()
    }

    /// Is it closed, whoever asks for it?
    pub(super) fn is_closed(&self, collection: &str) -> bool {
        self.closed.get(collection) == Some(&false)
    }

    /// Names that the client wants without naming them: all of them, or those in collections.
    pub(super) fn matching<'a>(&'a self, all: &'a ByName) -> impl Iterator<Item = &'a Arc<str>> {
        let everything = self.wildcard.then(|| all.keys()).into_iter().flatten();
        let names = self.collects.then(|| self.names.iter()).into_iter();
        let collections = names.flatten();
        let collections = collections.filter(|name| is_collection(name) && self.is_open(name));
        let collected = collections.flat_map(|name| members(name, all));
        everything.chain(collected.map(|resource| &resource.name))
    }

    /// The open collection among the names that has this one in it.
    pub(super) fn collection_of(&self, name: &str) -> Option<&Arc<str>> {
        let (directory, _) = name.rsplit_once('/').filter(|_| self.collects)?;
        let collection = format!("{directory}{}", COLLECTION.1);
        self.names
            .get(collection.as_str())
            .filter(|it| self.is_open(it))
    }

    /// Takes the full list of a SotW request. `has_wildcard`: may an empty list mean everything?
    pub(super) fn replace(&mut self, list: &[String], has_wildcard: bool) -> Change {
        let first = !std::mem::replace(&mut self.asked, true);
        self.explicit |= !list.is_empty();
        let wildcard = list.iter().any(|name| name == WILDCARD) || (!self.explicit && has_wildcard);
        let names = named(list);
        let change = Change {
            first,
            wildcard_added: wildcard && !self.wildcard,
            asked_for: names.difference(&self.names).cloned().collect(),
            narrowed: (self.wildcard && !wildcard) || !self.names.is_subset(&names),
        };
        self.wildcard = wildcard;
        self.names = names;
        change
    }

    /// Takes the increments of a delta request.
    pub(super) fn change(
        &mut self,
        subscribe: &[String],
        unsubscribe: &[String],
        has_wildcard: bool,
    ) -> Change {
        let first = !std::mem::replace(&mut self.asked, true);
        let was_wildcard = self.wildcard;
        self.wildcard |= subscribe.iter().any(|name| name == WILDCARD)
            || (first && subscribe.is_empty() && has_wildcard);
        let mut asked_for = named(subscribe);
        self.collects |= asked_for.iter().any(|name| is_collection(name));
        self.closed
            .retain(|name, opens| !(*opens && asked_for.contains(name)));
        self.names.extend(asked_for.iter().cloned());

        let mut narrowed = false;
        for name in unsubscribe {
            if name == WILDCARD {
                narrowed |= std::mem::replace(&mut self.wildcard, false);
            }
        }
        for name in named(unsubscribe) {
            let was_named = self.names.remove(&name);
            self.closed.remove(&name);
            narrowed |= was_named;
            asked_for.remove(&name);
            // The wildcard may go on covering it, so the client must hear which it is.
            if was_named && self.wildcard {
                asked_for.insert(name);
            }
        }
        let wildcard_added = self.wildcard && !was_wildcard;
        Change {
            first,
            wildcard_added,
            asked_for,
            narrowed,
        }
    }
}

fn is_collection(name: &str) -> bool {
    name.starts_with(COLLECTION.0) && name.ends_with(COLLECTION.1)
}

/// The resources of a collection.
pub(super) fn members<'a>(
    collection: &str,
    all: &'a ByName,
) -> impl Iterator<Item = &'a Arc<Resource>> + use<'a> {
    let directory = directory(collection);
    let from = all.range::<str, _>((Bound::Included(&*directory), Bound::Unbounded));
    from.map_while(move |(name, resource)| Some((name.strip_prefix(&*directory)?, resource)))
        .filter_map(|(rest, resource)| (!rest.contains('/')).then_some(resource))
}

/// What is known of the resources of a collection.
pub(super) fn members_mut<'a, T>(
    collection: &str,
    all: &'a mut BTreeMap<Arc<str>, T>,
) -> impl Iterator<Item = &'a mut T> + use<'a, T> {
    let directory = directory(collection);
    let from = all.range_mut::<str, _>((Bound::Included(&*directory), Bound::Unbounded));
    from.map_while(move |(name, known)| Some((name.strip_prefix(&*directory)?, known)))
        .filter_map(|(rest, known)| (!rest.contains('/')).then_some(known))
}

/// Is this the name of one of a collection's resources?
pub(super) fn is_member(collection: &str, name: &str) -> bool {
    let rest = name.strip_prefix(collection.trim_end_matches('*'));
    rest.is_some_and(|rest| !rest.contains('/'))
}

/// How the names of a collection's resources begin.
fn directory(collection: &str) -> Arc<str> {
    collection.trim_end_matches('*').into()
}

/// The real names of a list; some clients send `""` for "none".
pub(super) fn named(list: &[String]) -> BTreeSet<Arc<str>> {
    let names = list.iter().map(String::as_str);
    names
        .filter(|name| !name.is_empty() && *name != WILDCARD)
        .map(Arc::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(names: &str) -> Vec<String> {
        names
            .split_whitespace()
            .map(|n| if n == "''" { "" } else { n }.to_owned())
            .collect()
    }

    fn shown(subscription: &Subscription) -> String {
        let star = subscription.wildcard.then_some(WILDCARD);
        star.into_iter()
            .chain(subscription.names.iter().map(|n| &**n))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn sotw_lists_replace_and_empty_means_everything_only_at_first() {
        for (lists, wanted) in [
            (vec![""], "*"),
            (vec!["", "* A", "A", ""], ""),
            (vec!["", "* A"], "* A"),
            (vec!["A", ""], ""),
            (vec!["*", ""], ""),
            (vec!["A B", "''"], ""),
            (vec!["", "''"], ""),
            (vec!["", ""], "*"),
        ] {
            let mut subscription = Subscription::default();
            for list in &lists {
                subscription.replace(&strings(list), true);
            }
            assert_eq!(shown(&subscription), wanted, "{lists:?}");
        }
        let mut endpoints = Subscription::default();
        endpoints.replace(&[], false);
        assert_eq!(shown(&endpoints), "");
    }

    #[test]
    fn delta_increments_add_up_and_the_wildcard_is_a_name_that_can_be_dropped() {
        for (steps, wanted, asked_for) in [
            (vec![("", "")], "*", ""),
            (vec![("", ""), ("A", "")], "* A", "A"),
            (vec![("", ""), ("A", ""), ("", "*")], "A", ""),
            (vec![("", ""), ("A", ""), ("", "*"), ("", "A")], "", ""),
            (vec![("", ""), ("A", ""), ("", "A")], "*", "A"),
            (vec![("A", ""), ("", "")], "A", ""),
            (vec![("A", ""), ("A", "")], "A", "A"),
            (vec![("A B", ""), ("C", "B phantom")], "A C", "C"),
        ] {
            let mut subscription = Subscription::default();
            let mut last = Change::default();
            for (add, remove) in &steps {
                last = subscription.change(&strings(add), &strings(remove), true);
            }
            assert_eq!(shown(&subscription), wanted, "{steps:?}");
            let asked: Vec<&str> = last.asked_for.iter().map(|n| &**n).collect();
            assert_eq!(asked.join(" "), asked_for, "{steps:?}");
        }
    }

    #[test]
    fn a_collection_is_one_level_deep_and_a_plain_name_for_sotw() {
        let collection = "xdstp://tidegate/t/cart/v1/*".to_owned();
        let mut delta = Subscription::default();
        let one = std::slice::from_ref(&collection);
        delta.change(one, &[], false);
        let mut sotw = Subscription::default();
        sotw.replace(one, false);
        for (name, is_covered) in [
            ("xdstp://tidegate/t/cart/v1/a", true),
            ("xdstp://tidegate/t/cart/v1/a/b", false),
            ("xdstp://tidegate/t/cart/v10", false),
            ("xdstp://tidegate/t/cart/v1", false),
        ] {
            assert_eq!(delta.covers(name), is_covered, "{name}");
            assert!(!sotw.covers(name), "{name}");
        }
        assert!(delta.is_collection(&collection) && !sotw.is_collection(&collection));
        delta.change(&[], one, false);
        assert!(!delta.covers("xdstp://tidegate/t/cart/v1/a"));
    }
}

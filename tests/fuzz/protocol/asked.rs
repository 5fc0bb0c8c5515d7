//! What a client has asked for of one type on one stream, by the rules 7 to 16 of the protocol.

use std::collections::BTreeSet;

use tidegate::protocol::{Ask, Variant};
use tidegate::snapshot::ResourceKind;

use super::story::{EVERYTHING, NAMES, TERMS};

/// A subscription, as the server must understand it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    kind: ResourceKind,
    variant: Variant,
    /// There was a request.
    pub(crate) has_begun: bool,
    /// Something was named, so an empty list is nothing.
    has_named: bool,
    pub(crate) everything: bool,
    pub(crate) names: BTreeSet<&'static str>,
}

impl Asked {
    pub(crate) fn new(kind: ResourceKind, variant: Variant) -> Self {
        Self {
            kind,
            variant,
            has_begun: false,
            has_named: false,
            everything: false,
            names: BTreeSet::new(),
        }
    }

    /// Takes a request; the names that must or may be told though they were told before.
    pub(crate) fn take(&mut self, ask: &Ask) -> BTreeSet<&'static str> {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let (was_everything, before) = (self.everything, self.names.clone());
        let mut again = BTreeSet::new();
        match ask {
            Ask::Sotw { names, .. } => {
                self.has_named |= !names.is_empty();
                self.everything = names.iter().any(|name| name == EVERYTHING)
                    || (!self.has_named && self.kind.has_wildcard());
                self.names = known(names);
                again.extend(self.names.difference(&before));
                if self.everything && !was_everything {
                    again.extend(NAMES);
                }
            }
            Ask::Delta {
                subscribe,
                unsubscribe,
                ..
            } => {
                let says_everything = subscribe.iter().any(|name| name == EVERYTHING);
                self.everything |= says_everything
                    || (is_first && subscribe.is_empty() && self.kind.has_wildcard());
                let added = known(subscribe);
                self.names.extend(&added);
                if self.everything && (!was_everything || says_everything) {
                    again.extend(NAMES);
                }
                let gone = known(unsubscribe);
                self.names.retain(|name| !gone.contains(name));
                self.everything &= unsubscribe.iter().all(|name| name != EVERYTHING);
                again.extend(added.iter().chain(&gone));
                let collected = added.iter().chain(&gone).flat_map(|term| members(term));
                again.extend(collected);
            }
        }
        again
    }

    /// Is this the name of something that the client wants?
    pub(crate) fn covers(&self, name: &str) -> bool {
        let collections = self.names.iter().filter(|_| self.variant == Variant::Delta);
        self.everything
            || self.names.contains(name)
            || collections
                .flat_map(|term| members(term))
                .any(|member| member == name)
    }
}

/// The names that a collection has, one level deep; none if this is no collection.
pub(crate) fn members(term: &str) -> impl Iterator<Item = &'static str> {
    let directory = term.strip_suffix('*').filter(|_| term != EVERYTHING);
    let inside = directory.map(|directory| {
        NAMES.into_iter().filter(move |name| {
            name.strip_prefix(directory)
                .is_some_and(|rest| !rest.contains('/'))
        })
    });
    inside.into_iter().flatten()
}

/// A text as one of the terms.
pub(crate) fn term(text: &str) -> Option<&'static str> {
    TERMS.into_iter().find(|term| *term == text)
}

fn known(texts: &[String]) -> BTreeSet<&'static str> {
    let terms = texts.iter().filter_map(|text| term(text));
    terms.filter(|term| *term != EVERYTHING).collect()
}

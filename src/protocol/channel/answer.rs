//! What a client says to a response: it accepts, or refuses. A refusal holds until what was refused
//! changes, is asked for anew or is wanted no more; what was refused together is tried again together,
//! since only the client's words tell which of it was at fault, and it may have taken some or none.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::entry::{Content, Entry, Told};
use super::{Channel, Refusal};
use crate::domain::{Generation, Time};
use crate::protocol::nack;
use crate::protocol::subscription::Subscription;
use crate::snapshot::{Names, Resource, ResourceSet};

/// The answer to a response.
#[derive(Debug)]
pub(in crate::protocol) struct Answer {
    /// The generation that the response was built from.
    pub(in crate::protocol) generation: Generation,
    /// Whether it was accepted.
    pub(in crate::protocol) is_ack: bool,
    /// What the response told.
    pub(in crate::protocol) names: Vec<Arc<str>>,
    /// Names of which the last word may not be this.
    pub(in crate::protocol) unsettled: Names,
}

impl Channel {
    /// Takes what a request says of its nonce; to be followed by [`Channel::after`]. `None` if it answers
    /// nothing that is waiting.
    pub(in crate::protocol) fn on_answer(
        &mut self,
        nonce: &str,
        error: Option<&str>,
        now: Time,
    ) -> Option<Answer> {
        let response = self
            .outstanding
            .take_if(|response| response.nonce == nonce)?;
        let is_ack = error.is_none();
        self.refusal = error.map(|error| Refusal {
            message: nack::normalised(error),
            at: now,
        });
        self.holds_unknown &= !is_ack;
        let is_as_said = |entry: &Entry, resource: Option<&Arc<Resource>>| {
            let Told::Sent(sent) = &entry.told else {
                return false;
            };
            sent.is(resource)
        };
        // What was gone before it was refused may have been at fault; the rest is tried without it.
        let is_gone = |(name, resource): &(Arc<str>, Option<Arc<Resource>>)| {
            let entry = self.entries.get(name);
            !entry.is_some_and(|entry| is_as_said(entry, resource.as_ref()))
        };
        let is_over = !is_ack && response.said.iter().any(is_gone);
        let mut unsettled = Names::new();
        for (name, resource) in &response.said {
            let Some(entry) = self.entries.get_mut(name) else {
                // Dropped, and wanted again, while the response was under way: the client may have it.
                if resource.is_some() && self.subscription.covers(name) {
                    let entry = self.entries.entry(Arc::clone(name)).or_default();
                    entry.may_hold = true;
                    entry.accepted = resource.clone().filter(|_| is_ack);
                    unsettled.insert(Arc::clone(name));
                }
                continue;
            };
            if !is_as_said(entry, resource.as_ref()) {
                continue;
            }
            let content = Content::of(resource.as_ref());
            if is_ack {
                entry.told = Told::Acked(content);
                entry.may_hold = resource.is_some();
                entry.accepted.clone_from(resource);
                if resource.is_none() && !self.subscription.names().contains(name) {
                    self.entries.remove(name);
                }
            } else if is_over {
                entry.told = Told::Nothing;
                unsettled.insert(Arc::clone(name));
            } else {
                unsettled.insert(Arc::clone(name));
                entry.told = Told::Nacked(content, response.number);
                self.refused.insert(Arc::clone(name));
            }
        }
        for name in response.left_out.into_iter().filter(|_| is_ack) {
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.may_hold = false;
                unsettled.insert(name);
            }
        }
        self.accepted_nonce = is_ack.then_some(response.nonce);
        Some(Answer {
            generation: response.generation,
            is_ack,
            unsettled,
            names: response.said.into_iter().map(|(name, _)| name).collect(),
        })
    }

    /// Forgets refusals, so that the same content is tried once more.
    pub(in crate::protocol) fn retry(&mut self, target: &ResourceSet) {
        let refused = std::mem::take(&mut self.refused);
        for name in &refused {
            let entry = self.entries.get_mut(name);
            // It may have been asked for again meanwhile, and accepted.
            if let Some(entry) = entry.filter(|entry| entry.is_refused()) {
                entry.told = Told::Nothing;
            }
        }
        self.refresh_names(target, &refused);
    }

    /// Ends the refusals of such names, and of all that was refused together with one: it is tried again
    /// without it, or with it. All that is due is to be worked out then.
    pub(super) fn end_refusals_of(&mut self, is_one: impl Fn(&Subscription, &Arc<str>) -> bool) {
        let entries = &mut self.entries;
        let number = |told: &Told| match told {
            Told::Nacked(_, number) => Some(*number),
            _ => None,
        };
        let names = self.refused.iter();
        let names = names.filter(|name| is_one(&self.subscription, name));
        let numbers = names.filter_map(|name| number(&entries.get(name)?.told));
        let numbers: BTreeSet<_> = numbers.collect();
        for name in self.refused.iter().filter(|_| !numbers.is_empty()) {
            let entry = entries.get_mut(name);
            let is_over = |told: &Told| number(told).is_some_and(|it| numbers.contains(&it));
            if let Some(entry) = entry.filter(|entry| is_over(&entry.told)) {
                entry.told = Told::Nothing;
            }
        }
    }
}

//! House rules: what policies and a freeze of everything hold back, and until when.
//!
//! A rule is asked where something would begin: a rollout, a batch, a part of the fleet, a step. What has
//! begun is finished. No rule holds what goes back: a rollout that was turned round, or one that undoes
//! another; and none holds a rollout for which somebody has overridden them.

mod place;
mod question;
mod radius;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub(super) use place::against_place;
pub(super) use question::ask;
pub(super) use radius::{Move, against_more};

use super::state::RolloutState;
use super::turn::Turn;
use super::{Origin, Wait};
use crate::domain::{
    Freeze, PlaceName, Policy, RolloutName, Service, ServiceName, Share, Time, counted,
};

/// The rule of a policy that holds a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "rule")]
pub enum Rule {
    /// A rollout of a service that comes first has not ended.
    After {
        /// The service.
        service: ServiceName,
        /// Its rollout.
        rollout: RolloutName,
    },
    /// Too much would be off the stable versions.
    BlastRadius {
        /// So much may be.
        limit: Share,
        /// So much would be.
        would: Share,
    },
    /// Nothing may begin now.
    Freeze {
        /// Which freeze, as it is written.
        freeze: String,
        /// When it is over.
        until: Time,
    },
    /// Two places may not be rolled at once.
    NeverBoth {
        /// Where it would begin.
        place: PlaceName,
        /// What is rolled already.
        other: PlaceName,
        /// By which rollout; by itself, if it cannot do otherwise.
        rollout: RolloutName,
    },
    /// An address says that nothing may begin now.
    Question {
        /// What is asked.
        name: String,
        /// Where.
        url: String,
    },
    /// So many rollouts run as may at once.
    Slots {
        /// So many may.
        slots: u32,
        /// Which do.
        taken: Vec<RolloutName>,
    },
    /// An address does not say whether anything may begin now.
    Unanswered {
        /// What is asked.
        name: String,
        /// Where.
        url: String,
        /// Why there is no answer.
        why: String,
    },
}

/// The next command for somebody who cannot wait for a rule.
pub(super) const HINT: &str = "`tidegate rollout override` in an emergency, with a reason";

impl Rule {
    /// When it holds no longer, if that is known.
    pub fn until(&self) -> Option<Time> {
        match self {
            Self::Freeze { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// The same hold as before, even if its details have moved on?
    pub(super) fn continues(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::Freeze { freeze: a, .. }, Self::Freeze { freeze: b, .. })
            | (Self::Question { name: a, .. }, Self::Question { name: b, .. })
            | (Self::Unanswered { name: a, .. }, Self::Unanswered { name: b, .. }) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(before),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After { service, rollout } => {
                write!(f, "{service} comes first, and {rollout} has not ended")
            }
            Self::BlastRadius { limit, would } => write!(
                f,
                "{would} of the capacity would not be on stable, and {limit} may be before it is proven"
            ),
            Self::NeverBoth {
                place,
                other,
                rollout,
            } => write!(
                f,
                "never {place} and {other} at once, and {rollout} rolls {other}"
            ),
            Self::Question { name, url } => write!(f, "frozen: {name}, says {url}"),
            Self::Unanswered { name, url, why } => {
                write!(f, "frozen: whether {name} is not known: {url} {why}")
            }
            Self::Freeze { freeze, until } => {
                write!(f, "frozen ({freeze}) until {until:.0}")
            }
            Self::Slots { slots, taken } => {
                let taken: Vec<_> = taken.iter().map(ToString::to_string).collect();
                let slots = counted(*slots, "rollout");
                write!(f, "no more than {slots} at once: {}", taken.join(", "))
            }
        }
    }
}

/// Is it one that no rule holds?
fn is_exempt(rollout: &RolloutState) -> bool {
    rollout.turned.is_some() || rollout.origin == Origin::Undo || rollout.overridden.is_some()
}

/// The freezes that are on for a rollout.
pub(super) fn freezes(turn: &Turn<'_>, rollout: &RolloutState) -> Vec<Wait> {
    if is_exempt(rollout) {
        return Vec::new();
    }
    let everything = turn.state.frozen.as_ref().map(|(_, by)| Wait::Frozen {
        by: by.by.to_string(),
        reason: by.reason.clone(),
    });
    let documents = &turn.state.documents;
    let policies = documents.policies_of(&rollout.spec.service);
    let by_policy = policies.flat_map(|policy| {
        let freezes = policy.freezes.iter();
        freezes.filter_map(|freeze| Some(held_by(policy, in_force(turn, freeze)?)))
    });
    everything.into_iter().chain(by_policy).collect()
}

fn in_force(turn: &Turn<'_>, freeze: &Freeze) -> Option<Rule> {
    match freeze {
        Freeze::Calendar(window) => Some(Rule::Freeze {
            freeze: window.to_string(),
            until: window.until(turn.now)?,
        }),
        Freeze::Question(question) => question::held(turn.facts, question, turn.now),
    }
}

/// All that keeps a rollout from its beginning.
pub(super) fn against_start(turn: &Turn<'_>, rollout: &RolloutState) -> Vec<Wait> {
    if is_exempt(rollout) {
        return Vec::new();
    }
    let mut holds = freezes(turn, rollout);
    if rollout.spec.strategy.is_whole() {
        holds.extend(against_place(turn, rollout, None));
    }
    let service = &rollout.spec.service;
    let policies = turn.state.documents.policies_of(service);
    holds.extend(policies.clone().flat_map(|policy| {
        let firsts = policy.after.iter().filter(|first| *first != service);
        firsts.filter_map(|first| {
            let rollout = open(turn, first)?.spec.name.clone();
            let service = first.clone();
            Some(held_by(policy, Rule::After { service, rollout }))
        })
    }));
    holds.extend(policies.filter_map(|policy| {
        let slots = policy.slots?;
        // One of the same service would be taken over, with its slot.
        let others = running(turn, policy).filter(|r| r.spec.service != rollout.spec.service);
        let taken: Vec<_> = others.map(|other| other.spec.name.clone()).collect();
        let is_full = taken.len() >= slots as usize;
        is_full.then(|| held_by(policy, Rule::Slots { slots, taken }))
    }));
    holds
}

/// A rollout of a service that has not ended.
fn open<'a>(turn: &'a Turn<'_>, service: &ServiceName) -> Option<&'a RolloutState> {
    let mut rollouts = turn.state.rollouts.values();
    rollouts.find(|rollout| rollout.spec.service == *service && !rollout.over())
}

/// The rollouts that run under a policy.
fn running<'a>(turn: &'a Turn<'_>, policy: &'a Policy) -> impl Iterator<Item = &'a RolloutState> {
    let rollouts = turn.state.rollouts.values().filter(|r| r.runs());
    rollouts.filter(|rollout| {
        let service = turn.state.service(&rollout.spec.service);
        service.is_some_and(|service| policy.applies_to(service))
    })
}

fn held_by(policy: &Policy, rule: Rule) -> Wait {
    let policy = policy.name.clone();
    Wait::Rule { policy, rule }
}

/// All services, in the order in which a free slot is given away: who has waited longest comes first.
pub(super) fn in_turn(turn: &Turn<'_>) -> Vec<Service> {
    let documents = &turn.state.documents;
    let mut services: Vec<_> = documents.services.values().cloned().collect();
    if documents
        .policies
        .values()
        .any(|policy| policy.slots.is_some())
    {
        let rollouts = turn.state.rollouts.values();
        let mut waiting = BTreeMap::<&ServiceName, Time>::new();
        for rollout in rollouts.filter(|r| !r.over() && r.started.is_none()) {
            let first = waiting.entry(&rollout.spec.service);
            let first = first.or_insert(rollout.planned);
            *first = rollout.planned.min(*first);
        }
        services.sort_by_key(|service| waiting.get(&service.name).copied().unwrap_or(Time::MAX));
    }
    services
}

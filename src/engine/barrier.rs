//! The barrier, and the proof of drain: what the proxies must have shown before the next step.
//!
//! Both count every proxy that may send traffic to the service, connected or not. A proxy that is
//! away keeps its last configuration; the service's `lostProxies` policy decides how long its word
//! is waited for, and it is never taken as given.

use super::facts::{Facts, ProxyFacts};
use super::{Proof, State, Wait};
use crate::domain::{Generation, InstanceId, LostProxies, ProxyId, Service, Span, ThenDo, Time};

/// A proxy that may send traffic to a service.
struct Holder<'a> {
    id: &'a ProxyId,
    facts: Option<&'a ProxyFacts>,
}

impl Holder<'_> {
    fn connected(&self) -> bool {
        self.facts.is_some_and(|facts| facts.connected)
    }

    fn has_in_force(&self, generation: Generation) -> bool {
        self.facts
            .and_then(|facts| facts.in_force)
            .is_some_and(|g| g >= generation)
    }

    /// Has it been away for longer than the policy waits, under a policy that then goes on?
    fn is_ignored(&self, policy: LostProxies, now: Time) -> bool {
        let away = self
            .facts
            .is_none_or(|f| Span::between(f.since, now) >= policy.wait);
        !self.connected() && policy.then == ThenDo::Ignore && away
    }
}

fn holders<'a>(state: &'a State, facts: &'a Facts, service: &Service) -> Vec<Holder<'a>> {
    let holds = |identity: &_| {
        let gateways = state.documents.gateways.values();
        gateways
            .filter(|gateway| gateway.proxies.selects(identity))
            .any(|gateway| gateway.reachable().contains(&service.name))
    };
    let known = state.proxies.values().filter(|identity| holds(identity));
    known
        .map(|identity| Holder {
            id: &identity.id,
            facts: facts.proxies.get(&identity.id),
        })
        .collect()
}

/// Which proxies are asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// All that may send traffic, connected or not.
    All,
    /// Only those that are connected: enough where a lost proxy has shown before that it is done.
    Connected,
}

/// What keeps `generation` from being in force for `service`; nothing, if it is.
pub(super) fn barrier(
    state: &State,
    facts: &Facts,
    service: &Service,
    generation: Generation,
    asked: Asked,
    now: Time,
) -> Vec<Wait> {
    let policy = service.drain.lost_proxies;
    let holders = holders(state, facts, service);
    let of = holders.len();
    let behind = || {
        holders
            .iter()
            .filter(|holder| !holder.has_in_force(generation))
    };

    let mut waits = Vec::new();
    let mut silent = Vec::new();
    for holder in behind().filter(|holder| holder.connected()) {
        match holder.facts.and_then(|facts| facts.nack.clone()) {
            Some(nack) => waits.push(Wait::Nacked {
                proxy: holder.id.clone(),
                nack,
            }),
            None => silent.push(holder.id.clone()),
        }
    }
    if !silent.is_empty() {
        waits.push(Wait::Barrier {
            generation,
            proxies: silent,
            of,
        });
    }
    if asked == Asked::All {
        let lost = behind().filter(|h| !h.connected() && !h.is_ignored(policy, now));
        let lost: Vec<ProxyId> = lost.map(|holder| holder.id.clone()).collect();
        if !lost.is_empty() {
            waits.push(lost_proxies(lost, of, policy));
        }
    }
    waits
}

/// Whether an instance that drains is done.
pub(super) enum Drain {
    /// It is, and this shows it, or says what could not be shown.
    Over(Proof),
    /// It is not, for these reasons.
    Waits(Vec<Wait>),
}

/// Judges an instance that drains since `since`.
pub(super) fn drain(
    state: &State,
    facts: &Facts,
    service: &Service,
    instance: &InstanceId,
    since: Time,
    now: Time,
) -> Drain {
    let policy = service.drain.lost_proxies;
    let holders = holders(state, facts, service);
    let of = holders.len();
    let took = Span::between(since, now);
    let (mut witnesses, mut ignored, mut gaps, mut lost) = (0, Vec::new(), Vec::new(), Vec::new());
    for holder in &holders {
        let witness = facts.witness(&service.name, instance, holder.id);
        if witness.has_proof() {
            witnesses += 1;
        } else if holder.connected() {
            let last_report = holder.facts.and_then(|facts| facts.last_report);
            gaps.push(witness.gap(holder.id, last_report));
        } else if holder.is_ignored(policy, now) {
            ignored.push(format!("{} was not connected", holder.id));
        } else {
            lost.push(holder.id.clone());
        }
    }
    if lost.is_empty() && (gaps.is_empty() || took >= service.drain.at_most) {
        ignored.append(&mut gaps);
        return Drain::Over(Proof {
            took,
            witnesses,
            missing: ignored,
        });
    }
    let mut waits = Vec::new();
    if !gaps.is_empty() {
        waits.push(Wait::Drain {
            instance: instance.clone(),
            gaps,
        });
    }
    if !lost.is_empty() {
        waits.push(lost_proxies(lost, of, policy));
    }
    Drain::Waits(waits)
}

fn lost_proxies(proxies: Vec<ProxyId>, of: usize, policy: LostProxies) -> Wait {
    Wait::LostProxies {
        proxies,
        of,
        then: policy.then,
        wait: policy.wait,
    }
}

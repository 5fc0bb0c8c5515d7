//! The barrier, and the proof of drain: what the proxies must have shown before the next step.
//!
//! Both count every proxy that may send traffic to the service, connected or not. A proxy that is
//! away keeps its last configuration; the service's `lostProxies` policy decides how long its word
//! is waited for, and it is never taken as given.

use std::collections::BTreeMap;

use super::facts::{Facts, ProxyFacts, Witness};
use super::{Proof, Stage, StageKind, State, Wait};
use crate::domain::{
    Client, Generation, InstanceId, LostProxies, ProxyId, ProxyIdentity, Service, Span, ThenDo,
    Time,
};

/// After a start every proxy is away, and those that are well are back within this: an Envoy that cannot reach
/// its control plane tries again at most this much later, unless its bootstrap says otherwise.
const RECONNECTS_WITHIN: Span = Span::secs(30);

/// A proxy that may send traffic to a service.
struct Holder<'a> {
    id: &'a ProxyId,
    client: Client,
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

    /// How long it may be away before it counts as lost.
    fn patience(&self, policy: LostProxies) -> Span {
        let is_expected = self.facts.is_some_and(|facts| !facts.seen);
        let at_least = if is_expected {
            RECONNECTS_WITHIN
        } else {
            Span::ZERO
        };
        policy.wait.max(at_least)
    }

    /// Has it been away for longer than that?
    fn is_lost(&self, policy: LostProxies, now: Time) -> bool {
        let away = |facts: &ProxyFacts| Span::between(facts.since, now) >= self.patience(policy);
        !self.connected() && self.facts.is_none_or(away)
    }

    /// Is it lost, under a policy that then goes on?
    fn is_ignored(&self, policy: LostProxies, now: Time) -> bool {
        policy.then == ThenDo::Ignore && self.is_lost(policy, now)
    }
}

/// The proxies that may send traffic to a service and are connected.
pub(super) fn connected<'a>(
    state: &'a State,
    facts: &'a Facts,
    service: &Service,
) -> impl Iterator<Item = &'a ProxyId> {
    let holders = holders(state, facts, service).into_iter();
    let connected = holders.filter(Holder::connected);
    connected.map(|holder| holder.id)
}

fn holders<'a>(state: &'a State, facts: &'a Facts, service: &Service) -> Vec<Holder<'a>> {
    let gateways = state.documents.gateways.values();
    let gateways: Vec<_> = gateways
        .filter(|gateway| gateway.reachable().contains(&service.name))
        .collect();
    let holds = |identity: &ProxyIdentity| {
        let mut gateways = gateways.iter();
        gateways.any(|gateway| gateway.proxies.selects(identity))
            || still_holds(state, facts, service, &identity.id)
    };
    let known = state.proxies.values().filter(|identity| holds(identity));
    known
        .map(|identity| Holder {
            id: &identity.id,
            client: identity.client(),
            facts: facts.proxies.get(&identity.id),
        })
        .collect()
}

/// Could the proxy reach the service before, and has not acknowledged yet that it cannot any more?
fn still_holds(state: &State, facts: &Facts, service: &Service, proxy: &ProxyId) -> bool {
    let held = state
        .held
        .get(proxy)
        .and_then(|held| held.get(&service.name));
    held.is_some_and(|told_by| {
        let in_force = facts.proxies.get(proxy).and_then(|facts| facts.in_force);
        in_force.is_none_or(|generation| generation < *told_by)
    })
}

/// The newest generation that every known proxy has in force, whatever it can reach. Up to there
/// nothing needs to be asked of anybody, which is so for most services nearly always.
pub(super) fn everywhere(state: &State, facts: &Facts) -> Option<Generation> {
    let known = state.proxies.keys().map(|id| facts.proxies.get(id));
    let in_force = known.map(|facts| facts.and_then(|facts| facts.in_force));
    in_force.min().flatten()
}

/// Which proxies are asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// All that may send traffic, connected or not.
    All,
    /// Those that are connected, and those that may be back in a moment: enough for what only adds.
    Lately,
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
    if asked != Asked::Connected {
        let lost = behind()
            .filter(|h| !h.connected() && !h.is_ignored(policy, now))
            .filter(|h| asked == Asked::All || !h.is_lost(policy, now));
        waits.extend(lost_proxies(&lost.collect::<Vec<_>>(), of, policy));
    }
    waits
}

/// Which connected proxies have not shown that they send requests to an instance that was told to
/// them at `since`. A proxy holds a new instance back until its own health check has passed, and a
/// weight that came before would find nobody there. One that does not report is given the time in
/// which it makes that check. A gRPC client checks nothing, and lets a call wait while it connects:
/// of it no more is asked than that it knows the instance.
pub(super) fn not_using(
    state: &State,
    facts: &Facts,
    service: &Service,
    joining: &[(InstanceId, Time)],
    now: Time,
) -> BTreeMap<InstanceId, Wait> {
    let patience = service.health.interval.duration() + service.health.timeout.duration();
    let holders = holders(state, facts, service);
    let connected = holders.iter().filter(|holder| holder.connected());
    let checking: Vec<_> = connected.filter(|h| h.client != Client::Grpc).collect();
    let wait = |(instance, since): &(InstanceId, Time)| {
        let key = (service.name.clone(), instance.clone());
        let not_using = checking.iter().filter(|holder| {
            // One that has come back since has had no more time than that.
            let since = holder.facts.map_or(*since, |facts| facts.since.max(*since));
            let had_time = Span::between(since, now).duration() >= patience;
            let uses = holder.facts.and_then(|facts| facts.uses(&key, since));
            !uses.unwrap_or(had_time)
        });
        let proxies: Vec<ProxyId> = not_using.map(|holder| holder.id.clone()).collect();
        let wait = Wait::NotUsed {
            instance: instance.clone(),
            of: holders.len(),
            proxies: proxies.clone(),
        };
        (!proxies.is_empty()).then(|| (instance.clone(), wait))
    };
    joining.iter().filter_map(wait).collect()
}

/// Whether an instance that drains is done.
pub(super) enum Drain {
    /// It is, and this shows it, or says what could not be shown.
    Over(Proof),
    /// It is not, for these reasons.
    Waits(Vec<Wait>),
}

/// Judges every instance of `service` that drains. Who must show what is the same for all of them.
pub(super) fn drains(
    state: &State,
    facts: &Facts,
    service: &Service,
    now: Time,
) -> BTreeMap<InstanceId, Drain> {
    let Some(known) = state.services.get(&service.name) else {
        return BTreeMap::new();
    };
    let draining = known
        .instances
        .select(|stand| stand.stage == StageKind::Draining);
    let draining = draining
        .into_iter()
        .filter_map(|(id, known)| match &known.stage {
            Stage::Draining { since, .. } => Some((id, Span::between(*since, now))),
            _ => None,
        });
    let mut draining = draining.peekable();
    if draining.peek().is_none() {
        return BTreeMap::new();
    }
    let holders = holders(state, facts, service);
    draining
        .map(|(id, took)| (id.clone(), drain(&holders, facts, service, id, took, now)))
        .collect()
}

fn drain(
    holders: &[Holder<'_>],
    facts: &Facts,
    service: &Service,
    instance: &InstanceId,
    took: Span,
    now: Time,
) -> Drain {
    let policy = service.drain.lost_proxies;
    let shown = facts.witnesses_of(&service.name, instance);
    let nothing = Witness::default();
    let (mut witnesses, mut ignored, mut lacking, mut lost) =
        (0, Vec::new(), Vec::new(), Vec::new());
    for holder in holders {
        let witness = shown.and_then(|all| all.get(holder.id));
        let witness = witness.unwrap_or(&nothing);
        if witness.has_proof() {
            witnesses += 1;
        } else if holder.connected() {
            lacking.push((holder, witness));
        } else if holder.is_ignored(policy, now) {
            ignored.push(format!("{} was not connected", holder.id));
        } else {
            lost.push(holder);
        }
    }
    let gap = |(holder, witness): &(&Holder<'_>, &Witness)| {
        witness.gap(holder.id, holder.facts.and_then(|facts| facts.last_report))
    };
    if lost.is_empty() && (lacking.is_empty() || took >= service.drain.at_most) {
        let mut missing = ignored;
        missing.extend(lacking.iter().map(gap));
        return Drain::Over(Proof {
            took,
            witnesses,
            missing,
        });
    }
    let mut waits = Vec::new();
    if !lacking.is_empty() {
        let mut gaps: Vec<String> = lacking.iter().take(GAPS_SHOWN_MAX).map(gap).collect();
        let more = lacking.len() - gaps.len();
        if more > 0 {
            gaps.push(format!("and {more} proxies more"));
        }
        waits.push(Wait::Drain {
            instance: instance.clone(),
            gaps,
        });
    }
    waits.extend(lost_proxies(&lost, holders.len(), policy));
    Drain::Waits(waits)
}

/// Gaps that are told while an instance still drains; the proof names every one.
const GAPS_SHOWN_MAX: usize = 10;

fn lost_proxies(lost: &[&Holder<'_>], of: usize, policy: LostProxies) -> Option<Wait> {
    let wait = lost.iter().map(|holder| holder.patience(policy)).max()?;
    Some(Wait::LostProxies {
        proxies: lost.iter().map(|holder| holder.id.clone()).collect(),
        of,
        then: policy.then,
        wait,
    })
}

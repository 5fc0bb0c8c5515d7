//! State → plan: what should hold now, computed afresh each time.
//!
//! Capacity-true weights: a version's weight is its share of the capacity that is ready *and
//! counted on*. An instance that joins is not counted before every proxy knows it, one that leaves
//! is no longer counted before it is drained, so a version never gets more than it can carry while
//! a change is on its way.

use super::capacity::carried;
use super::{RolloutState, ServiceState, Split, StageKind, Stand, State, Turned, VersionState};
use crate::domain::{
    Address, Endpoint, EndpointState, Generation, NamedEndpoint, Plan, Rps, Service, ServicePlan,
    Sessions, VersionName, VersionPlan, Weight, split_weights,
};

/// The plan that follows from `state`, under the number `generation`.
pub fn plan(state: &State, generation: Generation) -> Plan {
    let nothing = ServiceState::default();
    let services = state.documents.services.values().map(|service| {
        let known = state.services.get(&service.name);
        let known = known.unwrap_or(&nothing);
        let mut weights = weights(service, known);
        relieve(&mut weights, state, service, known);
        plan_service(service, known, sessions(state, service), &weights)
    });
    Plan {
        generation,
        gateways: state.documents.gateways.values().cloned().collect(),
        services: services.collect(),
    }
}

/// The split that follows from what instances carry.
pub(super) fn split_by_capacity(service: &Service, state: &ServiceState) -> Split {
    let weights = weights(service, state);
    let versions = state.versions.iter().zip(weights);
    let weights = versions.map(|(v, weight)| (v.name.clone(), weight.unwrap_or_default()));
    Split {
        weights: weights.collect(),
        mirror: None,
    }
}

fn plan_service(
    service: &Service,
    state: &ServiceState,
    sessions: Option<Sessions>,
    weights: &[Option<Weight>],
) -> ServicePlan {
    let versions = state
        .versions
        .iter()
        .zip(weights)
        .map(|(version, weight)| VersionPlan {
            name: version.name.clone(),
            routed: weight.is_some(),
            weight: weight.unwrap_or(Weight::NONE),
            mirrored: mirrored(state, &version.name),
            endpoints: endpoints(service, state, &version.name),
            host: host(state, &version.name),
        });
    ServicePlan {
        name: service.name.clone(),
        protocol: service.protocol,
        health: service.health.clone(),
        warm_up: service.warm_up,
        tls: service.tls.clone(),
        sessions,
        delivery: service.delivery,
        overlay: service.overlay.clone(),
        versions: versions.collect(),
    }
}

/// How a service's sessions are kept: as it says, or by what runs.
fn sessions(state: &State, service: &Service) -> Option<Sessions> {
    let running = state.running(&service.name);
    let by_rollout = running.filter(|rollout| rollout.spec.keeps_sessions);
    let own = service.sessions.clone();
    own.or_else(|| by_rollout.map(|_| Sessions::default()))
}

/// The share of the requests of which a version gets copies, if it has anybody to take them.
fn mirrored(state: &ServiceState, version: &VersionName) -> Weight {
    let mirror = state.split.as_ref().and_then(|split| split.mirror.as_ref());
    let takes = |stand: &Stand| {
        stand.version == *version && stand.stage.endpoint() == Some(EndpointState::Healthy)
    };
    match mirror {
        Some((to, share)) if to == version && state.instances.any(takes) => *share,
        _ => Weight::NONE,
    }
}

fn endpoints(service: &Service, state: &ServiceState, version: &VersionName) -> Vec<Endpoint> {
    let is_told = |stand: &Stand| {
        stand.version == *version && !stand.named && stand.stage.endpoint().is_some()
    };
    let told = state.instances.select(is_told).into_iter();
    let told = told.filter_map(|(id, known)| {
        let told = known.stage.endpoint()?;
        let Address::Socket(address) = known.instance.address else {
            return None;
        };
        Some(Endpoint {
            id: id.clone(),
            address,
            locality: known.instance.locality.clone(),
            capacity: capacity(service, known.instance.capacity),
            state: told,
        })
    });
    told.collect()
}

/// The host of a version that is known by the name of one. Sources give no version two of them, but one
/// may come in the place of another; then the cluster goes to where requests are to go next.
fn host(state: &ServiceState, version: &VersionName) -> Option<NamedEndpoint> {
    let is_named = |stand: &Stand| stand.named && stand.version == *version;
    let named = state.instances.select(is_named);
    let named = named.into_iter().filter_map(|(id, known)| {
        let Address::Host(host) = &known.instance.address else {
            return None;
        };
        Some((id, known, host))
    });
    let by_stage = |kind: StageKind| match kind {
        StageKind::Joining => 0,
        StageKind::Serving => 1,
        StageKind::Ready | StageKind::Registered => 2,
        _ => 3,
    };
    let next = named.min_by_key(|(_, known, _)| by_stage(known.stage.kind()));
    next.map(|(id, known, host)| NamedEndpoint {
        id: id.clone(),
        host: host.clone(),
        locality: known.instance.locality.clone(),
        state: known.stage.endpoint(),
    })
}

/// What one instance carries: its own word, else its service's, else all count the same.
fn capacity(service: &Service, own: Option<Rps>) -> u32 {
    own.or(service.capacity).unwrap_or(Rps::ONE).get()
}

/// The weight of each version, `None` for one that routes leave out.
///
/// Where a split is decided it holds, as far as its versions have anybody who takes requests; [`relieve`]
/// has the last word on it. Otherwise
/// capacity decides. Counted first are instances that serve. Should there be none, those that still take
/// requests although they join or leave: thin is better than nothing. Should there be none of these either,
/// no version is routed and the routes answer 503 themselves.
fn weights(service: &Service, state: &ServiceState) -> Vec<Option<Weight>> {
    let counted = |counts: &dyn Fn(StageKind) -> bool| -> Vec<u64> {
        let of_version = |version: &VersionState| {
            let counts = |stand: &Stand| stand.version == version.name && counts(stand.stage);
            match version.unrouted {
                Some(_) => 0,
                None => state.instances.capacity(service.capacity, counts),
            }
        };
        state.versions.iter().map(of_version).collect()
    };
    let serving = |kind| kind == StageKind::Serving;
    // One that joins is not known to take anything yet, even if it is all that its version has.
    let taking = |kind| matches!(kind, StageKind::Serving | StageKind::Leaving);
    let told_healthy = |kind: StageKind| kind.endpoint() == Some(EndpointState::Healthy);
    let decided = state.split.as_ref().and_then(|split| {
        let taking = counted(&taking);
        let versions = state.versions.iter().zip(taking);
        let shares = versions.map(|(version, taking)| match taking {
            0 => 0,
            _ => u64::from(split.of(&version.name).get()),
        });
        split_weights(&shares.collect::<Vec<_>>())
    });
    let split = decided
        .or_else(|| split_weights(&counted(&serving)))
        .or_else(|| split_weights(&counted(&told_healthy)));
    let Some(split) = split else {
        return vec![None; state.versions.len()];
    };
    let routed = state
        .versions
        .iter()
        .map(|version| version.unrouted.is_none());
    split
        .into_iter()
        .zip(routed)
        .map(|(weight, routed)| routed.then_some(weight))
        .collect()
}

/// Where a split is decided and a version has lost instances since, what the rest cannot carry goes to others
/// that have room, at once and whatever the rollout waits for. The new version never gets more than was decided:
/// it is not proven yet, or goes back.
fn relieve(weights: &mut [Option<Weight>], state: &State, service: &Service, known: &ServiceState) {
    // The split outlives its rollout while old instances are kept.
    let kept = known.kept.as_ref();
    let kept = kept.and_then(|kept| state.rollouts.get(&kept.rollout));
    let rollout = state.running(&service.name).or(kept);
    let is_at_once = |rollout: &&RolloutState| rollout.turned == Some(Turned::AtOnce);
    let rollout = rollout.filter(|rollout| known.split.is_some() && !is_at_once(rollout));
    let Some(rollout) = rollout else { return };
    let shares = known.versions.iter().zip(weights);
    let mut shares: Vec<Share<'_>> = shares
        .filter_map(|(version, weight)| {
            Some(Share {
                weight: weight.as_mut()?,
                carries: carried(state, rollout, &version.name),
                may_grow: version.name != rollout.spec.to,
            })
        })
        .collect();
    let over: u32 = shares.iter().map(Share::over).sum();
    let room: u32 = shares.iter().map(Share::room).sum();
    let (mut to_take, mut to_give) = (over.min(room), over.min(room));
    for share in &mut shares {
        let taken = share.over().min(to_take);
        let given = share.room().min(to_give);
        (to_take, to_give) = (to_take - taken, to_give - given);
        let parts = u32::from(share.weight.get()) + given - taken;
        *share.weight = Weight::parts(parts.into());
    }
}

/// A version's share beside what it can carry.
struct Share<'a> {
    weight: &'a mut Weight,
    carries: Weight,
    may_grow: bool,
}

impl Share<'_> {
    fn over(&self) -> u32 {
        self.weight.get().saturating_sub(self.carries.get()).into()
    }

    fn room(&self) -> u32 {
        let room = self.carries.get().saturating_sub(self.weight.get());
        if self.may_grow { room.into() } else { 0 }
    }
}

//! State → plan: what should hold now, computed afresh each time.
//!
//! Capacity-true weights: a version's weight is its share of the capacity that is ready *and
//! counted on*. An instance that joins is not counted before every proxy knows it, one that leaves
//! is no longer counted before it is drained, so a version never gets more than it can carry while
//! a change is on its way.

use super::{ServiceState, Stage, State};
use crate::domain::{
    Endpoint, EndpointState, Generation, Plan, Rps, Service, ServicePlan, VersionName, VersionPlan,
    Weight, split_weights,
};

/// The plan that follows from `state`, under the number `generation`.
pub fn plan(state: &State, generation: Generation) -> Plan {
    let services = state.documents.services.values().map(|service| {
        let known = state.services.get(&service.name);
        plan_service(service, known.unwrap_or(&ServiceState::default()))
    });
    Plan {
        generation,
        gateways: state.documents.gateways.values().cloned().collect(),
        services: services.collect(),
    }
}

fn plan_service(service: &Service, state: &ServiceState) -> ServicePlan {
    let weights = weights(service, state);
    let versions = state
        .versions
        .iter()
        .zip(&weights)
        .map(|(version, weight)| VersionPlan {
            name: version.name.clone(),
            routed: weight.is_some(),
            weight: weight.unwrap_or(Weight::NONE),
            endpoints: endpoints(service, state, &version.name),
        });
    ServicePlan {
        name: service.name.clone(),
        protocol: service.protocol,
        health: service.health.clone(),
        warm_up: service.warm_up,
        delivery: service.delivery,
        overlay: service.overlay.clone(),
        versions: versions.collect(),
    }
}

fn endpoints(service: &Service, state: &ServiceState, version: &VersionName) -> Vec<Endpoint> {
    let told = state.of_version(version).filter_map(|(id, known)| {
        let told = known.stage.endpoint()?;
        Some(Endpoint {
            id: id.clone(),
            address: known.instance.address,
            locality: known.instance.locality.clone(),
            capacity: capacity(service, known.instance.capacity),
            state: told,
        })
    });
    told.collect()
}

/// What one instance carries: its own word, else its service's, else all count the same.
fn capacity(service: &Service, own: Option<Rps>) -> u32 {
    own.or(service.capacity).unwrap_or(Rps::ONE).get()
}

/// The weight of each version, `None` for one that routes leave out.
///
/// Counted first are instances that serve. Should there be none, those that still take requests
/// although they join or leave: thin is better than nothing. Should there be none of these either,
/// no version is routed and the routes answer 503 themselves.
fn weights(service: &Service, state: &ServiceState) -> Vec<Option<Weight>> {
    let serving = |stage: &Stage| matches!(stage, Stage::Serving);
    let told_healthy = |stage: &Stage| stage.endpoint() == Some(EndpointState::Healthy);
    let counted = |counts: &dyn Fn(&Stage) -> bool| -> Vec<u64> {
        let of_version = |version: &VersionName| -> u64 {
            let counted = state
                .of_version(version)
                .filter(|(_, known)| counts(&known.stage));
            counted
                .map(|(_, known)| u64::from(capacity(service, known.instance.capacity)))
                .sum()
        };
        let versions = state.versions.iter();
        versions
            .map(|v| {
                if v.unrouted.is_some() {
                    0
                } else {
                    of_version(&v.name)
                }
            })
            .collect()
    };
    let split =
        split_weights(&counted(&serving)).or_else(|| split_weights(&counted(&told_healthy)));
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

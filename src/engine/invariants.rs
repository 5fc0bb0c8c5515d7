//! What must hold of every record and every plan, whatever led to it. Checked before anything is persisted.
//!
//! The numbers are those of the design. That an illegal stage (joining without being ready) or a
//! shrinking generation cannot be recorded at all is seen to by [`super::State::apply`]; that a
//! release says what it rests on, by [`super::Proof`], which is full or names what is missing.

use super::budget::Budget;
use super::{Cause, Lane, Record, ServiceState, Split, Stage, StageKind, Stand, State};
use crate::domain::{Instance, Plan, RolloutName, Weight};

/// A broken promise: a bug of the engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invariant {number} is broken: {what}")]
pub struct Violation {
    /// Which.
    pub number: u8,
    /// How.
    pub what: String,
}

/// Checks the plan itself: it may be published.
pub fn check_plan(plan: &Plan) -> Result<(), Violation> {
    for service in &plan.services {
        let total: u32 = service
            .routed()
            .map(|version| u32::from(version.weight.get()))
            .sum();
        if service.routed().next().is_some() && total != u32::from(Weight::ALL.get()) {
            return violated(4, format!("the weights of {} sum to {total}", service.name));
        }
        for version in service
            .versions
            .iter()
            .filter(|version| version.weight > Weight::NONE)
        {
            if !version.takes_requests() {
                let (service, version) = (&service.name, &version.name);
                return violated(4, format!("{service}/{version} has weight and no endpoint"));
            }
        }
    }
    Ok(())
}

/// Checks what a record would do to the state.
pub fn check_record(state: &State, record: &Record) -> Result<(), Violation> {
    match record {
        Record::InstanceMoved {
            service,
            instance,
            to:
                Stage::Leaving {
                    cause: Cause::Rollout(rollout),
                    ..
                },
            ..
        } => {
            let Some(known) = state.services.get(service) else {
                return Ok(());
            };
            match known.instances.get(instance) {
                Some(moved) if moved.stage == Stage::Serving => {
                    may_leave(state, known, rollout, &moved.instance)
                }
                _ => Ok(()),
            }
        }
        Record::VersionTornDown { service, version } => {
            let known = state.services.get(service);
            let unrouted = known.and_then(|known| {
                let mut versions = known.versions.iter();
                versions.find(|known| known.name == *version)?.unrouted
            });
            if unrouted.is_none_or(|generation| generation > state.generation) {
                return violated(6, format!("{service}/{version} is torn down while routed"));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Invariant 1: what a rollout takes out stays within its budget, or has no traffic to lose.
fn may_leave(
    state: &State,
    known: &ServiceState,
    rollout: &RolloutName,
    instance: &Instance,
) -> Result<(), Violation> {
    let version = &instance.version;
    let has_share = |split: &Split| split.of(version) > Weight::NONE;
    if known.split.as_ref().is_some_and(|split| !has_share(split)) {
        return Ok(());
    }
    let Some(rollout) = state.rollouts.get(rollout) else {
        return Ok(());
    };
    let Some(rolling) = rollout.spec.strategy.rolling() else {
        let id = &instance.id;
        return violated(1, format!("{id} of {version} goes and has a share"));
    };
    let is_here = |lane: &&Lane| {
        let place = lane.place.as_ref();
        place.is_none_or(|place| place.holds(&instance.locality))
    };
    let Some(lane) = rollout.lanes.iter().find(is_here) else {
        return Ok(());
    };
    let serves = |stand: &Stand| {
        let place = lane.place.as_ref();
        let is_here = place.is_none_or(|place| place.holds(&stand.locality));
        is_here && stand.stage == StageKind::Serving
    };
    let left = known.instances.count(serves).saturating_sub(1);
    let floor = Budget::of(rolling, lane.desired).floor;
    if left < floor {
        let service = &rollout.spec.service;
        let what = format!("{left} instances of {service} serve, {floor} must");
        return violated(1, what);
    }
    Ok(())
}

fn violated(number: u8, what: String) -> Result<(), Violation> {
    Err(Violation { number, what })
}

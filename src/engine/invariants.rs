//! What must hold of every turn, whatever led to it. Checked before anything of it is persisted.
//!
//! The numbers are those of the design. That an illegal stage or a shrinking generation cannot be
//! recorded at all is seen to by [`super::State::apply`].

use super::{Cause, Effect, Record, Stage, State};
use crate::domain::{EndpointState, Plan, Weight};

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
            let healthy = |e: &&crate::domain::Endpoint| e.state == EndpointState::Healthy;
            if version.endpoints.iter().filter(healthy).count() == 0 {
                let (service, version) = (&service.name, &version.name);
                return violated(4, format!("{service}/{version} has weight and no endpoint"));
            }
        }
    }
    Ok(())
}

/// Checks what a turn did to the state.
pub fn check_turn(before: &State, after: &State, effects: &[Effect]) -> Result<(), Violation> {
    for effect in effects {
        let Effect::Record(entry) = effect else {
            continue;
        };
        match &entry.record {
            Record::InstanceMoved {
                service,
                instance,
                to,
                ..
            } => {
                let known = before
                    .services
                    .get(service)
                    .and_then(|s| s.instances.get(instance));
                let was = known.map(|known| &known.stage);
                match to {
                    Stage::Leaving {
                        cause: Cause::Rollout(rollout),
                        ..
                    } => {
                        budget(after, service, rollout)?;
                    }
                    Stage::Joining { .. }
                        if !matches!(was, Some(Stage::Ready | Stage::Registered)) =>
                    {
                        return violated(2, format!("{instance} joins without being ready"));
                    }
                    Stage::Released { proof, .. }
                        if !proof.is_full() && proof.witnesses == 0 && proof.missing.is_empty() =>
                    {
                        return violated(3, format!("{instance} is released without a word"));
                    }
                    _ => {}
                }
            }
            Record::VersionTornDown { service, version } => {
                let unrouted = before.services.get(service).and_then(|state| {
                    state
                        .versions
                        .iter()
                        .find(|known| known.name == *version)?
                        .unrouted
                });
                if unrouted.is_none_or(|generation| generation > before.generation) {
                    return violated(6, format!("{service}/{version} is torn down while routed"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Invariant 1: what a rollout takes out and puts in stays within its budgets.
fn budget(
    after: &State,
    service: &crate::domain::ServiceName,
    rollout: &crate::domain::RolloutName,
) -> Result<(), Violation> {
    let (Some(state), Some(rollout)) = (after.services.get(service), after.rollouts.get(rollout))
    else {
        return Ok(());
    };
    let Some(started) = &rollout.started else {
        return Ok(());
    };
    let rolling = rollout.spec.rolling;
    let surge = rolling.max_surge.up_to(started.desired);
    let unavailable = rolling
        .max_unavailable
        .within(started.desired)
        .max(u32::from(surge == 0));
    let serving = state.count(|known| known.stage == Stage::Serving);
    let floor = started.desired.saturating_sub(unavailable);
    if serving < floor {
        return violated(
            1,
            format!("{serving} instances of {service} serve, {floor} must"),
        );
    }
    Ok(())
}

fn violated(number: u8, what: String) -> Result<(), Violation> {
    Err(Violation { number, what })
}

//! What must hold of every turn, whatever led to it. Checked before anything of it is persisted.
//!
//! The numbers are those of the design. That an illegal stage (joining without being ready) or a
//! shrinking generation cannot be recorded at all is seen to by [`super::State::apply`].

use std::collections::BTreeMap;

use super::{Cause, Effect, Record, Stage, State};
use crate::domain::{EndpointState, InstanceId, Plan, RolloutName, ServiceName, Weight};

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

/// Checks what a turn did to the state, record by record.
pub fn check_turn(before: &State, after: &State, effects: &[Effect]) -> Result<(), Violation> {
    let mut moved = Moved {
        before,
        now: BTreeMap::new(),
    };
    for effect in effects {
        let Effect::Record(entry) = effect else {
            continue;
        };
        match &entry.record {
            Record::InstanceLost {
                service, instance, ..
            }
            | Record::InstanceGone { service, instance } => {
                moved.now.insert((service, instance), None);
            }
            Record::InstanceMoved {
                service,
                instance,
                to,
                ..
            } => {
                let was_serving = moved.is_serving(service, instance);
                moved.now.insert((service, instance), Some(to));
                match to {
                    Stage::Leaving {
                        cause: Cause::Rollout(rollout),
                        ..
                    } if was_serving => budget(after, service, rollout, moved.serving(service))?,
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

/// The instances as they stood at one record of a turn.
struct Moved<'a> {
    before: &'a State,
    /// Those that have changed since the turn began; `None` for one that is no longer known.
    now: BTreeMap<(&'a ServiceName, &'a InstanceId), Option<&'a Stage>>,
}

impl<'a> Moved<'a> {
    fn is_serving(&self, service: &'a ServiceName, instance: &'a InstanceId) -> bool {
        match self.now.get(&(service, instance)) {
            Some(stage) => *stage == Some(&Stage::Serving),
            None => self.before.services.get(service).is_some_and(|state| {
                let known = state.instances.get(instance);
                known.is_some_and(|known| known.stage == Stage::Serving)
            }),
        }
    }

    fn serving(&self, service: &'a ServiceName) -> u32 {
        let known = self.before.services.get(service);
        let known = known.into_iter().flat_map(|state| &state.instances);
        let unmoved = known
            .filter(|(id, _)| !self.now.contains_key(&(service, id)))
            .filter(|(_, known)| known.stage == Stage::Serving);
        let moved = self
            .now
            .iter()
            .filter(|((of, _), stage)| *of == service && **stage == Some(&Stage::Serving));
        u32::try_from(unmoved.count() + moved.count()).unwrap_or(u32::MAX)
    }
}

/// Invariant 1: what a rollout takes out stays within its budget.
fn budget(
    after: &State,
    service: &ServiceName,
    rollout: &RolloutName,
    serving: u32,
) -> Result<(), Violation> {
    let Some(rollout) = after.rollouts.get(rollout) else {
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

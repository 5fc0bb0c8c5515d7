//! What happens to instances whatever the rollouts do: they appear, become ready, fail, vanish,
//! finish draining.
//!
//! Two rules keep a mistaken source or a cut-off prober from emptying a fleet: of a service's
//! instances at most half are suspended for failing health, and the last one that takes traffic
//! stays in place even if its source no longer knows it. Envoy's own health checks decide then.
//! Both look at the whole service: a new version's only instance is no fleet, and were it kept
//! although it is dead, its share of the traffic would be lost.

use std::collections::BTreeMap;

use super::barrier::{Asked, Drain, barrier, drains, not_using};
use super::turn::{Subject, Turn};
use super::{Cause, HookAction, HookStatus, Record, ServiceState, Stage, Wait};
use crate::domain::{
    EndpointState, Generation, Instance, InstanceId, Service, ServiceName, Time, VersionName,
};

/// Takes in what a source knows: new instances, changed ones, and ones that are another process
/// under an old name.
pub(super) fn discover(turn: &mut Turn<'_>, service: &ServiceName, instances: Vec<Instance>) {
    let ids = instances
        .iter()
        .map(|instance| instance.id.clone())
        .collect();
    turn.facts.discovered.insert(service.clone(), ids);
    for instance in instances {
        let known = turn
            .state
            .services
            .get(service)
            .and_then(|s| s.instances.get(&instance.id));
        let (known, stage) = match known {
            Some(known) if known.instance == instance => continue,
            Some(known) => (Some(known.instance.clone()), Some(known.stage.clone())),
            None => (None, None),
        };
        let is_another = known.is_some_and(|known| {
            (known.address, &known.version) != (instance.address, &instance.version)
        });
        if is_another {
            forget(turn, service, &instance.id, stage.as_ref());
        } else if stage.is_some_and(|stage| stage.endpoint().is_some()) {
            turn.touch(service);
        }
        turn.record(Record::InstanceSeen {
            service: service.clone(),
            instance,
        });
    }
}

/// Drops an instance: lost, if proxies might still use it, else merely gone.
fn forget(turn: &mut Turn<'_>, service: &ServiceName, id: &InstanceId, stage: Option<&Stage>) {
    turn.facts.health.remove(&(service.clone(), id.clone()));
    turn.facts.witnesses.remove(&(service.clone(), id.clone()));
    nothing_to_stop(turn, service, id);
    let (service, instance) = (service.clone(), id.clone());
    match stage.filter(|stage| stage.endpoint().is_some()) {
        Some(stage) => {
            turn.touch(&service);
            let stage = stage.to_string();
            turn.record(Record::InstanceLost {
                service,
                instance,
                stage,
            });
        }
        None => turn.record(Record::InstanceGone { service, instance }),
    }
}

/// What is gone need not be stopped any more; made again, the call could hit another instance that
/// has come under the same id.
fn nothing_to_stop(turn: &mut Turn<'_>, service: &ServiceName, id: &InstanceId) {
    let rollouts = turn
        .state
        .rollouts
        .values()
        .filter(|rollout| !rollout.over());
    let open = rollouts.flat_map(|rollout| {
        let stops = rollout.hooks.iter().filter(|hook| {
            let call = &hook.call;
            (call.action, &call.service, &call.instance) == (HookAction::Stop, service, id)
                && hook.status != HookStatus::Done
        });
        stops.map(|hook| (rollout.spec.name.clone(), hook.call.key.clone()))
    });
    for (rollout, key) in open.collect::<Vec<_>>() {
        let output = "the instance is gone".to_owned();
        turn.record(Record::HookDone {
            rollout,
            key,
            output,
        });
    }
}

/// Drops instances that their source no longer knows.
pub(super) fn drop_vanished(turn: &mut Turn<'_>, service: &ServiceName) {
    for (id, _, stage) in snapshot(turn, service) {
        if !turn.facts.vanished(service, &id) {
            continue;
        }
        // What is already proven goes its way to the end.
        if matches!(stage, Stage::Drained { .. } | Stage::Removed { .. }) {
            continue;
        }
        let takes_traffic = stage.endpoint() == Some(EndpointState::Healthy);
        // What only joins is not what the service lives on while another serves, known or kept.
        let joins = matches!(stage, Stage::Joining { .. });
        if takes_traffic && !others_serve(turn, service, joins) {
            continue;
        }
        forget(turn, service, &id, Some(&stage));
    }
}

/// Is there an instance that serves, and that its source knows, or that is kept all the same?
fn others_serve(turn: &Turn<'_>, service: &ServiceName, or_kept: bool) -> bool {
    let Some(state) = turn.state.services.get(service) else {
        return false;
    };
    state
        .instances
        .iter()
        .filter(|(_, known)| known.stage == Stage::Serving)
        .any(|(id, _)| or_kept || !turn.facts.vanished(service, id))
}

/// Moves instances by their health.
pub(super) fn follow_health(turn: &mut Turn<'_>, service: &Service) {
    let name = &service.name;
    for (id, _, stage) in snapshot(turn, name) {
        let Some(health) = turn.facts.health(name, &id).cloned() else {
            continue;
        };
        let ready = turn
            .facts
            .healthy_for(name, &id, service.min_ready, turn.now);
        match stage {
            Stage::Registered if ready && !turn.facts.vanished(name, &id) => {
                turn.move_to(
                    name,
                    &id,
                    Stage::Ready,
                    format!("healthy for {}", service.min_ready),
                );
            }
            Stage::Ready if !health.healthy => {
                turn.move_to(name, &id, Stage::Registered, health.detail);
            }
            // Proxies know it and may have sent it requests, so it does not just go.
            Stage::Joining { .. } if !health.healthy => {
                turn.move_to(name, &id, Stage::Suspended, health.detail);
            }
            Stage::Serving if !health.healthy && may_suspend(turn, name) => {
                turn.move_to(name, &id, Stage::Suspended, health.detail);
            }
            Stage::Suspended if health.healthy => {
                let generation = turn.next_generation();
                turn.move_to(name, &id, Stage::Joining { generation }, "healthy again");
            }
            _ => {}
        }
    }
}

/// Would at least half of the service's instances still serve?
fn may_suspend(turn: &Turn<'_>, service: &ServiceName) -> bool {
    let Some(state) = turn.state.services.get(service) else {
        return false;
    };
    let serving = state.count(|known| known.stage == Stage::Serving);
    let suspended = state.count(|known| known.stage == Stage::Suspended);
    serving.saturating_sub(1) > suspended
}

/// Counts instances in that every proxy has heard of and sends requests to.
pub(super) fn finish_joining(turn: &mut Turn<'_>, service: &Service) {
    let name = &service.name;
    let mut in_force = BTreeMap::new();
    let known = turn.state.services.get(name);
    let known = known.into_iter().flat_map(|state| &state.instances);
    let heard_of: Vec<(InstanceId, Time)> = known
        .filter_map(|(id, known)| {
            let Stage::Joining { generation } = known.stage else {
                return None;
            };
            let heard = in_force.entry(generation).or_insert_with(|| {
                generation <= turn.state.generation
                    && waits(turn, service, generation, Asked::Lately).is_empty()
            });
            heard.then(|| (id.clone(), known.since))
        })
        .collect();
    if heard_of.is_empty() {
        return;
    }
    let mut unused = not_using(turn.state, turn.facts, service, &heard_of, turn.now);
    let rollout = turn.state.rollout_of(name).filter(|r| r.runs());
    let subject = rollout.map_or(Subject::Service(name.clone()), |rollout| {
        Subject::Rollout(rollout.spec.name.clone())
    });
    for (id, _) in heard_of {
        match unused.remove(&id).or_else(|| not_healthy(turn, name, &id)) {
            Some(wait) => turn.wait(subject.clone(), wait),
            None => turn.move_to(name, &id, Stage::Serving, "every proxy uses it"),
        }
    }
}

/// What an instance that joins still waits for on our side: after a restart, its first probe.
fn not_healthy(turn: &Turn<'_>, service: &ServiceName, id: &InstanceId) -> Option<Wait> {
    let said = match turn.facts.health(service, id) {
        Some(health) if health.healthy => return None,
        Some(health) => &health.detail,
        None => "not probed yet",
    };
    let known = turn.state.services.get(service)?.instances.get(id)?;
    Some(Wait::NotReady {
        version: known.instance.version.clone(),
        instances: vec![format!("{id}: {said}")],
    })
}

/// Takes instances that go one stage further: weights moved away → draining → proven → removed →
/// released.
pub(super) fn advance_drains(turn: &mut Turn<'_>, service: &Service) {
    let name = &service.name;
    let mut verdicts = drains(turn.state, turn.facts, service, turn.now);
    let (mut moved_away, mut delisted) = (BTreeMap::new(), BTreeMap::new());
    for (id, _, stage) in snapshot(turn, name) {
        match stage {
            Stage::Leaving { generation, cause } => {
                let waits = moved_away
                    .entry(generation)
                    .or_insert_with(|| waits(turn, service, generation, Asked::All));
                if waits.is_empty() {
                    let (generation, since) = (turn.next_generation(), turn.now);
                    let draining = Stage::Draining {
                        generation,
                        cause,
                        since,
                    };
                    turn.move_to(name, &id, draining, "its weight has moved away");
                } else {
                    wait_for(turn, name, &id, &cause, waits);
                }
            }
            Stage::Draining { cause, .. } => match verdicts.remove(&id) {
                Some(Drain::Over(proof)) => {
                    let why = proof.to_string();
                    turn.move_to(name, &id, Stage::Drained { proof, cause }, why);
                }
                Some(Drain::Waits(waits)) => wait_for(turn, name, &id, &cause, &waits),
                None => {}
            },
            Stage::Drained { proof, cause } => {
                let generation = turn.next_generation();
                turn.move_to(
                    name,
                    &id,
                    Stage::Removed {
                        generation,
                        proof,
                        cause,
                    },
                    "drained",
                );
            }
            Stage::Removed {
                generation,
                proof,
                cause,
            } => {
                let waits = delisted
                    .entry(generation)
                    .or_insert_with(|| waits(turn, service, generation, Asked::Connected));
                if waits.is_empty() {
                    let released = Stage::Released { proof, cause };
                    turn.move_to(name, &id, released, "no proxy lists it any more");
                } else {
                    wait_for(turn, name, &id, &cause, waits);
                }
            }
            _ => {}
        }
    }
}

/// Begins to take an instance out: its weight goes first, or, if it has none, its new requests.
pub(super) fn begin_leaving(
    turn: &mut Turn<'_>,
    service: &ServiceName,
    id: &InstanceId,
    stage: &Stage,
    cause: Cause,
    why: &str,
) {
    let (generation, since) = (turn.next_generation(), turn.now);
    let to = match stage {
        Stage::Suspended => Stage::Draining {
            generation,
            cause,
            since,
        },
        _ => Stage::Leaving { generation, cause },
    };
    turn.move_to(service, id, to, why);
}

/// What keeps `generation` from being in force; a generation of this very turn is not.
pub(super) fn waits(
    turn: &Turn<'_>,
    service: &Service,
    generation: Generation,
    asked: Asked,
) -> Vec<Wait> {
    barrier(turn.state, turn.facts, service, generation, asked, turn.now)
}

/// Whoever has the instance taken out waits; so does a rollout whose batch it is in, should somebody
/// else have begun it.
fn wait_for(
    turn: &mut Turn<'_>,
    service: &ServiceName,
    id: &InstanceId,
    cause: &Cause,
    waits: &[Wait],
) {
    let subject = match cause {
        Cause::Operator(_) => Subject::Service(service.clone()),
        Cause::Rollout(rollout) => Subject::Rollout(rollout.clone()),
    };
    let rollout = turn.state.rollout_of(service);
    let replacing = rollout.filter(|rollout| {
        let batch = rollout.batch.as_ref();
        batch.is_some_and(|batch| batch.members.contains(id))
    });
    let replacing = replacing.map(|rollout| Subject::Rollout(rollout.spec.name.clone()));
    if let Some(rollout) = replacing.filter(|rollout| *rollout != subject) {
        turn.wait_all(&rollout, waits.to_vec());
    }
    turn.wait_all(&subject, waits.to_vec());
}

/// The instances as they stand now, so that the turn may move them while it looks at each.
pub(super) fn snapshot(
    turn: &Turn<'_>,
    service: &ServiceName,
) -> Vec<(InstanceId, VersionName, Stage)> {
    let instances = turn
        .state
        .services
        .get(service)
        .into_iter()
        .flat_map(|s| &s.instances);
    instances
        .map(|(id, known)| {
            (
                id.clone(),
                known.instance.version.clone(),
                known.stage.clone(),
            )
        })
        .collect()
}

/// The version with the most ready instances, the first by name among equals.
pub(super) fn most_ready(state: &ServiceState) -> Option<VersionName> {
    let mut counts = BTreeMap::<&VersionName, u32>::new();
    for known in state
        .instances
        .values()
        .filter(|known| known.stage == Stage::Ready)
    {
        *counts.entry(&known.instance.version).or_default() += 1;
    }
    let most = counts.values().copied().max()?;
    counts
        .into_iter()
        .find(|(_, count)| *count == most)
        .map(|(version, _)| version.clone())
}

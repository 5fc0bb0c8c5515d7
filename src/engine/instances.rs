//! What happens to instances whatever the rollouts do: they appear, become ready, fail, vanish,
//! finish draining.
//!
//! Two rules keep a mistaken source or a cut-off prober from emptying a fleet: of a service's
//! instances at most half are suspended for failing health, and the last one that takes traffic
//! stays in place even if its source no longer knows it. Envoy's own health checks decide then.
//! Both look at the whole service: a new version's only instance is no fleet, and were it kept
//! although it is dead, its share of the traffic would be lost.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::barrier::{Asked, Drain, barrier, drains, not_using};
use super::turn::{Subject, Turn};
use super::{
    Cause, HookAction, HookState, Record, RolloutState, ServiceState, Stage, StageKind, Stand, Wait,
};
use crate::domain::{
    EndpointState, Generation, Instance, InstanceId, RolloutName, Service, ServiceName, Time,
    VersionName,
};

/// Takes in all that a source knows.
pub(super) fn discover(turn: &mut Turn<'_>, service: &ServiceName, instances: Vec<Instance>) {
    let found: BTreeSet<&InstanceId> = instances.iter().map(|instance| &instance.id).collect();
    let known = turn.state.services.get(service);
    let known = known.into_iter().flat_map(|state| &state.instances);
    let gone = known.filter(|(id, _)| !found.contains(id));
    let gone = gone.map(|(id, _)| id.clone()).collect();
    turn.facts.vanished.insert(service.clone(), gone);
    for instance in instances {
        see(turn, service, instance);
    }
}

/// Takes in one that a source knows.
pub(super) fn appear(turn: &mut Turn<'_>, service: &ServiceName, instance: Instance) {
    if let Some(gone) = turn.facts.vanished.get_mut(service) {
        gone.remove(&instance.id);
    }
    see(turn, service, instance);
}

/// Takes in that a source no longer knows one.
pub(super) fn vanish(turn: &mut Turn<'_>, service: &ServiceName, instance: InstanceId) {
    let known = turn.state.services.get(service);
    if known.is_some_and(|state| state.instances.contains(&instance)) {
        let gone = turn.facts.vanished.entry(service.clone()).or_default();
        gone.insert(instance);
    }
}

/// Notes a new instance, a changed one, or one that is another process under an old name.
fn see(turn: &mut Turn<'_>, service: &ServiceName, instance: Instance) {
    let known = turn.state.services.get(service);
    let known = known.and_then(|state| state.instances.get(&instance.id));
    if let Some(known) = known {
        if known.instance == instance {
            return;
        }
        let is_another = (&known.instance.address, &known.instance.version)
            != (&instance.address, &instance.version);
        let is_told = known.stage.endpoint().is_some();
        if is_another {
            let stage = known.stage.clone();
            forget(turn, service, &instance.id, &stage);
        } else if is_told {
            turn.touch(service);
        }
    }
    turn.record(Record::InstanceSeen {
        service: service.clone(),
        instance,
    });
}

/// Drops an instance: lost, if proxies might still use it, else merely gone.
fn forget(turn: &mut Turn<'_>, service: &ServiceName, id: &InstanceId, stage: &Stage) {
    turn.facts.forget(service, id);
    nothing_to_stop(turn, service, id, "the instance is gone");
    let (service, instance) = (service.clone(), id.clone());
    if stage.endpoint().is_some() {
        turn.touch(&service);
        let stage = stage.to_string();
        turn.record(Record::InstanceLost {
            service,
            instance,
            stage,
        });
    } else {
        turn.record(Record::InstanceGone { service, instance });
    }
}

/// What is gone, or put back, is not to be stopped any more; made again, the call could hit another instance that
/// has come under the same id, or one that serves.
pub(super) fn nothing_to_stop(
    turn: &mut Turn<'_>,
    service: &ServiceName,
    id: &InstanceId,
    why: &str,
) {
    let open = open_stops(turn, service, id);
    let open = open.map(|(rollout, stop)| (rollout.clone(), stop.call.key.clone()));
    for (rollout, key) in open.collect::<Vec<_>>() {
        turn.record(Record::HookDone {
            rollout,
            key,
            output: why.to_owned(),
        });
    }
}

/// The calls that are to stop an instance and have not ended well.
pub(super) fn open_stops<'a>(
    turn: &'a Turn<'_>,
    service: &'a ServiceName,
    id: &'a InstanceId,
) -> impl Iterator<Item = (&'a RolloutName, &'a HookState)> {
    // One that is over may still have what it kept for an undo stopped.
    let rollouts = turn.state.rollouts.values();
    rollouts.flat_map(move |rollout| {
        let stops = rollout.hooks.open().filter(move |hook| {
            let call = &hook.call;
            (call.action, &call.service, &call.instance) == (HookAction::Stop, service, id)
        });
        stops.map(|stop| (&rollout.spec.name, stop))
    })
}

/// Drops instances that their source no longer knows.
pub(super) fn drop_vanished(turn: &mut Turn<'_>, service: &ServiceName) {
    let gone = turn.facts.vanished.get(service).cloned();
    for id in gone.into_iter().flatten() {
        let Some(stage) = stage_of(turn, service, &id) else {
            continue;
        };
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
        forget(turn, service, &id, &stage);
    }
}

/// Is there an instance that serves, and that its source knows, or that is kept all the same?
fn others_serve(turn: &Turn<'_>, service: &ServiceName, or_kept: bool) -> bool {
    let serving = turn.select(service, |stand| stand.stage == StageKind::Serving);
    let mut serving = serving.keys();
    serving.any(|id| or_kept || !turn.facts.vanished(service, id))
}

/// Moves instances by their health.
pub(super) fn follow_health(turn: &mut Turn<'_>, service: &Service) {
    let name = &service.name;
    for id in turn.facts.unhealthy(name) {
        let stage = turn.instance(name, &id).map(|known| known.stage.kind());
        let next = match stage {
            Some(StageKind::Ready) => Stage::Registered,
            // Proxies know it and may have sent it requests, so it does not just go.
            Some(StageKind::Joining) => Stage::Suspended,
            Some(StageKind::Serving) if may_suspend(turn, name) => Stage::Suspended,
            _ => continue,
        };
        let detail = turn.facts.health(name, &id).map(|h| h.detail.clone());
        turn.move_to(name, &id, next, detail.unwrap_or_default());
    }
    let is_registered = |stand: &Stand| stand.stage == StageKind::Registered;
    let known = turn.state.services.get(name);
    let registered = known
        .into_iter()
        .flat_map(|it| it.instances.stands(is_registered));
    let ready = registered.flat_map(|(_, ids)| ids).filter(|id| {
        let healthy_for = turn.facts.healthy_for(name, id, turn.now);
        healthy_for.is_some_and(|span| span >= service.min_ready) && !turn.facts.vanished(name, id)
    });
    let mut ready: Vec<InstanceId> = ready.cloned().collect();
    ready.sort();
    for id in ready {
        let why = format!("healthy for {}", service.min_ready);
        turn.move_to(name, &id, Stage::Ready, why);
    }
    for id in turn.ids(name, |stand| stand.stage == StageKind::Suspended) {
        if turn.facts.healthy_for(name, &id, turn.now).is_some() {
            let generation = turn.next_generation();
            turn.move_to(name, &id, Stage::Joining { generation }, "healthy again");
        }
    }
}

/// Would at least half of the service's instances still serve?
fn may_suspend(turn: &Turn<'_>, service: &ServiceName) -> bool {
    let serving = turn.count(service, |stand| stand.stage == StageKind::Serving);
    let suspended = turn.count(service, |stand| stand.stage == StageKind::Suspended);
    serving.saturating_sub(1) > suspended
}

/// Counts instances in that every proxy has heard of and sends requests to.
pub(super) fn finish_joining(turn: &mut Turn<'_>, service: &Service) {
    let name = &service.name;
    let mut in_force = BTreeMap::new();
    let joining = turn.select(name, |stand| stand.stage == StageKind::Joining);
    let heard_of: Vec<(InstanceId, Time)> = joining
        .into_iter()
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
    let rollout = turn.state.running(name);
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
    let known = turn.instance(service, id)?;
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
    let on_their_way = |stand: &Stand| {
        let kind = stand.stage;
        kind.goes() && kind != StageKind::Released
    };
    for id in turn.ids(name, on_their_way) {
        let Some(stage) = stage_of(turn, name, &id) else {
            continue;
        };
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
    if turn.everywhere >= Some(generation) {
        return Vec::new();
    }
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
        Cause::Rollout(rollout) | Cause::Gate(rollout) => Subject::Rollout(rollout.clone()),
    };
    let rollout = turn.state.running(service);
    let replacing = rollout.filter(|rollout| {
        let mut batches = rollout.lanes.iter().filter_map(|lane| lane.batch.as_ref());
        batches.any(|batch| batch.members.contains(id)) || is_taken_over(rollout, cause)
    });
    let replacing = replacing.map(|rollout| Subject::Rollout(rollout.spec.name.clone()));
    if let Some(rollout) = replacing.filter(|rollout| *rollout != subject) {
        turn.wait_all(&rollout, waits.to_vec());
    }
    turn.wait_all(&subject, waits.to_vec());
}

/// Did the rollout take over from the one that began to take the instance out?
fn is_taken_over(rollout: &RolloutState, cause: &Cause) -> bool {
    cause
        .rollout()
        .is_some_and(|by| rollout.superseded.contains(by))
}

/// Where the instance stands now, so that the turn may move it on.
pub(super) fn stage_of(
    turn: &Turn<'_>,
    service: &ServiceName,
    instance: &InstanceId,
) -> Option<Stage> {
    let known = turn.instance(service, instance)?;
    Some(known.stage.clone())
}

/// The version with the most ready instances, the first by name among equals.
pub(super) fn most_ready(state: &ServiceState) -> Option<VersionName> {
    let instances = &state.instances;
    let versions = instances.versions(|stand| stand.stage == StageKind::Ready);
    let counts = versions.into_iter().map(|version| {
        let is_ready = |stand: &Stand| stand.stage == StageKind::Ready && stand.version == *version;
        (instances.count(is_ready), version)
    });
    let most = counts.min_by_key(|(count, version)| (Reverse(*count), *version));
    most.map(|(_, version)| version.clone())
}

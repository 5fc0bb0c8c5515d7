//! One service, one pass: instances first, then its rollout or its steady state, then its versions.

use super::barrier::Asked;
use super::instances::{
    advance_drains, drop_vanished, finish_joining, follow_health, most_ready, snapshot, waits,
};
use super::rolling;
use super::state::RolloutState;
use super::turn::{Subject, Turn};
use super::{Origin, Outcome, Record, Stage, Wait};
use crate::domain::{Generation, RolloutName, Service, ServiceName, VersionName};

/// Does whatever can be done for `service` now.
pub(super) fn pass(turn: &mut Turn<'_>, service: &Service) {
    let changed = turn
        .state
        .services
        .get(&service.name)
        .map(|state| state.changed);
    let pending = turn.touched.contains(&service.name);
    let waits = waits(turn, service, changed.unwrap_or_default(), Asked::All);
    let clear = waits.is_empty() && !pending;

    drop_vanished(turn, &service.name);
    follow_health(turn, service);
    finish_joining(turn, service);
    advance_drains(turn, service);
    match turn.state.rollout_of(&service.name).cloned() {
        Some(rollout) => roll(turn, service, &rollout, clear, waits),
        None => keep_steady(turn, service),
    }
    if clear {
        retire_versions(turn, service);
    }
    queue(turn, &service.name);
}

/// Outside a rollout, ready instances of the stable version join as they come.
fn keep_steady(turn: &mut Turn<'_>, service: &Service) {
    let name = &service.name;
    let Some(state) = turn.state.services.get(name) else {
        return;
    };
    // A version of which nothing is left answers for nothing.
    let lives = |version: &VersionName| {
        let mut known = state.of_version(version);
        known.any(|(_, known)| !matches!(known.stage, Stage::Released { .. }))
    };
    let stable = state.stable.clone().filter(lives);
    let stable = stable.or_else(|| choose_stable(turn, name));
    let Some(stable) = stable else { return };
    for (id, version, stage) in snapshot(turn, name) {
        if version == stable && stage == Stage::Ready {
            let generation = turn.next_generation();
            turn.move_to(
                name,
                &id,
                Stage::Joining { generation },
                "ready, and of the stable version",
            );
        }
    }
}

/// The first version to have ready instances answers for its service.
fn choose_stable(turn: &mut Turn<'_>, service: &ServiceName) -> Option<VersionName> {
    let version = most_ready(turn.state.services.get(service)?)?;
    let (service, chosen) = (service.clone(), version.clone());
    turn.touch(&service);
    turn.record(Record::VersionRouted {
        service: service.clone(),
        version: chosen.clone(),
    });
    turn.record(Record::StableChosen {
        service,
        version: chosen,
    });
    Some(version)
}

/// Starts the rollout, or lets it take its next step.
fn roll(
    turn: &mut Turn<'_>,
    service: &Service,
    rollout: &RolloutState,
    clear: bool,
    in_the_way: Vec<Wait>,
) {
    let name = &rollout.spec.name;
    let subject = Subject::Rollout(name.clone());
    let holds = held(turn, rollout);
    let may_step = clear && holds.is_empty();
    for wait in holds.into_iter().chain(in_the_way) {
        turn.wait(subject.clone(), wait);
    }
    if rollout.started.is_none() {
        keep_steady(turn, service);
        // Ready instances have only just been told to the proxies: they count once they serve.
        if may_step && !turn.touched.contains(&service.name) {
            start(turn, service, rollout);
        }
    } else if may_step {
        rolling::advance(turn, name);
    }
}

/// What holds a rollout that is not the proxies' doing.
fn held(turn: &Turn<'_>, rollout: &RolloutState) -> Vec<Wait> {
    let spec = &rollout.spec;
    let mut holds = Vec::new();
    if turn.state.documents.gateways.is_empty() && turn.state.generation == Generation::default() {
        holds.push(Wait::NoGateway);
    }
    if let Some(pause) = &rollout.paused {
        holds.push(Wait::Paused {
            by: pause.by.to_string(),
            reason: pause.reason.clone(),
        });
    }
    if rollout.origin == Origin::Document && !rollout.aborted {
        match turn.state.documents.rollouts.get(&spec.name) {
            None => holds.push(Wait::DocumentDeleted),
            Some(document) if document.to != spec.to || document.service != spec.service => {
                let wants = format!("{} to {}", document.service, document.to);
                holds.push(Wait::DocumentDiffers { wants });
            }
            Some(_) => {}
        }
    }
    holds
}

fn start(turn: &mut Turn<'_>, service: &Service, rollout: &RolloutState) {
    let (name, spec) = (rollout.spec.name.clone(), &rollout.spec);
    let subject = Subject::Rollout(name.clone());
    let state = turn.state.services.get(&service.name);
    let Some((state, stable)) = state.and_then(|s| Some((s, s.stable.clone()?))) else {
        return turn.wait(subject, Wait::NoStable);
    };
    if let Some(wanted) = spec.from.as_ref().filter(|wanted| **wanted != stable) {
        let wanted = wanted.clone();
        return turn.wait(subject, Wait::WrongStart { wanted, stable });
    }
    if stable == spec.to {
        return turn.record(Record::RolloutEnded {
            rollout: name,
            outcome: Outcome::Done,
        });
    }
    let coming = coming_up(turn, service, &stable);
    if !coming.is_empty() {
        let version = stable;
        let wait = Wait::NotReady {
            version,
            instances: coming,
        };
        return turn.wait(subject, wait);
    }
    let serves = |stage: &Stage| matches!(stage, Stage::Serving | Stage::Suspended);
    let desired = state.count(|k| k.instance.version == stable && serves(&k.stage));
    if desired == 0 {
        return turn.wait(subject, Wait::NoStable);
    }
    let (service, version) = (service.name.clone(), spec.to.clone());
    turn.record(Record::RolloutStarted {
        rollout: name,
        from: stable,
        desired,
    });
    turn.touch(&service);
    turn.record(Record::VersionRouted { service, version });
}

/// Instances that will serve in a moment. A rollout that began before would take those that serve
/// already for the whole fleet, and leave the fleet that small.
fn coming_up(turn: &Turn<'_>, service: &Service, version: &VersionName) -> Vec<String> {
    let name = &service.name;
    let known = snapshot(turn, name).into_iter();
    let on_their_way = known.filter(|(_, of, stage)| {
        let is_coming = matches!(
            stage,
            Stage::Registered | Stage::Ready | Stage::Joining { .. }
        );
        of == version && is_coming
    });
    let coming = on_their_way.filter_map(|(id, _, stage)| {
        if turn.facts.vanished(name, &id) {
            return None;
        }
        if stage != Stage::Registered {
            return Some(format!("{id}: the proxies are being told of it"));
        }
        match turn.facts.health(name, &id) {
            None => Some(format!("{id}: not probed yet")),
            Some(health) if health.healthy => Some(format!("{id}: not healthy for minReady yet")),
            Some(_) => None,
        }
    });
    coming.collect()
}

/// Versions that nothing needs leave the routes, and then, behind the barrier, lose their cluster.
fn retire_versions(turn: &mut Turn<'_>, service: &Service) {
    let name = &service.name;
    let Some(state) = turn.state.services.get(name).cloned() else {
        return;
    };
    let rollout = turn.state.rollout_of(name).cloned();
    for version in &state.versions {
        let wanted = state.stable.as_ref() == Some(&version.name)
            || rollout.as_ref().is_some_and(|r| r.concerns(&version.name));
        let told = state
            .of_version(&version.name)
            .any(|(_, known)| known.stage.endpoint().is_some());
        let (service_name, version_name) = (name.clone(), version.name.clone());
        match version.unrouted {
            None if !wanted && !told => {
                turn.touch(name);
                turn.record(Record::VersionUnrouted {
                    service: service_name,
                    version: version_name,
                    generation: turn.next_generation(),
                });
            }
            Some(generation) if waits(turn, service, generation, Asked::All).is_empty() => {
                turn.touch(name);
                turn.record(Record::VersionTornDown {
                    service: service_name,
                    version: version_name,
                });
            }
            _ => {}
        }
    }
}

/// Rollouts behind the one that runs say what they wait for.
fn queue(turn: &mut Turn<'_>, service: &ServiceName) {
    let Some(first) = turn.state.rollout_of(service).map(|r| r.spec.name.clone()) else {
        return;
    };
    let behind: Vec<RolloutName> = turn
        .state
        .rollouts
        .values()
        .filter(|r| r.spec.service == *service && !r.over() && r.spec.name != first)
        .map(|r| r.spec.name.clone())
        .collect();
    for name in behind {
        turn.wait(
            Subject::Rollout(name),
            Wait::OtherRollout {
                rollout: first.clone(),
            },
        );
    }
}

impl RolloutState {
    /// Does it need this version's cluster?
    fn concerns(&self, version: &VersionName) -> bool {
        self.runs()
            && (self.spec.to == *version
                || self
                    .started
                    .as_ref()
                    .is_some_and(|started| started.from == *version))
    }
}

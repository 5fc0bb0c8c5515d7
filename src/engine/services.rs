//! One service, one pass: instances first, then its rollout or its steady state, then its versions.

use std::fmt::Write as _;

use super::barrier::Asked;
use super::instances::{
    advance_drains, drop_vanished, finish_joining, follow_health, most_ready, waits,
};
use super::state::RolloutState;
use super::turn::{Subject, Turn};
use super::{
    Origin, Outcome, Record, ServiceState, Stage, StageKind, Stand, State, Wait, capacity, judging,
    moments, rolling, rules, shift, wanted, waves,
};
use crate::domain::{
    Generation, InstanceSource, Rollout, RolloutName, Service, ServiceName, Strategy, VersionName,
};

/// Does whatever can be done for `service` now.
pub(super) fn pass(turn: &mut Turn<'_>, service: &Service) {
    let changed = turn
        .state
        .services
        .get(&service.name)
        .map(|state| state.changed);
    let pending = turn.touched.contains(&service.name);
    // Each proxy is asked, so only where somebody waits for the answer.
    let waits = matters(turn.state, &service.name)
        .then(|| waits(turn, service, changed.unwrap_or_default(), Asked::All));
    let clear = waits.as_ref().is_some_and(Vec::is_empty) && !pending;
    let waits = waits.unwrap_or_default();

    drop_vanished(turn, &service.name);
    follow_health(turn, service);
    finish_joining(turn, service);
    advance_drains(turn, service);
    capacity::measure(turn, service);
    shift::keep_old(turn, &service.name);
    let running = turn.state.running(&service.name);
    let running = running.map(|rollout| rollout.spec.name.clone());
    let waiting = turn.state.waiting(&service.name);
    let mut waiting = waiting.into_iter().map(|rollout| rollout.spec.name.clone());
    let next = waiting.next();
    if let Some(rollout) = &running {
        run(turn, service, rollout, next.as_ref(), clear, &waits);
    } else {
        keep_steady(turn, service);
        if let Some(next) = &next {
            begin(turn, service, next, clear, &waits);
        }
    }
    if clear {
        retire_versions(turn, service);
    }
    queue(turn, &service.name);
}

/// Does it matter whether the proxies have what was last said of a service? Only rollouts wait for
/// that, and versions that are on their way out.
fn matters(state: &State, service: &ServiceName) -> bool {
    let goes = |known: &ServiceState| {
        let mut versions = known.versions.iter();
        versions.any(|version| known.stable.as_ref() != Some(&version.name))
    };
    state.running(service).is_some()
        || !state.waiting(service).is_empty()
        || state.services.get(service).is_some_and(goes)
}

/// Outside a rollout, ready instances of the stable version join as they come.
fn keep_steady(turn: &mut Turn<'_>, service: &Service) {
    let name = &service.name;
    let Some(state) = turn.state.services.get(name) else {
        return;
    };
    // A version of which nothing is left answers for nothing.
    let lives = |version: &VersionName| {
        let lives = |stand: &Stand| stand.version == *version && stand.stage != StageKind::Released;
        state.instances.any(lives)
    };
    let stable = state.stable.clone().filter(lives);
    let stable = stable.or_else(|| choose_stable(turn, service));
    let Some(stable) = stable else { return };
    let is_ready = |stand: &Stand| stand.version == stable && stand.stage == StageKind::Ready;
    for id in turn.ids(name, is_ready) {
        let generation = turn.next_generation();
        let why = "ready, and of the stable version";
        turn.move_to(name, &id, Stage::Joining { generation }, why);
    }
}

/// The first version to have ready instances answers for its service, or at first the one that its
/// document names.
fn choose_stable(turn: &mut Turn<'_>, service: &Service) -> Option<VersionName> {
    let state = turn.state.services.get(&service.name)?;
    let is_first = state.stable.is_none();
    let version = match service.first.clone().filter(|_| is_first) {
        None => most_ready(state)?,
        Some(first) => {
            let is_ready = |s: &Stand| s.stage == StageKind::Ready && s.version == first;
            state.instances.any(is_ready).then_some(first)?
        }
    };
    let (service, chosen) = (service.name.clone(), version.clone());
    turn.touch(&service);
    turn.record(Record::VersionRouted {
        service: service.clone(),
        version: chosen.clone(),
    });
    turn.record(Record::StableChosen {
        service: service.clone(),
        version: chosen,
    });
    if is_first {
        wanted::begin(turn, &service);
    }
    Some(version)
}

/// Lets the rollout take its next step, or a newer one take it over.
fn run(
    turn: &mut Turn<'_>,
    service: &Service,
    name: &RolloutName,
    next: Option<&RolloutName>,
    clear: bool,
    in_the_way: &[Wait],
) {
    let newer = next.filter(|next| {
        let rollouts = &turn.state.rollouts;
        rollouts[*next].planned > rollouts[name].planned
    });
    if let Some(newer) = newer
        && begin(turn, service, newer, clear, in_the_way)
    {
        return;
    }
    judging::decide(turn, name);
    let rollout = &turn.state.rollouts[name];
    let mut holds = held(turn, rollout);
    holds.extend(judging::weighs(turn, name));
    let may_step = clear && holds.is_empty();
    // What has begun is finished, so rules are asked again where something would begin.
    let rules = rules::freezes(turn, rollout);
    let waits = holds
        .into_iter()
        .chain(rules)
        .chain(in_the_way.iter().cloned());
    turn.wait_all(&Subject::Rollout(name.clone()), waits.collect());
    if may_step && moments::may_move(turn, name) {
        match turn.state.rollouts[name].spec.strategy {
            Strategy::Rolling(_) => rolling::advance(turn, name),
            Strategy::Waves(_) => waves::advance(turn, name),
            Strategy::Steps(_) | Strategy::BlueGreen(_) => shift::advance(turn, name),
        }
    }
}

/// Starts the rollout, if nothing holds it. True when it has begun, or has ended at once.
fn begin(
    turn: &mut Turn<'_>,
    service: &Service,
    name: &RolloutName,
    clear: bool,
    in_the_way: &[Wait],
) -> bool {
    let rollout = &turn.state.rollouts[name];
    let mut holds = held(turn, rollout);
    holds.extend(rules::against_start(turn, rollout));
    let may_start = clear && holds.is_empty();
    let waits = holds.into_iter().chain(in_the_way.iter().cloned());
    turn.wait_all(&Subject::Rollout(name.clone()), waits.collect());
    // Ready instances may have only just been told to the proxies: they count once they serve.
    may_start && !turn.touched.contains(&service.name) && start(turn, service, name)
}

/// What holds a rollout that is not the proxies' doing.
fn held(turn: &Turn<'_>, rollout: &RolloutState) -> Vec<Wait> {
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
    let document = (!rollout.aborted()).then(|| by_document(turn, rollout));
    holds.extend(document.flatten());
    holds
}

/// What holds a rollout because its document is gone, or wants something else.
fn by_document(turn: &Turn<'_>, rollout: &RolloutState) -> Option<Wait> {
    let (spec, documents) = (&rollout.spec, &turn.state.documents);
    match rollout.origin {
        Origin::Undo => None,
        Origin::Document => match documents.rollouts.get(&spec.name) {
            None => Some(Wait::DocumentDeleted),
            Some(document) if !document.amends(spec) => Some(differs(document, spec)),
            Some(_) => None,
        },
        Origin::Run => {
            let service = documents.services.get(&spec.service)?;
            let run = service.runs().cloned();
            if run.as_ref() != Some(&spec.to) {
                return Some(Wait::RunDiffers { run });
            }
            let document = service.run.as_deref()?;
            (!document.amends(spec)).then(|| differs(document, spec))
        }
    }
}

fn differs(document: &Rollout, spec: &Rollout) -> Wait {
    let mut wants = format!("{} to {}", document.service, document.to);
    if document.strategy.word() != spec.strategy.word() {
        let _ = write!(wants, " by {}", document.strategy.word());
    }
    Wait::DocumentDiffers { wants }
}

fn start(turn: &mut Turn<'_>, service: &Service, rollout: &RolloutName) -> bool {
    let (name, spec) = (rollout.clone(), turn.state.rollouts[rollout].spec.clone());
    let subject = Subject::Rollout(name.clone());
    let state = turn.state.services.get(&service.name);
    let Some((state, stable)) = state.and_then(|s| Some((s, s.stable.clone()?))) else {
        turn.wait(subject, Wait::NoStable);
        return false;
    };
    if let Some(wanted) = spec.from.as_ref().filter(|wanted| **wanted != stable) {
        let wanted = wanted.clone();
        turn.wait(subject, Wait::WrongStart { wanted, stable });
        return false;
    }
    let running = turn.state.running(&service.name).cloned();
    if running.is_none() && stable == spec.to && state.kept.is_none() {
        turn.record(Record::RolloutEnded {
            rollout: name,
            outcome: Outcome::Done,
            keep_until: None,
        });
        return true;
    }
    let begun = running.as_ref().and_then(|running| running.started.clone());
    let (desired, capacity) = if let Some(begun) = begun {
        (begun.desired, begun.capacity)
    } else {
        let coming = coming_up(turn, service, &stable);
        if !coming.is_empty() {
            let (version, instances) = (stable, coming);
            turn.wait(subject, Wait::NotReady { version, instances });
            return false;
        }
        let serves = |kind| matches!(kind, StageKind::Serving | StageKind::Suspended);
        let is_stable = |s: &Stand| s.version == stable && serves(s.stage);
        let capacity = state.instances.capacity(service.capacity, is_stable);
        (state.instances.count(is_stable), Some(capacity))
    };
    if desired == 0 {
        turn.wait(subject, Wait::NoStable);
        return false;
    }
    let is_undone = state.kept.is_some() && turn.state.rollouts[&name].origin == Origin::Undo;
    let steps = shift::plan_steps(&spec, state, is_undone);
    if let Some(running) = running {
        turn.record(Record::RolloutSuperseded {
            rollout: running.spec.name,
            by: name.clone(),
        });
    }
    let shifts = !steps.is_empty();
    let split = shift::split_of(turn, &service.name);
    turn.record(Record::RolloutStarted {
        rollout: name.clone(),
        from: stable,
        desired,
        capacity,
        steps,
    });
    turn.touch(&service.name);
    bring_back(turn, service, &spec.to);
    let (service, version) = (service.name.clone(), spec.to);
    if shifts {
        turn.record(Record::WeightsChosen {
            service: service.clone(),
            rollout: name,
            split,
            why: "as it was".to_owned(),
        });
    }
    turn.record(Record::VersionRouted { service, version });
    true
}

/// Instances that a document lists are there for as long as it does, so nobody stops them on our word:
/// those that were let go come back with their version. From any other source others come.
fn bring_back(turn: &mut Turn<'_>, service: &Service, version: &VersionName) {
    if !matches!(service.source, InstanceSource::Listed { .. }) {
        return;
    }
    let is_let_go = |s: &Stand| s.stage == StageKind::Released && s.version == *version;
    for id in turn.ids(&service.name, is_let_go) {
        let why = "its version comes back";
        turn.move_to(&service.name, &id, Stage::Registered, why);
    }
}

/// Instances that will serve in a moment. A rollout that began before would take those that serve
/// already for the whole fleet, and leave the fleet that small.
fn coming_up(turn: &Turn<'_>, service: &Service, version: &VersionName) -> Vec<String> {
    let name = &service.name;
    let is_coming = |stand: &Stand| {
        let kind = stand.stage;
        let comes = matches!(
            kind,
            StageKind::Registered | StageKind::Ready | StageKind::Joining
        );
        comes && stand.version == *version
    };
    let coming = turn.select(name, is_coming).into_iter();
    let coming = coming.filter_map(|(id, known)| {
        if turn.facts.vanished(name, id) {
            return None;
        }
        if known.stage != Stage::Registered {
            return Some(format!("{id}: the proxies are being told of it"));
        }
        match turn.facts.health(name, id) {
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
    let Some(state) = turn.state.services.get(name) else {
        return;
    };
    let (versions, stable) = (state.versions.clone(), state.stable.clone());
    let rollout = turn.state.running(name);
    let to = rollout.map(|rollout| rollout.spec.to.clone());
    for version in &versions {
        let wanted = [&stable, &to].contains(&&Some(version.name.clone()));
        let is_told = |s: &Stand| s.version == version.name && s.stage.endpoint().is_some();
        let told = turn.count(name, is_told) > 0;
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

/// Rollouts behind another say what they wait for; one that was asked for before it is superseded.
fn queue(turn: &mut Turn<'_>, service: &ServiceName) {
    let ask = |rollout: &RolloutState| (rollout.planned, rollout.spec.name.clone());
    let running = turn.state.running(service).map(ask);
    let waiting: Vec<_> = turn.state.waiting(service).into_iter().map(ask).collect();
    let Some((newest, next)) = waiting.first().cloned() else {
        return;
    };
    for (planned, rollout) in waiting {
        let ahead = match &running {
            Some((since, running)) if *since >= planned => running,
            _ => &next,
        };
        if planned < newest {
            let by = next.clone();
            turn.record(Record::RolloutSuperseded { rollout, by });
        } else if rollout != *ahead {
            let (subject, rollout) = (Subject::Rollout(rollout), ahead.clone());
            turn.wait(subject, Wait::OtherRollout { rollout });
        }
    }
}

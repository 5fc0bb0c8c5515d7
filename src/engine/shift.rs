//! Both versions side by side, and the traffic moves between them by decided shares: steps, blue-green,
//! and the way back of both.
//!
//! The split is decided and written down; it never asks of a version more than its ready instances carry
//! ([`super::capacity`]), on the way up and on the way back, but for an abort at once. Old instances stay
//! until the end, so that going back is a change of weights.
//!
//! Whoever calls this has made sure that everything decided before is in force.

mod share_out;
mod steps;

pub(super) use steps::{plan_steps, work_on};

use super::capacity::{carries, missing};
use super::course::Course;
use super::instances::stage_of;
use super::turn::Turn;
use super::{
    Cause, HookAction, InstanceState, Outcome, Record, Split, StageKind, Stand, Turned, Wait, hooks,
};
use crate::domain::{EndpointState, InstanceId, RolloutName, ServiceName, VersionName, Weight};
use share_out::share_out;

/// Takes the rollout as far as it may go in this turn.
pub(super) fn advance(turn: &mut Turn<'_>, name: &RolloutName) {
    let Some(course) = Course::of(turn, name) else {
        return;
    };
    // Any other goes: it may have no cluster any more.
    let comes_or_stays = |stand: &Stand| [&course.new, &course.from].contains(&&stand.version);
    course.take_in(turn, u32::MAX, comes_or_stays, |_, _| true);
    if course.turned.is_some() {
        go_back(turn, &course);
        return;
    }
    let state = course.state(turn);
    let (span, keep) = (state.spec.bake.span, state.spec.keep_old);
    match state.steps.get(state.steps_done as usize).cloned() {
        Some(step) => work_on(turn, &course, &step),
        None => {
            if course.bake(turn, span, 0) && course.may_end(turn, Outcome::Done) {
                course.end(turn, Outcome::Done, Some(keep));
            }
        }
    }
}

/// All traffic to the version that served, then the others go.
fn go_back(turn: &mut Turn<'_>, course: &Course) {
    if !give(turn, course, &course.from, Weight::ALL, None) {
        return;
    }
    let others_gone = course.let_go(turn, |stand| stand.version != course.from);
    let stopped = stop_released(turn, course);
    if others_gone && stopped && course.may_end(turn, Outcome::RolledBack) {
        release_weights(turn, &course.service);
        course.end(turn, Outcome::RolledBack, None);
    }
}

/// For a rollout whose weights follow what instances carry: brings a decided split that it found, or that
/// an abort at once has made, back to that. True when there is none any more.
///
/// The version that served takes all, versions that neither served nor come go, and then the split has
/// nothing left to say.
pub(super) fn unwind(turn: &mut Turn<'_>, course: &Course) -> bool {
    let known = turn.state.services.get(&course.service);
    if known.is_none_or(|state| state.split.is_none()) {
        return true;
    }
    let serves = |stand: &Stand| stand.version == course.from && stand.stage == StageKind::Serving;
    if course.count(turn, serves) > 0 {
        if !give(turn, course, &course.from, Weight::ALL, None) {
            return false;
        }
        let is_other = |stand: &Stand| ![&course.from, &course.new].contains(&&stand.version);
        course.let_go(turn, is_other);
        if course.count(turn, |stand| is_other(stand) && stand.stage.stays()) > 0 {
            return false;
        }
    }
    release_weights(turn, &course.service);
    true
}

fn release_weights(turn: &mut Turn<'_>, service: &ServiceName) {
    let known = turn.state.services.get(service);
    if known.is_some_and(|state| state.split.is_some()) {
        turn.touch(service);
        let service = service.clone();
        turn.record(Record::WeightsReleased { service });
    }
}

/// Gives `version` a share of the traffic, as far as both sides carry theirs. True when it has it.
pub(super) fn give(
    turn: &mut Turn<'_>,
    course: &Course,
    version: &VersionName,
    share: Weight,
    mirror: Option<Weight>,
) -> bool {
    let split = split_of(turn, &course.service);
    let has = split.of(version);
    let at_once = course.turned == Some(Turned::AtOnce);
    let most = carries(turn, course, version);
    // What the others cannot carry stays with it.
    let least = others_carry(turn, course, version).rest().min(has);
    let to = if at_once {
        share
    } else if share <= most {
        share.max(least)
    } else {
        turn.wait(
            course.subject(),
            Wait::Capacity {
                version: version.clone(),
                share,
                carries: most,
                missing: missing(turn, course, version, share),
            },
        );
        let ramps = course.turned.is_some() && most > has;
        let next = if ramps { most } else { has.min(most) };
        next.max(least)
    };
    let mirror = mirror.map(|share| (version.clone(), share));
    if (has, &split.mirror) == (to, &mirror) {
        return to == share;
    }
    // On the way back the version that was given up loses its share first.
    let loser = course.turned.is_some().then_some(&course.new);
    let weights = share_out(&split, &order(turn, &course.service), (version, to), loser);
    let why = match (at_once, to == share) {
        (true, _) => "at once, whatever it can carry".to_owned(),
        (false, true) => format!("{version} gets {share}"),
        (false, false) => format!("{version} gets what it can carry of {share}"),
    };
    turn.touch(&course.service);
    turn.record(Record::WeightsChosen {
        service: course.service.clone(),
        rollout: course.name.clone(),
        split: Split { weights, mirror },
        why,
    });
    false
}

/// Gives the version that served all traffic, whatever it can take. False if it has nothing that takes
/// requests.
pub(super) fn give_at_once(turn: &mut Turn<'_>, course: &Course) -> bool {
    let takes = |stand: &Stand| {
        stand.version == course.from && stand.stage.endpoint() == Some(EndpointState::Healthy)
    };
    if course.count(turn, takes) == 0 {
        return false;
    }
    give(turn, course, &course.from, Weight::ALL, None);
    true
}

/// What all versions but this one carry together.
fn others_carry(turn: &Turn<'_>, course: &Course, version: &VersionName) -> Weight {
    let split = split_of(turn, &course.service);
    let others = split.weights.iter().filter(|(other, _)| *other != version);
    let carried = others.map(|(other, _)| u64::from(carries(turn, course, other).get()));
    Weight::parts(carried.sum())
}

/// The versions of a service, in the order in which routes name them.
fn order(turn: &Turn<'_>, service: &ServiceName) -> Vec<VersionName> {
    let known = turn.state.services.get(service).into_iter();
    let versions = known.flat_map(|known| &known.versions);
    versions.map(|version| version.name.clone()).collect()
}

/// The split in force: the decided one, or what follows from what instances carry.
pub(super) fn split_of(turn: &Turn<'_>, service: &ServiceName) -> Split {
    let known = turn.state.services.get(service);
    let decided = known.and_then(|state| state.split.clone());
    decided.unwrap_or_else(|| {
        let declared = turn.state.service(service);
        let by_capacity = known.zip(declared);
        by_capacity.map_or_else(Split::default, |(state, service)| {
            super::planning::split_by_capacity(service, state)
        })
    })
}

/// Has the outside stop what this rollout released. True when nothing is left to stop.
fn stop_released(turn: &mut Turn<'_>, course: &Course) -> bool {
    if !course.has_hook {
        return true;
    }
    let none_open = hooks::wait_for_open(turn, course, |_, _| true);
    let stops = to_stop(turn, course);
    for (instance, version) in &stops {
        let call = hooks::call_for(turn, course, HookAction::Stop, instance, version);
        hooks::call(turn, &course.name, call);
    }
    none_open && stops.is_empty()
}

fn to_stop(turn: &Turn<'_>, course: &Course) -> Vec<(InstanceId, VersionName)> {
    let state = course.state(turn);
    let is_ours = |known: &InstanceState| {
        let by = known.stage.cause().and_then(Cause::rollout);
        by.is_some_and(|by| state.answers_for(by))
    };
    let released = turn.select(&course.service, |stand| stand.stage == StageKind::Released);
    let released = released.into_iter().filter(|(_, known)| is_ours(known));
    released
        .map(|(id, known)| (id.clone(), known.instance.version.clone()))
        .filter(|(id, version)| {
            let stop = state.hooks.for_instance(HookAction::Stop, version, id);
            stop.is_none()
        })
        .collect()
}

/// Has new instances started where instances of the old version stand, until `goal` are there or on their way.
fn start_missing(turn: &mut Turn<'_>, course: &Course, goal: u32) {
    let of_new = |stand: &Stand| stand.version == course.new && !stand.stage.goes();
    let here = course.count(turn, of_new);
    let hooks = &course.state(turn).hooks;
    let start = |id: &InstanceId| hooks.for_instance(HookAction::Start, &course.new, id);
    let stays = |stand: &Stand| stand.version == course.from && stand.stage.stays();
    let mut places = turn.ids(&course.service, stays);
    let lost = course.taken_out(turn);
    places.extend(lost.iter().cloned());
    let started = places.iter().filter(|id| start(id).is_some()).count();
    let started = u32::try_from(started.saturating_sub(lost.len())).unwrap_or(u32::MAX);
    let missing = goal.saturating_sub(here.max(started));
    let free = places.iter().filter(|id| start(id).is_none());
    let free: Vec<InstanceId> = free.take(missing as usize).cloned().collect();
    for place in free {
        let call = hooks::call_for(turn, course, HookAction::Start, &place, &course.new);
        hooks::call(turn, &course.name, call);
    }
}

/// After the end: old instances stay until their time is over, then they go and are stopped.
pub(super) fn keep_old(turn: &mut Turn<'_>, service: &ServiceName) {
    let known = turn.state.services.get(service);
    let Some((kept, stable)) = known.and_then(|s| Some((s.kept.clone()?, s.stable.clone()?)))
    else {
        return;
    };
    if turn.now < kept.until {
        return;
    }
    let olds = turn.ids(service, |stand| {
        stand.version != stable && stand.stage.stays()
    });
    for id in &olds {
        let Some(stage) = stage_of(turn, service, id) else {
            continue;
        };
        let cause = Cause::Rollout(kept.rollout.clone());
        let why = "it was kept for an undo until now";
        super::instances::begin_leaving(turn, service, id, &stage, cause, why);
    }
    release_weights(turn, service);
    let course = Course::of(turn, &kept.rollout);
    let course = course.or_else(|| Course::before_its_beginning(turn, &kept.rollout, &stable));
    let Some(course) = course else {
        return;
    };
    let gone = course.let_go(turn, |stand| stand.version != stable);
    if stop_released(turn, &course) && gone && olds.is_empty() {
        let service = service.clone();
        turn.record(Record::KeepEnded { service });
    }
}

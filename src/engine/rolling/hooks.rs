//! Which hooks a lane calls: whoever runs the processes is asked to start new instances, and to stop
//! those that nobody needs any more.
//!
//! Like everything of a rollout it follows from counts, so it is asked again each turn. A call has a
//! key of its own and is made once; only a retry, or a restart before the answer, makes it again.

use super::Roll;
use crate::domain::{InstanceId, VersionName};
use crate::engine::hooks;
use crate::engine::state::HookStatus;
use crate::engine::turn::Turn;
use crate::engine::{Cause, HookAction, InstanceState, Stage, StageKind, Stand};

impl Roll {
    /// Has the outside start new instances and stop released ones. True when no call is open.
    pub(super) fn call_hooks(&self, turn: &mut Turn<'_>, places: &[InstanceId], goal: u32) -> bool {
        if !self.course.has_hook {
            return true;
        }
        let none_open = hooks::wait_for_open(turn, &self.course, |turn, id| {
            self.is_of_this_lane(turn, id)
        });
        let stops = self.to_stop(turn);
        let starts = self.missing_starts(turn, places, goal);
        let done = stops.is_empty() && starts.is_empty() && none_open;
        for (instance, version) in stops {
            let stop = hooks::call_for(turn, &self.course, HookAction::Stop, &instance, &version);
            hooks::call(turn, &self.course.name, stop);
        }
        for instance in starts {
            let new = &self.course.new;
            let start = hooks::call_for(turn, &self.course, HookAction::Start, &instance, new);
            hooks::call(turn, &self.course.name, start);
        }
        done
    }

    fn is_of_this_lane(&self, turn: &Turn<'_>, instance: &InstanceId) -> bool {
        let batch = self.lane.batch.as_ref();
        let is_here = |known: &InstanceState| {
            let place = self.lane.place.as_ref();
            place.is_none_or(|place| place.holds(&known.instance.locality))
        };
        self.lane.place.is_none()
            || batch.is_some_and(|batch| batch.members.contains(instance))
            || turn
                .instance(&self.course.service, instance)
                .is_some_and(is_here)
    }

    /// The instances that nobody needs any more on account of this rollout: those that it released,
    /// and, when the old version is not to come back, those of it that no proxy was ever told of.
    fn to_stop(&self, turn: &Turn<'_>) -> Vec<(InstanceId, VersionName)> {
        let at_the_end = self.lane.batch.is_none()
            && self.remaining(turn) == 0
            && self.count_new(turn, |kind| kind == StageKind::Serving) >= self.lane.desired;
        let none_comes_back = self.course.turned.is_some() || at_the_end;
        let may_be_over = |stand: &Stand| match stand.stage {
            StageKind::Released => self.is_here(stand),
            StageKind::Registered | StageKind::Ready => {
                none_comes_back && stand.version != self.course.new && self.is_here(stand)
            }
            _ => false,
        };
        let state = self.course.state(turn);
        let candidates = turn.select(&self.course.service, may_be_over).into_iter();
        let over = candidates.filter(|(_, known)| match &known.stage {
            Stage::Released { cause, .. } => {
                cause.rollout().is_some_and(|by| state.answers_for(by))
            }
            _ => !known.told,
        });
        over.map(|(id, known)| (id.clone(), known.instance.version.clone()))
            .filter(|(id, version)| !self.has_stopped(turn, id, version))
            .collect()
    }

    /// Was the outside asked to stop it?
    pub(super) fn has_stopped(
        &self,
        turn: &Turn<'_>,
        instance: &InstanceId,
        version: &VersionName,
    ) -> bool {
        let hooks = &self.course.state(turn).hooks;
        hooks
            .for_instance(HookAction::Stop, version, instance)
            .is_some()
    }

    /// Places in which a new instance is to be started now: no more than are missing, and only while
    /// there is room for one more process.
    fn missing_starts(&self, turn: &Turn<'_>, places: &[InstanceId], goal: u32) -> Vec<InstanceId> {
        let hooks = &self.course.state(turn).hooks;
        let start = |id: &InstanceId| hooks.for_instance(HookAction::Start, &self.course.new, id);
        let started = places.iter().filter(|id| start(id).is_some()).count();
        let unanswered = |id: &&InstanceId| start(id).is_some_and(|h| h.status != HookStatus::Done);
        // What somebody else started may have appeared instead, while these are still to come.
        let unanswered = places.iter().filter(unanswered).count();
        let here = self.count_new(turn, |kind| !kind.goes());
        let before = goal.saturating_sub(u32::try_from(places.len()).unwrap_or(u32::MAX));
        let appeared = here.saturating_sub(before);
        let expected = u32::try_from(started)
            .unwrap_or(u32::MAX)
            .saturating_sub(appeared)
            .max(u32::try_from(unanswered).unwrap_or(u32::MAX));
        let missing = goal.saturating_sub(here).saturating_sub(expected);
        let running = self.running(turn).saturating_add(expected);
        let room = self.budget.ceiling.saturating_sub(running);
        let candidates = places.iter().filter(|id| start(id).is_none());
        let candidates = candidates.take(missing.min(room) as usize);
        candidates.cloned().collect()
    }

    /// So many processes of this lane are there.
    fn running(&self, turn: &Turn<'_>) -> u32 {
        let hooks = &self.course.state(turn).hooks;
        let is_stopped = |id: &InstanceId, version: &VersionName| {
            let stop = hooks.for_instance(HookAction::Stop, version, id);
            stop.is_some_and(|hook| hook.status == HookStatus::Done)
        };
        let told = self.count_all(turn, |kind| kind.endpoint().is_some());
        let is_untold = |s: &Stand| s.stage.endpoint().is_none() && self.is_here(s);
        let untold = turn.select(&self.course.service, is_untold).into_iter();
        let untold = untold.filter(|(id, known)| {
            self.takes_room(turn, known) && !is_stopped(id, &known.instance.version)
        });
        told.saturating_add(u32::try_from(untold.count()).unwrap_or(u32::MAX))
    }

    /// Does an instance that no proxy knows count as a process of this rollout? Not if it stood
    /// beside the fleet before: sick, or taken out by an operator.
    fn takes_room(&self, turn: &Turn<'_>, known: &InstanceState) -> bool {
        match &known.stage {
            Stage::Registered | Stage::Ready => {
                known.instance.version == self.course.new || self.course.turned.is_some()
            }
            stage => {
                let by = stage.cause().and_then(Cause::rollout);
                by.is_some_and(|by| self.course.state(turn).answers_for(by))
            }
        }
    }

    /// The places of instances of the version that comes which this rollout had stopped before it
    /// turned round.
    pub(super) fn places_left_empty(&self, turn: &Turn<'_>) -> Vec<InstanceId> {
        let calls = self.course.state(turn).hooks.iter().map(|hook| &hook.call);
        let stops =
            calls.filter(|call| call.action == HookAction::Stop && call.version == self.course.new);
        let is_free = |place: &InstanceId| {
            let there = turn.instance(&self.course.service, place);
            there.is_none_or(|known| matches!(known.stage, Stage::Released { .. }))
        };
        let places = stops.map(|call| call.instance.clone());
        places.filter(is_free).collect()
    }
}

//! Which hooks a rollout calls: whoever runs the processes is asked to start new instances, and to
//! stop those that nobody needs any more.
//!
//! Like everything of a rollout it follows from counts, so it is asked again each turn. A call has a
//! key of its own and is made once; only a retry, or a restart before the answer, makes it again.

use std::collections::BTreeSet;

use super::{Roll, is_on_its_way_out};
use crate::domain::{InstanceId, VersionName};
use crate::engine::hooks;
use crate::engine::instances::snapshot;
use crate::engine::state::{HookState, HookStatus};
use crate::engine::turn::Turn;
use crate::engine::{Cause, HookAction, HookCall, Stage, Wait};

impl Roll {
    /// Has the outside start new instances and stop released ones. True when no call is open.
    pub(super) fn call_hooks(&self, turn: &mut Turn<'_>, places: &[InstanceId], goal: u32) -> bool {
        if self.state.spec.replace.is_none() {
            return true;
        }
        for hook in &self.state.hooks {
            let (action, instance) = (hook.call.action, hook.call.instance.clone());
            match &hook.status {
                HookStatus::Done => {}
                HookStatus::Called => {
                    turn.wait(self.subject(), Wait::Hook { action, instance });
                }
                HookStatus::Failed(error) => {
                    let error = error.clone();
                    turn.wait(
                        self.subject(),
                        Wait::HookFailed {
                            action,
                            instance,
                            error,
                        },
                    );
                }
            }
        }
        let mut calls: Vec<HookCall> = self
            .released(turn)
            .filter(|(id, version)| !self.has_stopped(id, version))
            .map(|(id, version)| self.hook_call(HookAction::Stop, &id, &version))
            .collect();
        let to_start = self.missing_starts(turn, places, goal);
        calls.extend(to_start.map(|id| self.hook_call(HookAction::Start, id, &self.new)));

        let none_open = self
            .state
            .hooks
            .iter()
            .all(|hook| hook.status == HookStatus::Done);
        let done = calls.is_empty() && none_open;
        for call in calls {
            hooks::call(turn, &self.name, call);
        }
        done
    }

    /// The instances that nobody needs any more on account of this rollout: those that it released,
    /// and, when the old version is not to come back, those of it that no proxy was ever told of.
    fn released(&self, turn: &Turn<'_>) -> impl Iterator<Item = (InstanceId, VersionName)> {
        let (name, old) = (self.name.clone(), self.old.clone());
        let at_the_end = self.state.batch.is_none()
            && self.remaining(turn).is_empty()
            && self.count_new(turn, |stage| *stage == Stage::Serving) >= self.desired;
        let none_comes_back = self.state.aborted || at_the_end;
        let known = turn.state.services.get(&self.service);
        let known = known.into_iter().flat_map(|state| &state.instances);
        let told: BTreeSet<InstanceId> = known
            .filter(|(_, known)| known.told)
            .map(|(id, _)| id.clone())
            .collect();
        snapshot(turn, &self.service)
            .into_iter()
            .filter_map(move |(id, version, stage)| {
                let over = match stage {
                    Stage::Released {
                        cause: Cause::Rollout(cause),
                        ..
                    } => cause == name,
                    Stage::Registered | Stage::Ready => {
                        none_comes_back && version == old && !told.contains(&id)
                    }
                    _ => false,
                };
                over.then_some((id, version))
            })
    }

    fn hook(&self, key: &str) -> Option<&HookState> {
        self.state.hooks.iter().find(|hook| hook.call.key == key)
    }

    pub(super) fn has_stopped(&self, instance: &InstanceId, version: &VersionName) -> bool {
        self.hook(&self.stop_key(instance, version)).is_some()
    }

    /// Both keys are the same for the same call after a restart, and others when the rollout runs
    /// anew. They name the version, for an instance may come back under its id as another one.
    fn start_key(&self, place: &InstanceId) -> String {
        let run = self.state.planned.as_millisecond();
        format!("{}-{run}/start/{}/{place}", self.name, self.new)
    }

    fn stop_key(&self, instance: &InstanceId, version: &VersionName) -> String {
        let run = self.state.planned.as_millisecond();
        format!("{}-{run}/stop/{version}/{instance}", self.name)
    }

    /// Places in which a new instance is to be started now: no more than are missing, and only while
    /// there is room for one more process.
    fn missing_starts<'a>(
        &self,
        turn: &Turn<'_>,
        places: &'a [InstanceId],
        goal: u32,
    ) -> impl Iterator<Item = &'a InstanceId> {
        let is_started = |id: &&InstanceId| self.hook(&self.start_key(id)).is_some();
        let started = places.iter().filter(is_started).count();
        let unanswered = |id: &&InstanceId| {
            let start = self.hook(&self.start_key(id));
            start.is_some_and(|hook| hook.status != HookStatus::Done)
        };
        // What somebody else started may have appeared instead, while these are still to come.
        let unanswered = places.iter().filter(unanswered).count();
        let here = self.count_new(turn, |stage| !is_on_its_way_out(stage));
        let before = goal.saturating_sub(u32::try_from(places.len()).unwrap_or(u32::MAX));
        let appeared = here.saturating_sub(before);
        let expected = u32::try_from(started)
            .unwrap_or(u32::MAX)
            .saturating_sub(appeared)
            .max(u32::try_from(unanswered).unwrap_or(u32::MAX));
        let missing = goal.saturating_sub(here).saturating_sub(expected);

        let is_stopped = |id: &InstanceId, version: &VersionName| {
            let stop = self.hook(&self.stop_key(id, version));
            stop.is_some_and(|hook| hook.status == HookStatus::Done)
        };
        let known = snapshot(turn, &self.service).into_iter();
        let running = known
            .filter(|(id, version, stage)| {
                stage.endpoint().is_some()
                    || self.takes_room(version, stage) && !is_stopped(id, version)
            })
            .count();
        let running = u32::try_from(running)
            .unwrap_or(u32::MAX)
            .saturating_add(expected);
        let room = self.ceiling.saturating_sub(running);
        let candidates = places.iter().filter(move |id| !is_started(id));
        candidates.take(missing.min(room) as usize)
    }

    /// Does an instance that no proxy knows count as a process of this rollout? Not if it stood
    /// beside the fleet before: sick, or taken out by an operator.
    fn takes_room(&self, version: &VersionName, stage: &Stage) -> bool {
        match stage {
            Stage::Registered | Stage::Ready => *version == self.new || self.state.aborted,
            _ => matches!(stage.cause(), Some(Cause::Rollout(cause)) if *cause == self.name),
        }
    }

    /// The places of instances of the version that comes which this rollout had stopped before it
    /// turned round.
    pub(super) fn places_left_empty(&self, turn: &Turn<'_>) -> Vec<InstanceId> {
        let calls = self.state.hooks.iter().map(|hook| &hook.call);
        let stops =
            calls.filter(|call| call.action == HookAction::Stop && call.version == self.new);
        let places = stops.map(|call| call.instance.clone());
        let is_free = |place: &InstanceId| {
            let there = self.member(turn, place);
            there.is_none_or(|known| matches!(known.stage, Stage::Released { .. }))
        };
        places.filter(is_free).collect()
    }

    fn hook_call(&self, action: HookAction, instance: &InstanceId, of: &VersionName) -> HookCall {
        HookCall {
            key: match action {
                HookAction::Start => self.start_key(instance),
                HookAction::Stop => self.stop_key(instance, of),
            },
            action,
            service: self.service.clone(),
            instance: instance.clone(),
            version: of.clone(),
        }
    }
}

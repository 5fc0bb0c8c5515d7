//! What a record does to the rollout that it is about.

use super::{Asks, Bake, Batch, HookStatus, Lane, Pause, RolloutState, Started};
use crate::domain::{PlaceName, Time};
use crate::engine::facts::tally::Heard;
use crate::engine::record::Ruling;
use crate::engine::{GateTrial, Outcome, Record, Turned};

impl RolloutState {
    pub(in crate::engine::state) fn apply(&mut self, record: &Record, at: Time) {
        match record {
            // That it is watched is no progress.
            Record::Ruled {
                ruling: Ruling::Weighed { trials, heard },
                ..
            } => {
                self.keep(trials, heard);
                return;
            }
            Record::Ruled {
                ruling: Ruling::Decided { gate, decision },
                ..
            } => {
                self.gates.entry(gate.clone()).or_default().decide(decision);
            }
            Record::RolloutStarted {
                from,
                desired,
                capacity,
                steps,
                ..
            } => {
                self.started = Some(Started {
                    at,
                    from: from.clone(),
                    desired: *desired,
                    capacity: *capacity,
                });
                self.steps.clone_from(steps);
                if self.spec.strategy.is_whole() {
                    self.lanes = vec![Lane::new(None, *desired, None)];
                }
            }
            Record::RolloutAmended { spec, .. } => self.spec = (**spec).clone(),
            Record::RolloutPaused { by, reason, .. } => {
                self.paused = Some(Pause {
                    by: by.clone(),
                    reason: reason.clone(),
                });
            }
            Record::RulesOverridden { by, reason, .. } => {
                self.overridden = Some(Pause {
                    by: by.clone(),
                    reason: Some(reason.clone()),
                });
            }
            Record::RolloutResumed { .. } => self.paused = None,
            Record::RolloutAborted { how, .. } => self.turn_round(*how),
            Record::RolloutEnded { outcome, .. } => self.end(at, *outcome),
            Record::RolloutSuperseded { .. } => self.end(at, Outcome::Superseded),
            Record::BatchBegan {
                members,
                lane,
                last_zone,
                ..
            } => {
                let new = self.comes().cloned();
                for (instance, new) in members.iter().filter_map(|id| Some((id, new.as_ref()?))) {
                    self.hooks.replaces_anew(new, instance);
                }
                if let Some(lane) = self.lane_mut(lane.as_ref()) {
                    lane.last_zone.clone_from(last_zone);
                    lane.batch = Some(Batch {
                        members: members.clone(),
                    });
                }
            }
            Record::BatchDone { lane, .. } => {
                self.batches_done += 1;
                if let Some(lane) = self.lane_mut(lane.as_ref()) {
                    lane.batches_done += 1;
                    let place = lane.place.clone();
                    let members = lane.batch.take().map(|batch| batch.members);
                    let members = members.unwrap_or_default();
                    self.asks.leave_batch(place.as_ref(), &members);
                }
            }
            Record::BakeBegan { .. } => self.bake = Bake::Began(at),
            Record::BakeDone { .. } => self.bake = Bake::Done,
            Record::LaneBegan {
                place,
                desired,
                quota,
                ..
            } => {
                self.lanes.retain(|lane| lane.place.as_ref() != Some(place));
                let place = Some(place.clone());
                self.lanes.push(Lane::new(place, *desired, *quota));
            }
            Record::LaneDone { place, .. } => {
                if let Some(lane) = self.lane_mut(place.as_ref()) {
                    lane.done = true;
                }
            }
            Record::WaveDone { .. } => {
                self.waves_done += 1;
                self.leave_wave();
            }
            Record::WaveRolledBack { .. } => {
                self.turned = None;
                self.waves_undone += 1;
                self.leave_wave();
            }
            Record::Approved { .. } => self.approved = true,
            Record::StepReached { .. } => self.step_since = Some(at),
            Record::StepDone { .. } => {
                self.steps_done += 1;
                self.asks.leave_step();
                (self.step_since, self.approved) = (None, false);
            }
            Record::HookAsked { hook, ask, attempt } => self.asks.ask(*hook, ask, *attempt, at),
            Record::HookAnswered { key, answer, .. } => self.asks.hear(key, answer, at),
            Record::HookCalled { call, attempt, .. } => self.hooks.call(call, *attempt),
            Record::HookDone { key, .. } => self.hooks.end(key, HookStatus::Done),
            Record::HookFailed { key, error, .. } => {
                self.hooks.end(key, HookStatus::Failed(error.clone()));
            }
            _ => {}
        }
        self.progress = at;
    }

    /// Goes on with what another one had begun.
    pub(in crate::engine::state) fn inherit(&mut self, from: &mut Self) {
        self.hooks = std::mem::take(&mut from.hooks);
        self.superseded.clone_from(&from.superseded);
        self.superseded.push(from.spec.name.clone());
    }

    fn turn_round(&mut self, how: Turned) {
        self.asks.leave_all();
        (self.turned, self.paused, self.bake) = (Some(how), None, Bake::Ahead);
        if how == Turned::ThisWave {
            for lane in &mut self.lanes {
                (lane.batch, lane.done) = (None, false);
            }
        } else {
            let desired = self.started.as_ref().map_or(0, |started| started.desired);
            self.lanes = vec![Lane::new(None, desired, None)];
        }
    }

    fn keep(&mut self, trials: &[GateTrial], heard: &[Heard]) {
        for trial in trials {
            let known = self.gates.entry(trial.gate.name.clone()).or_default();
            known.kept = Some(Box::new(trial.clone()));
        }
        self.heard = heard.to_vec();
    }

    fn end(&mut self, at: Time, outcome: Outcome) {
        self.ended = Some((at, outcome));
        self.gates.values_mut().for_each(|gate| gate.kept = None);
        self.heard.clear();
        self.lanes.clear();
        self.asks = Asks::default();
    }

    fn leave_wave(&mut self) {
        self.asks.leave_all();
        (self.lanes, self.bake, self.approved) = (Vec::new(), Bake::Ahead, false);
    }

    fn lane_mut(&mut self, place: Option<&PlaceName>) -> Option<&mut Lane> {
        let mut lanes = self.lanes.iter_mut();
        lanes.find(|lane| lane.place.as_ref() == place)
    }
}

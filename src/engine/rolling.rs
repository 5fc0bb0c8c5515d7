//! The rolling strategy: which instances of the old version go next, and which new ones come.
//!
//! It is planned from facts each turn. A batch names the old instances that are being replaced;
//! everything else (how many may join, how many may leave) follows from counts, so instances that
//! appear, vanish or fail half-way only change what is counted. Going back is the same with the two
//! versions swapped.
//!
//! Whoever calls this has made sure that everything decided before is in force.

use super::instances::{begin_leaving, snapshot};
use super::state::{Bake, Batch, HookState, HookStatus, RolloutState, Started};
use super::turn::{Subject, Turn};
use super::{Cause, HookAction, HookCall, InstanceState, Outcome, Record, Stage, Wait};
use crate::domain::{InstanceId, RolloutName, ServiceName, Span, VersionName};

/// What a rollout has to go by in this turn.
struct Roll {
    name: RolloutName,
    service: ServiceName,
    /// The version that goes.
    old: VersionName,
    /// The version that comes.
    new: VersionName,
    desired: u32,
    /// So many instances may be told to the proxies at once.
    ceiling: u32,
    /// So many must serve when one more leaves.
    floor: u32,
    state: RolloutState,
}

/// Takes the rollout as far as it may go in this turn.
pub(super) fn advance(turn: &mut Turn<'_>, name: &RolloutName) {
    let Some(roll) = Roll::of(turn, name) else {
        return;
    };
    match roll.state.batch.clone() {
        Some(batch) => roll.work_on(turn, &batch),
        None => roll.choose_next(turn),
    }
}

/// Is everything replaced, and only instances that should have come are missing?
pub(super) fn only_waits_for_more(turn: &Turn<'_>, name: &RolloutName) -> bool {
    Roll::of(turn, name).is_some_and(|roll| {
        roll.state.batch.is_none()
            && !matches!(roll.state.bake, Bake::Began(_))
            && roll.remaining(turn).is_empty()
            && roll.count_new(turn, |stage| *stage == Stage::Serving) > 0
    })
}

/// Ends a rollout as it stands.
pub(super) fn end(turn: &mut Turn<'_>, name: &RolloutName, outcome: Outcome) {
    if let Some(roll) = Roll::of(turn, name) {
        roll.end(turn, outcome);
    }
}

impl Roll {
    fn of(turn: &Turn<'_>, name: &RolloutName) -> Option<Self> {
        let state = turn.state.rollouts.get(name)?.clone();
        let Started { from, desired, .. } = state.started.clone()?;
        let (old, new) = if state.aborted {
            (state.spec.to.clone(), from)
        } else {
            (from, state.spec.to.clone())
        };
        let rolling = state.spec.rolling;
        let surge = rolling.max_surge.up_to(desired);
        // A budget of less than one instance on both sides would never move anything.
        let unavailable = rolling
            .max_unavailable
            .within(desired)
            .max(u32::from(surge == 0));
        Some(Self {
            name: name.clone(),
            service: state.spec.service.clone(),
            old,
            new,
            desired,
            ceiling: desired.saturating_add(surge),
            floor: desired.saturating_sub(unavailable),
            state,
        })
    }

    // --- between batches

    fn choose_next(&self, turn: &mut Turn<'_>) {
        let mut members = self.remaining(turn);
        let to_replace = members.len().saturating_sub(self.holdback());
        let staying = u32::try_from(members.len()).unwrap_or(u32::MAX);
        // What was in the middle of being replaced when the rollout turned round comes back first.
        if self.state.aborted && !self.fill_up(turn, self.desired.saturating_sub(staying)) {
            return;
        }
        if to_replace > 0 {
            let size = self.state.spec.rolling.batch.up_to(self.desired).max(1) as usize;
            members.truncate(size.min(to_replace));
            turn.record(Record::BatchBegan {
                rollout: self.name.clone(),
                members,
            });
        } else if self.state.aborted {
            self.finish(turn, Outcome::RolledBack);
        } else {
            self.bake(turn);
        }
    }

    /// Old instances that nobody has begun to replace, sick ones first.
    fn remaining(&self, turn: &Turn<'_>) -> Vec<InstanceId> {
        let mut remaining: Vec<(bool, InstanceId)> = snapshot(turn, &self.service)
            .into_iter()
            .filter(|(_, version, _)| *version == self.old)
            .filter(|(_, _, stage)| stays(stage))
            .map(|(id, _, stage)| (stage != Stage::Suspended, id))
            .collect();
        remaining.sort();
        remaining.into_iter().map(|(_, id)| id).collect()
    }

    /// Old instances that stay until the bake is over; never all of them.
    fn holdback(&self) -> usize {
        let bake = self.state.spec.bake;
        if self.state.aborted || bake.span.is_zero() || self.state.bake == Bake::Done {
            return 0;
        }
        bake.holdback.min(self.desired.saturating_sub(1)) as usize
    }

    fn bake(&self, turn: &mut Turn<'_>) {
        let rollout = self.name.clone();
        let bake = self.state.spec.bake;
        match self.state.bake {
            Bake::Ahead if !bake.span.is_zero() => turn.record(Record::BakeBegan { rollout }),
            Bake::Began(at) if Span::between(at, turn.now) < bake.span => {
                let wait = Wait::Bake {
                    span: bake.span,
                    holdback: bake.holdback,
                };
                turn.wait(self.subject(), wait);
            }
            Bake::Began(_) => turn.record(Record::BakeDone { rollout }),
            Bake::Ahead | Bake::Done => self.finish(turn, Outcome::Done),
        }
    }

    fn finish(&self, turn: &mut Turn<'_>, outcome: Outcome) {
        if self.fill_up(turn, self.desired) {
            self.end(turn, outcome);
        }
    }

    /// Brings instances of the version that comes up to `goal`. True when so many serve and no hook
    /// call is open.
    fn fill_up(&self, turn: &mut Turn<'_>, goal: u32) -> bool {
        let hooks_done = self.call_hooks(turn, &self.places_left_empty(), goal);
        let serving = self.count_new(turn, |stage| matches!(stage, Stage::Serving));
        if serving < goal {
            self.admit(turn, goal);
            self.wait_for_new(turn, goal);
        }
        serving >= goal && hooks_done
    }

    fn end(&self, turn: &mut Turn<'_>, outcome: Outcome) {
        let (service, rollout) = (self.service.clone(), self.name.clone());
        if outcome == Outcome::Done {
            turn.record(Record::StableChosen {
                service,
                version: self.new.clone(),
            });
        }
        turn.record(Record::RolloutEnded { rollout, outcome });
    }

    // --- within a batch

    fn work_on(&self, turn: &mut Turn<'_>, batch: &Batch) {
        let staying = self
            .remaining(turn)
            .into_iter()
            .filter(|id| !batch.members.contains(id));
        let staying = u32::try_from(staying.count()).unwrap_or(u32::MAX);
        let goal = self.desired.saturating_sub(staying);
        let hooks_done = self.call_hooks(turn, &batch.members, goal);
        self.admit(turn, goal);
        let members_done = self.let_go(turn, batch);
        let serving = self.count_new(turn, |stage| matches!(stage, Stage::Serving));
        if serving < goal {
            self.wait_for_new(turn, goal);
        } else if members_done && hooks_done {
            turn.record(Record::BatchDone {
                rollout: self.name.clone(),
            });
        }
    }

    /// Tells the proxies of new instances, as many as the goal wants and the ceiling allows.
    fn admit(&self, turn: &mut Turn<'_>, goal: u32) {
        let told = self.count_all(turn, |stage| stage.endpoint().is_some());
        let here = self.count_new(turn, stays);
        let room = self
            .ceiling
            .saturating_sub(told)
            .min(goal.saturating_sub(here));
        self.take_in(turn, &self.new, room);
        // Should old ones have been lost meanwhile, others of the old version stand in for them.
        if !self.state.aborted {
            let told = self.count_all(turn, |stage| stage.endpoint().is_some());
            self.take_in(turn, &self.old, self.desired.saturating_sub(told));
        }
    }

    fn take_in(&self, turn: &mut Turn<'_>, of: &VersionName, room: u32) {
        let ready = snapshot(turn, &self.service)
            .into_iter()
            .filter(|(_, version, stage)| version == of && *stage == Stage::Ready)
            .filter(|(id, version, _)| *version == self.new || !self.has_stopped(id, version));
        for (id, _, _) in ready.take(room as usize) {
            let generation = turn.next_generation();
            let why = format!("{} takes it in", self.name);
            turn.move_to(&self.service, &id, Stage::Joining { generation }, why);
        }
    }

    /// Begins to take the batch's members out, as far as the floor allows. True when all are gone.
    fn let_go(&self, turn: &mut Turn<'_>, batch: &Batch) -> bool {
        let mut all_gone = true;
        for id in &batch.members {
            let Some(known) = self.member(turn, id) else {
                continue;
            };
            let stage = known.stage.clone();
            // One that fell sick before its proxies heard of it again takes nothing: it is gone, too.
            let out = matches!(
                stage,
                Stage::Released { .. } | Stage::Registered | Stage::Ready
            );
            if out || known.instance.version != self.old {
                continue;
            }
            all_gone = false;
            if !stays(&stage) {
                continue;
            }
            // A sick one takes nothing, so its going costs nothing.
            let serving = self.count_all(turn, |stage| matches!(stage, Stage::Serving));
            let without = serving.saturating_sub(u32::from(stage == Stage::Serving));
            if stage != Stage::Suspended && without < self.floor {
                turn.wait(
                    self.subject(),
                    Wait::Ready {
                        ready: serving,
                        floor: self.floor,
                    },
                );
                continue;
            }
            let cause = Cause::Rollout(self.name.clone());
            let why = format!("{} replaces it by {}", self.name, self.new);
            begin_leaving(turn, &self.service, id, &stage, cause, &why);
        }
        all_gone
    }

    // --- hooks

    /// Has the outside start new instances and stop released ones. True when no call is open.
    fn call_hooks(&self, turn: &mut Turn<'_>, places: &[InstanceId], goal: u32) -> bool {
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
            super::operate::call_hook(turn, &self.name, call);
        }
        done
    }

    /// The instances that nobody needs any more on account of this rollout: those that it released,
    /// and, when the old version is not to come back, those of it that no proxy knows.
    fn released(&self, turn: &Turn<'_>) -> impl Iterator<Item = (InstanceId, VersionName)> {
        let (name, old) = (self.name.clone(), self.old.clone());
        let at_the_end = self.state.batch.is_none()
            && self.remaining(turn).is_empty()
            && self.count_new(turn, |stage| *stage == Stage::Serving) >= self.desired;
        let none_comes_back = self.state.aborted || at_the_end;
        snapshot(turn, &self.service)
            .into_iter()
            .filter_map(move |(id, version, stage)| {
                let over = match stage {
                    Stage::Released {
                        cause: Cause::Rollout(cause),
                        ..
                    } => cause == name,
                    Stage::Registered | Stage::Ready => none_comes_back && version == old,
                    _ => false,
                };
                over.then_some((id, version))
            })
    }

    fn hook(&self, key: &str) -> Option<&HookState> {
        self.state.hooks.iter().find(|hook| hook.call.key == key)
    }

    fn has_stopped(&self, instance: &InstanceId, version: &VersionName) -> bool {
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
    fn places_left_empty(&self) -> Vec<InstanceId> {
        let calls = self.state.hooks.iter().map(|hook| &hook.call);
        let stops =
            calls.filter(|call| call.action == HookAction::Stop && call.version == self.new);
        stops.map(|call| call.instance.clone()).collect()
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

    // --- counts

    fn wait_for_new(&self, turn: &mut Turn<'_>, goal: u32) {
        let (mut unready, mut here) = (Vec::new(), 0);
        for (id, version, stage) in snapshot(turn, &self.service) {
            if version != self.new || is_on_its_way_out(&stage) {
                continue;
            }
            here += 1;
            if stage == Stage::Ready {
                unready.push(format!(
                    "{id}: no more than {} may be listed at once",
                    self.ceiling
                ));
            } else if matches!(stage, Stage::Registered | Stage::Suspended) {
                let health = turn.facts.health(&self.service, &id);
                let said = match health {
                    None => "not probed yet",
                    Some(health) if health.healthy => "healthy, but not for minReady yet",
                    Some(health) => &health.detail,
                };
                unready.push(format!("{id}: {said}"));
            }
        }
        let version = self.new.clone();
        if !unready.is_empty() {
            let wait = Wait::NotReady {
                version: version.clone(),
                instances: unready,
            };
            turn.wait(self.subject(), wait);
        }
        if here < goal {
            turn.wait(
                self.subject(),
                Wait::Instances {
                    version,
                    missing: goal - here,
                },
            );
        }
    }

    fn count_new(&self, turn: &Turn<'_>, wanted: impl Fn(&Stage) -> bool) -> u32 {
        let service = turn.state.services.get(&self.service);
        let is_new = |known: &InstanceState| known.instance.version == self.new;
        service.map_or(0, |s| {
            s.count(|known| is_new(known) && wanted(&known.stage))
        })
    }

    fn count_all(&self, turn: &Turn<'_>, wanted: impl Fn(&Stage) -> bool) -> u32 {
        let service = turn.state.services.get(&self.service);
        service.map_or(0, |s| s.count(|known| wanted(&known.stage)))
    }

    fn member<'a>(&self, turn: &'a Turn<'_>, id: &InstanceId) -> Option<&'a InstanceState> {
        turn.state.services.get(&self.service)?.instances.get(id)
    }

    fn subject(&self) -> Subject {
        Subject::Rollout(self.name.clone())
    }
}

/// Is the instance told to the proxies, and nobody has begun to take it out?
fn stays(stage: &Stage) -> bool {
    matches!(
        stage,
        Stage::Joining { .. } | Stage::Serving | Stage::Suspended
    )
}

fn is_on_its_way_out(stage: &Stage) -> bool {
    stage.cause().is_some()
}

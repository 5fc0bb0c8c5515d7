//! The rolling strategy: which instances of the old version go next, and which new ones come.
//!
//! It is planned from facts each turn. A batch names the old instances that are being replaced;
//! everything else (how many may join, how many may leave) follows from counts, so instances that
//! appear, vanish or fail half-way only change what is counted. Going back is the same with the two
//! versions swapped.
//!
//! Whoever calls this has made sure that everything decided before is in force.

mod hooks;

use super::instances::{begin_leaving, snapshot};
use super::state::{Bake, Batch, RolloutState, Started};
use super::turn::{Subject, Turn};
use super::{Cause, InstanceState, Outcome, Record, Stage, Wait};
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
                    holdback: u32::try_from(self.remaining(turn).len()).unwrap_or(u32::MAX),
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
        let hooks_done = self.call_hooks(turn, &self.places_left_empty(turn), goal);
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
        let serving = self.count_new(turn, |stage| matches!(stage, Stage::Serving));
        if serving < goal {
            self.wait_for_new(turn, goal);
        }
        let members_done = self.let_go(turn, batch);
        if serving >= goal && members_done && hooks_done {
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

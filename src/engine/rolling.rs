//! The rolling strategy: which instances of the old versions go next, and which new ones come.
//!
//! It is planned from facts each turn, lane by lane. A batch names the old instances that are being
//! replaced; everything else (how many may join, how many may leave) follows from counts, so instances
//! that appear, vanish or fail half-way only change what is counted. Going back is the same with the
//! version that served before as the one that comes.
//!
//! Whoever calls this has made sure that everything decided before is in force.

mod hooks;
mod order;

use super::budget::Budget;
use super::course::Course;
use super::instances::begin_leaving;
use super::rules::{self, Move};
use super::shift;
use super::state::{Bake, Batch, Lane};
use super::turn::Turn;
use super::{
    Cause, InstanceState, Outcome, Portion, Record, Stage, StageKind, Stand, Wait, capacity,
    moments,
};
use crate::domain::{InstanceId, PlaceName, Rolling, RolloutName, When};

/// A lane of a rollout in this turn.
pub(super) struct Roll {
    course: Course,
    rolling: Rolling,
    lane: Lane,
    budget: Budget,
}

/// Takes a rollout of the whole fleet as far as it may go in this turn.
pub(super) fn advance(turn: &mut Turn<'_>, name: &RolloutName) {
    let Some(roll) = Roll::of(turn, name, None) else {
        return;
    };
    if shift::unwind(turn, &roll.course) && roll.advance(turn) {
        roll.conclude(turn);
    }
}

/// Takes one lane as far as it may go in this turn. True when all of it is replaced.
pub(super) fn advance_lane(turn: &mut Turn<'_>, name: &RolloutName, place: &PlaceName) -> bool {
    let roll = Roll::of(turn, name, Some(place));
    roll.is_some_and(|roll| roll.advance(turn) && roll.fill_up(turn, roll.lane_goal()))
}

/// Is everything replaced, and only instances that should have come are missing?
pub(super) fn only_waits_for_more(turn: &Turn<'_>, name: &RolloutName) -> bool {
    Roll::of(turn, name, None).is_some_and(|roll| {
        roll.lane.batch.is_none()
            && !matches!(roll.course.state(turn).bake, Bake::Began(_))
            && roll.remaining(turn) == 0
            && roll.count_new(turn, |kind| kind == StageKind::Serving) > 0
    })
}

/// Ends a rollout as it stands.
pub(super) fn end(turn: &mut Turn<'_>, name: &RolloutName, outcome: Outcome) {
    if let Some(course) = Course::of(turn, name) {
        course.end(turn, outcome, None);
    }
}

impl Roll {
    fn of(turn: &Turn<'_>, name: &RolloutName, place: Option<&PlaceName>) -> Option<Self> {
        let course = Course::of(turn, name)?;
        let state = course.state(turn);
        let rolling = state.spec.strategy.rolling()?.clone();
        let lane = state.lane(place)?.clone();
        let budget = Budget::of(&rolling, lane.desired);
        Some(Self {
            course,
            rolling,
            lane,
            budget,
        })
    }

    /// True when nothing is left to replace.
    fn advance(&self, turn: &mut Turn<'_>) -> bool {
        match &self.lane.batch {
            Some(batch) => {
                self.work_on(turn, batch);
                false
            }
            None => self.choose_next(turn),
        }
    }

    // --- between batches

    fn choose_next(&self, turn: &mut Turn<'_>) -> bool {
        let staying = self.remaining(turn);
        // What was in the middle of being replaced when the rollout turned round comes back first.
        let back = self.course.turned.is_some();
        if back && !self.fill_up(turn, self.lane.desired.saturating_sub(staying)) {
            return false;
        }
        let to_replace = self.to_replace(turn);
        if to_replace == 0 {
            return true;
        }
        if self.course.is_held {
            return false;
        }
        let size = self
            .rolling
            .batch_after(self.lane.batches_done, self.lane.desired);
        let size = size.min(to_replace);
        if let Some(hold) = rules::against_more(turn, &self.course, Move::Instances(size)) {
            turn.wait(self.course.subject(), hold);
            return false;
        }
        if !self.passes_batch(turn, When::Before) {
            return false;
        }
        let (members, last_zone) = self.next_members(turn, size);
        turn.record(Record::BatchBegan {
            rollout: self.course.name.clone(),
            lane: self.lane.place.clone(),
            members,
            last_zone,
        });
        false
    }

    /// So many old instances are to go yet.
    fn to_replace(&self, turn: &Turn<'_>) -> u32 {
        let remaining = self.remaining(turn).saturating_sub(self.holdback(turn));
        let back = self.course.turned.is_some();
        match self.lane.quota.filter(|_| !back) {
            Some(quota) => {
                let replaced = self.count_new(turn, StageKind::stays);
                remaining.min(quota.saturating_sub(replaced))
            }
            None => remaining,
        }
    }

    /// So many old instances nobody has begun to replace.
    fn remaining(&self, turn: &Turn<'_>) -> u32 {
        self.course.count(turn, |stand| self.is_remaining(stand))
    }

    fn is_remaining(&self, stand: &Stand) -> bool {
        stand.version != self.course.new && stand.stage.stays() && self.is_here(stand)
    }

    /// Old instances that stay until the bake is over; never all of them.
    fn holdback(&self, turn: &Turn<'_>) -> u32 {
        let state = self.course.state(turn);
        let bake = state.spec.bake;
        let is_over = state.bake == Bake::Done || bake.span.is_zero();
        if self.course.turned.is_some() || self.lane.place.is_some() || is_over {
            return 0;
        }
        bake.holdback.min(self.lane.desired.saturating_sub(1))
    }

    /// The end of a rollout of the whole fleet.
    fn conclude(&self, turn: &mut Turn<'_>) {
        let span = self.course.state(turn).spec.bake.span;
        let outcome = match self.course.turned {
            Some(_) => Outcome::RolledBack,
            None if !self.course.bake(turn, span, self.remaining(turn)) => return,
            None => Outcome::Done,
        };
        // After the bake those that were held back are replaced, too.
        let done = self.to_replace(turn) == 0 && self.fill_up(turn, self.lane.desired);
        if done && !self.any_on_its_way_out(turn) && self.course.may_end(turn, outcome) {
            self.course.end(turn, outcome, None);
        }
    }

    /// Does an instance that this rollout takes out still have something to show?
    fn any_on_its_way_out(&self, turn: &Turn<'_>) -> bool {
        let state = self.course.state(turn);
        let goes = |s: &Stand| s.stage.goes() && s.stage != StageKind::Released;
        let going = turn.select(&self.course.service, goes);
        let mut causes = going
            .values()
            .filter_map(|known| known.stage.cause()?.rollout());
        causes.any(|by| state.answers_for(by))
    }

    /// Brings instances of the version that comes up to `goal`. True when so many serve and no hook
    /// call is open.
    fn fill_up(&self, turn: &mut Turn<'_>, goal: u32) -> bool {
        let mut places = self.places_left_empty(turn);
        places.extend(self.course.taken_out(turn));
        let hooks_done = self.call_hooks(turn, &places, goal);
        let serving = self.count_new(turn, |kind| kind == StageKind::Serving);
        if serving < goal {
            self.admit(turn, goal);
            self.wait_for_new(turn, goal);
        }
        serving >= goal && hooks_done
    }

    /// So many new instances there are when the lane is done.
    fn lane_goal(&self) -> u32 {
        let desired = self.lane.desired;
        let quota = self.lane.quota.filter(|_| self.course.turned.is_none());
        quota.unwrap_or(desired).min(desired)
    }

    // --- within a batch

    fn work_on(&self, turn: &mut Turn<'_>, batch: &Batch) {
        let instances = batch.members.iter();
        let in_batch = instances.filter(|id| {
            let known = turn.instance(&self.course.service, id);
            known.is_some_and(|k| k.instance.version != self.course.new && k.stage.kind().stays())
        });
        let in_batch = u32::try_from(in_batch.count()).unwrap_or(u32::MAX);
        let staying = self.remaining(turn).saturating_sub(in_batch);
        let goal = self.lane.desired.saturating_sub(staying);
        let mut places = batch.members.clone();
        places.extend(self.course.taken_out(turn));
        let hooks_done = self.call_hooks(turn, &places, goal);
        self.admit(turn, goal);
        let serving = self.count_new(turn, |kind| kind == StageKind::Serving);
        if serving < goal {
            self.wait_for_new(turn, goal);
        }
        let members_done = self.let_go(turn, batch);
        let done = serving >= goal && members_done && hooks_done;
        if done && self.passes_batch(turn, When::After) {
            turn.record(Record::BatchDone {
                rollout: self.course.name.clone(),
                lane: self.lane.place.clone(),
            });
        }
    }

    /// Tells the proxies of new instances, as many as the goal wants and the ceiling allows.
    fn admit(&self, turn: &mut Turn<'_>, goal: u32) {
        let told = |turn: &Turn<'_>| self.count_all(turn, |kind| kind.endpoint().is_some());
        let here = self.count_new(turn, StageKind::stays);
        let room = self.budget.ceiling.saturating_sub(told(turn));
        let room = room.min(goal.saturating_sub(here));
        let is_new = |stand: &Stand| stand.version == self.course.new && self.is_here(stand);
        self.course.take_in(turn, room, is_new, |_, _| true);
        // Should old ones have been lost meanwhile, others of the old version stand in for them.
        if self.course.turned.is_none() {
            let room = self.lane.desired.saturating_sub(told(turn));
            let is_old = |stand: &Stand| stand.version == self.course.from && self.is_here(stand);
            self.course.take_in(turn, room, is_old, |turn, id| {
                !self.has_stopped(turn, id, &self.course.from)
            });
        }
    }

    /// Begins to take the batch's members out, as far as the floor allows. True when all are gone.
    fn let_go(&self, turn: &mut Turn<'_>, batch: &Batch) -> bool {
        let service = &self.course.service;
        let mut all_gone = true;
        for id in &batch.members {
            let known = turn.instance(service, id);
            let is_old = |known: &&InstanceState| known.instance.version != self.course.new;
            let stage = known.filter(is_old).map(|known| known.stage.clone());
            // One that fell sick before its proxies heard of it again takes nothing: it is gone, too.
            let Some(stage) = stage.filter(|stage| {
                let kind = stage.kind();
                ![StageKind::Released, StageKind::Registered, StageKind::Ready].contains(&kind)
            }) else {
                all_gone &= self.passes(turn, When::After, id);
                continue;
            };
            all_gone = false;
            if !stage.kind().stays() {
                continue;
            }
            // A sick one takes nothing, so its going costs nothing.
            let (ready, floor, by_load) =
                (self.serving(turn), self.budget.floor, self.by_load(turn));
            let without = ready.saturating_sub(u32::from(stage == Stage::Serving));
            if stage != Stage::Suspended && without < floor.max(by_load) {
                let wait = Wait::Ready {
                    ready,
                    floor: floor.max(by_load),
                    by_load: by_load > floor,
                    zone: None,
                };
                turn.wait(self.course.subject(), wait);
                continue;
            }
            if stage == Stage::Serving
                && let Some(wait) = self.against_zone(turn, id)
            {
                turn.wait(self.course.subject(), wait);
                continue;
            }
            if !self.passes(turn, When::Before, id) {
                continue;
            }
            let cause = Cause::Rollout(self.course.name.clone());
            let why = format!("{} replaces it by {}", self.course.name, self.course.new);
            begin_leaving(turn, service, id, &stage, cause, &why);
        }
        all_gone
    }

    /// What keeps an instance in its zone: so many others must serve there, of whatever version.
    fn against_zone(&self, turn: &Turn<'_>, id: &InstanceId) -> Option<Wait> {
        let service = &self.course.service;
        let floor = turn.state.service(service)?.min_per_zone;
        let zone = &turn.instance(service, id)?.instance.locality.zone;
        let serves = |s: &Stand| s.stage == StageKind::Serving && s.locality.zone == *zone;
        let ready = self.course.count(turn, serves);
        let is_enough = floor == 0 || zone.is_empty() || ready > floor;
        (!is_enough).then(|| Wait::Ready {
            ready,
            floor,
            by_load: false,
            zone: Some(zone.clone()),
        })
    }

    /// So many must serve when one more leaves for the sake of the traffic. Of a part of the fleet nobody
    /// knows what it gets.
    fn by_load(&self, turn: &Turn<'_>) -> u32 {
        match self.lane.place {
            None => capacity::needed(turn, &self.course),
            Some(_) => 0,
        }
    }

    // --- who has a say

    fn passes_batch(&self, turn: &mut Turn<'_>, when: When) -> bool {
        let (number, place) = (self.lane.batches_done + 1, self.lane.place.clone());
        moments::pass(turn, &self.course, when, Portion::Batch { number, place })
    }

    fn passes(&self, turn: &mut Turn<'_>, when: When, instance: &InstanceId) -> bool {
        let (number, place) = (self.lane.batches_done + 1, self.lane.place.clone());
        let instance = instance.clone();
        let portion = Portion::Instance {
            instance,
            number,
            place,
        };
        moments::pass(turn, &self.course, when, portion)
    }

    // --- counts

    fn wait_for_new(&self, turn: &mut Turn<'_>, goal: u32) {
        let ceiling = self.budget.ceiling;
        self.course
            .wait_for_new(turn, goal, ceiling, |stand| self.is_here(stand));
    }

    /// Does it belong to this lane?
    fn is_here(&self, stand: &Stand) -> bool {
        let place = self.lane.place.as_ref();
        place.is_none_or(|place| place.holds(&stand.locality))
    }

    fn serving(&self, turn: &Turn<'_>) -> u32 {
        self.count_all(turn, |kind| kind == StageKind::Serving)
    }

    fn count_new(&self, turn: &Turn<'_>, wanted: impl Fn(StageKind) -> bool) -> u32 {
        let is_new = |stand: &Stand| stand.version == self.course.new && self.is_here(stand);
        self.course
            .count(turn, |stand| is_new(stand) && wanted(stand.stage))
    }

    fn count_all(&self, turn: &Turn<'_>, wanted: impl Fn(StageKind) -> bool) -> u32 {
        self.course
            .count(turn, |stand| self.is_here(stand) && wanted(stand.stage))
    }
}

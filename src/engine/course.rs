//! What a rollout has to go by in a turn, whatever its strategy: which version comes, how many instances
//! are wanted, and how it ends.

use super::instances::{begin_leaving, stage_of};
use super::judging::{self, Proven};
use super::state::{Bake, RolloutState, Started};
use super::turn::{Subject, Turn};
use super::{Actor, Cause, Outcome, Portion, Record, Stage, StageKind, Stand, Turned, Wait};
use super::{moments, rules};
use crate::domain::{InstanceId, PlaceName, RolloutName, ServiceName, Span, VersionName, When};

/// A running rollout.
#[derive(Clone)]
pub(super) struct Course {
    pub(super) name: RolloutName,
    pub(super) service: ServiceName,
    /// The version that served when it began.
    pub(super) from: VersionName,
    /// The version that comes. All others go.
    pub(super) new: VersionName,
    /// So many instances served when it began.
    pub(super) desired: u32,
    /// It goes back, and how.
    pub(super) turned: Option<Turned>,
    /// A freeze or a house rule lets it begin nothing more.
    pub(super) is_held: bool,
    /// Somebody outside starts and stops instances for it.
    pub(super) has_hook: bool,
}

impl Course {
    /// The rollout of that name, if it runs.
    pub(super) fn of(turn: &Turn<'_>, name: &RolloutName) -> Option<Self> {
        let state = turn.state.rollouts.get(name)?;
        let Started { from, desired, .. } = state.started.as_ref()?;
        Some(Self {
            name: name.clone(),
            service: state.spec.service.clone(),
            from: from.clone(),
            new: state.comes()?.clone(),
            desired: *desired,
            turned: state.turned,
            is_held: !rules::freezes(turn, state).is_empty(),
            has_hook: state.spec.replace.is_some(),
        })
    }

    /// Turns a rollout round. Old instances that only began to leave serve on; the rest goes back through the
    /// same steps. Gives the way back, unless it had not begun.
    pub(super) fn turn_round(
        turn: &mut Turn<'_>,
        rollout: &RolloutName,
        by: Actor,
        reason: Option<String>,
        how: Turned,
    ) -> Option<Self> {
        turn.record(Record::RolloutAborted {
            rollout: rollout.clone(),
            by,
            reason,
            how,
        });
        let course = Self::of(turn, rollout)?;
        course.put_back(turn, how);
        Some(course)
    }

    /// Old instances that only began to leave serve on.
    fn put_back(&self, turn: &mut Turn<'_>, how: Turned) {
        let lanes = self.state(turn).lanes.iter();
        let lanes: Vec<PlaceName> = lanes.filter_map(|lane| lane.place.clone()).collect();
        let is_concerned = |stand: &Stand| {
            let in_wave = lanes.iter().any(|place| place.holds(&stand.locality));
            let is_old = stand.version == self.from && stand.stage.goes();
            is_old && (how != Turned::ThisWave || in_wave)
        };
        for id in turn.ids(&self.service, is_concerned) {
            let Some(stage) = stage_of(turn, &self.service, &id) else {
                continue;
            };
            let by = stage.cause();
            let ours = matches!(by, Some(Cause::Rollout(by)) if self.state(turn).answers_for(by));
            if ours && Stage::may_become(&stage, &Stage::Serving) {
                let why = "the rollout turned round";
                turn.move_to(&self.service, &id, Stage::Serving, why);
            }
        }
    }

    /// Has the rollout turned round since, or ended?
    pub(super) fn is_past(&self, turn: &Turn<'_>) -> bool {
        let state = self.state(turn);
        state.turned != self.turned || state.over()
    }

    /// A rollout of that name that is asked for anew while what it kept is still there: to take that down.
    pub(super) fn before_its_beginning(
        turn: &Turn<'_>,
        name: &RolloutName,
        stable: &VersionName,
    ) -> Option<Self> {
        let state = turn.state.rollouts.get(name)?;
        Some(Self {
            name: name.clone(),
            service: state.spec.service.clone(),
            from: stable.clone(),
            new: stable.clone(),
            desired: 0,
            turned: None,
            is_held: false,
            has_hook: state.spec.replace.is_some(),
        })
    }

    /// Its part of the state.
    ///
    /// # Panics
    /// If it was made for another state.
    pub(super) fn state<'a>(&self, turn: &'a Turn<'_>) -> &'a RolloutState {
        &turn.state.rollouts[&self.name]
    }

    /// Whose waits are these?
    pub(super) fn subject(&self) -> Subject {
        Subject::Rollout(self.name.clone())
    }

    /// So many instances of its service stand as wanted.
    pub(super) fn count(&self, turn: &Turn<'_>, wanted: impl Fn(&Stand) -> bool) -> u32 {
        turn.count(&self.service, wanted)
    }

    /// Tells the proxies of at most `room` instances that are ready and `wanted`.
    pub(super) fn take_in(
        &self,
        turn: &mut Turn<'_>,
        room: u32,
        wanted: impl Fn(&Stand) -> bool,
        may_come: impl Fn(&Turn<'_>, &InstanceId) -> bool,
    ) {
        let is_wanted = |stand: &Stand| stand.stage == StageKind::Ready && wanted(stand);
        let ready = turn.ids(&self.service, is_wanted);
        let ready: Vec<_> = ready.into_iter().filter(|id| may_come(turn, id)).collect();
        for id in ready.into_iter().take(room as usize) {
            let generation = turn.next_generation();
            let why = format!("{} takes it in", self.name);
            turn.move_to(&self.service, &id, Stage::Joining { generation }, why);
        }
    }

    /// Instances of the version that comes which gates have taken out: others are to take their places.
    pub(super) fn taken_out(&self, turn: &Turn<'_>) -> Vec<InstanceId> {
        let taken_out = self.state(turn).taken_out();
        taken_out
            .filter(|_| self.turned.is_none())
            .cloned()
            .collect()
    }

    /// Takes out every instance that is told to the proxies and `wanted`. True when none is left.
    pub(super) fn let_go(&self, turn: &mut Turn<'_>, wanted: impl Fn(&Stand) -> bool) -> bool {
        for id in turn.ids(&self.service, |stand| stand.stage.stays() && wanted(stand)) {
            let Some(stage) = turn.instance(&self.service, &id).map(|k| k.stage.clone()) else {
                continue;
            };
            let cause = Cause::Rollout(self.name.clone());
            let why = format!("{} goes on with {}", self.name, self.new);
            begin_leaving(turn, &self.service, &id, &stage, cause, &why);
        }
        let is_told = |stand: &Stand| {
            let is_gone = matches!(
                stand.stage,
                StageKind::Registered | StageKind::Ready | StageKind::Released
            );
            wanted(stand) && !is_gone
        };
        self.count(turn, is_told) == 0
    }

    /// Watches for a while. True when that is over.
    pub(super) fn bake(&self, turn: &mut Turn<'_>, span: Span, holdback: u32) -> bool {
        let rollout = self.name.clone();
        match self.state(turn).bake {
            Bake::Ahead if span.is_zero() => return true,
            Bake::Ahead => turn.record(Record::BakeBegan { rollout }),
            Bake::Began(at) if Span::between(at, turn.now) < span => {
                turn.wait(self.subject(), Wait::Bake { span, holdback });
            }
            Bake::Began(at) => {
                let over = Span::between(span.after(at), turn.now);
                match judging::bake_is_proven(turn, &rollout, over) {
                    Proven::Yes(_) | Proven::Unproven(_) => {
                        turn.record(Record::BakeDone { rollout });
                    }
                    Proven::NotYet(says) => turn.wait(self.subject(), Wait::Unproven { says }),
                    Proven::Held => {}
                }
            }
            Bake::Done => return true,
        }
        false
    }

    /// Says which instances of the version that comes are missing among those `wanted`, and why.
    pub(super) fn wait_for_new(
        &self,
        turn: &mut Turn<'_>,
        goal: u32,
        ceiling: u32,
        wanted: impl Fn(&Stand) -> bool,
    ) {
        let is_here = |stand: &Stand| stand.version == self.new && !stand.stage.goes();
        let is_unready = |stand: &Stand| {
            let kind = stand.stage;
            let waits = [
                StageKind::Ready,
                StageKind::Registered,
                StageKind::Suspended,
            ];
            is_here(stand) && wanted(stand) && waits.contains(&kind)
        };
        let here = self.count(turn, |stand| is_here(stand) && wanted(stand));
        let mut instances = Vec::new();
        for (id, known) in turn.select(&self.service, is_unready) {
            let said = match turn.facts.health(&self.service, id) {
                _ if known.stage == Stage::Ready => {
                    format!("no more than {ceiling} may be listed at once")
                }
                None => "not probed yet".to_owned(),
                Some(health) if health.healthy => "healthy, but not for minReady yet".to_owned(),
                Some(health) => health.detail.clone(),
            };
            instances.push(format!("{id}: {said}"));
        }
        let version = self.new.clone();
        if !instances.is_empty() {
            let version = version.clone();
            turn.wait(self.subject(), Wait::NotReady { version, instances });
        }
        if here < goal {
            let missing = goal - here;
            turn.wait(self.subject(), Wait::Instances { version, missing });
        }
    }

    /// Does everybody who wants to hear of the end first let it pass?
    pub(super) fn may_end(&self, turn: &mut Turn<'_>, outcome: Outcome) -> bool {
        let outcome = Some(outcome);
        moments::pass(turn, self, When::After, Portion::Rollout { outcome })
    }

    /// It is over.
    pub(super) fn end(&self, turn: &mut Turn<'_>, outcome: Outcome, keep: Option<Span>) {
        let (service, rollout) = (self.service.clone(), self.name.clone());
        if outcome == Outcome::Done {
            let version = self.new.clone();
            turn.record(Record::StableChosen { service, version });
        }
        let keep_until = keep.map(|span| span.after(turn.now));
        turn.record(Record::RolloutEnded {
            rollout,
            outcome,
            keep_until,
        });
    }
}

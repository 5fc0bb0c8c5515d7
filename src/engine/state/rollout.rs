//! A rollout's part of the state.

mod fold;
mod moved;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::asks::Asks;
use super::gates::GateState;
use super::hooks::{HookStatus, Hooks};
use crate::domain::{
    Approval, Gate, GateName, InstanceId, PlaceName, Rollout, RolloutName, RolloutStep, Span,
    StepAction, Strategy, Time, VersionName,
};
use crate::engine::facts::tally::Heard;
use crate::engine::{Actor, Origin, Outcome, Part, Proof, Turned};

/// A rollout, running or ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolloutState {
    /// Its spec, as it was when it began or was last amended.
    pub spec: Rollout,
    /// Where it comes from.
    pub origin: Origin,
    /// Who asked for it.
    pub by: Actor,
    /// When it was asked for.
    pub planned: Time,
    /// Its beginning, once it has moved.
    pub started: Option<Started>,
    /// Somebody holds it.
    pub paused: Option<Pause>,
    /// House rules hold it no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overridden: Option<Pause>,
    /// It goes back, and how.
    pub turned: Option<Turned>,
    /// Gates that it names and whose documents are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates_kept: Vec<Gate>,
    /// So many times a new instance passed its health check and then did no more, on the way forward.
    #[serde(default, skip_serializing_if = "is_none")]
    pub crashes: u32,
    /// The parts of the fleet that are rolled now.
    pub lanes: Vec<Lane>,
    /// So many waves are done.
    pub waves_done: u32,
    /// So many times a wave went back.
    #[serde(default, skip_serializing_if = "is_none")]
    pub waves_undone: u32,
    /// The shares of the traffic that it goes through, where it does.
    pub steps: Vec<RolloutStep>,
    /// So many steps are done.
    pub steps_done: u32,
    /// Since when the present step is in force.
    pub step_since: Option<Time>,
    /// Somebody said that what waits for a word may go on.
    pub approved: bool,
    /// Every hook call made, in order; those of rollouts that it took over, too, which have them no longer.
    pub hooks: Hooks,
    /// The hooks that were asked whether it may go on, for what is not over yet.
    #[serde(default, skip_serializing_if = "Asks::is_empty")]
    pub asks: Asks,
    /// What its gates have to do with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gates: BTreeMap<GateName, GateState>,
    /// Where counting stood when its trials were last written down.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<Heard>,
    /// The rollouts that it superseded, and those that they had.
    pub superseded: Vec<RolloutName>,
    /// So many batches are done.
    pub batches_done: u32,
    /// The watch at the end, or at the end of the present wave.
    pub bake: Bake,
    /// Its end.
    pub ended: Option<(Time, Outcome)>,
    /// When it last came forward; its deadline counts from here.
    pub progress: Time,
    /// What it has measured.
    pub report: Report,
}

/// The beginning of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// When.
    pub at: Time,
    /// The version that served.
    pub from: VersionName,
    /// So many instances served.
    pub desired: u32,
    /// What they carried, in requests per second, or in instances where nobody says.
    pub capacity: Option<u64>,
}

/// Somebody's word to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who.
    pub by: Actor,
    /// Why.
    pub reason: Option<String>,
}

/// A part of the fleet that is rolled by itself, within a budget of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// Where; `None` is everywhere.
    pub place: Option<PlaceName>,
    /// So many instances served there.
    pub desired: u32,
    /// No more than so many are replaced.
    pub quota: Option<u32>,
    /// The instances that are being replaced now.
    pub batch: Option<Batch>,
    /// So many batches are done.
    pub batches_done: u32,
    /// The zone of the instance that went last, for those that may not go one after the other.
    pub last_zone: Option<String>,
    /// Is all of it replaced?
    pub done: bool,
}

/// Instances of the old version that are replaced together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Which.
    pub members: Vec<InstanceId>,
}

/// The watch at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bake {
    /// Not yet.
    #[default]
    Ahead,
    /// Since then.
    Began(Time),
    /// Over.
    Done,
}

/// What a rollout has measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Each drained instance, in order.
    pub drained: Vec<(InstanceId, Proof)>,
    /// Instances that vanished before they were drained.
    pub lost: Vec<InstanceId>,
    /// The lowest number of instances that took traffic.
    pub min_ready: Option<u32>,
    /// From each publication until all proxies concerned had acknowledged.
    pub acks: Vec<Span>,
}

/// Measured acknowledgements kept per rollout; enough for thousands of steps.
const REPORT_ACKS_MAX: usize = 10_000;

impl Report {
    pub(super) fn acknowledged(&mut self, took: Span) {
        if self.acks.len() < REPORT_ACKS_MAX {
            self.acks.push(took);
        }
    }
}

impl Lane {
    fn new(place: Option<PlaceName>, desired: u32, quota: Option<u32>) -> Self {
        Self {
            place,
            desired,
            quota,
            batch: None,
            batches_done: 0,
            last_zone: None,
            done: false,
        }
    }
}

impl RolloutState {
    pub(super) fn new(spec: Rollout, origin: Origin, by: Actor, at: Time) -> Self {
        Self {
            spec,
            origin,
            by,
            planned: at,
            started: None,
            paused: None,
            overridden: None,
            turned: None,
            gates_kept: Vec::new(),
            crashes: 0,
            lanes: Vec::new(),
            waves_done: 0,
            waves_undone: 0,
            steps: Vec::new(),
            steps_done: 0,
            step_since: None,
            approved: false,
            hooks: Hooks::default(),
            asks: Asks::default(),
            gates: BTreeMap::new(),
            heard: Vec::new(),
            superseded: Vec::new(),
            batches_done: 0,
            bake: Bake::Ahead,
            ended: None,
            progress: at,
            report: Report::default(),
        }
    }

    /// Has it ended?
    pub fn over(&self) -> bool {
        self.ended.is_some()
    }

    /// Has it begun, and not ended?
    pub fn runs(&self) -> bool {
        self.started.is_some() && self.ended.is_none()
    }

    /// Has a newer one taken over?
    pub fn is_superseded(&self) -> bool {
        matches!(self.ended, Some((_, Outcome::Superseded)))
    }

    /// The instances that its gates have taken out.
    pub fn taken_out(&self) -> impl Iterator<Item = &InstanceId> {
        self.gates.values().flat_map(GateState::taken_out)
    }

    /// Does all of it go back?
    pub fn aborted(&self) -> bool {
        matches!(self.turned, Some(Turned::Back | Turned::AtOnce))
    }

    /// Does it, or one that it superseded, go by this name?
    pub fn answers_for(&self, name: &RolloutName) -> bool {
        self.spec.name == *name || self.superseded.contains(name)
    }

    /// The version that comes, once it has begun.
    pub fn comes(&self) -> Option<&VersionName> {
        let started = self.started.as_ref()?;
        Some(match self.turned {
            Some(_) => &started.from,
            None => &self.spec.to,
        })
    }

    /// Has anything of it begun?
    pub fn has_moved(&self) -> bool {
        let has_begun = |lane: &Lane| lane.place.is_some() || lane.batch.is_some();
        self.steps_done + self.waves_done + self.batches_done > 0
            || self.step_since.is_some()
            || self.turned.is_some()
            || self.lanes.iter().any(has_begun)
    }

    /// Does it wait for somebody's word?
    pub fn asks_for_a_word(&self) -> bool {
        self.word().is_some()
    }

    /// The word that it waits for.
    pub fn word(&self) -> Option<&Approval> {
        let step = self.steps.get(self.steps_done as usize);
        let step = step.filter(|_| self.step_since.is_some());
        let asked = step.and_then(|step| match &step.action {
            StepAction::Pause(approval) => Some(approval),
            StepAction::Weight(_) | StepAction::Mirror(_) => None,
        });
        let wave = match &self.spec.strategy {
            Strategy::Waves(waves) => waves.waves.get(self.waves_done as usize),
            _ => None,
        };
        let wave = wave.filter(|_| self.lanes.is_empty());
        let asked = asked.or_else(|| wave.and_then(|wave| wave.approve.as_ref()));
        asked.filter(|_| self.runs() && !self.approved)
    }

    /// Which parts it goes through one after the other, how many of them are done, and how many there are.
    pub fn parts(&self) -> (Part, u32, u32) {
        let (part, done, all) = match &self.spec.strategy {
            Strategy::Waves(waves) => (Part::Wave, self.waves_done, waves.waves.len()),
            _ => (Part::Step, self.steps_done, self.steps.len()),
        };
        (part, done, u32::try_from(all).unwrap_or(u32::MAX))
    }

    /// The lane of a place.
    pub fn lane(&self, place: Option<&PlaceName>) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.place.as_ref() == place)
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
fn is_none(times: &u32) -> bool {
    *times == 0
}

//! A rollout's part of the state.

use serde::{Deserialize, Serialize};

use crate::domain::{InstanceId, Rollout, Span, Time, VersionName};
use crate::engine::{Actor, HookCall, Origin, Outcome, Proof, Record};

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
    /// It goes back.
    pub aborted: bool,
    /// The instances that are being replaced now.
    pub batch: Option<Batch>,
    /// Every hook call made, in order.
    pub hooks: Vec<HookState>,
    /// So many batches are done.
    pub batches_done: u32,
    /// The watch at the end.
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
}

/// Somebody's word to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who.
    pub by: Actor,
    /// Why.
    pub reason: Option<String>,
}

/// Instances of the old version that are replaced together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Which.
    pub members: Vec<InstanceId>,
}

/// A hook call and how it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookState {
    /// The call.
    pub call: HookCall,
    /// How it went.
    pub status: HookStatus,
    /// How many times it was decided to make it.
    #[serde(default)]
    pub attempts: u32,
}

/// How a hook call went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HookStatus {
    /// No answer yet.
    Called,
    /// It worked.
    Done,
    /// It did not.
    Failed(String),
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

impl RolloutState {
    pub(super) fn new(spec: Rollout, origin: Origin, by: Actor, at: Time) -> Self {
        Self {
            spec,
            origin,
            by,
            planned: at,
            started: None,
            paused: None,
            aborted: false,
            batch: None,
            hooks: Vec::new(),
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

    pub(super) fn apply(&mut self, record: &Record, at: Time) {
        match record {
            Record::RolloutStarted { from, desired, .. } => {
                self.started = Some(Started {
                    at,
                    from: from.clone(),
                    desired: *desired,
                });
            }
            Record::RolloutAmended { spec, .. } => self.spec = (**spec).clone(),
            Record::RolloutPaused { by, reason, .. } => {
                self.paused = Some(Pause {
                    by: by.clone(),
                    reason: reason.clone(),
                });
            }
            Record::RolloutResumed { .. } => self.paused = None,
            Record::RolloutAborted { .. } => {
                self.aborted = true;
                self.paused = None;
                self.batch = None;
                self.bake = Bake::Ahead;
            }
            Record::RolloutEnded { outcome, .. } => {
                self.ended = Some((at, *outcome));
                self.batch = None;
            }
            Record::BatchBegan { members, .. } => {
                self.batch = Some(Batch {
                    members: members.clone(),
                });
            }
            Record::BatchDone { .. } => {
                self.batch = None;
                self.batches_done += 1;
            }
            Record::BakeBegan { .. } => self.bake = Bake::Began(at),
            Record::BakeDone { .. } => self.bake = Bake::Done,
            Record::HookCalled { call, attempt, .. } => self.note_hook(call, *attempt),
            Record::HookDone { key, .. } => self.end_hook(key, HookStatus::Done),
            Record::HookFailed { key, error, .. } => {
                self.end_hook(key, HookStatus::Failed(error.clone()));
            }
            _ => {}
        }
        self.progress = at;
    }

    fn note_hook(&mut self, call: &HookCall, attempts: u32) {
        let status = HookStatus::Called;
        match self.hooks.iter_mut().find(|hook| hook.call.key == call.key) {
            Some(hook) => (hook.status, hook.attempts) = (status, attempts),
            None => self.hooks.push(HookState {
                call: call.clone(),
                status,
                attempts,
            }),
        }
    }

    fn end_hook(&mut self, key: &str, status: HookStatus) {
        for hook in self.hooks.iter_mut().filter(|hook| hook.call.key == key) {
            hook.status = status.clone();
        }
    }
}

//! The hooks that have been asked at the moments of a rollout that are not over yet, and how each stands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{InstanceId, PlaceName, Time, When};
use crate::engine::{HookAnswer, HookAsk, Moment, Portion};

/// A hook that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskState {
    /// What it was told.
    pub ask: HookAsk,
    /// Which of the rollout's hooks, from 0.
    pub hook: u32,
    /// The how manieth time in a row, from 1.
    pub attempt: u32,
    /// How it stands.
    pub status: AskStatus,
    /// Since when.
    pub since: Time,
}

/// How a hook that was asked stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AskStatus {
    /// No answer yet.
    Asked,
    /// It answered.
    Said(HookAnswer),
}

/// The hooks that were asked, by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Asks(BTreeMap<String, AskState>);

impl Asks {
    /// Was nobody asked?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &AskState> {
        self.0.values()
    }

    /// The one with this key.
    pub fn get(&self, key: &str) -> Option<&AskState> {
        self.0.get(key)
    }

    /// Those whose answer is awaited, or lets nothing go on.
    pub fn open(&self) -> impl Iterator<Item = &AskState> {
        let passed =
            |asked: &&AskState| !matches!(asked.status, AskStatus::Said(HookAnswer::Passes(_)));
        self.iter().filter(passed)
    }

    /// Notes that a hook is asked, perhaps again.
    pub(super) fn ask(&mut self, hook: u32, ask: &HookAsk, attempt: u32, at: Time) {
        let asked = AskState {
            ask: ask.clone(),
            hook,
            attempt,
            status: AskStatus::Asked,
            since: at,
        };
        self.0.insert(ask.key.clone(), asked);
    }

    /// Notes what a hook said.
    pub(super) fn hear(&mut self, key: &str, answer: &HookAnswer, at: Time) {
        if let Some(asked) = self.0.get_mut(key) {
            (asked.status, asked.since) = (AskStatus::Said(answer.clone()), at);
        }
    }

    /// A batch is over.
    pub(super) fn leave_batch(&mut self, lane: Option<&PlaceName>, members: &[InstanceId]) {
        self.leave(|moment| match &moment.of {
            Portion::Batch { place, .. } => place.as_ref() == lane,
            Portion::Instance { instance, .. } => members.contains(instance),
            _ => false,
        });
    }

    /// A step is over.
    pub(super) fn leave_step(&mut self) {
        self.leave(|moment| matches!(moment.of, Portion::Step { .. }));
    }

    /// All that was under way is over, but for the beginning, which does not come again.
    pub(super) fn leave_all(&mut self) {
        self.leave(|moment| {
            !matches!(moment.of, Portion::Rollout { .. }) || moment.when == When::After
        });
    }

    fn leave(&mut self, is_over: impl Fn(&Moment) -> bool) {
        self.0.retain(|_, asked| !is_over(&asked.ask.moment));
    }
}

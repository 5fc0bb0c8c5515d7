//! What gates have to do with a rollout, as far as it must outlive a restart.

use serde::{Deserialize, Serialize};

use crate::domain::{Gate, InstanceId, Time};
use crate::engine::judging::{Decision, Follows, Verdict};
use crate::gates::Trial;

/// Most decisions of a gate that are remembered in a rollout; the journal has them all.
const DECISIONS_MAX: usize = 20;

/// A gate in a rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GateState {
    /// Its trial, as it was last written down; none once the rollout is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Box<KeptTrial>>,
    /// What it has decided, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
}

/// A trial, written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptTrial {
    /// The gate as it was when the trial began.
    pub gate: Gate,
    /// The trial.
    pub trial: Trial,
    /// Since when it goes on.
    pub since: Time,
}

impl GateState {
    pub(super) fn decide(&mut self, decision: &Decision) {
        if self.decisions.len() < DECISIONS_MAX {
            self.decisions.push(decision.clone());
        }
    }

    /// Has it found the version worse, or an instance that nobody takes out? Then it has said what it has to say:
    /// whoever goes on from there does so knowing it.
    pub fn is_settled(&self) -> bool {
        self.decisions
            .iter()
            .any(|decision| match decision.verdict {
                Verdict::Worse => true,
                Verdict::OneBox { .. } => decision.follows != Follows::TakenOut,
                Verdict::Unsure => false,
            })
    }

    /// Has it said in this part of the rollout that it cannot tell?
    pub fn is_waived(&self, part: (u32, u32)) -> bool {
        let is_unsure = |decision: &&Decision| decision.verdict == Verdict::Unsure;
        self.decisions
            .iter()
            .filter(is_unsure)
            .any(|decision| decision.part == part)
    }

    /// The instances that it has taken out.
    pub fn taken_out(&self) -> impl Iterator<Item = &InstanceId> {
        self.decisions.iter().filter_map(|decision| {
            let Verdict::OneBox { instance } = &decision.verdict else {
                return None;
            };
            (decision.follows == Follows::TakenOut).then_some(instance)
        })
    }
}

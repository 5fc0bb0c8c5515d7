//! Gates: what proxies count is weighed each second, and what follows when the new version is worse.
//!
//! ```text
//! facts::tally ──▶ weigh: periods by region ──▶ gates::Trial ──▶ decide: go back, hold, take one instance out
//!  (increments)      (warm-up left out)          (one per gate)    step, bake: proven, or time is up
//! measuring: metrics, addresses, health ─────────▶ elsewhere ────────────▲
//! ```
//!
//! A trial lives in the facts and is written down from time to time, with where counting stood, so a restart goes
//! on with the same evidence and counts nothing twice. What is decided is a record that holds its numbers. A
//! rollout that goes back is judged no more.

mod decide;
mod decision;
mod elsewhere;
mod evidence;
mod over_time;
mod proof;
mod shown;
mod weigh;

pub(super) use decide::{decide, weighs};
pub use decision::{Decision, Follows, Verdict};
pub use evidence::{BoxEvidence, CheckEvidence, Evidence, SlowEvidence};
pub use over_time::{OverTime, Point};
pub(super) use proof::{Proven, bake_is_proven, step_is_proven};
pub use shown::GateView;
pub(super) use shown::views;
pub(super) use weigh::weigh;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::state::RolloutState;
use super::turn::Turn;
use crate::domain::{Gate, GateName, RolloutName, Time};
use crate::gates::{Baseline, Check, Counts, Trial};
use elsewhere::Known;

/// The trials of a rollout, as they go on.
#[derive(Clone, Debug, Default)]
pub(super) struct Judged {
    trials: BTreeMap<GateName, GateTrial>,
    /// When the trials were last written down.
    written: Option<Time>,
}

/// The trial of one gate, as it goes on and as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateTrial {
    /// The gate as it was when this began; one that is edited begins anew.
    pub gate: Gate,
    /// The trial.
    pub trial: Trial,
    /// Since when it goes on.
    pub since: Time,
    /// The step that it is to prove: its number, and since when that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<(u32, Time)>,
    /// Requests of the new version that do not count, for too many of its instances were warming up.
    #[serde(default)]
    pub left_out: Counts,
    /// How the evidence came to be, for people.
    #[serde(default)]
    pub over_time: OverTime,
}

impl GateTrial {
    fn begin(gate: Gate, baseline: &Baseline, now: Time) -> Self {
        Self {
            trial: Trial::new(&gate, baseline),
            gate,
            since: now,
            step: None,
            left_out: Counts::default(),
            over_time: OverTime::default(),
        }
    }

    /// Has it counted anything, or asked anybody?
    fn tells(&self) -> bool {
        let asks = |check: &Check| matches!(check, Check::Elsewhere);
        self.trial.compared() != (0, 0) || self.trial.checks().iter().any(asks)
    }
}

impl Judged {
    /// Goes on with what was written down.
    pub(super) fn resume(state: &RolloutState) -> Self {
        let kept = state.gates.iter();
        let trials = kept.filter_map(|(name, known)| {
            let one = known.kept.as_deref()?;
            Some((name.clone(), one.clone()))
        });
        Self {
            trials: trials.collect(),
            written: None,
        }
    }

    /// The trial of a gate, if it has begun.
    fn trial(&self, gate: &GateName) -> Option<&GateTrial> {
        self.trials.get(gate)
    }
}

/// The trials of rollouts that were going on when the journal ended.
pub(super) fn resume(facts: &mut Facts, rollouts: &BTreeMap<RolloutName, RolloutState>, now: Time) {
    for (name, rollout) in rollouts.iter().filter(|(_, rollout)| rollout.runs()) {
        if rollout.gates.values().any(|gate| gate.kept.is_some()) {
            facts.judged.insert(name.clone(), Judged::resume(rollout));
            facts
                .tally
                .resume(&rollout.spec.service, &rollout.heard, now);
        }
    }
}

/// What a decision about a rollout goes by; `None` if there is none of that name.
fn known<'a>(turn: &'a Turn<'_>, rollout: &RolloutName) -> Option<Known<'a>> {
    Some(Known {
        state: turn.state,
        facts: turn.facts,
        rollout: turn.state.rollouts.get(rollout)?,
        now: turn.now,
    })
}

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
mod elsewhere;
mod proof;
mod shown;
mod weigh;

pub(super) use decide::{decide, weighs};
pub(super) use proof::{Proven, bake_is_proven, step_is_proven};
pub(super) use shown::views;
pub use shown::{
    BoxEvidence, CheckEvidence, Decision, Evidence, Follows, GateView, Point, SlowEvidence, Verdict,
};
pub(super) use weigh::weigh;

use std::collections::BTreeMap;

use super::facts::Facts;
use super::state::RolloutState;
use super::turn::Turn;
use crate::domain::{Gate, GateName, RolloutName, Time};
use crate::gates::Trial;
use elsewhere::Known;
use shown::Course;

/// The trials of a rollout, as they go on.
#[derive(Clone, Debug, Default)]
pub(super) struct Judged {
    trials: BTreeMap<GateName, OneTrial>,
    /// When the trials were last written down.
    written: Option<Time>,
    /// The part of the rollout that is to be proven: its number, and since when.
    part: Option<(u32, Time)>,
}

/// The trial of one gate.
#[derive(Clone, Debug)]
pub(super) struct OneTrial {
    /// The gate as it was when this began; one that is edited begins anew.
    gate: Gate,
    trial: Trial,
    since: Time,
    /// How the evidence came to be, for people.
    over_time: Course,
}

impl Judged {
    /// Goes on with what was written down.
    pub(super) fn resume(state: &RolloutState) -> Self {
        let trials = state.gates.iter().filter_map(|(name, known)| {
            let kept = known.kept.as_ref()?;
            let one = OneTrial {
                gate: kept.gate.clone(),
                trial: kept.trial.clone(),
                since: kept.since,
                over_time: Course::default(),
            };
            Some((name.clone(), one))
        });
        Self {
            trials: trials.collect(),
            written: None,
            part: None,
        }
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

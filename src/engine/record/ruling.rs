//! What gates write down.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::GateName;
use crate::engine::facts::tally::Heard;
use crate::engine::judging::{Decision, GateTrial};

/// What gates have to say of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ruling {
    /// One has found something that matters, and this follows.
    Decided {
        /// The gate.
        gate: GateName,
        /// What it found, and what follows.
        decision: Box<Decision>,
    },
    /// So far their trials have come: no progress, but what a restart goes on from.
    Weighed {
        /// The trials.
        trials: Vec<GateTrial>,
        /// Where counting stands.
        heard: Vec<Heard>,
    },
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decided { gate, decision } => write!(
                f,
                "gate {gate}: {} ({}); {}",
                decision.verdict, decision.says, decision.follows
            ),
            Self::Weighed { trials, .. } => {
                f.write_str("its gates have weighed")?;
                trials.iter().try_for_each(|GateTrial { gate, trial, .. }| {
                    let decades = trial.ln_e().max(0.0) / std::f64::consts::LN_10;
                    let needed = trial.needed() / std::f64::consts::LN_10;
                    let (new, stable) = trial.compared();
                    let gate = &gate.name;
                    write!(
                        f,
                        " {gate} {decades:.1} of {needed:.1} decades ({new} vs {stable} requests)"
                    )
                })
            }
        }
    }
}

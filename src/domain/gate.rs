//! What "no worse" means. Accepted and checked here; judged once evidence is counted per version.

use serde::{Deserialize, Serialize};

use super::{GateName, Share, Span};

/// A gate as its document declares it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Its name.
    pub name: GateName,
    /// What is compared, each on its own.
    pub checks: Vec<Check>,
    /// The chance of ever raising an alarm about a good version.
    pub false_alarm: Share,
    /// How long a step may wait for a proof.
    pub prove_within: Span,
    /// What follows when the new version is worse.
    pub on_worse: OnWorse,
    /// What follows when time is up without an answer.
    pub if_unsure: OnUnsure,
}

/// One comparison of the new version with the stable one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Check {
    /// Failed requests.
    Errors {
        /// Tolerated ratio of the error odds, at least 1.
        no_worse_than: f64,
        /// Smaller differences do not count.
        min_effect: Share,
    },
    /// Slow requests.
    Latency {
        /// The quantiles looked at, each in `0.0..1.0`.
        quantiles: Vec<f64>,
        /// Tolerated ratio, at least 1.
        no_worse_than: f64,
    },
}

/// What follows when the new version is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnWorse {
    /// Hold and wait for an operator.
    Pause,
    /// Say so, and go on.
    Report,
    /// Go back through the same steps.
    Rollback,
}

/// What follows when a gate cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnsure {
    /// Hold and wait for an operator.
    Pause,
    /// Go on.
    Proceed,
    /// Go back through the same steps.
    Rollback,
}

//! What "no worse" means: the checks of a gate, and what follows from what they say.
//!
//! `errors` and `latency` compare the new version with the stable one by chance of error, and share the gate's
//! `false_alarm`; the others hold a number against a bound. Knows not how any of it is judged.

mod burn;
mod codes;
mod metric;

use serde::{Deserialize, Serialize};

pub use burn::{BadBurn, Burn};
pub use codes::{BadCode, CodeRange, Codes, GrpcCode};
pub use metric::{BadVariable, Metric, Variable, Variables};

use super::{GateName, Hook, Share, Span};

/// The gate that exists without a document, and that judges a rollout that names none.
pub const BUILT_IN_GATE: &str = "no-worse";

/// A gate as its document declares it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Its name.
    pub name: GateName,
    /// What is looked at, each on its own.
    pub checks: Vec<Check>,
    /// The chance of ever raising an alarm about a good version, over all its comparisons together.
    pub false_alarm: Share,
    /// How long a step may wait for a proof.
    pub prove_within: Span,
    /// What follows when the new version is worse.
    pub on_worse: OnWorse,
    /// What follows when one instance is, and not the version.
    #[serde(default)]
    pub on_one_bad_box: OnOneBadBox,
    /// What follows when time is up without an answer.
    pub if_unsure: OnUnsure,
}

impl Gate {
    /// The gate that judges a rollout unless told otherwise: errors and the 99th percentile.
    pub fn built_in(name: GateName) -> Self {
        Self {
            name,
            checks: vec![
                Check::Errors {
                    no_worse_than: 1.0,
                    min_effect: MIN_EFFECT,
                    codes: Codes::default(),
                    weight: None,
                },
                Check::Latency {
                    quantiles: vec![0.99],
                    no_worse_than: SLOWER_TOLERATED,
                    min_effect: MIN_EFFECT,
                    slower_than: None,
                    weight: None,
                },
            ],
            false_alarm: FALSE_ALARM,
            prove_within: PROVE_WITHIN,
            on_worse: OnWorse::default(),
            on_one_bad_box: OnOneBadBox::default(),
            if_unsure: OnUnsure::default(),
        }
    }

    /// The part of `false_alarm` that each check may use up, in the order of the checks; together all of it.
    /// Nothing for those that leave nothing to chance.
    pub fn parts(&self) -> Vec<f64> {
        let weights: Vec<f64> = self.checks.iter().map(Check::weight).collect();
        let all: f64 = weights.iter().sum();
        weights
            .into_iter()
            .map(|weight| if all > 0.0 { weight / all } else { 0.0 })
            .collect()
    }
}

/// What a gate is taken to say unless its document says otherwise.
pub const FALSE_ALARM: Share = Share::per_million(10_000);
/// See [`Gate::prove_within`].
pub const PROVE_WITHIN: Span = Span::secs(600);
/// See [`Check::Errors`] and [`Check::Latency`].
pub const MIN_EFFECT: Share = Share::per_million(1_000);
/// The ratio of [`Check::Latency`].
pub const SLOWER_TOLERATED: f64 = 1.1;

/// One thing that a gate looks at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Check {
    /// New instances that stopped passing their health check, having passed it.
    Crashes {
        /// So many are tolerated.
        at_most: u32,
    },
    /// Failed requests.
    Errors {
        /// Tolerated ratio of the error odds, at least 1.
        no_worse_than: f64,
        /// Smaller differences do not count.
        min_effect: Share,
        /// Which answers are failures.
        #[serde(default)]
        codes: Codes,
        /// Its part of the false alarms, beside those of the other comparisons; 50% unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weight: Option<Share>,
    },
    /// New instances that pass their health check.
    HealthyRatio {
        /// Of all new instances, at least so many.
        at_least: Share,
    },
    /// Slow requests.
    Latency {
        /// The quantiles looked at, each in `0.0..1.0`.
        quantiles: Vec<f64>,
        /// Tolerated ratio, at least 1.
        no_worse_than: f64,
        /// Smaller differences of the share of slow requests do not count.
        #[serde(default = "min_effect")]
        min_effect: Share,
        /// Besides the quantiles: a request that takes longer than this is slow.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slower_than: Option<Span>,
        /// Its part of the false alarms, beside those of the other comparisons; 30% unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weight: Option<Share>,
    },
    /// A number that a metrics server knows.
    Metric(Metric),
    /// What users were promised of the service, whichever version answers.
    Slo {
        /// So many requests are answered without a failure.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        availability: Option<Share>,
        /// Which answers are failures.
        #[serde(default)]
        codes: Codes,
        /// So many are answered in time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        latency: Option<InTime>,
        /// How fast the budget may be used up; any of them is worse.
        burn: Vec<Burn>,
    },
    /// Somebody outside who is asked.
    Webhook(Webhook),
}

impl Check {
    /// Its word in a document.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Crashes { .. } => "crashes",
            Self::Errors { .. } => "errors",
            Self::HealthyRatio { .. } => "healthyRatio",
            Self::Latency { .. } => "latency",
            Self::Metric(_) => "metric",
            Self::Slo { .. } => "slo",
            Self::Webhook(_) => "webhook",
        }
    }

    /// What it counts for among the comparisons that share the false alarms; nothing if it is none.
    fn weight(&self) -> f64 {
        let (given, unless_given) = match self {
            Self::Errors { weight, .. } => (weight, 500_000),
            Self::Latency { weight, .. } => (weight, 300_000),
            _ => return 0.0,
        };
        let weight = given.unwrap_or(Share::per_million(unless_given));
        f64::from(weight.millionths())
    }
}

fn min_effect() -> Share {
    MIN_EFFECT
}

/// So many requests are answered within some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InTime {
    /// The time.
    pub within: Span,
    /// How many.
    pub share: Share,
}

/// Somebody outside who is asked whether the new version is worse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// What people call it.
    pub name: String,
    /// How it is asked.
    pub call: Hook,
    /// How often.
    pub every: Span,
}

/// What follows when the new version is worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnWorse {
    /// Hold and wait for an operator.
    Pause,
    /// Say so, and go on.
    Report,
    /// Go back through the same steps.
    #[default]
    Rollback,
    /// Take the present wave back through the same steps, then hold. Only in a rollout.
    RollbackWave,
}

/// What follows when one instance of the new version is worse, and the version is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnOneBadBox {
    /// Hold and wait for an operator.
    Pause,
    /// Take it out and have another one in its place.
    #[default]
    Replace,
    /// As if the version were worse.
    Rollback,
}

/// What follows when a gate cannot tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnUnsure {
    /// Hold and wait for an operator.
    #[default]
    Pause,
    /// Go on.
    Proceed,
    /// Go back through the same steps.
    Rollback,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_share_the_false_alarms() {
        let mut gate = Gate::built_in("g".parse().unwrap());
        assert_eq!(gate.parts(), [0.625, 0.375]);
        gate.checks.push(Check::Crashes { at_most: 1 });
        if let Check::Latency { weight, .. } = &mut gate.checks[1] {
            *weight = Some(Share::per_million(500_000));
        }
        assert_eq!(gate.parts(), [0.5, 0.5, 0.0]);
        gate.checks.drain(..2);
        assert_eq!(gate.parts(), [0.0]);
    }

    /// What an earlier version wrote into a journal.
    #[test]
    fn a_gate_of_before_reads_as_it_was_meant() {
        let text = r#"{"name":"no-worse","checks":[
            {"errors":{"no_worse_than":1.0,"min_effect":"0.1%"}},
            {"latency":{"quantiles":[0.99],"no_worse_than":1.1}}],
            "false_alarm":"1%","prove_within":"10m","on_worse":"rollback","if_unsure":"pause"}"#;
        let gate: Gate = serde_json::from_str(text).unwrap();
        assert_eq!(gate, Gate::built_in("no-worse".parse().unwrap()));
    }
}

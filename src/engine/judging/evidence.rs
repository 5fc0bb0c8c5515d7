//! What a gate goes by, as people and programs see it.
//!
//! Evidence is told in decades: two of them are a hundred to one, which is what a false alarm of 1 % takes.

use serde::{Deserialize, Serialize};

use super::elsewhere::Known;
use super::{GateTrial, Point};
use crate::domain::{InstanceId, Time, VersionName};
use crate::gates::{Check, Counts, Finding, Stands};

/// Most instances that are shown one by one: those with the most evidence against them.
const BOXES_MAX: usize = 20;

/// What a gate goes by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The new version.
    pub new: VersionName,
    /// The stable one.
    pub stable: VersionName,
    /// Since when it counts.
    pub since: Time,
    /// Decades of evidence that the new version is worse; below 0 it looks better.
    pub decades: f64,
    /// So many are an alarm.
    pub needed: f64,
    /// What each check has counted.
    pub checks: Vec<CheckEvidence>,
    /// Requests of the new version that count nowhere here, for too many of its instances were warming up.
    #[serde(default)]
    pub left_out: Counts,
    /// Instances of the new version, the worst first.
    pub instances: Vec<BoxEvidence>,
    /// How the evidence came to be.
    pub over_time: Vec<Point>,
}

/// What a check has counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckEvidence {
    /// Its word in the gate's document.
    pub check: String,
    /// What it is about, where somebody is asked: a name, or the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// How it stands.
    pub stands: Stands,
    /// In words.
    pub says: String,
    /// The number that was last answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<f64>,
    /// When that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Time>,
    /// Decades of evidence of its own, where it compares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decades: Option<f64>,
    /// Requests of the new version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Counts>,
    /// Requests of the stable one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<Counts>,
    /// How bursty they are: 1 is not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispersion: Option<f64>,
    /// Where requests are held against thresholds: each of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<SlowEvidence>,
}

/// Requests over a threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlowEvidence {
    /// The threshold, in milliseconds.
    pub over_ms: f64,
    /// The quantile of the stable version that it was taken from, unless it is a bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<f64>,
    /// Requests of the new version, and those over it.
    pub new: Counts,
    /// Of the stable one.
    pub stable: Counts,
    /// Decades of evidence.
    pub decades: f64,
}

/// What was counted of an instance of the new version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoxEvidence {
    /// Which.
    pub instance: InstanceId,
    /// Attempts, and those that failed.
    pub attempts: Counts,
    /// Decades of evidence that it is worse than the others of its version.
    pub decades: f64,
    /// Was it taken out?
    pub taken_out: bool,
}

/// Two decimals are all that anybody reads.
pub(super) fn decades(ln_e: f64) -> f64 {
    (ln_e / std::f64::consts::LN_10 * 100.0).round() / 100.0
}

/// What the trial of a gate goes by now; `None` before the rollout has begun.
pub(super) fn evidence(known: &Known<'_>, one: &GateTrial) -> Option<Evidence> {
    let rollout = known.rollout;
    let over_time = one.over_time.until(known.now, one.trial.ln_e());
    Some(Evidence {
        new: rollout.spec.to.clone(),
        stable: rollout.started.as_ref()?.from.clone(),
        since: one.since,
        decades: decades(one.trial.ln_e()),
        needed: decades(one.trial.needed()),
        checks: checks(known, one),
        left_out: one.left_out,
        instances: instances(one),
        over_time,
    })
}

fn checks(known: &Known<'_>, one: &GateTrial) -> Vec<CheckEvidence> {
    let declared = one.gate.checks.iter().enumerate();
    let judged = one.trial.checks().iter().zip(one.trial.findings());
    let checks = declared
        .zip(judged)
        .filter_map(|((index, declared), (check, counted))| {
            let elsewhere = known.elsewhere(&one.gate, index);
            let said = elsewhere.as_ref().map(|it| it.finding.clone());
            let Finding { stands, says } = counted.or(said)?;
            let word = declared.word();
            let plain = CheckEvidence {
                check: word.to_owned(),
                what: elsewhere
                    .as_ref()
                    .map(|it| it.what.clone())
                    .filter(|it| it != word),
                stands,
                says,
                number: elsewhere.as_ref().and_then(|it| it.number),
                asked: elsewhere.and_then(|it| it.asked),
                decades: None,
                new: None,
                stable: None,
                dispersion: None,
                thresholds: Vec::new(),
            };
            Some(match check {
                Check::Errors(errors) => {
                    let (new, stable) = errors.counts();
                    CheckEvidence {
                        decades: Some(decades(errors.comparison.ln_e())),
                        new: Some(new),
                        stable: Some(stable),
                        dispersion: Some(errors.comparison.dispersion()),
                        ..plain
                    }
                }
                Check::Latency(latency) => CheckEvidence {
                    decades: Some(decades(latency.slowness.ln_e())),
                    thresholds: latency.slowness.thresholds().iter().map(slow).collect(),
                    ..plain
                },
                Check::Objective(_) | Check::Elsewhere => plain,
            })
        });
    checks.collect()
}

fn slow(threshold: &crate::gates::Threshold) -> SlowEvidence {
    SlowEvidence {
        over_ms: threshold.edge_ms,
        quantile: threshold.quantile,
        new: threshold.comparison.effect.new,
        stable: threshold.comparison.effect.stable,
        decades: decades(threshold.comparison.ln_e()),
    }
}

fn instances(one: &GateTrial) -> Vec<BoxEvidence> {
    let errors = one.trial.checks().iter().find_map(|check| match check {
        Check::Errors(errors) => Some(&errors.boxes),
        _ => None,
    });
    let Some(boxes) = errors else {
        return Vec::new();
    };
    let mut all: Vec<BoxEvidence> = boxes
        .seen()
        .map(|(instance, attempts)| BoxEvidence {
            instance: instance.clone(),
            attempts,
            decades: decades(boxes.against_others(instance)),
            taken_out: boxes.aside().contains(instance),
        })
        .collect();
    all.sort_by(|a, b| b.decades.total_cmp(&a.decades));
    all.truncate(BOXES_MAX);
    all
}

impl Evidence {
    /// How all checks stand together.
    pub fn stands(&self) -> Stands {
        let worst = self.checks.iter().map(|check| check.stands);
        if worst.clone().any(|it| it == Stands::Worse) || self.decades >= self.needed {
            return Stands::Worse;
        }
        worst.min().unwrap_or(Stands::Unsure)
    }

    /// In a sentence: `1.9 of 2.0 decades of evidence against v42 (errors 0.9% vs 0.1%)`.
    pub fn says(&self) -> String {
        let says: Vec<&str> = self
            .checks
            .iter()
            .map(|check| check.says.as_str())
            .collect();
        let (decades, needed) = (self.decades.max(0.0), self.needed);
        let against = format!(
            "{decades:.1} of {needed:.1} decades of evidence against {}",
            self.new
        );
        if says.is_empty() {
            against
        } else {
            format!("{against} ({})", says.join("; "))
        }
    }
}

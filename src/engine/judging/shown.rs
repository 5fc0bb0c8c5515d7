//! Trials and decisions, as people and programs see them.
//!
//! Evidence is told in decades: two of them are a hundred to one, which is what a false alarm of 1 % takes.

use std::collections::VecDeque;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::OneTrial;
use super::elsewhere::Known;
use crate::domain::{GateName, InstanceId, RolloutName, Time, VersionName};
use crate::engine::facts::Facts;
use crate::engine::state::{RolloutState, State};
use crate::gates::{Check, Counts, Finding, Stands};

/// Most points that are kept of how evidence came to be. When there are more, every other one is let go.
const POINTS_MAX: usize = 120;

/// Most instances that are shown one by one: those with the most evidence against them.
const BOXES_MAX: usize = 20;

/// How a gate stands in a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateView {
    /// The gate.
    pub gate: GateName,
    /// How it stands now, or how it stood when the rollout ended.
    pub stands: Stands,
    /// In a sentence.
    pub says: String,
    /// What it has decided, oldest first.
    pub decisions: Vec<Decision>,
    /// What is known now; `None` once the rollout is over or goes back.
    pub evidence: Option<Evidence>,
}

/// What a gate has decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// When.
    pub at: Time,
    /// What it found.
    pub verdict: Verdict,
    /// What was counted, in words.
    pub says: String,
    /// What followed.
    pub follows: Follows,
    /// In which part of the rollout: the number of steps and of waves that were done.
    pub part: (u32, u32),
    /// What it rests on.
    pub evidence: Evidence,
}

/// What a gate found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// One instance of the new version is worse, and the version is not.
    OneBox {
        /// Which.
        instance: InstanceId,
    },
    /// It could not tell in time.
    Unsure,
    /// The new version is worse.
    Worse,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneBox { instance } => write!(f, "{instance} is worse than the others"),
            Self::Unsure => f.write_str("unsure"),
            Self::Worse => f.write_str("worse"),
        }
    }
}

/// What followed from a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Follows {
    /// The rollout goes back.
    GoesBack,
    /// It goes on all the same.
    GoesOn,
    /// It holds for somebody's word.
    Holds,
    /// The instance is taken out, and another one is to take its place.
    TakenOut,
}

impl fmt::Display for Follows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::GoesBack => "it goes back",
            Self::GoesOn => "it goes on all the same",
            Self::Holds => "it holds",
            Self::TakenOut => "another instance is to take its place",
        })
    }
}

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

/// Evidence at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When.
    pub at: Time,
    /// Decades.
    pub decades: f64,
}

/// How evidence came to be, with fewer points the longer it takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    points: VecDeque<Point>,
    /// Every so manieth is kept.
    every: u64,
    heard: u64,
}

impl Course {
    pub(super) fn note(&mut self, at: Time, ln_e: f64) {
        let every = self.every.max(1);
        if self.heard.is_multiple_of(every) {
            self.points.push_back(Point {
                at,
                decades: decades(ln_e),
            });
        }
        self.heard += 1;
        if self.points.len() > POINTS_MAX {
            let kept = self.points.iter().step_by(2).copied();
            self.points = kept.collect();
            self.every = every * 2;
        }
    }
}

/// Two decimals are all that anybody reads.
fn decades(ln_e: f64) -> f64 {
    (ln_e / std::f64::consts::LN_10 * 100.0).round() / 100.0
}

/// What the trial of a gate goes by now.
pub(super) fn evidence(
    state: &State,
    facts: &Facts,
    name: &RolloutName,
    gate: &GateName,
    now: Time,
) -> Option<Evidence> {
    let rollout = state.rollouts.get(name)?;
    let one = facts.judged.get(name)?.trials.get(gate)?;
    let counts = |check: &Check| !matches!(check, Check::Elsewhere);
    if one.trial.compared() == (0, 0) && one.trial.checks().iter().all(counts) {
        return None;
    }
    let known = Known {
        state,
        facts,
        rollout,
        now,
    };
    let mut over_time: Vec<Point> = one.over_time.points.iter().copied().collect();
    over_time.push(Point {
        at: now,
        decades: decades(one.trial.ln_e()),
    });
    Some(Evidence {
        new: rollout.spec.to.clone(),
        stable: rollout.started.as_ref()?.from.clone(),
        since: one.since,
        decades: decades(one.trial.ln_e()),
        needed: decades(one.trial.needed()),
        checks: checks(&known, one),
        instances: instances(one),
        over_time,
    })
}

fn checks(known: &Known<'_>, one: &OneTrial) -> Vec<CheckEvidence> {
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

fn instances(one: &OneTrial) -> Vec<BoxEvidence> {
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

/// How the gates of a rollout stand.
pub(in crate::engine) fn views(
    state: &State,
    facts: &Facts,
    rollout: &RolloutState,
    now: Time,
) -> Vec<GateView> {
    let name = &rollout.spec.name;
    let gates = rollout.spec.gates.iter();
    let view = |gate: &GateName| {
        let known = rollout.gates.get(gate);
        let decisions = known
            .map(|known| known.decisions.clone())
            .unwrap_or_default();
        let goes_on = rollout.runs() && rollout.turned.is_none();
        let evidence = goes_on
            .then(|| evidence(state, facts, name, gate, now))
            .flatten();
        let last = decisions.last();
        let (stands, says) = match (&evidence, last) {
            (Some(evidence), _) => (evidence.stands(), evidence.says()),
            (None, Some(last)) => (last.stands(), format!("{}: {}", last.verdict, last.says)),
            (None, None) if rollout.started.is_none() => {
                (Stands::Unsure, "nothing to compare yet".to_owned())
            }
            (None, None) => (Stands::Unsure, "nothing was counted".to_owned()),
        };
        GateView {
            gate: gate.clone(),
            stands,
            says,
            decisions,
            evidence,
        }
    };
    gates.map(view).collect()
}

impl Decision {
    const fn stands(&self) -> Stands {
        match self.verdict {
            Verdict::Worse => Stands::Worse,
            Verdict::OneBox { .. } | Verdict::Unsure => Stands::Unsure,
        }
    }
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

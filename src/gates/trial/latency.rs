//! The check of slow requests.

use serde::{Deserialize, Serialize};

use super::{Finding, Period, Stands};
use crate::gates::{Counts, Histogram, NoWorse, Slowness, Table};

/// Proven when the odds of exceeding each threshold are less than so many times the stable version's.
const PROVEN_RATIO: f64 = 2.0;

/// So many requests of the stable version must be known for thresholds.
const SHOWN_MIN: u64 = 200;

/// Slow requests, new against stable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub(super) part: f64,
    quantiles: Vec<f64>,
    bounds_ms: Vec<f64>,
    ratio: f64,
    min_effect: f64,
    /// The tests, once there are thresholds.
    pub slowness: Slowness,
    no_worse: Vec<NoWorse>,
    /// Requests of either version of which nobody told how long they took.
    #[serde(default)]
    untimed: u64,
}

impl Latency {
    pub(super) fn new(
        part: f64,
        quantiles: Vec<f64>,
        bounds_ms: Vec<f64>,
        ratio: f64,
        min_effect: f64,
    ) -> Self {
        Self {
            part,
            quantiles,
            bounds_ms,
            ratio,
            min_effect,
            slowness: Slowness::default(),
            no_worse: Vec::new(),
            untimed: 0,
        }
    }

    pub(super) fn is_fixed(&self) -> bool {
        !self.slowness.thresholds().is_empty()
    }

    pub(super) fn fix(&mut self, shown: &Histogram, dispersion: impl Fn(f64) -> f64) {
        if self.is_fixed() || shown.total() < SHOWN_MIN {
            return;
        }
        self.slowness = Slowness::new(shown, &self.quantiles, &self.bounds_ms, dispersion);
        let thresholds = self.slowness.thresholds().iter();
        self.no_worse = thresholds.map(|_| NoWorse::than(PROVEN_RATIO)).collect();
    }

    pub(super) fn hear(&mut self, period: &Period) {
        self.slowness.hear(&period.new.times, &period.stable.times);
        for answers in [&period.new, &period.stable] {
            let untimed = answers.total.saturating_sub(answers.times.total());
            self.untimed = self.untimed.saturating_add(untimed);
        }
        for (threshold, proof) in self.slowness.thresholds().iter().zip(&mut self.no_worse) {
            let slower = |answers: &crate::gates::Answers| answers.slower(threshold.edge_ms);
            if let (Some(new), Some(stable)) = (slower(&period.new), slower(&period.stable)) {
                proof.hear(&Table { new, stable });
            }
        }
    }

    pub(super) fn prove_anew(&mut self) {
        self.no_worse
            .iter_mut()
            .for_each(|proof| *proof = proof.anew());
    }

    pub(super) fn ln_e(&self) -> f64 {
        self.slowness.ln_e()
    }

    /// Do requests come, and nobody tells how long they take?
    pub(super) fn is_untold(&self) -> bool {
        let (new, stable) = self.slowness.seen();
        self.untimed > 0 && new.total() + stable.total() == 0
    }

    pub(super) fn matters(&self) -> bool {
        self.slowness.matters(self.ratio, self.min_effect)
    }

    /// The quantile that differs most.
    pub(super) fn says(&self) -> Option<String> {
        let (_, quantile) = self.slowness.worst_ratio()?;
        let (new, stable) = self.slowness.seen();
        let (new, stable) = (new.quantile(quantile)?, stable.quantile(quantile)?);
        Some(format!(
            "p{} {} vs {}",
            short(quantile * 100.0),
            ms(new),
            ms(stable)
        ))
    }

    pub(super) fn finding(&self, proven: f64) -> Finding {
        let unsure = |says: &str| Finding {
            stands: Stands::Unsure,
            says: says.to_owned(),
        };
        if self.is_untold() {
            return unsure("no proxy tells how long answers take");
        }
        if !self.is_fixed() {
            return unsure("the stable version has not shown yet how fast it is");
        }
        let seen = self.slowness.seen().0.total();
        let Some(says) = self.says().filter(|_| seen > 0) else {
            return unsure("no requests to compare");
        };
        let says = format!("{says} of {seen} requests");
        let is_proven = self.no_worse.iter().all(|proof| proof.ln_e() >= proven);
        let stands = if is_proven {
            Stands::Good
        } else {
            Stands::Unsure
        };
        Finding { stands, says }
    }

    /// Requests over each threshold, new and stable, with the threshold in milliseconds.
    pub fn counts(&self) -> impl Iterator<Item = (f64, Counts, Counts)> {
        let thresholds = self.slowness.thresholds().iter();
        thresholds.map(|it| {
            (
                it.edge_ms,
                it.comparison.effect.new,
                it.comparison.effect.stable,
            )
        })
    }
}

fn ms(ms: f64) -> String {
    match ms {
        ms if ms >= 10_000.0 => format!("{:.0}s", ms / 1e3),
        ms if ms >= 1_000.0 => format!("{:.1}s", ms / 1e3),
        ms if ms >= 10.0 => format!("{ms:.0}ms"),
        _ => format!("{ms:.1}ms"),
    }
}

fn short(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

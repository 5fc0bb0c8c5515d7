//! Is the new version slower than the stable one?
//!
//! Thresholds are fixed before anything is compared: where the stable version's quantiles lie, and the bound of
//! the service's objective, each moved to the nearest edge of the histograms. A request over a threshold is bad
//! in the sense of [`Comparison`]. So any shape of slowness is seen where it shows, a tail as well as a shift,
//! and nothing is assumed of how latencies are spread.
//!
//! An alarm needs a difference that matters besides: some quantile of the new version is at least so many times
//! the stable one's. That is what users write, and an extra condition only makes false alarms rarer.

use serde::{Deserialize, Serialize};

use super::{Comparison, Histogram, Table, average};

/// One threshold and its test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Slower than this is slow, in milliseconds.
    pub edge_ms: f64,
    /// Where it comes from: the share of the stable version's requests that were faster; none for a bound.
    pub quantile: Option<f64>,
    /// The test.
    pub comparison: Comparison,
}

/// The tests at all thresholds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slowness {
    thresholds: Vec<Threshold>,
    new: Histogram,
    stable: Histogram,
    periods: u32,
}

/// After so many periods what was seen counts half, in what is shown and in how large a difference is.
const FADES_AFTER: u32 = 120;

impl Slowness {
    /// Thresholds from what the stable version has shown, and bounds in milliseconds. `dispersion` says how bursty
    /// it is to be slower than an edge. Without a histogram there are none yet.
    pub fn new(
        shown: &Histogram,
        quantiles: &[f64],
        bounds_ms: &[f64],
        dispersion: impl Fn(f64) -> f64,
    ) -> Self {
        let by_quantile = quantiles
            .iter()
            .filter_map(|q| Some((shown.quantile(*q)?, Some(*q))));
        let by_bound = bounds_ms.iter().map(|bound| (*bound, None));
        let mut thresholds: Vec<Threshold> = Vec::new();
        for (ms, quantile) in by_quantile.chain(by_bound) {
            let Some(edge_ms) = shown.edge_near(ms) else {
                continue;
            };
            let is_there = thresholds
                .iter()
                .any(|known| known.edge_ms.total_cmp(&edge_ms).is_eq());
            if !is_there {
                let comparison = Comparison::of_slow(dispersion(edge_ms));
                thresholds.push(Threshold {
                    edge_ms,
                    quantile,
                    comparison,
                });
            }
        }
        Self {
            thresholds,
            ..Self::default()
        }
    }

    /// Takes in how long requests to the new and to the stable version took in a period. What comes with other edges
    /// cannot be compared and is left out.
    pub fn hear(&mut self, new: &Histogram, stable: &Histogram) {
        for threshold in &mut self.thresholds {
            let above =
                |it: &Histogram| Some(super::Counts::new(it.total(), it.above(threshold.edge_ms)?));
            if let (Some(new), Some(stable)) = (above(new), above(stable)) {
                threshold.comparison.hear(&Table { new, stable });
            }
        }
        if self.periods == FADES_AFTER {
            self.periods = 0;
            self.new.fade();
            self.stable.fade();
        }
        self.periods += 1;
        self.new.add(new);
        self.stable.add(stable);
    }

    /// The logarithm of the e-value: all thresholds count the same.
    pub fn ln_e(&self) -> f64 {
        let weight = 1.0 / self.thresholds.len().max(1) as f64;
        let parts = self.thresholds.iter();
        average(parts.map(|threshold| (weight, threshold.comparison.ln_e())))
    }

    /// The thresholds, with how far their tests have come.
    pub fn thresholds(&self) -> &[Threshold] {
        &self.thresholds
    }

    /// What was seen of the new version, and of the stable one.
    pub const fn seen(&self) -> (&Histogram, &Histogram) {
        (&self.new, &self.stable)
    }

    /// The largest ratio of a quantile of the new version to the same of the stable one, and which quantile: of
    /// those that thresholds were taken from, and of the share of the stable version that keeps a bound.
    pub fn worst_ratio(&self) -> Option<(f64, f64)> {
        let ratios = self.thresholds.iter().filter_map(|threshold| {
            let quantile = threshold.quantile.or_else(|| {
                let above = self.stable.above(threshold.edge_ms)? as f64;
                Some(1.0 - above / (self.stable.total() as f64).max(1.0))
            })?;
            let (new, stable) = (
                self.new.quantile(quantile)?,
                self.stable.quantile(quantile)?,
            );
            (stable > 0.0).then_some((new / stable, quantile))
        });
        ratios.max_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// Is some quantile so much worse, and so many more requests over a threshold, that it matters?
    pub fn matters(&self, ratio: f64, min_effect: f64) -> bool {
        let mut effects = self
            .thresholds
            .iter()
            .map(|threshold| threshold.comparison.effect);
        let is_slower = self.worst_ratio().is_some_and(|(worst, _)| worst >= ratio);
        is_slower && effects.any(|effect| effect.matters(min_effect))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Dice;
    use super::*;

    /// Edges a tenth apart.
    fn edges() -> Vec<f64> {
        (0..80).map(|power| 1.12_f64.powi(power)).collect()
    }

    fn histogram(times: impl Iterator<Item = f64>) -> Histogram {
        let edges = edges();
        let mut counts = vec![0; edges.len() + 1];
        for time in times {
            counts[edges.partition_point(|edge| *edge < time)] += 1;
        }
        Histogram::new(edges, counts).unwrap()
    }

    /// Seconds until the alarm at 1 %, with a tenth of 200 requests a second on the new version.
    fn seen_after(seed: u64, slower: impl Fn(&mut Dice, f64) -> f64, limit: u64) -> Option<u64> {
        let mut dice = Dice::new(seed);
        let time = |dice: &mut Dice| 50.0 * (0.5 * dice.normal()).exp();
        let shown = histogram((0..60_000).map(|_| time(&mut dice)));
        let mut slowness = Slowness::new(&shown, &[0.5, 0.9, 0.99], &[], |_| 1.0);
        for second in 0..limit {
            let new = histogram((0..20).map(|_| {
                let time = time(&mut dice);
                slower(&mut dice, time)
            }));
            let stable = histogram((0..180).map(|_| time(&mut dice)));
            slowness.hear(&new, &stable);
            if slowness.ln_e() >= 100.0_f64.ln() {
                return Some(second);
            }
        }
        None
    }

    fn median(mut seen: Vec<Option<u64>>) -> Option<u64> {
        seen.sort_by_key(|it| it.unwrap_or(u64::MAX));
        seen[seen.len() / 2]
    }

    #[test]
    fn a_shift_and_a_tail_are_seen_and_no_difference_is_not() {
        let shifted = median(
            (0..21)
                .map(|seed| seen_after(seed, |_, time| time * 1.2, 200))
                .collect(),
        );
        assert!(shifted.is_some_and(|after| after <= 25), "{shifted:?}");
        let tail = |dice: &mut Dice, time: f64| {
            if dice.chance(0.05) {
                time + 500.0
            } else {
                time
            }
        };
        let tail = median((0..21).map(|seed| seen_after(seed, tail, 200)).collect());
        assert!(tail.is_some_and(|after| after <= 12), "{tail:?}");
        let same = (0..20)
            .filter(|seed| seen_after(*seed, |_, time| time, 300).is_some())
            .count();
        assert!(same <= 1, "{same} of 20 false alarms");
    }

    #[test]
    fn thresholds_lie_on_edges_and_once() {
        let shown = histogram((1..=1_000).map(|ms| f64::from(ms) / 10.0));
        let slowness = Slowness::new(&shown, &[0.5, 0.51, 0.99], &[250.0], |_| 2.0);
        let edges: Vec<f64> = slowness
            .thresholds()
            .iter()
            .map(|t| t.edge_ms.round())
            .collect();
        assert_eq!(edges, [53.0, 104.0, 258.0]);
        assert!(
            Slowness::new(&Histogram::default(), &[0.5], &[], |_| 1.0)
                .thresholds()
                .is_empty()
        );
        assert!(Slowness::default().ln_e().abs() < 1e-9);
    }
}

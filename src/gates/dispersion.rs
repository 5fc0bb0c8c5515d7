//! Do bad requests come one by one, or in bursts?
//!
//! A burst is one piece of bad luck that counts as many, and a test that takes it for many raises false alarms:
//! at bursts of five, more than a third of good versions would be rolled back. The measure is how much more the
//! share of bad requests varies from second to second than chance alone would have it (P. McCullagh and
//! J. Nelder, *Generalized Linear Models*, 1989, on over-dispersion): 1 for independent ones, `Σk²/Σk` for
//! clusters of sizes `k`.
//!
//! It comes from the differences of neighbours (J. von Neumann, *Distribution of the ratio of the mean square
//! successive difference to the variance*, 1941), so a level that drifts is not taken for bursts. Neighbours are
//! single seconds, and five seconds together, since a burst may spread over a few; the larger of the two counts.
//! It is taken from the stable version before a rollout: what is fixed before it is looked at is fair.

use serde::{Deserialize, Serialize};

use super::Counts;

/// Seconds that are looked at together besides single ones.
const TOGETHER: u32 = 5;

/// What is assumed weighs as much as so many bad requests that were seen.
const ASSUMED_WEIGHS: f64 = 20.0;

/// Assumed of who has shown nothing yet.
const ASSUMED: f64 = 2.0;

/// What is long ago counts less: half after so many seconds.
const HALF_LIFE_SECONDS: f64 = 3_600.0;

/// How bursty bad requests are, as far as it was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dispersion {
    single: Neighbours,
    together: Neighbours,
    /// The seconds that are being put together, and how many.
    open: (Counts, u32),
}

/// Sums over neighbouring intervals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Neighbours {
    last: Counts,
    /// How much the shares of neighbours differ, and how much they should by chance.
    seen: f64,
    by_chance: f64,
    /// Squares of the terms of `seen`: how far that may be off.
    squares: f64,
    /// Bad requests.
    bad: f64,
}

impl Neighbours {
    fn hear(&mut self, counts: Counts, half_life: f64) {
        let last = std::mem::replace(&mut self.last, counts);
        let (a, b) = (last.requests as f64, counts.requests as f64);
        if a == 0.0 || b == 0.0 {
            return;
        }
        let (all, bad) = (a + b, (last.bad + counts.bad) as f64);
        let differ = a * b / all * (last.rate() - counts.rate()).powi(2);
        let share = bad / all;
        let by_chance = share * (1.0 - share) * all / (all - 1.0);
        let fades = 0.5_f64.powf(1.0 / half_life);
        self.seen = self.seen * fades + differ;
        self.by_chance = self.by_chance * fades + by_chance;
        self.squares = self.squares * fades + differ * differ;
        self.bad = self.bad * fades + counts.bad as f64;
    }

    /// How much more they differ than by chance. Where that may be chance itself, it is left at what was seen;
    /// where it is not, as much is added as it may be off.
    fn factor(&self) -> f64 {
        if self.by_chance <= 0.0 {
            return 0.0;
        }
        let (ratio, error) = (
            self.seen / self.by_chance,
            self.squares.sqrt() / self.by_chance,
        );
        if ratio - 2.0 * error > 1.0 {
            ratio + error
        } else {
            ratio
        }
    }
}

impl Dispersion {
    /// Takes in a second.
    pub fn hear(&mut self, counts: Counts) {
        self.single.hear(counts, HALF_LIFE_SECONDS);
        self.open.0 += counts;
        self.open.1 += 1;
        if self.open.1 == TOGETHER {
            let half_life = HALF_LIFE_SECONDS / f64::from(TOGETHER);
            self.together.hear(self.open.0, half_life);
            self.open = (Counts::default(), 0);
        }
    }

    /// φ, on the safe side, and not below 1.
    pub fn factor(&self) -> f64 {
        let seen = self.single.bad;
        let (single, together) = (self.single.factor(), self.together.factor());
        // Over five seconds there are fewer neighbours to tell by, so a little more is chance.
        let factor = if together > 1.5 * single {
            together
        } else {
            single
        };
        ((seen * factor + ASSUMED_WEIGHS * ASSUMED) / (seen + ASSUMED_WEIGHS)).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Dice;
    use super::*;

    /// φ after an hour of 200 requests a second, of which a share is bad in clusters of these sizes.
    fn factor(seed: u64, rate: impl Fn(u64) -> f64, sizes: &[u64]) -> f64 {
        let mut dice = Dice::new(seed);
        let mut dispersion = Dispersion::default();
        let mean = sizes.iter().sum::<u64>() as f64 / sizes.len() as f64;
        for second in 0..3_600 {
            let clusters = dice.poisson(200.0 * rate(second) / mean);
            let bad = (0..clusters).map(|_| dice.one_of(sizes)).sum();
            dispersion.hear(Counts::new(200, bad));
        }
        dispersion.factor()
    }

    #[test]
    fn single_errors_are_told_from_bursts_and_drift() {
        let steady = |_| 0.005;
        let drifts = |second: u64| 0.005 + 0.0045 * (second as f64 / 300.0).sin();
        let mixed = [1, 1, 1, 1, 10];
        for seed in 0..20 {
            for (name, got, expected) in [
                ("steady", factor(seed, steady, &[1]), 0.95..1.15),
                ("drifting", factor(seed, drifts, &[1]), 0.95..1.2),
                ("bursts of 2", factor(seed, steady, &[2]), 1.8..2.5),
                ("bursts of 5", factor(seed, steady, &[5]), 4.4..6.5),
                ("mixed", factor(seed, steady, &mixed), 5.5..11.0),
            ] {
                assert!(expected.contains(&got), "seed {seed}, {name}: {got}");
            }
        }
    }

    #[test]
    fn who_has_shown_nothing_is_not_trusted() {
        let mut dispersion = Dispersion::default();
        assert!((dispersion.factor() - 2.0).abs() < 1e-9);
        for _ in 0..1_000 {
            dispersion.hear(Counts::new(100, 0));
        }
        assert!((dispersion.factor() - 2.0).abs() < 1e-9);
    }
}

//! Is more of the new version bad than of the stable one?
//!
//! In go tables, one for each second and region; out comes the logarithm of an e-value against "the odds that
//! a request to the new version is bad are at most ψ₀ times those of the stable one, in each period". Bad
//! requests may be as frequent as they like, and that may change, as long as it does for both.
//!
//! Given how many requests were bad in a period, those of the new version are drawn without replacement. Such a
//! number is at most as spread as one drawn with replacement (W. Hoeffding, *Probability Inequalities for Sums of
//! Bounded Random Variables*, 1963, theorem 4), so the wager `g^bad / E[g^bad]` of a draw with replacement has
//! expectation at most 1. For ψ₀ > 1 that is checked by counting out tables, not proven.
//!
//! Errors that come in bursts are fewer than they look: the wager is taken to the power `1/φ`, with φ from
//! [`super::Dispersion`].

use serde::{Deserialize, Serialize};

use super::{Counts, Mixture, Table};

/// Ratios of the odds that are wagered on, and how much on each. An error rate that doubles or grows tenfold
/// is what a bad version looks like; the ends are there so that nothing is missed.
const ERRORS: [(f64, f64); 9] = [
    (1.25, 0.05),
    (1.5, 0.07),
    (2.0, 0.10),
    (3.0, 0.15),
    (5.0, 0.18),
    (8.0, 0.17),
    (12.0, 0.13),
    (20.0, 0.09),
    (40.0, 0.06),
];

/// The same for requests over a threshold that a tenth or a hundredth exceeds anyway.
const SLOW: [(f64, f64); 6] = [
    (1.1, 0.10),
    (1.25, 0.15),
    (1.5, 0.20),
    (2.0, 0.20),
    (3.0, 0.20),
    (5.0, 0.15),
];

/// With fewer bad requests than these the new version is not called worse, whatever the odds.
const BAD_MIN: u64 = 3;

/// What is long ago counts less for how large a difference is: half after so many periods.
const RECENT_PERIODS: f64 = 60.0;

/// The difference that was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// All requests of the new version that were compared.
    pub new: Counts,
    /// Of the stable one.
    pub stable: Counts,
    /// The same of late, older ones counting less: requests and bad ones of the new version, then of the stable.
    recent: [f64; 4],
}

impl Effect {
    fn see(&mut self, table: &Table) {
        self.new += table.new;
        self.stable += table.stable;
        let fades = 0.5_f64.powf(1.0 / RECENT_PERIODS);
        let now = [table.new, table.stable].map(|it| [it.requests as f64, it.bad as f64]);
        for (old, new) in self.recent.iter_mut().zip(now.into_iter().flatten()) {
            *old = *old * fades + new;
        }
    }

    /// By how much more of the new version is bad: since the beginning or of late, whichever is more.
    pub fn size(&self) -> f64 {
        let [new, new_bad, stable, stable_bad] = self.recent;
        let of_late = new_bad / new.max(1.0) - stable_bad / stable.max(1.0);
        (self.new.rate() - self.stable.rate()).max(of_late)
    }

    /// Is it so large that it matters, and not just a few unlucky requests?
    pub fn matters(&self, at_least: f64) -> bool {
        self.new.bad >= BAD_MIN && self.size() >= at_least
    }
}

/// The test, as far as it has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    kind: Kind,
    /// ψ₀: the ratio of the odds that is tolerated, at least 1.
    tolerated: f64,
    /// φ: bad requests come in bursts of so many, at least 1.
    dispersion: f64,
    mixture: Mixture,
    /// What was seen.
    pub effect: Effect,
}

/// Which ratios of the odds are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    Errors,
    Slow,
}

impl Kind {
    const fn wagers(self) -> &'static [(f64, f64)] {
        match self {
            Self::Errors => &ERRORS,
            Self::Slow => &SLOW,
        }
    }

    fn weights(self) -> Vec<f64> {
        self.wagers().iter().map(|(_, weight)| *weight).collect()
    }
}

impl Comparison {
    /// Of failed requests. What is less than 1 is taken for 1: below, the wager would not be fair.
    pub fn of_errors(tolerated: f64, dispersion: f64) -> Self {
        Self::new(Kind::Errors, tolerated, dispersion)
    }

    /// Of requests that are slower than a threshold.
    pub fn of_slow(dispersion: f64) -> Self {
        Self::new(Kind::Slow, 1.0, dispersion)
    }

    fn new(kind: Kind, tolerated: f64, dispersion: f64) -> Self {
        Self {
            kind,
            tolerated: tolerated.max(1.0),
            dispersion: dispersion.max(1.0),
            mixture: Mixture::of(&kind.weights()),
            effect: Effect::default(),
        }
    }

    /// Takes in a table.
    pub fn hear(&mut self, table: &Table) {
        self.effect.see(table);
        if !table.tells() {
            return;
        }
        let (new, stable) = (table.new.requests as f64, table.stable.requests as f64);
        let (bad_new, bad) = (
            table.new.bad as f64,
            (table.new.bad + table.stable.bad) as f64,
        );
        let share = self.tolerated * new / (self.tolerated * new + stable);
        let wagers = self.kind.wagers();
        let weights = wagers.iter().map(|(_, weight)| *weight);
        self.mixture.grow(weights, |index| {
            let (ratio, _) = wagers[index];
            // ln((g·ψ₀·n + s) / (ψ₀·n + s)), exact where the new version has next to nothing.
            let expected = ((ratio - 1.0) * share).ln_1p();
            (bad_new * ratio.ln() - bad * expected) / self.dispersion
        });
    }

    /// Less than what it would be without a part of the new version's requests of which so many were bad: their share of
    /// what was to be expected is left out of account.
    #[must_use]
    pub fn without(&self, bad: u64) -> Self {
        let wagers = self.kind.wagers();
        let lost = |index: usize| bad as f64 * wagers[index].0.ln() / self.dispersion;
        Self {
            mixture: self.mixture.clone().less(lost),
            ..self.clone()
        }
    }

    /// The logarithm of the e-value.
    pub fn ln_e(&self) -> f64 {
        self.mixture.ln_e()
    }

    /// ψ₀, the ratio of the odds that is tolerated.
    pub const fn tolerated(&self) -> f64 {
        self.tolerated
    }

    /// φ, as it was fixed at the beginning.
    pub const fn dispersion(&self) -> f64 {
        self.dispersion
    }
}

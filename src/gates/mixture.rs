//! Wagers on several alternatives at once, begun at any time.
//!
//! In go the logarithms by which a period multiplies the wager on each alternative; out comes the logarithm of
//! what all of them are worth. Which alternative is true need not be known: the sum over weights that are fixed
//! beforehand loses only the logarithm of the true one's weight (H. Robbins, *Statistical Methods Related to
//! the Law of the Iterated Logarithm*, 1970).
//!
//! Nor need it be known since when it is true. A part of the money is held back and wagered later, bit by bit, so
//! a version that turns bad after an hour is not judged by that hour: `R ← (R + w)·L`, the recursion of Shiryaev
//! and Roberts, with starts whose weights `w` add up to no more than 1. What is not wagered keeps its worth, so
//! the whole stays an e-process, and the chance of ever raising an alarm about a good version is bounded over all
//! starts together.

use serde::{Deserialize, Serialize};

use super::ln_sum;

/// So much is wagered at the beginning. What is held back costs the alarm about a version that is bad from
/// its first request a tenth of a second in ten.
const AT_ONCE: f64 = 0.8;

/// Half of the rest is wagered within so many periods that tell something.
const HALF_WITHIN: f64 = 120.0;

/// New wagers are begun each so manieth period, which costs less than each.
const BEGUN_EVERY: u64 = 8;

/// What the wagers are worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mixture {
    /// The logarithm of what each wager is worth, its weight included.
    ln: Vec<f64>,
    /// What is not wagered yet.
    unspent: f64,
    /// Periods so far.
    periods: u64,
}

impl Mixture {
    /// Wagers of these weights, which add up to 1.
    pub fn of(weights: &[f64]) -> Self {
        Self {
            ln: weights
                .iter()
                .map(|weight| (weight * AT_ONCE).ln())
                .collect(),
            unspent: 1.0 - AT_ONCE,
            periods: 0,
        }
    }

    /// Takes in one period: the logarithm by which it multiplies each wager, in the order of their weights.
    pub fn grow(&mut self, weights: impl Iterator<Item = f64>, by: impl Fn(usize) -> f64) {
        if self.periods.is_multiple_of(BEGUN_EVERY) {
            let left = (1.0 - AT_ONCE) * HALF_WITHIN / (HALF_WITHIN + self.periods as f64);
            let begun = (self.unspent - left).max(0.0);
            for (ln, weight) in self.ln.iter_mut().zip(weights) {
                *ln = plus(*ln, begun * weight);
            }
            self.unspent = self.unspent.min(left);
        }
        for (index, ln) in self.ln.iter_mut().enumerate() {
            *ln += by(index);
        }
        self.periods += 1;
    }

    /// As it would be at least if each wager had lost so much more, a logarithm each.
    #[must_use]
    pub fn less(mut self, by: impl Fn(usize) -> f64) -> Self {
        let ln = self.ln.iter_mut().enumerate();
        ln.for_each(|(index, ln)| *ln -= by(index));
        self
    }

    /// The logarithm of what all of it is worth; 0 at the beginning.
    pub fn ln_e(&self) -> f64 {
        ln_sum(self.ln.iter().copied().chain([self.unspent.ln()]))
    }
}

/// `ln(exp(ln) + more)`.
fn plus(ln: f64, more: f64) -> f64 {
    if more <= 0.0 {
        return ln;
    }
    let more = more.ln();
    let (least, most) = if ln < more { (ln, more) } else { (more, ln) };
    most + (least - most).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_won_or_lost_by_waiting() {
        let weights = [0.25, 0.75];
        let mut mixture = Mixture::of(&weights);
        for _ in 0..10_000 {
            assert!(mixture.ln_e().abs() < 1e-9, "{}", mixture.ln_e());
            mixture.grow(weights.into_iter(), |_| 0.0);
        }
        assert!(mixture.unspent < 0.01, "all is wagered in the end");
    }

    #[test]
    fn what_was_good_for_long_is_caught_when_it_turns() {
        let weights = [1.0];
        let mut mixture = Mixture::of(&weights);
        for _ in 0..10_000 {
            mixture.grow(weights.into_iter(), |_| -1.0);
        }
        assert!(mixture.ln_e() < 0.0 && mixture.ln_e() > -30.0);
        let mut turned = 0;
        while mixture.ln_e() < 5.0 {
            mixture.grow(weights.into_iter(), |_| 1.0);
            turned += 1;
        }
        assert!(
            turned < 25,
            "{turned} periods, not the ten thousand that were lost"
        );
    }

    #[test]
    fn no_number_is_too_large() {
        let weights = [0.5, 0.5];
        let mut mixture = Mixture::of(&weights);
        for round in 0..100 {
            let by = if round % 2 == 0 { 1e9 } else { -2e9 };
            mixture.grow(weights.into_iter(), |_| by);
            assert!(mixture.ln_e().is_finite());
        }
        let text = serde_json::to_string(&mixture).unwrap();
        let read: Mixture = serde_json::from_str(&text).unwrap();
        assert!((read.ln_e() - mixture.ln_e()).abs() < 1e-9);
    }
}

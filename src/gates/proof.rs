//! Proof that the new version is good enough to go on, as far as such a thing can be proven.
//!
//! Two ways, either of which will do. [`NoWorse`]: its odds of being bad are less than `ψ` times the stable
//! one's. [`InsideBound`]: less than a share `p*` of its requests is bad, which also tells where nothing is bad at
//! all. Each is an e-value against the contrary.

use serde::{Deserialize, Serialize};

use super::{Counts, Table};

/// A period with more bad requests than these tells nothing here: its sum would be long, and what has so many
/// is no reason to go on.
const BAD_MAX: u64 = 20_000;

/// Evidence against "the odds are at least `ψ` times those of the stable version".
///
/// Given how many were bad, those of the new version are hypergeometric, with the odds ratio as its parameter
/// (R. A. Fisher, *The Logic of Inductive Inference*, 1935). The likelihood of 1 over that of `ψ` is an e-value for
/// every ratio from `ψ` up, since the family has a monotone likelihood ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoWorse {
    ratio: f64,
    ln_e: f64,
}

impl NoWorse {
    /// Against odds of `ratio` times the stable version's, more than 1.
    pub const fn than(ratio: f64) -> Self {
        Self { ratio, ln_e: 0.0 }
    }

    /// The same question, with nothing seen yet.
    #[must_use]
    pub const fn anew(&self) -> Self {
        Self::than(self.ratio)
    }

    /// Takes in a table.
    pub fn hear(&mut self, table: &Table) {
        let bad = table.new.bad + table.stable.bad;
        if table.tells() && bad <= BAD_MAX {
            let ln_ratio = self.ratio.ln();
            self.ln_e += ln_tilted(table, bad, ln_ratio) - table.new.bad as f64 * ln_ratio;
        }
    }

    /// The logarithm of the e-value.
    pub const fn ln_e(&self) -> f64 {
        self.ln_e
    }
}

/// `ln E[ψ^X]` for the hypergeometric number `X` of bad requests of the new version.
///
/// Terms follow from one another by the ratio `(n−j)(bad−j) / ((j+1)(s−bad+j+1))`, so no factorial is ever taken. Both
/// sums, as it is and with `ψ` in each step, are taken outwards from their largest terms as long as that adds
/// anything: as many terms as a few standard deviations, and not as many as requests.
fn ln_tilted(table: &Table, bad: u64, ln_ratio: f64) -> f64 {
    let (new, stable) = (table.new.requests, table.stable.requests);
    let terms = Terms {
        new: new as f64,
        stable: stable as f64,
        bad: bad as f64,
        least: bad.saturating_sub(stable) as f64,
        most: bad.min(new) as f64,
    };
    let ratio = ln_ratio.exp();
    let plain = terms.largest(1.0);
    let tilted = terms.largest(ratio);
    let sums = terms.around(tilted, ratio) / terms.around(plain, 1.0);
    terms.ln_between(plain, tilted) + tilted * ln_ratio + sums.ln()
}

/// The terms of a hypergeometric distribution, by the number of bad requests of the new version.
struct Terms {
    new: f64,
    stable: f64,
    bad: f64,
    least: f64,
    most: f64,
}

impl Terms {
    /// The term after `at`, as a multiple of it.
    fn step(&self, at: f64) -> f64 {
        (self.new - at) * (self.bad - at) / ((at + 1.0) * (self.stable - self.bad + at + 1.0))
    }

    /// Where the terms are largest if each step is so many times as large.
    fn largest(&self, ratio: f64) -> f64 {
        // Steps fall: halving finds the first that is less than one.
        let (mut from, mut to) = (self.least, self.most);
        while from < to {
            let middle = f64::midpoint(from, to).floor();
            if self.step(middle) * ratio >= 1.0 {
                from = middle + 1.0;
            } else {
                to = middle;
            }
        }
        from
    }

    /// The sum of all terms with so much in each step, as a multiple of the one at `middle`.
    fn around(&self, middle: f64, ratio: f64) -> f64 {
        let mut sum = 1.0;
        let (mut term, mut at) = (1.0, middle);
        while at < self.most && term > sum * f64::EPSILON {
            term *= self.step(at) * ratio;
            sum += term;
            at += 1.0;
        }
        (term, at) = (1.0, middle);
        while at > self.least && term > sum * f64::EPSILON {
            at -= 1.0;
            term /= self.step(at) * ratio;
            sum += term;
        }
        sum
    }

    /// The logarithm of the term at `to` as a multiple of the one at `from`, which is no further on.
    fn ln_between(&self, from: f64, to: f64) -> f64 {
        let (mut ln, mut product, mut at) = (0.0, 1.0_f64, from);
        while at < to {
            product *= self.step(at);
            at += 1.0;
            if product < 1e-100 {
                ln += product.ln();
                product = 1.0;
            }
        }
        ln + product.ln()
    }
}

/// Evidence against "a share of at least `p*` is bad".
///
/// Each period is wagered by the share that those before it make likely (A. P. Dawid, *Present position and potential
/// developments: the prequential approach*, 1984). While nothing is bad, it needs little more than the
/// `ln(1/β)/p*` requests of the rule of three.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InsideBound {
    bound: f64,
    so_far: Counts,
    ln_e: f64,
}

/// Before anything was seen, so many bad requests are taken to have come …
const FIRST_BAD: f64 = 0.1;
/// … in so many times what one bad request would be at the bound.
const FIRST_REQUESTS: f64 = 1.0;

impl InsideBound {
    /// Against a share of `bound`, between 0 and 1.
    pub const fn of(bound: f64) -> Self {
        Self {
            bound,
            so_far: Counts::new(0, 0),
            ln_e: 0.0,
        }
    }

    /// The same question, with nothing seen yet.
    #[must_use]
    pub const fn anew(&self) -> Self {
        Self::of(self.bound)
    }

    /// Takes in requests of the new version.
    pub fn hear(&mut self, counts: Counts) {
        let bound = self.bound;
        if bound > 0.0 && bound < 1.0 {
            let requests = self.so_far.requests as f64 + FIRST_REQUESTS / bound;
            let likely = ((self.so_far.bad as f64 + FIRST_BAD) / requests).min(bound);
            let (bad, good) = (counts.bad as f64, (counts.requests - counts.bad) as f64);
            self.ln_e +=
                bad * (likely / bound).ln() + good * ((-likely).ln_1p() - (-bound).ln_1p());
        }
        self.so_far += counts;
    }

    /// The logarithm of the e-value.
    pub const fn ln_e(&self) -> f64 {
        self.ln_e
    }
}

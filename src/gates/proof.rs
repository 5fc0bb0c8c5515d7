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
/// The terms follow from one another by ratios, so no factorial is ever taken: `Σ Π` over `j` of
/// `(n−j)(bad−j) / ((j+1)(s−bad+j+1))`, once as it is and once with `ψ` in each step.
fn ln_tilted(table: &Table, bad: u64, ln_ratio: f64) -> f64 {
    let (new, stable) = (table.new.requests, table.stable.requests);
    let (least, most) = (bad.saturating_sub(stable), bad.min(new));
    let mut term = 0.0_f64;
    let (mut plain, mut tilted) = (Sum::of(0.0), Sum::of(least as f64 * ln_ratio));
    for j in least..most {
        let up = (new - j) as f64 * (bad - j) as f64;
        let down = (j + 1) as f64 * (stable + j + 1 - bad) as f64;
        term += up.ln() - down.ln();
        plain.add(term);
        tilted.add(term + (j + 1) as f64 * ln_ratio);
    }
    tilted.ln() - plain.ln()
}

/// A sum of exponentials, kept in range.
struct Sum {
    most: f64,
    scaled: f64,
}

impl Sum {
    const fn of(ln: f64) -> Self {
        Self {
            most: ln,
            scaled: 1.0,
        }
    }

    fn add(&mut self, ln: f64) {
        if ln <= self.most {
            self.scaled += (ln - self.most).exp();
        } else {
            self.scaled = self.scaled * (self.most - ln).exp() + 1.0;
            self.most = ln;
        }
    }

    fn ln(&self) -> f64 {
        self.most + self.scaled.ln()
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

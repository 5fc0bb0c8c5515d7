//! The statistics of a gate: is the new version worse than the stable one?
//!
//! ```text
//! what proxies counted in a second ──▶ Table ──▶ Comparison (errors) ─┐
//!  (new and stable, by region)                   Slowness  (latency) ─┼─▶ one e-value ──▶ alarm
//!                                                Boxes (one left out) ┘     proof, burn rates
//! ```
//!
//! An e-process is a wager against "the new version is no worse": its value is what one unit of money has
//! become, and if the claim is true, the chance that it *ever* reaches `1/α` is at most `α` (J. Ville, *Étude
//! critique de la notion de collectif*, 1939). So it may be looked at after every second, and a rollout may
//! stop at any time. Several are averaged, with weights that are fixed beforehand; an average of e-processes is
//! one, whatever they have in common.
//!
//! All of it is a fold over counts. The state is a handful of numbers that can be written down and gone on with;
//! it is kept as logarithms, so no count is too large for it. Knows no clock, no version by name, no proxy, and
//! not what follows from an alarm.

mod answers;
mod band;
mod baseline;
mod boxes;
mod burn;
mod comparison;
mod detection;
mod dispersion;
mod histogram;
mod mixture;
mod proof;
mod slowness;
mod table;
mod trial;

pub use answers::Answers;
pub use band::Band;
pub use baseline::Baseline;
pub use boxes::{Boxes, Suspect};
pub use burn::{Budget, Burning};
pub use comparison::{Comparison, Effect};
pub use detection::{Question, sees_within};
pub use dispersion::Dispersion;
pub use histogram::Histogram;
pub use mixture::Mixture;
pub use proof::{InsideBound, NoWorse};
pub use slowness::{Slowness, Threshold};
pub use table::{Counts, Table};
pub use trial::{
    Alarm, Check, Errors, Finding, Latency, Objective, Period, Stands, Telling, Trial,
};

/// The natural logarithm of an average of e-values, each given with its weight. The weights add up to at most 1;
/// what is missing stays unwagered.
pub fn average(parts: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    let mut wagered = 0.0;
    let parts: Vec<f64> = parts
        .into_iter()
        .inspect(|(weight, _)| wagered += weight)
        .map(|(weight, ln_e)| weight.ln() + ln_e)
        .collect();
    let rest = (1.0_f64 - wagered).max(0.0).ln();
    ln_sum(parts.into_iter().chain([rest]))
}

/// `ln Σ exp(x)`, without leaving the range of numbers.
fn ln_sum(terms: impl IntoIterator<Item = f64>) -> f64 {
    let terms: Vec<f64> = terms.into_iter().collect();
    let most = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most.is_infinite() {
        return most;
    }
    most + terms
        .iter()
        .map(|term| (term - most).exp())
        .sum::<f64>()
        .ln()
}

#[cfg(test)]
mod tests;

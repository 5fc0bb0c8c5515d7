//! How soon a gate would see that a version is worse, reckoned before anything is measured.
//!
//! A sequential test gains, per error, the information that tells a bad version from a good one: the
//! divergence between the share of the errors that falls to the new version if it is worse, and its share of
//! the traffic. Its alarm comes when that adds up to ln(1/α) (A. Wald, *Sequential Tests of Statistical
//! Hypotheses*, 1945); the mixture over [`RATIOS`] ratios that needs to know no ratio beforehand costs ln of
//! their number besides (H. Robbins, *Statistical Methods Related to the Law of the Iterated Logarithm*, 1970).
//! It is an expectation: in simulations of the test half of the alarms came before three quarters of
//! it, and nine of ten before twice as long.

use crate::domain::Span;

/// What is to be told apart, and from what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Question {
    /// Requests a second to the service.
    pub rps: f64,
    /// The share of them that fails on the stable version.
    pub errors: f64,
    /// So much more of them fails on a worse one.
    pub worse_by: f64,
    /// The chance of an alarm about a good version.
    pub false_alarm: f64,
    /// Errors come in bursts of so many, on average weighted by their size; 1 where they are independent.
    pub dispersion: f64,
}

/// The test looks for this many ratios of the error odds at once.
const RATIOS: f64 = 9.0;

/// The time until the alarm with `share` of the traffic on the worse version. `None` where there is nothing
/// to compare: one of the versions gets no requests, or no errors would come.
pub fn sees_within(question: &Question, share: f64) -> Option<Span> {
    let Question {
        rps,
        errors,
        worse_by,
        false_alarm,
        dispersion,
    } = *question;
    let both = share > 0.0 && share < 1.0;
    if !both || rps <= 0.0 || errors <= 0.0 || worse_by <= 0.0 {
        return None;
    }
    let ratio = (errors + worse_by) / errors;
    let of_errors = share * ratio / (share * ratio + 1.0 - share);
    let rest = 1.0 - share;
    let information =
        of_errors * (of_errors / share).ln() + (1.0 - of_errors) * ((1.0 - of_errors) / rest).ln();
    let errors_per_second = rps * errors * (rest + share * ratio);
    let seconds = dispersion * (RATIOS / false_alarm).ln() / (errors_per_second * information);
    std::time::Duration::try_from_secs_f64(seconds)
        .ok()
        .map(Span::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(rps: f64, share: f64, dispersion: f64) -> Option<f64> {
        let question = Question {
            rps,
            errors: 0.001,
            worse_by: 0.01,
            false_alarm: 0.01,
            dispersion,
        };
        let seen = sees_within(&question, share)?;
        Some(seen.duration().as_secs_f64().round())
    }

    #[test]
    fn more_traffic_and_larger_shares_tell_sooner_and_bursts_later() {
        for (rps, share, dispersion, expected) in [
            (200.0, 0.05, 1.0, Some(48.0)),
            (200.0, 0.10, 1.0, Some(27.0)),
            (200.0, 0.25, 1.0, Some(15.0)),
            (210.0, 0.05, 1.0, Some(46.0)),
            (3.0, 0.05, 1.0, Some(3191.0)),
            (3.0, 0.25, 1.0, Some(1026.0)),
            (200.0, 0.05, 2.0, Some(96.0)),
            (200.0, 0.0, 1.0, None),
            (200.0, 1.0, 1.0, None),
            (0.0, 0.05, 1.0, None),
        ] {
            let got = seconds(rps, share, dispersion);
            assert_eq!(
                got, expected,
                "{rps} rps at {share}, bursts of {dispersion}"
            );
        }
    }

    #[test]
    fn a_stricter_gate_takes_longer() {
        let lax = Question {
            rps: 100.0,
            errors: 0.01,
            worse_by: 0.01,
            false_alarm: 0.05,
            dispersion: 1.0,
        };
        let strict = Question {
            false_alarm: 0.001,
            ..lax
        };
        assert!(sees_within(&strict, 0.2) > sees_within(&lax, 0.2));
    }
}

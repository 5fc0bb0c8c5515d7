//! A band round an observed distribution that holds the true one at all times.
//!
//! For showing, not for deciding: the tests at thresholds are several times as fast. With probability `1 − α` the
//! whole curve stays within [`Band::radius`] of what was observed, after every request from the first on
//! (S. R. Howard, A. Ramdas, *Sequential estimation of quantiles with applications to A/B testing and best-arm
//! identification*, Bernoulli 28(3), 2022, theorem 2). The constants are one choice that the theorem allows; a test
//! reckons by its formula what they are worth.

/// A band that holds with probability `1 − alpha`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    alpha: f64,
}

/// `A` of the theorem.
const SCALE: f64 = 0.85;

impl Band {
    /// A band that is left with probability `alpha` at most.
    pub const fn with(alpha: f64) -> Self {
        Self { alpha }
    }

    /// `C` of the theorem.
    fn offset(self) -> f64 {
        0.8 * (1612.0 / self.alpha).ln()
    }

    /// How far off shares may be after so many requests; 1 before the first.
    pub fn radius(self, requests: u64) -> f64 {
        if requests == 0 {
            return 1.0;
        }
        let n = requests as f64;
        let iterated = (n.ln() + 1.0).ln();
        (SCALE * ((iterated + self.offset()) / n).sqrt()).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bound of the theorem for a choice of its free parameter `η > 1`.
    fn chance(offset: f64, eta: f64) -> Option<f64> {
        let gamma = (2.0 / eta).sqrt() * (SCALE - (2.0 * (eta - 1.0) / offset).sqrt());
        let excess = gamma * gamma - 1.0;
        (gamma > 1.0)
            .then(|| 4.0 * (-gamma * gamma * offset).exp() * (1.0 + 1.0 / (excess * eta.ln())))
    }

    #[test]
    fn the_constants_are_worth_what_they_claim() {
        for alpha in [0.05, 0.01, 0.001] {
            let offset = Band::with(alpha).offset();
            let choices =
                (1..400).filter_map(|step| chance(offset, 1.0 + f64::from(step) / 4_000.0));
            let best = choices.fold(f64::INFINITY, f64::min);
            assert!(best <= alpha, "{best} of {alpha}");
        }
    }

    #[test]
    fn it_narrows() {
        let band = Band::with(0.01);
        let radii: Vec<f64> = [0, 1, 100, 10_000, 1_000_000]
            .map(|n| band.radius(n))
            .into();
        assert_eq!(radii[..2], [1.0, 1.0]);
        assert!(radii.windows(2).all(|pair| pair[0] >= pair[1]), "{radii:?}");
        assert!(radii[4] < 0.004, "{radii:?}");
    }
}

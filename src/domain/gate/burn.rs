//! How fast an error budget may be used up: `14.4x over 1h and 5m`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::Span;

/// So many times the rate at which the budget would just last, over a long window and a short one: the long
/// one says that it matters, the short one that it still goes on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Burn {
    /// How many times, more than none.
    pub rate: f64,
    /// The long window.
    pub long: Span,
    /// The short one; as long as the long one if only one is given.
    pub short: Span,
}

impl Burn {
    /// The pairs of windows that are looked at unless others are given: by the first a month's budget would be
    /// gone in two days, by the second in five.
    pub const USUAL: [Self; 2] = [
        Self {
            rate: 14.4,
            long: Span::secs(3600),
            short: Span::secs(300),
        },
        Self {
            rate: 6.0,
            long: Span::secs(6 * 3600),
            short: Span::secs(1800),
        },
    ];
}

/// A text that is no burn rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBurn {
    /// It is made up of other parts.
    #[error("`{0}` is not a burn rate; write it like `14.4x over 1h and 5m` or `3x over 15m`")]
    Form(String),
    /// The first window is not the longer one.
    #[error("in `{0}` the first window must be the longer one, and neither no time")]
    Windows(String),
}

impl FromStr for Burn {
    type Err = BadBurn;

    fn from_str(text: &str) -> Result<Self, BadBurn> {
        let form = || BadBurn::Form(text.to_owned());
        let (rate, windows) = text.split_once(" over ").ok_or_else(form)?;
        let rate = rate.trim().strip_suffix('x').map(str::parse);
        let rate = rate.and_then(Result::ok).ok_or_else(form)?;
        if !f64::is_finite(rate) || rate <= 0.0 {
            return Err(form());
        }
        let (long, short) = windows.split_once(" and ").unwrap_or((windows, windows));
        let window = |text: &str| text.trim().parse::<Span>().map_err(|_| form());
        let (long, short) = (window(long)?, window(short)?);
        if short.is_zero() || short > long {
            return Err(BadBurn::Windows(text.to_owned()));
        }
        Ok(Self { rate, long, short })
    }
}

impl fmt::Display for Burn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, long, short } = self;
        write!(f, "{rate}x over {long}")?;
        if short == long {
            return Ok(());
        }
        write!(f, " and {short}")
    }
}

impl TryFrom<String> for Burn {
    type Error = BadBurn;

    fn try_from(text: String) -> Result<Self, BadBurn> {
        text.parse()
    }
}

impl From<Burn> for String {
    /// All of the windows, where [`fmt::Display`] rounds them.
    fn from(burn: Burn) -> Self {
        let Burn { rate, long, short } = burn;
        let [long, short] = [long, short].map(Self::from);
        format!("{rate}x over {long} and {short}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burn_rate_is_a_ratio_and_one_window_or_two() {
        for text in ["14.4x over 1h and 5m", "6x over 6h and 30m", "3x over 15m"] {
            let burn: Burn = text.parse().unwrap();
            assert_eq!(burn.to_string(), text);
            assert_eq!(String::from(burn).parse(), Ok(burn));
        }
        let usual = Burn::USUAL.map(|burn| burn.to_string());
        assert_eq!(usual, ["14.4x over 1h and 5m", "6x over 6h and 30m"]);
        let form = |text: &str| Err(BadBurn::Form(text.to_owned()));
        for text in [
            "",
            "14.4 over 1h",
            "x over 1h",
            "-1x over 1h",
            "1x over 1h and",
            "2x over 1h and 5",
        ] {
            assert_eq!(text.parse::<Burn>(), form(text));
        }
        for text in ["2x over 5m and 1h", "2x over 5m and 0s"] {
            let windows = Err(BadBurn::Windows(text.to_owned()));
            assert_eq!(text.parse::<Burn>(), windows);
        }
    }
}

//! Moments and spans. A moment always comes in from outside; nothing pure reads a clock.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment, printed as RFC 3339.
pub type Time = jiff::Timestamp;

/// A length of time as users write it: `30s`, `1h30m`, `250ms`, `90d`. Never negative.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

/// A text that is no span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration; write it like `30s`, `5m`, `1h30m` or `250ms`")]
pub struct BadSpan {
    text: String,
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// Longer than anything lasts.
    pub const MAX: Self = Self(Duration::MAX);

    /// So many seconds.
    pub const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    pub const fn millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// From `earlier` to `later`; zero when the order is the other way round.
    pub fn between(earlier: Time, later: Time) -> Self {
        Self(
            later
                .duration_since(earlier)
                .try_into()
                .unwrap_or(Duration::ZERO),
        )
    }

    /// The moment this long after `start`, or the last representable one.
    pub fn after(self, start: Time) -> Time {
        start.checked_add(self.0).unwrap_or(Time::MAX)
    }

    /// As the standard library's duration.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Is it no time at all?
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Span {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, BadSpan> {
        let bad = || BadSpan {
            text: text.to_owned(),
        };
        let given = text.trim();
        if let Some(days) = given.strip_suffix('d') {
            // A day is 24 hours here, whatever a calendar says of it; nothing stands beside it.
            let days: u32 = days.trim_end().parse().map_err(|_| bad())?;
            return Ok(Self::secs(u64::from(days) * 24 * 3600));
        }
        let signed: jiff::SignedDuration = given.parse().map_err(|_| bad())?;
        Duration::try_from(signed).map(Self).map_err(|_| bad())
    }
}

impl TryFrom<String> for Span {
    type Error = BadSpan;

    fn try_from(text: String) -> Result<Self, BadSpan> {
        text.parse()
    }
}

impl From<Span> for String {
    /// All of it, where [`fmt::Display`] rounds: what is written down is read back as it was.
    fn from(span: Span) -> Self {
        let (seconds, nanos) = (span.0.as_secs(), span.0.subsec_nanos());
        let parts = [
            (seconds / 3600, "h"),
            (seconds / 60 % 60, "m"),
            (seconds % 60, "s"),
            (u64::from(nanos / 1_000_000), "ms"),
            (u64::from(nanos / 1_000 % 1_000), "us"),
            (u64::from(nanos % 1_000), "ns"),
        ];
        let mut text = Self::new();
        for (amount, unit) in parts.into_iter().filter(|(amount, _)| *amount > 0) {
            text.push_str(&amount.to_string());
            text.push_str(unit);
        }
        if text.is_empty() {
            "0s".to_owned()
        } else {
            text
        }
    }
}

impl fmt::Display for Span {
    /// The two largest units that say something: `1h30m`, `12s`, `1.5s`, `250ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.as_secs(), self.0.subsec_millis());
        let text = match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
            (0, 0, 0) if millis > 0 => format!("{millis}ms"),
            (0, 0, s) if millis > 0 && s < 10 => format!("{:.1}s", self.0.as_secs_f64()),
            (0, 0, s) => format!("{s}s"),
            (0, m, 0) => format!("{m}m"),
            (0, m, s) => format!("{m}m{s}s"),
            (h, 0, _) => format!("{h}h"),
            (h, m, _) => format!("{h}h{m}m"),
        };
        f.pad(&text)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_print_as_users_write_them() {
        for (text, millis, printed) in [
            ("30s", 30_000, "30s"),
            ("250ms", 250, "250ms"),
            ("1.5s", 1500, "1.5s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("90s", 90_000, "1m30s"),
            ("90d", 7_776_000_000, "2160h"),
            ("0s", 0, "0s"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(
                (span, span.to_string().as_str()),
                (Span::millis(millis), printed)
            );
        }
        let odd = Span(Duration::new(3_723, 4_005_006));
        assert_eq!(String::from(odd), "1h2m3s4ms5us6ns");
        for span in [odd, Span::millis(15_100), Span::ZERO, Span::secs(3600)] {
            assert_eq!(String::from(span).parse(), Ok(span));
        }
        for text in ["", "5", "-3s", "soon"] {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
    }
}

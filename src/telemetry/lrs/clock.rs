//! When a report was read, on the proxy's own clock.
//!
//! A report carries no time, but it says how long the proxy measured since the one before. The sum of
//! these is the proxy's clock, and the engine reckons with it as with any other: a report that was held
//! up on its way shows a time that is long past, however late it comes. The clock of a stream starts
//! where the stream was opened, which is before any of its reports was read.
//!
//! Nothing is proven while reports are slow; there the time of arrival is good enough, and it keeps
//! two clocks that run at different rates from drifting apart over weeks.

use crate::domain::{Span, Time};

/// The clock of one stream.
#[derive(Debug)]
pub(super) struct ProxyClock {
    last_ns: u64,
    has_reported: bool,
}

impl ProxyClock {
    pub(super) fn opened(now: Time) -> Self {
        Self {
            last_ns: nanoseconds(now),
            has_reported: false,
        }
    }

    /// Takes in a report that has just arrived, which says that it covers `interval`; one that says
    /// nothing covers what was asked for. Each reading is later than the one before.
    pub(super) fn read_at(
        &mut self,
        interval: Option<Span>,
        asked: Span,
        is_slow: bool,
        now: Time,
    ) -> u64 {
        let now_ns = nanoseconds(now);
        let since = interval.unwrap_or(asked).duration().as_nanos();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        let read_at = match (self.has_reported, is_slow) {
            // What a first report covers may have begun before the stream.
            (false, _) => self.last_ns,
            (true, true) => now_ns,
            (true, false) => self.last_ns.saturating_add(since).min(now_ns),
        };
        self.has_reported = true;
        self.last_ns = read_at.max(self.last_ns + 1);
        self.last_ns
    }
}

fn nanoseconds(time: Time) -> u64 {
    u64::try_from(time.as_nanosecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_comes_late_was_read_early() {
        let start = Time::from_second(1_000).unwrap();
        let at = |ms| Span::millis(ms).after(start);
        let mut clock = ProxyClock::opened(start);
        let fast = Span::millis(600);
        for (arrives, interval, is_slow, read) in [
            (700, Some(600), false, 0),
            (1_300, Some(600), false, 600),
            // Two were stuck on the way for ten seconds, and come at once.
            (11_300, Some(600), false, 1_200),
            (11_300, Some(600), false, 1_800),
            // No cluster is left to say how long it was.
            (11_400, None, false, 2_400),
            // A proxy whose clock runs wild is not believed to come from the future.
            (11_500, Some(60_000), false, 11_500),
            (21_500, Some(9_000), true, 21_500),
            (22_200, Some(600), false, 22_100),
        ] {
            let said = clock.read_at(interval.map(Span::millis), fast, is_slow, at(arrives));
            let said = said - nanoseconds(start);
            assert_eq!(said / 1_000_000, read, "arrived at {arrives}");
        }
    }
}

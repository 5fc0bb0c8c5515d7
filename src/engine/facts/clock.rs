//! When a report was read, on our clock: proxies have clocks of their own, and reports are held up on their way.

use crate::domain::{Span, Time};

/// A proxy's clock, as far as its reports show it.
#[derive(Debug, Default, Clone)]
pub(super) struct Clock {
    pub(super) last_read_at_ns: u64,
    /// Our clock minus the proxy's, as the report that came fastest in this period shows it.
    fastest_ns: Option<i128>,
    /// The same of the period before.
    fastest_before_ns: Option<i128>,
    period_began: Time,
}

/// When a report was read, on our clock.
pub(super) struct Reading {
    pub(super) at: Time,
    /// It came so much faster than those before it that they were held up on their way.
    pub(super) catches_up: bool,
}

/// What is known of a clock is learned anew over so long, for clocks drift and are set.
const CLOCK_PERIOD: Span = Span::secs(300);

/// A reading that is older than the one before by more than this comes from a clock that was set
/// back; by less, it was overtaken.
const OVERTAKEN_NS_MAX: u64 = 60_000_000_000;

impl Clock {
    /// Takes in when a report that has just arrived was read; `None` if a newer one is here already.
    pub(super) fn reckon(&mut self, read_at_ns: u64, now: Time) -> Option<Reading> {
        if read_at_ns.saturating_add(OVERTAKEN_NS_MAX) < self.last_read_at_ns {
            *self = Self::default();
        }
        if read_at_ns < self.last_read_at_ns {
            return None;
        }
        if Span::between(self.period_began, now) >= CLOCK_PERIOD {
            self.fastest_before_ns = self.fastest_ns.take();
            self.period_began = now;
        }
        let offset = now.as_nanosecond() - i128::from(read_at_ns);
        let known = self.fastest_ns.into_iter().chain(self.fastest_before_ns);
        let known = known.min();
        let gap = i128::from(read_at_ns - self.last_read_at_ns);
        let catches_up = known.is_some_and(|known| (known - offset) * 2 > gap);
        self.last_read_at_ns = read_at_ns;
        self.fastest_ns = Some(
            self.fastest_ns
                .map_or(offset, |fastest| fastest.min(offset)),
        );
        let fastest = known.map_or(offset, |known| known.min(offset));
        let at = Time::from_nanosecond(i128::from(read_at_ns) + fastest).unwrap_or(Time::MIN);
        Some(Reading { at, catches_up })
    }
}

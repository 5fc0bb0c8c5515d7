//! The proof of drain, for one proxy and one instance.

use super::Said;
use crate::domain::{ProxyId, Time, counted};

/// What one proxy has shown of one draining instance.
///
/// Only readings that began after the proxy acknowledged DRAINING count. When a reading began is
/// reckoned on our clock, from the proxy's own time and the fastest report seen from it; a report
/// that was held up on its way is thereby known to be old. That reckoning is late by as much as the
/// fastest report took, so the first report that seems to be from after the ACK is passed over, and
/// two more must say zero. This holds as long as the fastest report takes less than the time
/// between two; one that catches up with those before it shows that it did not, and counting begins
/// anew. A reading that says whether the proxy still uses the instance settles the question by
/// itself: while it does, the reading is from before. A host that is known by its name is never told
/// to drain, so there it is only the weight that the proxy has acknowledged, and it settles nothing.
#[derive(Debug, Default, Clone)]
pub(in crate::engine) struct Witness {
    acknowledged: Option<Time>,
    /// Its proxy is told the weight alone.
    named: bool,
    readings_since: u32,
    zeros: u32,
    last: u64,
}

/// So many readings of zero, one after the other, are a proof.
const ZEROS_NEEDED: u32 = 2;

impl Witness {
    /// Has the proxy shown that the instance is idle?
    pub(in crate::engine) fn has_proof(&self) -> bool {
        self.acknowledged.is_some() && self.zeros >= ZEROS_NEEDED
    }

    /// What is missing, for people.
    pub(in crate::engine) fn gap(&self, proxy: &ProxyId, last_report: Option<Time>) -> String {
        let Some(acknowledged) = self.acknowledged else {
            return format!("{proxy} has not acknowledged that it drains");
        };
        match (self.readings_since, self.last) {
            (0, _) if last_report.is_some_and(|at| at > acknowledged) => format!(
                "{proxy} reports no numbers for it (is it started from `tidegate bootstrap`?)"
            ),
            (0 | 1, _) => format!("{proxy} has not reported since it acknowledged"),
            (_, 0) => format!("{proxy} reported it idle once, twice is needed"),
            (_, n) => format!("{} in progress on {proxy}", counted(n, "request")),
        }
    }

    /// Has it acknowledged, and was it named then; how many readings and zeros came since, as far as they count;
    /// and the last.
    pub(super) fn shown(&self) -> (bool, bool, u32, u32, u64) {
        let zeros = self.zeros.min(ZEROS_NEEDED);
        let readings = self.readings_since.min(2);
        let acknowledged = self.acknowledged.is_some();
        (acknowledged, self.named, readings, zeros, self.last)
    }

    pub(super) fn acknowledge(&mut self, now: Time, named: bool) {
        self.acknowledged.get_or_insert(now);
        self.named = named;
    }

    pub(super) fn count_anew(&mut self) {
        (self.readings_since, self.zeros) = (0, 0);
    }

    pub(super) fn hear(&mut self, said: Said, read_at: Time) {
        let is_after = |acknowledged: Time| read_at > acknowledged;
        let uses = said.healthy == Some(true) && !self.named;
        if uses || !self.acknowledged.is_some_and(is_after) {
            return;
        }
        self.readings_since = self.readings_since.saturating_add(1);
        if self.readings_since == 1 {
            return;
        }
        self.last = said.in_progress;
        self.zeros = if said.in_progress == 0 {
            self.zeros.saturating_add(1)
        } else {
            0
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Span;

    const fn said(in_progress: u64, healthy: Option<bool>) -> Said {
        Said {
            in_progress,
            healthy,
        }
    }

    /// The proof rule as a table: what is read after the ACK, and whether it proves.
    #[test]
    fn a_proof_needs_two_zeros_that_began_after_the_ack() {
        let (ack, later) = (Time::UNIX_EPOCH, Span::secs(1).after(Time::UNIX_EPOCH));
        for (heard, proven) in [
            (&[][..], false),
            (&[0], false),
            (&[0, 0], false),
            (&[0, 0, 0], true),
            (&[3, 0, 0], true),
            (&[0, 0, 1, 0], false),
        ] {
            let mut witness = Witness::default();
            witness.acknowledge(ack, false);
            for reading in heard {
                witness.hear(said(*reading, None), later);
            }
            assert_eq!(witness.has_proof(), proven, "{heard:?}");
        }
        let mut early = Witness::default();
        early.hear(said(0, None), later);
        early.acknowledge(later, false);
        for _ in 0..9 {
            early.hear(said(0, None), ack);
        }
        assert!(
            !early.has_proof(),
            "what was read before the ACK proves nothing"
        );
        let mut unaware = Witness::default();
        unaware.acknowledge(ack, false);
        for _ in 0..9 {
            unaware.hear(said(0, Some(true)), later);
        }
        assert!(
            !unaware.has_proof(),
            "nor does a reading in which it still takes requests"
        );
        for _ in 0..3 {
            unaware.hear(said(0, Some(false)), later);
        }
        assert!(unaware.has_proof());
        let mut named = Witness::default();
        named.acknowledge(ack, true);
        for _ in 0..3 {
            named.hear(said(0, Some(true)), later);
        }
        assert!(
            named.has_proof(),
            "a host by name counts as healthy to the end"
        );
    }
}

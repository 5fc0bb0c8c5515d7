//! Latencies in logarithmic buckets: 16 to each power of two, so a quantile is at most 6.25 % too
//! high and never too low. Fixed size, no allocation to record.

use std::time::Duration;

/// How many latencies fell into each bucket.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    total: u64,
}

impl Histogram {
    /// Empty.
    pub(super) fn new() -> Self {
        Self {
            counts: Box::new([0; BUCKETS]),
            total: 0,
        }
    }

    /// Counts one latency.
    pub(super) fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket(micros)] += 1;
        self.total += 1;
    }

    /// The latency that a share `quantile` of `0.0..=1.0` of all is not above; `None` when empty.
    pub(super) fn quantile(&self, quantile: f64) -> Option<Duration> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank between 1 and the total"
        )]
        let rank = ((self.total as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        found
            .filter(|_| self.total > 0)
            .map(|index| Duration::from_micros(upper_bound(index)))
    }
}

/// Values under 16 have a bucket each; above, the highest bit and the four after it name the bucket.
fn bucket(micros: u64) -> usize {
    let value = micros.min(MICROS_MAX);
    if value < SUB {
        return usize::try_from(value).unwrap_or(0);
    }
    let shift = value.ilog2() - SUB_BITS;
    let index = u64::from(shift + 1) * SUB + (value >> shift) - SUB;
    usize::try_from(index).unwrap_or(BUCKETS - 1)
}

/// The largest value that falls into a bucket.
fn upper_bound(index: usize) -> u64 {
    let index = index as u64;
    if index < SUB {
        return index;
    }
    let shift = index / SUB - 1;
    ((SUB + index % SUB + 1) << shift) - 1
}

const SUB_BITS: u32 = 4;
const SUB: u64 = 1 << SUB_BITS;
/// About 71 minutes; what is longer counts as that.
const MICROS_MAX: u64 = (1 << 32) - 1;
const BUCKETS: usize = (32 - SUB_BITS as usize + 1) << SUB_BITS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_values_within_a_sixteenth() {
        for micros in [
            0, 1, 15, 16, 17, 31, 32, 33, 999, 1_000, 123_456, 300_000, MICROS_MAX,
        ] {
            let bound = upper_bound(bucket(micros));
            assert!(
                bound >= micros && bound - micros <= micros / 16,
                "{micros} in ..={bound}"
            );
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_ranks() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), None);
        for millis in 1..=100 {
            histogram.record(Duration::from_millis(millis));
        }
        for (quantile, millis) in [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)] {
            let found = histogram.quantile(quantile).unwrap();
            let exact = Duration::from_millis(millis);
            assert!(
                found >= exact && found <= exact * 17 / 16,
                "{quantile}: {found:?}"
            );
        }
    }
}

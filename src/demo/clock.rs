//! The demo's one look at the clock. It measures what really happens, so its time is the machine's.

use tokio::time::Instant;

/// Now, for pacing, deadlines and latencies.
#[expect(
    clippy::disallowed_methods,
    reason = "the demo measures the real world"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// A seed for a run whose user gave none; it is printed, so that the run can be repeated.
#[expect(
    clippy::disallowed_methods,
    reason = "the one draw that everything else is seeded with"
)]
pub(super) fn seed() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() ^ u64::from(since.subsec_nanos()))
}

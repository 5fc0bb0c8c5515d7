//! How far a rollout may stray from the number of instances that it found.

use crate::domain::Rolling;

/// The bounds for a part of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    /// So many instances may be told to the proxies at once.
    pub(super) ceiling: u32,
    /// So many must serve when one more leaves.
    pub(super) floor: u32,
}

impl Budget {
    /// The bounds for `desired` instances.
    pub(super) fn of(rolling: &Rolling, desired: u32) -> Self {
        let surge = rolling.max_surge.up_to(desired);
        // A budget of less than one instance on both sides would never move anything.
        let unavailable = rolling
            .max_unavailable
            .within(desired)
            .max(u32::from(surge == 0));
        Self {
            ceiling: desired.saturating_add(surge),
            floor: desired.saturating_sub(unavailable),
        }
    }
}

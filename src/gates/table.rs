//! What one period is about: requests of two versions, and how many of them were bad.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Requests that were answered, and how many of them were bad: failed, or slower than a threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All of them.
    pub requests: u64,
    /// The bad ones; no more than all.
    pub bad: u64,
}

impl Counts {
    /// So many requests, of which so many were bad. Where more are bad than there are, all are.
    pub const fn new(requests: u64, bad: u64) -> Self {
        let bad = if bad < requests { bad } else { requests };
        Self { requests, bad }
    }

    /// The share of bad ones, 0 where there are no requests.
    pub fn rate(self) -> f64 {
        self.bad as f64 / (self.requests as f64).max(1.0)
    }

    /// These without others that are a part of them.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self::new(
            self.requests.saturating_sub(others.requests),
            self.bad.saturating_sub(others.bad),
        )
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        *self = Self::new(
            self.requests.saturating_add(more.requests),
            self.bad.saturating_add(more.bad),
        );
    }
}

/// One period of one region: requests fell to the two versions by chance, by weights that may be any.
///
/// That is what the comparison rests on. Requests of a period that saw different weights, or different callers,
/// belong into different tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Of the new version.
    pub new: Counts,
    /// Of the stable one.
    pub stable: Counts,
}

impl Table {
    /// Is there something to compare? A period in which nothing was bad, or only one version was asked, says
    /// nothing of which is worse.
    pub const fn tells(&self) -> bool {
        self.new.requests > 0 && self.stable.requests > 0 && self.new.bad + self.stable.bad > 0
    }
}

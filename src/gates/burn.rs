//! How fast a version uses up the errors that an objective allows.
//!
//! A burn rate of 1 uses up just what is allowed; 14.4 over an hour is a fiftieth of a month's budget in that hour.
//! An alarm needs the rate over a long window, so that it matters, and over a short one, so that it is still so
//! (*The Site Reliability Workbook*, 2018, chapter 5). And it needs evidence that the objective is missed at all: at
//! low traffic a single failure would burn at any rate.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Counts, Mixture};
use crate::domain::Span;

/// The short window is kept in so many slots.
const SLOTS_OF_SHORT: u32 = 10;

/// At most so many slots are kept: what is longer is kept more coarsely.
const SLOTS_MAX: u64 = 720;

/// Multiples of what is allowed that are wagered on, and how much on each.
const WAGERS: [(f64, f64); 5] = [
    (2.0, 0.2),
    (5.0, 0.2),
    (15.0, 0.2),
    (40.0, 0.2),
    (100.0, 0.2),
];

/// With fewer bad requests than these nothing burns.
const BAD_MIN: u64 = 3;

/// The errors that are allowed, and those that there were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// The share of requests that may be bad.
    allowed: f64,
    long: Span,
    short: Span,
    /// The length of a slot, in seconds.
    slot_seconds: u64,
    /// Newest last: the number of the slot, and what was counted in it.
    slots: VecDeque<(u64, Counts)>,
    missed: Mixture,
}

/// How fast it burns.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Burning {
    /// Over the long window, or since the beginning.
    pub long: f64,
    /// Over the short window.
    pub short: f64,
    /// Bad requests in the short window.
    pub bad: u64,
}

impl Burning {
    /// Does it burn at this rate over both windows?
    pub fn is_over(&self, rate: f64) -> bool {
        self.bad >= BAD_MIN && self.long >= rate && self.short >= rate
    }
}

impl Budget {
    /// A budget of which nothing is used. A share of `allowed` requests may be bad, more than 0.
    pub fn new(allowed: f64, long: Span, short: Span) -> Self {
        let seconds = |span: Span| span.duration().as_secs().max(1);
        let fine = seconds(short).div_ceil(SLOTS_OF_SHORT.into());
        Self {
            allowed: allowed.clamp(1e-9, 1.0),
            long,
            short,
            slot_seconds: fine.max(seconds(long).div_ceil(SLOTS_MAX)),
            slots: VecDeque::new(),
            missed: Mixture::of(&WAGERS.map(|(_, weight)| weight)),
        }
    }

    /// Takes in what was counted in the second that ends `second` seconds after some fixed moment.
    pub fn hear(&mut self, second: u64, counts: Counts) {
        let slot = second / self.slot_seconds;
        match self.slots.back_mut() {
            Some((last, sum)) if *last >= slot => *sum += counts,
            _ => self.slots.push_back((slot, counts)),
        }
        let kept = self.long.duration().as_secs() / self.slot_seconds + 1;
        while self
            .slots
            .front()
            .is_some_and(|(first, _)| first + kept < slot)
        {
            self.slots.pop_front();
        }
        let allowed = self.allowed;
        let (bad, good) = (counts.bad as f64, (counts.requests - counts.bad) as f64);
        self.missed
            .grow(WAGERS.iter().map(|(_, weight)| *weight), |index| {
                let share = (WAGERS[index].0 * allowed).min(f64::midpoint(1.0, allowed));
                bad * (share / allowed).ln() + good * ((-share).ln_1p() - (-allowed).ln_1p())
            });
    }

    /// How fast it burns, as of the last second that was heard of.
    pub fn burning(&self) -> Burning {
        let last = self.slots.back().map_or(0, |(slot, _)| *slot);
        let over = |span: Span| {
            let slots = span.duration().as_secs().div_ceil(self.slot_seconds);
            let first = (last + 1).saturating_sub(slots);
            let mut sum = Counts::default();
            let within = self.slots.iter().filter(|(slot, _)| *slot >= first);
            within.for_each(|(_, counts)| sum += *counts);
            sum
        };
        let (long, short) = (over(self.long), over(self.short));
        Burning {
            long: long.rate() / self.allowed,
            short: short.rate() / self.allowed,
            bad: short.bad,
        }
    }

    /// The logarithm of the e-value against "no more is bad than is allowed".
    pub fn ln_e(&self) -> f64 {
        self.missed.ln_e()
    }

    /// The share of requests that may be bad.
    pub const fn allowed(&self) -> f64 {
        self.allowed
    }
}

//! Requests: how many there were, how many of them failed, and which are in progress on an instance that
//! takes no more.
//!
//! Requests are not played one by one. A rate holds from one change to the next, and is added up then; only
//! those that an instance still has when it stops taking new ones are drawn, since drains wait for them.

use std::collections::BTreeMap;

use super::chance::{Chance, millis};
use super::fault::{BAD_PERCENT, LONG_ONE_IN};
use crate::domain::{ServiceName, Span, Time, VersionName, Weight};

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Failed {
    /// The version that answered is bad.
    BadVersion,
    /// Its instance was stopped meanwhile.
    CutOff,
    /// It was sent to an instance that was gone.
    Gone,
    /// Nobody took requests of its version.
    NoInstance,
}

impl Failed {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::BadVersion => "the new version answered with an error",
            Self::CutOff => "its instance was stopped while it was in progress",
            Self::Gone => "it was sent to an instance that was gone",
            Self::NoInstance => "no instance of its version took requests",
        }
    }
}

/// Requests so far, in millionths.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    requests: u128,
    failed: BTreeMap<Failed, u128>,
    /// What was answered and not told yet, with what of it was an error.
    answered: Answered,
}

/// Answers and errors among them, in millionths, by the region of the proxy and by version.
pub(super) type Answered = BTreeMap<(String, ServiceName, VersionName), (u128, u128)>;

/// One in the unit of a tally.
const ONE: u128 = 1_000_000;

impl Tally {
    pub(super) fn requests(&self) -> u64 {
        whole(self.requests)
    }

    pub(super) fn failed(&self) -> impl Iterator<Item = (Failed, u64)> {
        let failed = self.failed.iter().map(|(why, sum)| (*why, whole(*sum)));
        failed.filter(|(_, count)| *count > 0)
    }

    /// So many whole requests failed, of those that are counted already.
    pub(super) fn fail(&mut self, why: Failed, count: u64) {
        self.add(why, u128::from(count) * ONE);
    }

    /// Begins anew, but for what is to be told.
    pub(super) fn clear(&mut self) {
        (self.requests, self.failed) = (0, BTreeMap::new());
    }

    /// What was answered since the last time.
    pub(super) fn take_answered(&mut self) -> Answered {
        std::mem::take(&mut self.answered)
    }

    fn add(&mut self, why: Failed, millionths: u128) {
        if millionths > 0 {
            *self.failed.entry(why).or_default() += millionths;
        }
    }
}

fn whole(millionths: u128) -> u64 {
    u64::try_from(millionths.div_ceil(ONE)).unwrap_or(u64::MAX)
}

/// The requests to one service through one proxy, from the last change on.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    /// The proxy's region.
    pub(super) region: String,
    pub(super) service: ServiceName,
    /// Thousandths of a request a second.
    pub(super) rate: u64,
    pub(super) since: Time,
    pub(super) versions: Vec<Lot>,
}

/// A version's lot.
#[derive(Clone, Debug)]
pub(super) struct Lot {
    pub(super) version: VersionName,
    pub(super) weight: Weight,
    /// From when on somebody takes requests; `None` if nobody does.
    pub(super) from: Option<Time>,
    pub(super) bad: bool,
}

impl Flow {
    /// Adds up what flowed until `now`.
    pub(super) fn settle(&mut self, tally: &mut Tally, now: Time) {
        let span = u128::from(millis(Span::between(self.since, now)));
        let all = u128::from(self.rate) * span;
        tally.requests += all;
        if self.versions.iter().all(|lot| lot.weight == Weight::NONE) {
            tally.add(Failed::NoInstance, all);
        }
        for lot in &self.versions {
            let share = all * u128::from(lot.weight.get()) / u128::from(Weight::ALL.get());
            let from = lot.from.unwrap_or(now).clamp(self.since, now);
            let before = u128::from(millis(Span::between(self.since, from)));
            let nobody = share * before / span.max(1);
            tally.add(Failed::NoInstance, nobody);
            let answered = share - nobody;
            let bad = if lot.bad {
                answered * u128::from(BAD_PERCENT) / 100
            } else {
                0
            };
            tally.add(Failed::BadVersion, bad);
            if answered > 0 {
                let of = (
                    self.region.clone(),
                    self.service.clone(),
                    lot.version.clone(),
                );
                let sum = tally.answered.entry(of).or_default();
                *sum = (sum.0 + answered, sum.1 + bad);
            }
        }
        self.since = now;
    }
}

/// Few requests are longer than this.
const SHORT: Span = Span::millis(200);

/// One in ten may take this long.
const MEDIUM: Span = Span::secs(2);

/// One in a hundred may take this long.
const LONG: Span = Span::secs(10);

/// The requests that are in progress on an instance which has had `rate` thousandths a second since
/// `began`: when each ends. `very_long` is how long one of [`LONG_ONE_IN`] may take.
pub(super) fn in_progress(
    rate: u64,
    began: Time,
    very_long: Option<Span>,
    chance: &mut Chance,
    now: Time,
) -> Vec<Time> {
    let had = Span::between(began, now);
    let mut ends = Vec::new();
    draw(rate, had.min(LONG), &mut ends, chance, now, |chance| {
        let most = match chance.below(100) {
            0 => LONG,
            1..10 => MEDIUM,
            _ => SHORT,
        };
        chance.up_to(most)
    });
    if let Some(most) = very_long {
        let rate = rate.div_ceil(LONG_ONE_IN);
        draw(rate, had.min(most), &mut ends, chance, now, |chance| {
            chance.up_to(most)
        });
    }
    ends
}

/// Requests that began within `window` at `rate`, as far as they are not over.
fn draw(
    rate: u64,
    window: Span,
    ends: &mut Vec<Time>,
    chance: &mut Chance,
    now: Time,
    lasts: impl Fn(&mut Chance) -> Span,
) {
    let millionths = rate.saturating_mul(millis(window));
    let more = chance.below(1_000_000) < millionths % 1_000_000;
    for _ in 0..millionths / 1_000_000 + u64::from(more) {
        let (ago, span) = (millis(chance.up_to(window)), millis(lasts(chance)));
        if span > ago {
            ends.push(Span::millis(span - ago).after(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_added_up_and_fail_where_nobody_takes_them() {
        let (mut tally, began) = (Tally::default(), Time::UNIX_EPOCH);
        let lot = |parts, from: Option<u64>, bad| Lot {
            version: "v1".parse().unwrap(),
            weight: Weight::parts(parts),
            from: from.map(|s| Span::secs(s).after(began)),
            bad,
        };
        let mut flow = Flow {
            region: String::new(),
            service: "cart".parse().unwrap(),
            rate: 10_000,
            since: began,
            versions: vec![lot(5_000, Some(0), true), lot(5_000, Some(4), false)],
        };
        flow.settle(&mut tally, Span::secs(10).after(began));
        let failed: Vec<_> = tally.failed().collect();
        assert_eq!(tally.requests(), 100);
        assert_eq!(failed, [(Failed::BadVersion, 10), (Failed::NoInstance, 20)]);
    }

    #[test]
    fn what_is_in_progress_ends_after_now_and_in_time() {
        let (mut chance, now) = (Chance(7), Span::secs(1_000).after(Time::UNIX_EPOCH));
        let ends = in_progress(100_000, Time::UNIX_EPOCH, None, &mut chance, now);
        assert!((5..60).contains(&ends.len()), "{}", ends.len());
        assert!(ends.iter().all(|end| *end > now && *end <= LONG.after(now)));
    }
}

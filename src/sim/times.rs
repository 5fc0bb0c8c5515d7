//! How long things took before: what has been measured of a service takes the place of what is made up.

use std::collections::BTreeMap;

use super::Setup;
use super::chance::Chance;
use crate::domain::{InstanceId, Service, ServiceName, Span};

/// Each as often as it was seen, so that what is picked is as likely as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// From the first sight of an instance to its being ready.
    pub ready: Vec<Span>,
    /// From the first word of DRAINING to the proof.
    pub drains: Vec<Span>,
}

/// A proof takes about so many reports: one that is passed over, and two that say idle.
const REPORTS_OF_PROOF: u32 = 3;

/// Nobody reports more often, however short a drain was.
const REPORT_EVERY_MIN: Span = Span::millis(100);

impl Times {
    /// How long a new process takes to answer, so that it is ready as soon as others were.
    pub(super) fn boots(&self, service: &Service, chance: &mut Chance) -> Option<Span> {
        let ready = chance.pick(&self.ready)?.duration();
        let health = &service.health;
        // The prober comes by within its interval, half of it on average.
        let answers = health.interval.duration() * health.healthy_after;
        let watched = answers + health.interval.duration() / 2 + service.min_ready.duration();
        Some(ready.saturating_sub(watched).into())
    }

    /// How often proxies must have reported for the shortest drain to be proven; never more seldom than they
    /// usually do.
    pub fn report_every(all: &BTreeMap<ServiceName, Self>) -> Span {
        let shortest = all.values().flat_map(|times| &times.drains).min();
        let each = shortest.map(|took| Span::from(took.duration() / REPORTS_OF_PROOF));
        let usual = Setup::REPORT_EVERY;
        each.map_or(usual, |each| each.clamp(REPORT_EVERY_MIN, usual))
    }

    /// How long requests are in progress on an instance that takes no more: on all proxies alike, or
    /// the slowest of many would decide each time. They are over before the proof, which is by reports.
    pub(super) fn left_on(&self, instance: &InstanceId, report_every: Span) -> Option<Span> {
        let bytes = instance.as_str().bytes();
        let seed = bytes.fold(0, |sum: u64, byte| {
            sum.wrapping_mul(257).wrapping_add(byte.into())
        });
        let took = Chance(seed).pick(&self.drains)?.duration();
        let proof = report_every.duration() * REPORTS_OF_PROOF;
        Some(took.saturating_sub(proof).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_drains_as_long_as_one_before_and_the_same_on_every_proxy() {
        let times = Times {
            ready: Vec::new(),
            drains: vec![Span::secs(2), Span::secs(33)],
        };
        let ids = (0..20).map(|n| format!("cart-{n}").parse::<InstanceId>().unwrap());
        let left: Vec<Span> = ids
            .clone()
            .filter_map(|id| times.left_on(&id, Span::secs(1)))
            .collect();
        let again: Vec<Span> = ids
            .filter_map(|id| times.left_on(&id, Span::secs(1)))
            .collect();
        assert_eq!(left, again);
        for took in [Span::ZERO, Span::secs(30)] {
            assert!(left.contains(&took), "{left:?}");
        }
        let nothing = Times::default().left_on(&"cart-1".parse().unwrap(), Span::secs(1));
        assert_eq!(nothing, None, "nothing was measured");
        let all = BTreeMap::from([("cart".parse().unwrap(), times)]);
        let every = Times::report_every(&all).duration();
        assert_eq!(every.as_millis(), 666);
        assert_eq!(Times::report_every(&BTreeMap::new()), Span::secs(1));
    }
}

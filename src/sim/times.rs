//! How long things took before: what has been measured of a service takes the place of what is made up.

use super::chance::Chance;
use crate::domain::{InstanceId, Service, Span};

/// Each as often as it was seen, so that what is picked is as likely as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// From the first sight of an instance to its being ready.
    pub ready: Vec<Span>,
    /// From the first word of DRAINING to the proof.
    pub drains: Vec<Span>,
}

/// Two idle reports after the acknowledgement take about as long; requests are over before.
const PROOF_TAKES: Span = Span::secs(3);

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

    /// How long requests are in progress on an instance that takes no more: on all proxies alike, or
    /// the slowest of many would decide each time.
    pub(super) fn left_on(&self, instance: &InstanceId) -> Option<Span> {
        let bytes = instance.as_str().bytes();
        let seed = bytes.fold(0, |sum: u64, byte| {
            sum.wrapping_mul(257).wrapping_add(byte.into())
        });
        let took = Chance(seed).pick(&self.drains)?.duration();
        Some(took.saturating_sub(PROOF_TAKES.duration()).into())
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
        let left: Vec<Span> = ids.clone().filter_map(|id| times.left_on(&id)).collect();
        let again: Vec<Span> = ids.filter_map(|id| times.left_on(&id)).collect();
        assert_eq!(left, again);
        for took in [Span::ZERO, Span::secs(30)] {
            assert!(left.contains(&took), "{left:?}");
        }
        let nothing = Times::default().left_on(&"cart-1".parse().unwrap());
        assert_eq!(nothing, None, "nothing was measured");
    }
}

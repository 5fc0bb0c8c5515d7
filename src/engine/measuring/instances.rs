//! Checks on the new instances themselves: how many pass their health check, and how many did and do no more.

use super::Reading;
use crate::domain::{Share, counted};
use crate::engine::facts::Facts;
use crate::engine::state::{RolloutState, State};

/// The instances of the new version that proxies know.
struct New {
    all: u32,
    healthy: u32,
    /// Those of which no probe has told since the control plane started.
    unknown: u32,
}

impl New {
    fn of(state: &State, facts: &Facts, rollout: &RolloutState) -> Self {
        let (service, version) = (&rollout.spec.service, &rollout.spec.to);
        let known = state.services.get(service);
        let new = known.into_iter().flat_map(|known| {
            let instances = &known.instances;
            instances.select(|stand| stand.version == *version && stand.stage.stays())
        });
        let none = Self {
            all: 0,
            healthy: 0,
            unknown: 0,
        };
        new.fold(none, |so_far, (id, _)| {
            let health = facts.health(service, id);
            Self {
                all: so_far.all + 1,
                healthy: so_far.healthy + u32::from(health.is_some_and(|it| it.healthy)),
                unknown: so_far.unknown + u32::from(health.is_none()),
            }
        })
    }

    /// Why nothing can be said of them, if that is so.
    fn unsure(&self) -> Option<Reading> {
        let why = match (self.all, self.unknown) {
            (0, _) => "no new instance is there yet".to_owned(),
            (_, 0) => return None,
            (_, unknown) => format!(
                "the health of {} is not known yet",
                counted(unknown, "new instance")
            ),
        };
        Some(Reading::Unsure(why))
    }
}

/// Of the new instances, at least so many pass their health check.
pub(super) fn healthy_ratio(
    state: &State,
    facts: &Facts,
    rollout: &RolloutState,
    at_least: Share,
) -> Reading {
    let new = New::of(state, facts, rollout);
    if let Some(unsure) = new.unsure() {
        return unsure;
    }
    let New { all, healthy, .. } = new;
    if healthy >= at_least.of_rounded_up(all) {
        return Reading::Good;
    }
    Reading::Worse(format!(
        "{healthy} of {} pass their health check, and at least {at_least} are to",
        counted(all, "new instance")
    ))
}

/// So many times a new instance has passed its health check and then did no more.
pub(super) fn crashes(
    state: &State,
    facts: &Facts,
    rollout: &RolloutState,
    at_most: u32,
) -> Reading {
    let crashes = rollout.crashes;
    if crashes > at_most {
        let times = counted(crashes, "time");
        return Reading::Worse(format!(
            "{times} a new instance stopped passing its health check, and {at_most} are tolerated"
        ));
    }
    New::of(state, facts, rollout)
        .unsure()
        .unwrap_or(Reading::Good)
}

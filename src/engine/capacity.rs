//! What a version's ready instances can carry, as a share of its service's traffic.
//!
//! Nobody measures the traffic here, so the fleet that served when the rollout began is taken for what the
//! traffic needs, at a load of [`HEADROOM_PERCENT`]: instances of equal worth carry equal shares, and a
//! version may fall short of the whole old fleet by that much and no more.

use super::course::Course;
use super::turn::Turn;
use super::{RolloutState, StageKind, Stand, State};
use crate::domain::{VersionName, Weight};

/// How much of what an instance can carry it is to carry at most.
pub const HEADROOM_PERCENT: u64 = 80;

/// The share of the traffic that the instances of `version` that serve can carry.
pub(super) fn carries(turn: &Turn<'_>, course: &Course, version: &VersionName) -> Weight {
    carried(turn.state, course.state(turn), version)
}

/// The share of the traffic that the instances of `version` that serve can carry.
pub(super) fn carried(state: &State, rollout: &RolloutState, version: &VersionName) -> Weight {
    let service = &rollout.spec.service;
    let serves = |stand: &Stand| stand.version == *version && stand.stage == StageKind::Serving;
    let each = state.service(service).and_then(|service| service.capacity);
    let known = state.services.get(service);
    let capacity = known.map_or(0, |known| known.instances.capacity(each, serves));
    match demand(rollout) {
        0 => Weight::ALL,
        demand => Weight::parts(capacity * u64::from(Weight::ALL.get()) / demand),
    }
}

/// So many more instances like those that served must come before `version` can carry `share`.
pub(super) fn missing(
    turn: &Turn<'_>,
    course: &Course,
    version: &VersionName,
    share: Weight,
) -> u32 {
    let rollout = course.state(turn);
    let whole = u64::from(Weight::ALL.get());
    let lacking =
        u64::from(share.get()).saturating_sub(carries(turn, course, version).get().into());
    let each = fleet(rollout).div_ceil(u64::from(course.desired.max(1)));
    let needed = (lacking * demand(rollout)).div_ceil(whole * each.max(1));
    u32::try_from(needed).unwrap_or(u32::MAX)
}

/// What all of the traffic needs.
fn demand(rollout: &RolloutState) -> u64 {
    (fleet(rollout) * HEADROOM_PERCENT).div_ceil(100)
}

/// What the fleet could carry that served when the rollout began.
fn fleet(rollout: &RolloutState) -> u64 {
    let started = rollout.started.as_ref();
    let desired = started.map_or(0, |started| u64::from(started.desired));
    let capacity = started.and_then(|started| started.capacity);
    capacity.unwrap_or(desired)
}

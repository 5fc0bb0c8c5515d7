//! What a version's ready instances can carry, as a share of its service's traffic.
//!
//! At night there is less traffic than in the morning, and what is let go at night is missing then. So the
//! fleet that served when the rollout began is taken for what the traffic needs, at a load of
//! [`HEADROOM_PERCENT`]: a version may fall short of it by that much and no more. Where proxies count more
//! traffic than that fleet should carry, that much is needed: a version of capacity `c` gets at most the
//! share `h·c/L` of the load `L`, with `h` the same headroom.

use super::barrier::connected;
use super::course::Course;
use super::turn::Turn;
use super::{RolloutState, StageKind, Stand, State};
use crate::domain::{Service, VersionName, Weight};

/// How much of what an instance can carry it is to carry at most.
pub const HEADROOM_PERCENT: u64 = 80;

/// The share of the traffic that the instances of `version` that serve can carry.
pub(super) fn carries(turn: &Turn<'_>, course: &Course, version: &VersionName) -> Weight {
    share(
        turn.state,
        course.state(turn),
        version,
        demand(turn, course),
    )
}

/// The same by the fleet alone: what is known of it also after a restart, when nobody has counted yet.
pub(super) fn carried(state: &State, rollout: &RolloutState, version: &VersionName) -> Weight {
    share(state, rollout, version, found(rollout))
}

fn share(state: &State, rollout: &RolloutState, version: &VersionName, demand: u64) -> Weight {
    let service = &rollout.spec.service;
    let serves = |stand: &Stand| stand.version == *version && stand.stage == StageKind::Serving;
    let each = state.service(service).and_then(|service| service.capacity);
    let known = state.services.get(service);
    let capacity = known.map_or(0, |known| known.instances.capacity(each, serves));
    match demand {
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
    let needed = (lacking * demand(turn, course)).div_ceil(whole * each.max(1));
    u32::try_from(needed).unwrap_or(u32::MAX)
}

/// What all of the traffic needs.
fn demand(turn: &Turn<'_>, course: &Course) -> u64 {
    let found = found(course.state(turn));
    found.max(by_load(turn, course).unwrap_or(0))
}

/// What the traffic needs by the fleet that served when the rollout began.
fn found(rollout: &RolloutState) -> u64 {
    (fleet(rollout) * HEADROOM_PERCENT).div_ceil(100)
}

/// So many instances like those that served when the rollout began does the traffic need that proxies
/// count; no more than these were, and none while nobody counts.
pub(super) fn needed(turn: &Turn<'_>, course: &Course) -> u32 {
    let (fleet, desired) = (fleet(course.state(turn)), course.desired);
    let Some(needs) = by_load(turn, course).filter(|_| fleet > 0) else {
        return 0;
    };
    let needed = needs.saturating_mul(desired.into()).div_ceil(fleet);
    u32::try_from(needed).unwrap_or(u32::MAX).min(desired)
}

/// What the traffic needs that proxies count.
fn by_load(turn: &Turn<'_>, course: &Course) -> Option<u64> {
    let service = turn.state.service(&course.service)?;
    let shown = turn.facts.traffic.shown(&service.name);
    match (service.capacity, shown.filter(|_| service.measured)) {
        (Some(_), _) => {
            let load = load(turn, service)?;
            Some(whole(load * 100.0 / HEADROOM_PERCENT as f64))
        }
        // What was carried can be carried again, without headroom; it is no more than the fleet that did.
        (None, Some(each)) => {
            let load = load(turn, service)?;
            Some(whole(load / f64::from(each.get())).min(fleet(course.state(turn))))
        }
        (None, None) => None,
    }
}

/// Requests per second to a service, as far as all proxies count them that are connected. A version that
/// gets copies is counted with them, so what the others have stands for its share, too.
fn load(turn: &Turn<'_>, service: &Service) -> Option<f64> {
    let state = turn.state.services.get(&service.name)?;
    let split = state.split.as_ref();
    let mirror = split.and_then(|split| Some((split, &split.mirror.as_ref()?.0)));
    let is_copied_to = |version: &VersionName| mirror.is_some_and(|(_, to)| to == version);
    let proxies = connected(turn.state, turn.facts, service);
    let traffic = &turn.facts.traffic;
    let load = traffic.load(&service.name, proxies, is_copied_to, turn.now)?;
    let whole = Weight::ALL.get();
    let others = mirror.map_or(whole, |(split, to)| whole - split.of(to).get());
    (others > 0).then(|| load * f64::from(whole) / f64::from(others))
}

/// Notes what the instances of a service carry that has its capacity measured, while all of them are well.
pub(super) fn measure(turn: &mut Turn<'_>, service: &Service) {
    let is_due = turn.facts.traffic.is_due(&service.name, turn.now);
    if !service.measured || !is_due || turn.state.running(&service.name).is_some() {
        return;
    }
    let stays = turn.count(&service.name, |stand| stand.stage.stays());
    let serving = turn.count(&service.name, |s| s.stage == StageKind::Serving);
    if serving == 0 || serving < stays {
        return;
    }
    if let Some(load) = load(turn, service) {
        let each = load / f64::from(serving);
        let traffic = &mut turn.facts.traffic;
        traffic.carries(&service.name, each, turn.now);
    }
}

/// A rate as whole requests, none left out.
fn whole(rate: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is not negative, and the cast saturates"
    )]
    let rate = rate.ceil() as u64;
    rate
}

/// What the fleet could carry that served when the rollout began.
fn fleet(rollout: &RolloutState) -> u64 {
    let started = rollout.started.as_ref();
    let desired = started.map_or(0, |started| u64::from(started.desired));
    let capacity = started.and_then(|started| started.capacity);
    capacity.unwrap_or(desired)
}

//! Single decisions against what the design promises, counted anew from the instances themselves: budgets,
//! proofs, and shares of the traffic.

use std::collections::BTreeMap;

use tidegate::domain::{
    Amount, Locality, PlaceName, ServiceName, ServicePlan, VersionName, Weight,
};
use tidegate::engine::{
    Cause, Entry, InstanceState, Lane, Record, RolloutState, ServiceState, Stage, State, Turned,
};

/// A version may be loaded up to this much of what its instances carry, when all of the old fleet is busy.
const LOAD_PERCENT: u64 = 80;

/// Invariants 1, 3 and 4, of a record that is about to be written.
pub(crate) fn judge(before: &State, entry: &Entry) {
    match &entry.record {
        Record::InstanceMoved {
            service,
            instance,
            to,
            ..
        } => {
            let known = &before.services[service];
            let moved = &known.instances[instance];
            match to {
                Stage::Leaving {
                    cause: Cause::Rollout(by),
                    ..
                } if moved.stage == Stage::Serving => {
                    leaves(known, moved, before.rollouts.get(by));
                    let floor = before.service(service).map_or(0, |it| it.min_per_zone);
                    leaves_zone(known, moved, before.rollouts.get(by), floor as usize);
                }
                Stage::Joining { .. } if moved.stage == Stage::Ready => {
                    comes(known, moved, before.running(service));
                }
                Stage::Drained { proof, .. } => {
                    let said = |missing: &String| {
                        missing.contains("skipped by") || missing.contains("was not connected")
                    };
                    let at_most = before.service(service).map(|s| s.drain.at_most);
                    let in_time = at_most.is_some_and(|at_most| proof.took < at_most);
                    let is_said = proof.missing.iter().all(said);
                    assert!(
                        !in_time || is_said,
                        "3: {instance} is given up early: {proof}"
                    );
                }
                _ => {}
            }
        }
        Record::WeightsChosen { service, split, .. } => {
            let known = &before.services[service];
            let rollout = before.running(service);
            let grows = |version: &VersionName| {
                let had = known.split.as_ref().map(|split| split.of(version));
                had.is_some_and(|had| split.of(version) > had)
            };
            shared_fairly(service, known, rollout, &split.weights, before, &grows);
        }
        _ => {}
    }
}

// --- invariant 1

/// Takes traffic away; the rest must be enough.
fn leaves(known: &ServiceState, moved: &InstanceState, by: Option<&RolloutState>) {
    let (id, version) = (&moved.instance.id, &moved.instance.version);
    let share = known.split.as_ref().map(|split| split.of(version));
    if share == Some(Weight::NONE) {
        return;
    }
    let Some(by) = by.filter(|by| by.runs()) else {
        panic!("1: {id} goes for a rollout that is over");
    };
    let Some(lane) = lane_of(by, &moved.instance.locality) else {
        panic!("1: {id} goes, and stands where nothing is rolled");
    };
    let (floor, _) = bounds(by, lane);
    let serves = |other: &&InstanceState| {
        other.stage == Stage::Serving && other.instance.id != *id && is_in(lane, other)
    };
    let left = known.instances.values().filter(serves).count();
    assert!(
        left >= floor as usize,
        "1: {id} goes, {left} of {floor} stay"
    );
}

/// Enough of its zone must serve on, where the service wants that.
fn leaves_zone(
    known: &ServiceState,
    moved: &InstanceState,
    by: Option<&RolloutState>,
    floor: usize,
) {
    let (id, zone) = (&moved.instance.id, &moved.instance.locality.zone);
    let is_rolled = by.is_some_and(|by| by.spec.strategy.rolling().is_some());
    if zone.is_empty() || !is_rolled || moved.stage != Stage::Serving {
        return;
    }
    // After an emergency its version has no share: it takes nothing that its zone could miss.
    let version = &moved.instance.version;
    let split = known.split.as_ref();
    if split.is_some_and(|split| split.of(version) == tidegate::domain::Weight::NONE) {
        return;
    }
    let serves = |other: &&InstanceState| {
        let is_here = other.instance.locality.zone == *zone;
        other.stage == Stage::Serving && other.instance.id != *id && is_here
    };
    let left = known.instances.values().filter(serves).count();
    assert!(
        left >= floor,
        "1: {id} goes, {left} of {floor} stay in {zone}"
    );
}

/// Is told to the proxies, in addition to all others; there may not be too many.
fn comes(known: &ServiceState, moved: &InstanceState, rollout: Option<&RolloutState>) {
    let id = &moved.instance.id;
    let Some(rollout) = rollout.filter(|r| r.spec.strategy.rolling().is_some()) else {
        return;
    };
    let Some(lane) = lane_of(rollout, &moved.instance.locality) else {
        panic!("1: {id} comes where nothing is rolled");
    };
    let (_, ceiling) = bounds(rollout, lane);
    let is_told = |other: &&InstanceState| other.stage.endpoint().is_some() && is_in(lane, other);
    let told = known.instances.values().filter(is_told).count();
    let most = ceiling as usize;
    assert!(told < most, "1: {id} comes, {told} of {ceiling} are there");
}

fn lane_of<'a>(rollout: &'a RolloutState, locality: &Locality) -> Option<&'a Lane> {
    let holds = |place: &PlaceName| place.0 == locality.region || place.0 == locality.zone;
    let mut lanes = rollout.lanes.iter();
    lanes.find(|lane| lane.place.as_ref().is_none_or(holds))
}

fn is_in(lane: &Lane, instance: &InstanceState) -> bool {
    let locality = &instance.instance.locality;
    let place = lane.place.as_ref();
    place.is_none_or(|place| place.0 == locality.region || place.0 == locality.zone)
}

/// So many must serve, and so many may be told, in a part of the fleet.
fn bounds(rollout: &RolloutState, lane: &Lane) -> (u32, u32) {
    let Some(rolling) = rollout.spec.strategy.rolling() else {
        panic!("1: {} takes instances with a share", rollout.spec.name);
    };
    let part = |amount: Amount, up: bool| match amount {
        Amount::Count(count) => count,
        Amount::Percent(share) if up => share.of_rounded_up(lane.desired),
        Amount::Percent(share) => share.of_rounded_down(lane.desired),
    };
    let surge = part(rolling.max_surge, true);
    let missing = part(rolling.max_unavailable, false);
    // With room on neither side, one goes before one comes.
    let missing = missing.max(u32::from(surge == 0));
    (
        lane.desired.saturating_sub(missing),
        lane.desired.saturating_add(surge),
    )
}

// --- invariant 4

/// No version carries more than it can, as long as another could take it over, where shares are decided.
pub(crate) fn carried(planned: &ServicePlan, known: &ServiceState, state: &State) {
    if known.split.is_none() {
        return;
    }
    let versions = planned.versions.iter();
    let weights = versions.map(|v| (v.name.clone(), v.weight)).collect();
    let rollout = state.running(&planned.name);
    shared_fairly(&planned.name, known, rollout, &weights, state, &|_| true);
}

fn shared_fairly(
    service: &ServiceName,
    known: &ServiceState,
    rollout: Option<&RolloutState>,
    weights: &BTreeMap<VersionName, Weight>,
    state: &State,
    asked: &dyn Fn(&VersionName) -> bool,
) {
    let Some(rollout) = rollout.filter(|r| r.turned != Some(Turned::AtOnce)) else {
        return;
    };
    let Some(started) = rollout.started.as_ref() else {
        return;
    };
    let fleet = started.capacity.unwrap_or(u64::from(started.desired));
    let demand = (fleet * LOAD_PERCENT).div_ceil(100).max(1);
    let each = state.service(service).and_then(|s| s.capacity);
    let each = each.map_or(1, |rps| u64::from(rps.get()));
    // In parts of 10,000 of the traffic, as weights are.
    let carries = |version: &VersionName| {
        let serves =
            |i: &&InstanceState| i.stage == Stage::Serving && i.instance.version == *version;
        let serving = known.instances.values().filter(serves);
        let rates = serving.map(|i| i.instance.capacity.map_or(each, |rps| u64::from(rps.get())));
        rates.sum::<u64>() * u64::from(Weight::ALL.get()) / demand
    };
    let over = weights
        .iter()
        .find(|(version, weight)| asked(version) && u64::from(weight.get()) > carries(version));
    let Some((over, weight)) = over else { return };
    let mut others = weights.iter().filter(|(version, _)| *version != over);
    // The new version gets what its step says, and no more to help out.
    let may_grow = |version: &VersionName| *version != rollout.spec.to;
    // A part of 10,000 is lost where shares are rounded.
    let with_room = others.find(|(version, weight)| {
        may_grow(version) && carries(version) > u64::from(weight.get()) + 1
    });
    if let Some((other, has)) = with_room {
        let (most, could) = (carries(over), carries(other));
        panic!("4: {over} has {weight}, carries {most}; {other} has {has}, carries {could}");
    }
}

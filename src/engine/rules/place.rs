//! Places of which one is rolled at a time, over all rollouts of a policy.
//!
//! A part of the fleet is rolled from its beginning until it is replaced, and while its wave is watched. A
//! rollout without waves rolls every place where its service stands.

use super::{Rule, held_by, is_exempt, running};
use crate::domain::{PlaceName, ServiceName};
use crate::engine::Wait;
use crate::engine::state::{Bake, RolloutState};
use crate::engine::turn::Turn;

/// What keeps a rollout from beginning in a place, or everywhere.
pub(in crate::engine) fn against_place(
    turn: &Turn<'_>,
    rollout: &RolloutState,
    place: Option<&PlaceName>,
) -> Vec<Wait> {
    if is_exempt(rollout) {
        return Vec::new();
    }
    let service = &rollout.spec.service;
    let mut holds = Vec::new();
    for policy in turn.state.documents.policies_of(service) {
        for group in &policy.never_both {
            let is_mine = |one: &&PlaceName| touches(turn, service, place, one);
            let (mine, others): (Vec<_>, Vec<_>) = group.iter().partition(is_mine);
            let Some(first) = mine.first() else { continue };
            let clash = match (place, mine.get(1)) {
                // Nothing but waves can roll one after the other.
                (None, Some(second)) => Some((*second, rollout)),
                _ => running(turn, policy)
                    .filter(|other| place.is_some() || other.spec.service != *service)
                    .find_map(|other| {
                        let mut others = others.iter();
                        Some((*others.find(|one| is_rolled(turn, other, one))?, other))
                    }),
            };
            holds.extend(clash.map(|(other, by)| {
                let (place, other) = ((*first).clone(), other.clone());
                let rollout = by.spec.name.clone();
                held_by(
                    policy,
                    Rule::NeverBoth {
                        place,
                        other,
                        rollout,
                    },
                )
            }));
        }
    }
    holds
}

/// Does a rollout roll something there now?
fn is_rolled(turn: &Turn<'_>, rollout: &RolloutState, place: &PlaceName) -> bool {
    let is_watched = matches!(rollout.bake, Bake::Began(_));
    let mut lanes = rollout.lanes.iter().filter(|lane| !lane.done || is_watched);
    lanes.any(|lane| touches(turn, &rollout.spec.service, lane.place.as_ref(), place))
}

/// Does a part of a service's fleet stand, if only in part, in a place?
fn touches(
    turn: &Turn<'_>,
    service: &ServiceName,
    part: Option<&PlaceName>,
    place: &PlaceName,
) -> bool {
    let known = turn.state.services.get(service);
    let localities = known.map(|known| known.instances.localities(|stand| stand.stage.stays()));
    let mut localities = localities.unwrap_or_default().into_iter();
    part == Some(place)
        || localities.any(|at| place.holds(at) && part.is_none_or(|part| part.holds(at)))
}

//! How much of all capacity may be off the stable versions at once, in rollouts that have not proven
//! themselves yet.
//!
//! What a rollout has moved is the capacity of its new instances and of those that its open batches replace,
//! or, where it moves decided shares, its share of what the fleet carried at the start. Once two waves, shares
//! or batches of it have passed it counts no more and is not limited any more.

use super::{Rule, held_by, is_exempt, running};
use crate::domain::{Policy, Service, Share, StepAction, Strategy, Weight};
use crate::engine::course::Course;
use crate::engine::state::RolloutState;
use crate::engine::turn::Turn;
use crate::engine::{StageKind, Stand, Wait, shift};

/// So many waves, shares or batches prove a rollout.
const PROVEN_AFTER: u32 = 2;

/// What a rollout is about to move.
#[derive(Clone, Copy)]
pub(in crate::engine) enum Move {
    /// So many instances more.
    Instances(u32),
    /// The traffic up to this share.
    UpTo(Weight),
}

/// What keeps a rollout from moving more.
pub(in crate::engine) fn against_more(
    turn: &Turn<'_>,
    course: &Course,
    more: Move,
) -> Option<Wait> {
    let rollout = course.state(turn);
    if is_exempt(rollout) || is_proven(rollout) {
        return None;
    }
    let moved = moved(turn, rollout);
    let fleet = fleet(turn, rollout);
    let own = match more {
        Move::Instances(count) => {
            moved + (fleet * u64::from(count)).div_ceil(u64::from(course.desired.max(1)))
        }
        Move::UpTo(share) => moved.max(part(fleet, share)),
    };
    let mut policies = turn.state.documents.policies_of(&course.service);
    policies.find_map(|policy| {
        let limit = policy.blast_radius?;
        let others = running(turn, policy).filter(|other| other.spec.name != course.name);
        let others = others.filter(|other| !is_proven(other));
        let moved = own + others.map(|other| self::moved(turn, other)).sum::<u64>();
        let would = share(moved, all(turn, policy));
        let rule = || {
            let would = would.rounded_up();
            held_by(policy, Rule::BlastRadius { limit, would })
        };
        (would > limit).then(rule)
    })
}

fn is_proven(rollout: &RolloutState) -> bool {
    let passed = match rollout.spec.strategy {
        Strategy::Waves(_) => rollout.waves_done,
        Strategy::Steps(_) | Strategy::BlueGreen(_) => {
            let done = rollout.steps.iter().take(rollout.steps_done as usize);
            let shares = done.filter(|step| matches!(step.action, StepAction::Weight(_)));
            u32::try_from(shares.count()).unwrap_or(u32::MAX)
        }
        Strategy::Rolling(_) => rollout.batches_done,
    };
    passed >= PROVEN_AFTER
}

/// The capacity that a rollout has moved, or is moving.
fn moved(turn: &Turn<'_>, rollout: &RolloutState) -> u64 {
    let service = &rollout.spec.service;
    let (Some(known), Some(started)) = (turn.state.services.get(service), &rollout.started) else {
        return 0;
    };
    if known.split.is_some() {
        // What is not given yet is not counted: two that wait would wait for each other.
        let has = shift::split_of(turn, service).of(&started.from).rest();
        return part(fleet(turn, rollout), has);
    }
    let each = turn.state.service(service).and_then(|it| it.capacity);
    let is_new = |stand: &Stand| stand.version != started.from && stand.stage.stays();
    let new = known.instances.capacity(each, is_new);
    let open = rollout.lanes.iter().filter_map(|lane| lane.batch.as_ref());
    let open = open.flat_map(|batch| &batch.members);
    let open = open.filter(|id| {
        let member = known.instances.get(id);
        member.is_some_and(|it| it.instance.version == started.from && it.stage.kind().stays())
    });
    let open = u64::try_from(open.count()).unwrap_or(u64::MAX);
    let desired = u64::from(started.desired.max(1));
    new + (fleet(turn, rollout) * open).div_ceil(desired)
}

/// What the fleet carried when the rollout began.
fn fleet(turn: &Turn<'_>, rollout: &RolloutState) -> u64 {
    let started = rollout.started.as_ref();
    let declared = turn.state.service(&rollout.spec.service);
    match started {
        Some(started) => started.capacity.unwrap_or(u64::from(started.desired)),
        None => declared.map_or(0, |service| carries(turn, service)),
    }
}

/// What all fleets of a policy carry.
fn all(turn: &Turn<'_>, policy: &Policy) -> u64 {
    let services = turn.state.documents.services.values();
    let services = services.filter(|service| policy.applies_to(service));
    services
        .map(|service| match turn.state.running(&service.name) {
            Some(rollout) => fleet(turn, rollout),
            None => carries(turn, service),
        })
        .sum()
}

fn carries(turn: &Turn<'_>, service: &Service) -> u64 {
    let known = turn.state.services.get(&service.name);
    let serves = |stand: &Stand| stand.stage == StageKind::Serving;
    known.map_or(0, |known| {
        known.instances.capacity(service.capacity, serves)
    })
}

fn part(fleet: u64, share: Weight) -> u64 {
    (fleet * u64::from(share.get())).div_ceil(u64::from(Weight::ALL.get()))
}

fn share(part: u64, of: u64) -> Share {
    let millionths = (part * 1_000_000).div_ceil(of.max(1));
    Share::per_million(u32::try_from(millionths).unwrap_or(u32::MAX))
}

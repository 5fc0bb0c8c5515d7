//! Rollouts that are over and leave the state, so that it does not grow for ever.
//!
//! What they did stays in the journal for as long as the journal keeps anything. A rollout stays listed
//! while something still rests on it: a document of its name, which would start it anew at the next
//! edit, or an instance that it took out.

use std::collections::BTreeSet;

use super::Record;
use super::turn::Turn;
use crate::domain::{RolloutName, Span, Time};

/// Ended rollouts that are listed at most; of more, those that ended first go before their time.
const ENDED_MAX: usize = 1_000;

/// Lets go of rollouts that ended `kept` ago, and of the oldest beyond [`ENDED_MAX`].
pub(super) fn forget_long_ended(turn: &mut Turn<'_>, kept: Span) {
    let documents = &turn.state.documents.rollouts;
    let rollouts = turn.state.rollouts.values();
    let mut ended: Vec<(Time, &RolloutName)> = rollouts
        .filter(|rollout| !documents.contains_key(&rollout.spec.name))
        .filter_map(|rollout| Some((rollout.ended.as_ref()?.0, &rollout.spec.name)))
        .collect();
    ended.sort_unstable();
    let too_many = ended.len().saturating_sub(ENDED_MAX);
    let due = ended
        .into_iter()
        .enumerate()
        .filter(|(number, (at, _))| *number < too_many || Span::between(*at, turn.now) >= kept);
    let mut due: Vec<RolloutName> = due.map(|(_, (_, name))| name.clone()).collect();
    if due.is_empty() {
        return;
    }
    let causes = causes(turn);
    due.retain(|name| !causes.contains(name));
    for rollout in due {
        turn.record(Record::RolloutForgotten { rollout });
    }
}

/// The rollouts that took out an instance which is still known.
fn causes(turn: &Turn<'_>) -> BTreeSet<RolloutName> {
    let instances = turn.state.services.values();
    let instances = instances.flat_map(|service| service.instances.values());
    let causes = instances.filter_map(|known| known.stage.cause()?.rollout().cloned());
    // What stays for an undo rests on the rollout that brought it there.
    let kept = turn.state.services.values();
    let kept = kept.filter_map(|service| Some(service.kept.as_ref()?.rollout.clone()));
    causes.chain(kept).collect()
}

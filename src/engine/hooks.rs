//! Hook calls of rollouts: made at least once, answered once.

use super::state::{HookStatus, RolloutState};
use super::turn::Turn;
use super::{Effect, HookCall, Record};
use crate::domain::RolloutName;

/// Makes a hook call, for the first time or again.
pub(super) fn call(turn: &mut Turn<'_>, rollout: &RolloutName, call: HookCall) {
    let Some(state) = turn.state.rollouts.get(rollout) else {
        return;
    };
    let Some(hook) = state.spec.replace.clone() else {
        return;
    };
    let before = state.hooks.iter().find(|hook| hook.call.key == call.key);
    let attempt = before.map_or(0, |hook| hook.attempts).saturating_add(1);
    turn.record(Record::HookCalled {
        rollout: rollout.clone(),
        call: call.clone(),
        attempt,
    });
    turn.effects.push(Effect::Call { hook, call });
}

/// Takes in how a call ended. An answer to a call that nobody waits for says nothing new.
pub(super) fn done(turn: &mut Turn<'_>, key: String, result: Result<String, String>) {
    let waits_for_it = |rollout: &&RolloutState| {
        rollout
            .hooks
            .iter()
            .any(|h| h.call.key == key && h.status == HookStatus::Called)
    };
    let Some(rollout) = turn.state.rollouts.values().find(waits_for_it) else {
        return;
    };
    let rollout = rollout.spec.name.clone();
    turn.record(match result {
        Ok(output) => Record::HookDone {
            rollout,
            key,
            output,
        },
        Err(error) => Record::HookFailed {
            rollout,
            key,
            error,
        },
    });
}

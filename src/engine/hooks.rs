//! Hook calls of rollouts: made at least once, answered once.

use super::course::Course;
use super::state::{HookStatus, RolloutState};
use super::turn::Turn;
use super::{Effect, HookAction, HookCall, Record, Wait};
use crate::domain::{InstanceId, RolloutName, VersionName};

/// A new call that starts or stops an instance. Its key is the same for the same call after a restart, and
/// another when the rollout runs anew, or asks for the same again. It names the version, for an instance may come back under its id
/// as another one.
pub(super) fn call_for(
    turn: &Turn<'_>,
    course: &Course,
    action: HookAction,
    instance: &InstanceId,
    version: &VersionName,
) -> HookCall {
    let state = course.state(turn);
    let run = state.planned.as_millisecond();
    let again = match state.hooks.times(action, version, instance) {
        0 => String::new(),
        times => format!("/{}", times + 1),
    };
    HookCall {
        key: format!("{}-{run}/{action}/{version}/{instance}{again}", course.name),
        action,
        service: course.service.clone(),
        instance: instance.clone(),
        version: version.clone(),
    }
}

/// Makes a hook call, for the first time or again.
pub(super) fn call(turn: &mut Turn<'_>, rollout: &RolloutName, call: HookCall) {
    let Some(state) = turn.state.rollouts.get(rollout) else {
        return;
    };
    let Some(hook) = state.spec.replace.clone() else {
        return;
    };
    let before = state.hooks.get(&call.key);
    let attempt = before.map_or(0, |hook| hook.attempts).saturating_add(1);
    turn.record(Record::HookCalled {
        rollout: rollout.clone(),
        call: call.clone(),
        attempt,
    });
    turn.effects.push(Effect::Call { hook, call });
}

/// Says which calls for instances of interest have no answer yet or failed. True if there is none. A start that
/// failed is of no interest once its version is not wanted any more; to make it again would start it after all.
pub(super) fn wait_for_open(
    turn: &mut Turn<'_>,
    course: &Course,
    concerns: impl Fn(&Turn<'_>, &InstanceId) -> bool,
) -> bool {
    let_be(turn, course);
    let open = course.state(turn).hooks.open();
    let open = open.filter(|hook| concerns(turn, &hook.call.instance));
    let waits: Vec<Wait> = open
        .map(|hook| {
            let (action, instance) = (hook.call.action, hook.call.instance.clone());
            match &hook.status {
                HookStatus::Failed(error) => Wait::HookFailed {
                    action,
                    instance,
                    error: error.clone(),
                },
                HookStatus::Called | HookStatus::Done => Wait::Hook { action, instance },
            }
        })
        .collect();
    let none_open = waits.is_empty();
    turn.wait_all(&course.subject(), waits);
    none_open
}

fn let_be(turn: &mut Turn<'_>, course: &Course) {
    let state = course.state(turn);
    let failed = state.hooks.open().filter(|hook| {
        let is_wanted = hook.call.version == course.new && !state.over();
        let has_failed = matches!(hook.status, HookStatus::Failed(_));
        hook.call.action == HookAction::Start && has_failed && !is_wanted
    });
    let keys: Vec<String> = failed.map(|hook| hook.call.key.clone()).collect();
    for key in keys {
        turn.record(Record::HookDone {
            rollout: course.name.clone(),
            key,
            output: "it is no longer wanted".to_owned(),
        });
    }
}

/// Takes in how a call ended. An answer to a call that nobody waits for says nothing new.
pub(super) fn done(turn: &mut Turn<'_>, key: String, result: Result<String, String>) {
    let waits_for_it = |rollout: &&RolloutState| {
        let hook = rollout.hooks.get(&key);
        hook.is_some_and(|hook| hook.status == HookStatus::Called)
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

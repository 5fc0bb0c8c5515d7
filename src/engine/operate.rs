//! Verbs: what operators ask for, judged and carried out. Each is idempotent: asked twice, it
//! answers with what already holds.

mod freeze;
mod instances;
mod may;
mod rollouts;
mod steps;

use freeze::{freeze, override_rules, unfreeze};
use instances::{drain, find, undrain};
pub(super) use rollouts::undo_of;
use rollouts::{abort, pause, resume, retry, undo};
use steps::{promote, skip};

use super::state::RolloutState;
use super::turn::Turn;
use super::{Actor, Answer, Command, Record, Refusal, Request, RolloutVerb, Turned, Verb};
use crate::domain::ProxyId;

/// Carries out a command, or says why not. One that comes again by its key is answered, and does nothing.
pub(super) fn operate(turn: &mut Turn<'_>, command: &Command) -> Result<Answer, Refusal> {
    let Some(key) = command.key.clone() else {
        return carry_out(turn, command);
    };
    let asked = command.verb.to_string();
    if let Some(before) = turn.state.requests.get(&key) {
        let (at, was) = (before.at, &before.request.asked);
        if *was != asked {
            return Err(conflict(
                format!("the key `{key}` was that of another request, `tidegate {was}`"),
                "send each request with a key of its own; `tidegate` does",
            ));
        }
        return answer(format!(
            "`tidegate {was}` was carried out by this request before, at {at:.0}"
        ));
    }
    turn.request = Some(Request { key, asked });
    let answer = carry_out(turn, command);
    // What follows in this turn is the engine's own.
    turn.request = None;
    answer
}

fn carry_out(turn: &mut Turn<'_>, command: &Command) -> Result<Answer, Refusal> {
    match &command.verb {
        Verb::Drain { instance, service } => {
            let service = find(turn, instance, service.as_ref())?;
            drain(turn, &service, instance, command)
        }
        Verb::Undrain { instance, service } => {
            let service = find(turn, instance, service.as_ref())?;
            undrain(turn, &service, instance, command)
        }
        Verb::Freeze => freeze(turn, command),
        Verb::Unfreeze => unfreeze(turn, command),
        Verb::ForgetProxy { proxy } => forget(turn, proxy, command),
        Verb::Rollout { name, verb } => {
            let Some(rollout) = turn.state.rollouts.get(name).cloned() else {
                return Err(not_found(
                    format!("there is no rollout `{name}`"),
                    "`tidegate rollout status` lists them",
                ));
            };
            may::may(turn, &rollout, *verb, command)?;
            match verb {
                RolloutVerb::Abort(how) => abort(turn, &rollout, *how, command),
                RolloutVerb::Promote { all, step } => {
                    let past = steps::past(&rollout, *step)?;
                    past.map_or_else(
                        || promote(turn, &rollout, *all, step.is_some(), command),
                        answer,
                    )
                }
                RolloutVerb::Override => override_rules(turn, &rollout, command),
                RolloutVerb::Pause => pause(turn, &rollout, command),
                RolloutVerb::Resume => resume(turn, &rollout, command),
                RolloutVerb::Retry => retry(turn, &rollout, command),
                RolloutVerb::Skip { step } => {
                    let past = steps::past(&rollout, *step)?;
                    past.map_or_else(|| skip(turn, &rollout, command), answer)
                }
                RolloutVerb::Undo => undo(turn, &rollout, command),
            }
        }
    }
}

/// Takes a rollout back whose service is to run something else.
pub(super) fn call_off(turn: &mut Turn<'_>, rollout: &RolloutState, by: Actor, reason: String) {
    let (name, how) = (rollout.spec.name.clone(), Turned::Back);
    let command = Command {
        verb: Verb::Rollout {
            name,
            verb: RolloutVerb::Abort(how),
        },
        by,
        groups: Vec::new(),
        reason: Some(reason),
        key: None,
    };
    // One that is over, or goes back already, needs no word.
    let _ = abort(turn, rollout, how, &command);
}

fn forget(turn: &mut Turn<'_>, proxy: &ProxyId, by: &Command) -> Result<Answer, Refusal> {
    if !turn.state.proxies.contains_key(proxy) {
        return Err(not_found(
            format!("there is no proxy `{proxy}`"),
            "`tidegate proxies` lists them",
        ));
    }
    if turn
        .facts
        .proxies
        .get(proxy)
        .is_some_and(|facts| facts.connected)
    {
        return Err(conflict(
            format!("{proxy} is connected and may send traffic"),
            "stop it first; it is then listed as not connected",
        ));
    }
    turn.record(Record::ProxyForgotten {
        proxy: proxy.clone(),
        by: by.by.clone(),
        reason: by.reason.clone(),
    });
    turn.facts.proxies.remove(proxy);
    answer(format!("{proxy} is forgotten: nothing waits for its word"))
}

#[expect(clippy::unnecessary_wraps, reason = "every verb ends with it")]
fn answer(message: String) -> Result<Answer, Refusal> {
    Ok(message.into())
}

fn conflict(what: String, hint: impl Into<String>) -> Refusal {
    Refusal::Conflict {
        what,
        hint: hint.into(),
    }
}

fn not_found(what: String, hint: impl Into<String>) -> Refusal {
    Refusal::NotFound {
        what,
        hint: hint.into(),
    }
}

//! Verbs: what operators ask for, judged and carried out. Each is idempotent: asked twice, it
//! answers with what already holds.

mod instances;

use super::instances::snapshot;
use super::state::{Bake, HookState, HookStatus, RolloutState};
use super::turn::Turn;
use super::{
    Answer, Cause, Command, Effect, HookCall, Origin, Outcome, Proof, Record, Refusal, RolloutVerb,
    Stage, Verb,
};
use super::{hooks, rolling};
use crate::domain::{ProxyId, Rollout, RolloutName, Span, counted};
use instances::{drain, find, undrain};

/// Carries out a command, or says why not.
pub(super) fn operate(turn: &mut Turn<'_>, command: Command) -> Result<Answer, Refusal> {
    match &command.verb {
        Verb::Drain { instance, service } => {
            let service = find(turn, instance, service.as_ref())?;
            drain(turn, &service, instance, &command)
        }
        Verb::Undrain { instance, service } => {
            let service = find(turn, instance, service.as_ref())?;
            undrain(turn, &service, instance, &command)
        }
        Verb::ForgetProxy { proxy } => forget(turn, proxy, &command),
        Verb::Rollout { name, verb } => {
            let Some(rollout) = turn.state.rollouts.get(name).cloned() else {
                return Err(not_found(
                    format!("there is no rollout `{name}`"),
                    "`tidegate rollout status` lists them",
                ));
            };
            match verb {
                RolloutVerb::Abort => abort(turn, &rollout, &command),
                RolloutVerb::Pause => pause(turn, &rollout, &command),
                RolloutVerb::Resume => resume(turn, &rollout, &command),
                RolloutVerb::Retry => retry(turn, &rollout, &command),
                RolloutVerb::Skip => skip(turn, &rollout, &command),
                RolloutVerb::Undo => undo(turn, &rollout, &command),
            }
        }
    }
}

// --- rollouts

fn pause(turn: &mut Turn<'_>, rollout: &RolloutState, by: &Command) -> Result<Answer, Refusal> {
    let name = running(rollout, "pause")?;
    if rollout.paused.is_none() {
        let (by, reason) = (by.by.clone(), by.reason.clone());
        turn.record(Record::RolloutPaused {
            rollout: name.clone(),
            by,
            reason,
        });
    }
    answer(format!(
        "{name} is paused: no further step begins, what has begun is finished"
    ))
}

fn resume(turn: &mut Turn<'_>, rollout: &RolloutState, by: &Command) -> Result<Answer, Refusal> {
    let name = running(rollout, "resume")?;
    if rollout.paused.is_some() {
        let (by, reason) = (by.by.clone(), by.reason.clone());
        turn.record(Record::RolloutResumed {
            rollout: name.clone(),
            by,
            reason,
        });
    }
    answer(format!("{name} goes on"))
}

/// Turns a rollout round. Old instances that only began to leave are put back at once; the rest
/// goes back through the same steps.
fn abort(turn: &mut Turn<'_>, rollout: &RolloutState, by: &Command) -> Result<Answer, Refusal> {
    let name = running(rollout, "abort")?;
    if rollout.aborted {
        return answer(format!("{name} is rolling back already"));
    }
    let (service, reason) = (rollout.spec.service.clone(), by.reason.clone());
    let by = by.by.clone();
    turn.record(Record::RolloutAborted {
        rollout: name.clone(),
        by,
        reason,
    });
    let Some(started) = &rollout.started else {
        let outcome = Outcome::RolledBack;
        turn.record(Record::RolloutEnded {
            rollout: name.clone(),
            outcome,
        });
        return answer(format!("{name} had not begun; it is over"));
    };
    for (id, version, stage) in snapshot(turn, &service) {
        let ours = matches!(stage.cause(), Some(Cause::Rollout(cause)) if cause == name);
        if ours && version == started.from && Stage::may_become(&stage, &Stage::Serving) {
            turn.move_to(&service, &id, Stage::Serving, "the rollout turned round");
        }
    }
    answer(format!(
        "{name} goes back to {}, through the same steps",
        started.from
    ))
}

fn retry(turn: &mut Turn<'_>, rollout: &RolloutState, by: &Command) -> Result<Answer, Refusal> {
    let name = running(rollout, "retry")?;
    let (by, reason) = (by.by.clone(), by.reason.clone());
    turn.record(Record::RolloutRetried {
        rollout: name.clone(),
        by,
        reason,
    });
    turn.effects.push(Effect::Resend);
    let failed: Vec<HookCall> = rollout
        .hooks
        .iter()
        .filter(|hook| matches!(hook.status, HookStatus::Failed(_)))
        .map(|hook| hook.call.clone())
        .collect();
    let calls = failed.len();
    for call in failed {
        hooks::call(turn, name, call);
    }
    answer(match calls {
        0 => format!("{name} tries on: what proxies refused is sent again"),
        calls => format!("{name} tries on: {} called again", counted(calls, "hook")),
    })
}

/// Passes over what the rollout waits for now, if that can be passed over at all.
fn skip(turn: &mut Turn<'_>, rollout: &RolloutState, by: &Command) -> Result<Answer, Refusal> {
    let name = running(rollout, "skip")?.clone();
    let service = rollout.spec.service.clone();
    let failed = |hook: &&HookState| matches!(hook.status, HookStatus::Failed(_));
    if let Some(hook) = rollout.hooks.iter().find(failed) {
        let (action, instance) = (hook.call.action, &hook.call.instance);
        let said = format!("{name} goes on without the {action} hook for {instance}");
        let what = format!("it goes on without the {action} hook for {instance}");
        turn.record(skipped(&name, what, by));
        turn.record(Record::HookDone {
            rollout: name,
            key: hook.call.key.clone(),
            output: format!("skipped by {}", by.by),
        });
        return answer(said);
    }
    for (id, _, stage) in snapshot(turn, &service) {
        if let Stage::Draining {
            cause: Cause::Rollout(cause),
            since,
            ..
        } = stage
            && cause == name
        {
            let took = Span::between(since, turn.now);
            let missing = vec![format!("skipped by {}", by.by)];
            let proof = Proof {
                took,
                witnesses: 0,
                missing,
            };
            let cause = Cause::Rollout(cause);
            let said = format!("{id} is released without proof");
            turn.record(skipped(&name, said.clone(), by));
            turn.move_to(&service, &id, Stage::Drained { proof, cause }, "skipped");
            return answer(said);
        }
    }
    if let Bake::Began(_) = rollout.bake {
        turn.record(skipped(&name, "it bakes no longer".to_owned(), by));
        turn.record(Record::BakeDone {
            rollout: name.clone(),
        });
        return answer(format!("{name} bakes no longer"));
    }
    if rolling::only_waits_for_more(turn, &name) {
        let outcome = if rollout.aborted {
            Outcome::RolledBack
        } else {
            Outcome::Done
        };
        let what = "it ends with the instances that are there".to_owned();
        turn.record(skipped(&name, what, by));
        rolling::end(turn, &name, outcome);
        return answer(format!("{name} ends with the instances that are there"));
    }
    Err(conflict(
        format!("{name} waits for nothing that can be skipped"),
        format!("`tidegate why {name}` says what it waits for"),
    ))
}

fn skipped(rollout: &RolloutName, what: String, by: &Command) -> Record {
    Record::StepSkipped {
        rollout: rollout.clone(),
        what,
        by: by.by.clone(),
        reason: by.reason.clone(),
    }
}

/// Starts the way back of a rollout that is done.
fn undo(turn: &mut Turn<'_>, rollout: &RolloutState, by: &Command) -> Result<Answer, Refusal> {
    let name = &rollout.spec.name;
    let (Some((_, Outcome::Done)), Some(started)) = (&rollout.ended, &rollout.started) else {
        let (what, hint) = if rollout.over() {
            (
                "changed nothing that could be undone",
                "`tidegate rollout status`".to_owned(),
            )
        } else {
            (
                "is still running",
                format!("`tidegate rollout abort {name}` turns it round"),
            )
        };
        return Err(conflict(format!("{name} {what}"), hint));
    };
    let back: RolloutName = format!("{name}-undo").parse().map_err(|error| {
        conflict(
            format!("`{name}-undo` is no rollout name: {error}"),
            "start one by a document",
        )
    })?;
    if turn
        .state
        .rollouts
        .get(&back)
        .is_some_and(|known| !known.over())
    {
        return answer(format!("{back} is on its way already"));
    }
    let spec = Rollout {
        name: back.clone(),
        from: Some(rollout.spec.to.clone()),
        to: started.from.clone(),
        ..rollout.spec.clone()
    };
    let to = spec.to.clone();
    turn.record(Record::RolloutPlanned {
        spec: Box::new(spec),
        origin: Origin::Undo,
        by: by.by.clone(),
        reason: by.reason.clone(),
    });
    answer(format!("{back} goes back to {to}"))
}

fn running<'a>(rollout: &'a RolloutState, verb: &str) -> Result<&'a RolloutName, Refusal> {
    let name = &rollout.spec.name;
    match &rollout.ended {
        None => Ok(name),
        Some((_, outcome)) => {
            let (how, hint) = match outcome {
                Outcome::Done => (
                    "is done",
                    format!("`tidegate rollout undo {name}` goes back after the end"),
                ),
                Outcome::RolledBack => (
                    "is rolled back",
                    "`tidegate rollout start` begins a new one".to_owned(),
                ),
            };
            let what = format!("{name} {how}: there is nothing to {verb}");
            Err(conflict(what, hint))
        }
    }
}

// --- proxies

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
    Ok(Answer { message })
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

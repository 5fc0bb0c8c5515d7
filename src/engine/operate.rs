//! Verbs: what operators ask for, judged and carried out. Each is idempotent: asked twice, it
//! answers with what already holds.

use super::instances::{begin_leaving, snapshot};
use super::state::{Bake, HookState, HookStatus, RolloutState};
use super::turn::Turn;
use super::{
    Answer, Cause, Command, Effect, HookCall, Origin, Outcome, Proof, Record, Refusal, RolloutVerb,
    Stage, Verb,
};
use super::{hooks, rolling};
use crate::domain::{InstanceId, ProxyId, Rollout, RolloutName, ServiceName, Span, counted};

/// Carries out a command, or says why not.
pub(super) fn operate(turn: &mut Turn<'_>, command: Command) -> Result<Answer, Refusal> {
    match &command.verb {
        Verb::Drain { instance, service } => {
            let service = find(turn, instance, service.as_ref())?;
            drain(turn, &service, instance, &command)
        }
        Verb::Undrain { instance, service } => {
            let service = find(turn, instance, service.as_ref())?;
            undrain(turn, &service, instance)
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
        turn.record(Record::HookDone {
            rollout: name,
            key: hook.call.key.clone(),
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
            turn.move_to(&service, &id, Stage::Drained { proof, cause }, "skipped");
            return answer(format!("{id} is released without proof"));
        }
    }
    if let Bake::Began(_) = rollout.bake {
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
        rolling::end(turn, &name, outcome);
        return answer(format!("{name} ends with the instances that are there"));
    }
    Err(conflict(
        format!("{name} waits for nothing that can be skipped"),
        format!("`tidegate why {name}` says what it waits for"),
    ))
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
    let (spec, by) = (Box::new(spec), by.by.clone());
    turn.record(Record::RolloutPlanned {
        spec,
        origin: Origin::Undo,
        by,
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

// --- instances

fn drain(
    turn: &mut Turn<'_>,
    service: &ServiceName,
    id: &InstanceId,
    by: &Command,
) -> Result<Answer, Refusal> {
    let stage = stage_of(turn, service, id);
    match stage {
        Stage::Serving | Stage::Suspended | Stage::Joining { .. } => {
            let cause = Cause::Operator(by.by.clone());
            let why = by
                .reason
                .clone()
                .unwrap_or_else(|| format!("{} drains it", by.by));
            begin_leaving(turn, service, id, &stage, cause, &why);
            answer(format!("{id} is being drained"))
        }
        // Nothing is sent to it; but it must not join any more.
        Stage::Registered | Stage::Ready => {
            let known = turn.state.services.get(service);
            let told = known
                .and_then(|s| s.instances.get(id))
                .is_some_and(|i| i.told);
            let missing = told.then(|| "it was taken from the proxies before".to_owned());
            let proof = Proof {
                took: Span::ZERO,
                witnesses: 0,
                missing: missing.into_iter().collect(),
            };
            let cause = Cause::Operator(by.by.clone());
            let released = Stage::Released { proof, cause };
            turn.move_to(service, id, released, "no proxy sends it anything");
            answer(format!("{id} takes no traffic: it is safe to stop"))
        }
        Stage::Released { proof, .. } => answer(format!("{id} is safe to stop: {proof}")),
        other => answer(format!("{id} is {other} already")),
    }
}

fn undrain(turn: &mut Turn<'_>, service: &ServiceName, id: &InstanceId) -> Result<Answer, Refusal> {
    let stage = stage_of(turn, service, id);
    if stage.cause().is_some() {
        may_come_back(turn, service, id, &stage)?;
    }
    match &stage {
        Stage::Leaving { .. } | Stage::Draining { .. } | Stage::Drained { .. } => {
            turn.move_to(service, id, Stage::Serving, "put back");
            answer(format!("{id} takes requests again"))
        }
        Stage::Removed { .. } | Stage::Released { .. } => {
            turn.move_to(service, id, Stage::Registered, "put back");
            answer(format!("{id} joins again once it is healthy"))
        }
        other => answer(format!("{id} is {other}: it was not being drained")),
    }
}

/// Is the instance of a version that is to serve, and does no rollout take it out just now?
fn may_come_back(
    turn: &Turn<'_>,
    service: &ServiceName,
    id: &InstanceId,
    stage: &Stage,
) -> Result<(), Refusal> {
    let Some(known) = turn.state.services.get(service) else {
        return Ok(());
    };
    let version = known.instances.get(id).map(|i| &i.instance.version);
    let rollout = turn.state.rollout_of(service).filter(|r| r.runs());
    let goes = match rollout {
        Some(rollout) if rollout.aborted => Some(&rollout.spec.to),
        Some(rollout) => rollout.started.as_ref().map(|started| &started.from),
        None => None,
    };
    if matches!(stage.cause(), Some(Cause::Rollout(_))) && goes.is_some() && goes == version {
        return Err(conflict(
            format!("{id} is {stage} because a rollout replaces it"),
            "`tidegate rollout abort` turns that rollout round",
        ));
    }
    let serves = version.is_none()
        || version == known.stable.as_ref()
        || rollout.is_some_and(|rollout| version == Some(&rollout.spec.to));
    if serves {
        return Ok(());
    }
    Err(conflict(
        format!("{id} is {stage}, and its version no longer serves {service}"),
        "a rollout to its version brings that back",
    ))
}

fn stage_of(turn: &Turn<'_>, service: &ServiceName, id: &InstanceId) -> Stage {
    let known = turn
        .state
        .services
        .get(service)
        .and_then(|s| s.instances.get(id));
    known.map_or(Stage::Registered, |known| known.stage.clone())
}

fn find(
    turn: &Turn<'_>,
    id: &InstanceId,
    service: Option<&ServiceName>,
) -> Result<ServiceName, Refusal> {
    let services = turn
        .state
        .services
        .iter()
        .filter(|(name, s)| s.instances.contains_key(id) && turn.state.service(name).is_some());
    let found: Vec<&ServiceName> = services.map(|(name, _)| name).collect();
    let matching = found
        .iter()
        .filter(|name| service.is_none_or(|wanted| wanted == **name));
    match matching.collect::<Vec<_>>().as_slice() {
        [one] => Ok((**one).clone()),
        [] => Err(not_found(
            service.map_or_else(
                || format!("there is no instance `{id}`"),
                |service| format!("there is no instance `{id}` of {service}"),
            ),
            "`tidegate instances` lists them",
        )),
        several => {
            let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            Err(conflict(
                format!("`{id}` is an instance of {}", names.join(" and of ")),
                "say which with `--service`",
            ))
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

//! Verbs about one instance: it is taken out, or put back.

use super::{answer, conflict, not_found};
use crate::domain::{InstanceId, ServiceName, Span};
use crate::engine::course::Course;
use crate::engine::instances::{begin_leaving, nothing_to_stop, open_stops, stage_of};
use crate::engine::turn::Turn;
use crate::engine::{Answer, Cause, Command, HookStatus, Proof, Record, Refusal, Stage};

pub(super) fn drain(
    turn: &mut Turn<'_>,
    service: &ServiceName,
    id: &InstanceId,
    by: &Command,
) -> Result<Answer, Refusal> {
    let stage = stage_now(turn, service, id);
    match stage {
        Stage::Serving | Stage::Suspended | Stage::Joining { .. } => {
            turn.record(asked_to_drain(service, id, by));
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
            turn.record(asked_to_drain(service, id, by));
            let cause = Cause::Operator(by.by.clone());
            let released = Stage::Released { proof, cause };
            turn.move_to(service, id, released, "no proxy sends it anything");
            answer(format!("{id} takes no traffic: it is safe to stop"))
        }
        Stage::Released { proof, .. } => answer(format!("{id} is safe to stop: {proof}")),
        other => answer(format!("{id} is {other} already")),
    }
}

fn asked_to_drain(service: &ServiceName, instance: &InstanceId, by: &Command) -> Record {
    Record::DrainAsked {
        service: service.clone(),
        instance: instance.clone(),
        by: by.by.clone(),
        reason: by.reason.clone(),
    }
}

pub(super) fn undrain(
    turn: &mut Turn<'_>,
    service: &ServiceName,
    id: &InstanceId,
    by: &Command,
) -> Result<Answer, Refusal> {
    let asked = Record::UndrainAsked {
        service: service.clone(),
        instance: id.clone(),
        by: by.by.clone(),
        reason: by.reason.clone(),
    };
    let stage = stage_now(turn, service, id);
    if stage.cause().is_some() {
        may_come_back(turn, service, id, &stage)?;
    }
    match &stage {
        Stage::Leaving { .. } | Stage::Draining { .. } | Stage::Drained { .. } => {
            turn.record(asked);
            turn.move_to(service, id, Stage::Serving, "put back");
            answer(format!("{id} takes requests again"))
        }
        Stage::Removed { .. } | Stage::Released { .. } => {
            if is_being_stopped(turn, service, id) {
                return Err(conflict(
                    format!("{id} is just being stopped by a hook"),
                    "try again when the hook has answered",
                ));
            }
            turn.record(asked);
            nothing_to_stop(turn, service, id, "it is put back");
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
    let course = turn.state.running(service);
    let course = course.and_then(|rollout| Course::of(turn, &rollout.spec.name));
    let goes = course
        .as_ref()
        .is_some_and(|c| version.is_some_and(|v| *v != c.new));
    if matches!(stage.cause(), Some(Cause::Rollout(_))) && goes {
        return Err(conflict(
            format!("{id} is {stage} because a rollout replaces it"),
            "`tidegate rollout abort` turns that rollout round",
        ));
    }
    let serves = version.is_none()
        || version == known.stable.as_ref()
        || course.is_some_and(|course| version == Some(&course.new));
    if serves {
        return Ok(());
    }
    Err(conflict(
        format!("{id} is {stage}, and its version no longer serves {service}"),
        "a rollout to its version brings that back",
    ))
}

/// Has a hook been called to stop it that has not answered?
fn is_being_stopped(turn: &Turn<'_>, service: &ServiceName, id: &InstanceId) -> bool {
    let mut stops = open_stops(turn, service, id);
    stops.any(|(_, stop)| stop.status == HookStatus::Called)
}

fn stage_now(turn: &Turn<'_>, service: &ServiceName, id: &InstanceId) -> Stage {
    stage_of(turn, service, id).unwrap_or(Stage::Registered)
}

pub(super) fn find(
    turn: &Turn<'_>,
    id: &InstanceId,
    service: Option<&ServiceName>,
) -> Result<ServiceName, Refusal> {
    let services = turn
        .state
        .services
        .iter()
        .filter(|(name, s)| s.instances.contains(id) && turn.state.service(name).is_some());
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

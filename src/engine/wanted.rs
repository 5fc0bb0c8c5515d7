//! The version that a service's document says it is to run, and how that becomes a rollout.
//!
//! What counts is the edit: a document that names another version than before starts a rollout, or ends
//! those that lead elsewhere. Whatever operators do meanwhile stands until the next such edit, and shows
//! as drift.

use super::state::RolloutState;
use super::turn::Turn;
use super::{Actor, Origin, Record, operate};
use crate::domain::{Rollout, RolloutName, ServiceName, VersionName};

/// The document now names this version, and did not before.
pub(super) fn follow(turn: &mut Turn<'_>, service: &ServiceName, by: &Actor) {
    let (Some(run), Some(stable)) = (run(turn, service), stable(turn, service)) else {
        // A service that serves nothing yet is asked again once it does.
        return;
    };
    let running = turn.state.running(service).cloned();
    let heads_for = running.as_ref().map_or(&stable, heads_for);
    // What the same documents ask for besides is not judged by them.
    let before = turn.state.waiting(service).into_iter();
    let before = before.filter(|rollout| rollout.planned < turn.now).cloned();
    let waiting: Vec<RolloutState> = before.collect();
    if *heads_for == run.to {
        call_off(turn, waiting, &run.to, by);
    } else if running.is_some() && stable == run.to {
        // Nothing leads back as gently as turning round: what never served alone goes first, and
        // nothing of it is held back.
        call_off(turn, waiting.into_iter().chain(running), &run.to, by);
    } else if waiting
        .first()
        .is_none_or(|newest| newest.spec.to != run.to)
    {
        set_out(turn, run, by);
    }
}

/// The service serves for the first time; it goes on to the version that its document names.
pub(super) fn begin(turn: &mut Turn<'_>, service: &ServiceName) {
    let (Some(run), Some(stable)) = (run(turn, service), stable(turn, service)) else {
        return;
    };
    let is_asked_for = |r: &RolloutState| r.spec.service == *service && !r.over();
    if stable != run.to && !turn.state.rollouts.values().any(is_asked_for) {
        set_out(turn, run, &Actor("tidegate".to_owned()));
    }
}

/// A rollout that a service's document has begun takes over its new numbers.
pub(super) fn amend(turn: &mut Turn<'_>, service: &ServiceName, by: &Actor) {
    let Some(run) = run(turn, service) else {
        return;
    };
    let is_of_it = |r: &&RolloutState| {
        let leads = r.spec.service == *service && r.spec.to == run.to;
        leads && r.origin == Origin::Run && !r.over()
    };
    let open: Vec<_> = turn.state.rollouts.values().filter(is_of_it).collect();
    let records: Vec<Record> = open
        .into_iter()
        .filter_map(|rollout| {
            let name = rollout.spec.name.clone();
            let spec = Box::new(Rollout {
                name,
                ..run.clone()
            });
            let (origin, by) = (Origin::Run, by.clone());
            let may_not = rollout.runs() && !spec.amends(&rollout.spec);
            (*spec != rollout.spec && !may_not).then_some(if rollout.runs() {
                let by = Some(by);
                Record::RolloutAmended { spec, by }
            } else {
                let reason = None;
                Record::RolloutPlanned {
                    spec,
                    origin,
                    by,
                    reason,
                }
            })
        })
        .collect();
    for record in records {
        turn.record(record);
    }
}

/// The rollout that the document asks for, but for the number after its name.
fn run(turn: &Turn<'_>, service: &ServiceName) -> Option<Rollout> {
    let run = turn.state.service(service)?.run.as_deref();
    run.cloned()
}

fn stable(turn: &Turn<'_>, service: &ServiceName) -> Option<VersionName> {
    turn.state.services.get(service)?.stable.clone()
}

/// The version that a rollout ends on as it goes now.
fn heads_for(rollout: &RolloutState) -> &VersionName {
    match &rollout.started {
        Some(started) if rollout.aborted() => &started.from,
        _ => &rollout.spec.to,
    }
}

fn call_off(
    turn: &mut Turn<'_>,
    rollouts: impl IntoIterator<Item = RolloutState>,
    run: &VersionName,
    by: &Actor,
) {
    let rollouts = rollouts.into_iter().filter(|r| heads_for(r) != run);
    for rollout in rollouts {
        let reason = format!("its service is to run {run}");
        operate::call_off(turn, &rollout, by.clone(), reason);
    }
}

fn set_out(turn: &mut Turn<'_>, run: Rollout, by: &Actor) {
    let is_free = |name: &RolloutName| {
        let is_document = turn.state.documents.rollouts.contains_key(name);
        !is_document && !turn.state.rollouts.contains_key(name)
    };
    // A document whose longest number would make no name is refused before it comes here.
    let mut names = (1..).map_while(|number| run.name.numbered(number).ok());
    let Some(name) = names.find(is_free) else {
        return;
    };
    let origin = if is_kept(turn, &run) {
        Origin::Undo
    } else {
        Origin::Run
    };
    turn.record(Record::RolloutPlanned {
        spec: Box::new(Rollout { name, ..run }),
        origin,
        by: by.clone(),
        reason: None,
    });
}

/// Do the instances stay for an undo that it leads to?
fn is_kept(turn: &Turn<'_>, run: &Rollout) -> bool {
    let kept = turn.state.services.get(&run.service);
    let kept = kept.and_then(|service| service.kept.as_ref());
    let before = kept.and_then(|kept| turn.state.rollouts.get(&kept.rollout)?.started.as_ref());
    before.is_some_and(|started| started.from == run.to)
}

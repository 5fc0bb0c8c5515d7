//! Verbs about a rollout.

use super::may::may_approve;
use super::{answer, conflict};
use crate::domain::{BadName, Rollout, RolloutName, Span, counted};
use crate::engine::command::ASK_WHY;
use crate::engine::course::Course;
use crate::engine::instances::stage_of;
use crate::engine::state::{Bake, HookState, HookStatus, RolloutState};
use crate::engine::turn::Turn;
use crate::engine::{
    Answer, Cause, Command, Effect, HookCall, Origin, Outcome, Proof, Record, Refusal, Stage,
    StageKind, Turned, hooks, moments, rolling, rules, shift,
};

pub(super) fn pause(
    turn: &mut Turn<'_>,
    rollout: &RolloutState,
    by: &Command,
) -> Result<Answer, Refusal> {
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

pub(super) fn resume(
    turn: &mut Turn<'_>,
    rollout: &RolloutState,
    by: &Command,
) -> Result<Answer, Refusal> {
    let name = running(rollout, "resume")?;
    if rollout.paused.is_some() {
        let (by, reason) = (by.by.clone(), by.reason.clone());
        turn.record(Record::RolloutResumed {
            rollout: name.clone(),
            by,
            reason,
        });
    }
    answer(goes_on(turn, rollout))
}

/// What a word that lets a rollout go on has led to.
fn goes_on(turn: &Turn<'_>, rollout: &RolloutState) -> String {
    let name = &rollout.spec.name;
    match rules::freezes(turn, rollout).first() {
        None => format!("{name} goes on"),
        Some(wait) => format!("{name} goes on when no rule holds it: {wait}"),
    }
}

/// Turns a rollout round. Old instances that only began to leave are put back at once; the rest
/// goes back through the same steps.
pub(super) fn abort(
    turn: &mut Turn<'_>,
    rollout: &RolloutState,
    how: Turned,
    by: &Command,
) -> Result<Answer, Refusal> {
    let name = running(rollout, "abort")?;
    if rollout
        .turned
        .is_some_and(|before| !how.goes_further_than(before))
    {
        return answer(format!("{name} is rolling back already"));
    }
    let lanes = rollout.lanes.iter().filter(|lane| lane.place.is_some());
    if how == Turned::ThisWave && lanes.count() == 0 {
        return Err(conflict(
            format!("{name} is in no wave that could go back"),
            format!("`tidegate rollout abort {name}` turns all of it round"),
        ));
    }
    let (who, why) = (by.by.clone(), by.reason.clone());
    let Some(course) = Course::turn_round(turn, name, who, why, how) else {
        turn.record(Record::RolloutEnded {
            rollout: name.clone(),
            outcome: Outcome::RolledBack,
            keep_until: None,
        });
        return answer(format!("{name} had not begun; it is over"));
    };
    let from = &course.from;
    if how == Turned::AtOnce && shift::give_at_once(turn, &course) {
        return answer(format!(
            "{name} goes back at once: all traffic to {from}, whatever it can take"
        ));
    }
    answer(match how {
        Turned::ThisWave => {
            format!(
                "{name} takes this wave back to {from}, through the same steps, and then pauses"
            )
        }
        Turned::Back => format!("{name} goes back to {from}, through the same steps"),
        Turned::AtOnce => {
            format!("{name} goes back to {from}, which has nothing to take the traffic yet")
        }
    })
}

/// Gives the word that a rollout waits for, or has its present step over now; with `all`, every step but
/// the last.
pub(super) fn promote(
    turn: &mut Turn<'_>,
    rollout: &RolloutState,
    all: bool,
    by: &Command,
) -> Result<Answer, Refusal> {
    let name = running(rollout, "promote")?.clone();
    if rollout.turned.is_some() {
        return Err(conflict(
            format!("{name} goes back, and nothing can be promoted there"),
            "`tidegate rollout start` begins a new one when it is over",
        ));
    }
    let steps = u32::try_from(rollout.steps.len()).unwrap_or(u32::MAX);
    let asks = rollout.asks_for_a_word();
    let last = steps.saturating_sub(1);
    let next = rollout.steps_done.saturating_add(u32::from(!asks));
    let to = if all { last } else { next.min(last) };
    may_approve(rollout, to.saturating_sub(rollout.steps_done), by)?;
    if asks {
        if all {
            not_held(turn, rollout)?;
        }
        turn.record(Record::Approved {
            rollout: name.clone(),
            by: by.by.clone(),
            reason: by.reason.clone(),
        });
        if !all {
            return answer(goes_on(turn, rollout));
        }
    }
    if steps > 0 && rollout.steps_done < to {
        not_held(turn, rollout)?;
        if !asks {
            let what = format!("it goes on with step {}", to + 1);
            turn.record(skipped(&name, what, by));
        }
        for step in rollout.steps_done..to {
            turn.record(Record::StepDone {
                rollout: name.clone(),
                step,
                why: format!("promoted by {}", by.by),
            });
        }
        return answer(format!("{name} goes on with step {} of {steps}", to + 1));
    }
    if let Bake::Began(_) = rollout.bake {
        if !asks {
            turn.record(skipped(&name, "it bakes no longer".to_owned(), by));
        }
        turn.record(Record::BakeDone {
            rollout: name.clone(),
        });
        return answer(format!("{name} bakes no longer"));
    }
    if asks {
        return answer(format!("{name} goes on"));
    }
    Err(conflict(
        format!("{name} waits for nobody's word"),
        format!("{ASK_WHY} {name}` says what it waits for"),
    ))
}

pub(super) fn retry(
    turn: &mut Turn<'_>,
    rollout: &RolloutState,
    by: &Command,
) -> Result<Answer, Refusal> {
    let name = acting(turn, rollout, "retry")?;
    let (by, reason) = (by.by.clone(), by.reason.clone());
    turn.record(Record::RolloutRetried {
        rollout: name.clone(),
        by,
        reason,
    });
    turn.effects.push(Effect::Resend);
    let failed: Vec<HookCall> = rollout
        .hooks
        .open()
        .filter(|hook| matches!(hook.status, HookStatus::Failed(_)))
        .map(|hook| hook.call.clone())
        .collect();
    let calls = failed.len() + moments::ask_again(turn, rollout);
    for call in failed {
        hooks::call(turn, name, call);
    }
    answer(match calls {
        0 => format!("{name} tries on: what proxies refused is sent again"),
        calls => format!("{name} tries on: {} called again", counted(calls, "hook")),
    })
}

/// Passes over what the rollout waits for now, if that can be passed over at all.
pub(super) fn skip(
    turn: &mut Turn<'_>,
    rollout: &RolloutState,
    by: &Command,
) -> Result<Answer, Refusal> {
    let name = acting(turn, rollout, "skip")?.clone();
    let service = rollout.spec.service.clone();
    let failed = |hook: &&HookState| matches!(hook.status, HookStatus::Failed(_));
    if let Some(hook) = rollout.hooks.open().find(failed) {
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
    if let Some(passed) = moments::skip(turn, rollout, &by.by) {
        turn.record(skipped(&name, format!("it goes on without {passed}"), by));
        return answer(format!("{name} goes on without {passed}"));
    }
    for id in turn.ids(&service, |stand| stand.stage == StageKind::Draining) {
        if let Some(Stage::Draining {
            cause: Cause::Rollout(cause),
            since,
            ..
        }) = stage_of(turn, &service, &id)
            && rollout.answers_for(&cause)
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
    let is_last = rollout.steps_done as usize + 1 >= rollout.steps.len();
    if !is_last && rollout.turned.is_none() {
        may_approve(rollout, 1, by)?;
        not_held(turn, rollout)?;
        let step = rollout.steps_done;
        let what = format!("it passes over step {}", step + 1);
        turn.record(skipped(&name, what, by));
        turn.record(Record::StepDone {
            rollout: name.clone(),
            step,
            why: format!("skipped by {}", by.by),
        });
        return answer(format!("{name} passes over step {}", step + 1));
    }
    if rolling::only_waits_for_more(turn, &name) {
        let outcome = if rollout.aborted() {
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
        format!("{ASK_WHY} {name}` says what it waits for"),
    ))
}

/// A step that is passed over lets the next one begin, which a house rule may hold.
fn not_held(turn: &Turn<'_>, rollout: &RolloutState) -> Result<(), Refusal> {
    let name = &rollout.spec.name;
    match rules::freezes(turn, rollout).first() {
        None => Ok(()),
        Some(wait) => Err(conflict(
            format!("{name} may not begin its next step: {wait}"),
            wait.hint().unwrap_or_default(),
        )),
    }
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
pub(super) fn undo(
    turn: &mut Turn<'_>,
    rollout: &RolloutState,
    by: &Command,
) -> Result<Answer, Refusal> {
    let name = &rollout.spec.name;
    let (Some((_, Outcome::Done)), Some(started)) = (&rollout.ended, &rollout.started) else {
        let (what, hint) = match &rollout.ended {
            None if rollout.turned.is_some() => (
                "goes back already, so there is nothing to undo",
                format!("{ASK_WHY} {name}` says what it waits for"),
            ),
            None => (
                "has not ended, so there is nothing to undo",
                format!("`tidegate rollout abort {name}` turns it round"),
            ),
            Some((_, Outcome::RolledBack)) => (
                "is rolled back: there is nothing to undo",
                "`tidegate rollout start` begins a new one".to_owned(),
            ),
            Some((_, Outcome::Superseded)) => (
                "was superseded: there is nothing to undo",
                "`tidegate rollout status` shows by which; that one can be aborted or undone"
                    .to_owned(),
            ),
            Some((_, Outcome::Done)) => (
                "is done, and had changed nothing: there is nothing to undo",
                "`tidegate rollout start` begins a new one".to_owned(),
            ),
        };
        return Err(conflict(format!("{name} {what}"), hint));
    };
    let back = undo_of(name).map_err(|error| {
        conflict(
            format!("`{name}-undo` is no rollout name: {error}"),
            "`tidegate rollout start` begins one back to the version before",
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

/// The name of the rollout that undoes another.
pub(in crate::engine) fn undo_of(rollout: &RolloutName) -> Result<RolloutName, BadName> {
    format!("{rollout}-undo").parse()
}

/// Like [`running`], but one that is over may still be taking down what it kept for an undo.
fn acting<'a>(
    turn: &Turn<'_>,
    rollout: &'a RolloutState,
    verb: &str,
) -> Result<&'a RolloutName, Refusal> {
    let name = &rollout.spec.name;
    let known = turn.state.services.get(&rollout.spec.service);
    let kept = known.and_then(|known| known.kept.as_ref());
    if kept.is_some_and(|kept| kept.rollout == *name) {
        return Ok(name);
    }
    running(rollout, verb)
}

pub(super) fn running<'a>(
    rollout: &'a RolloutState,
    verb: &str,
) -> Result<&'a RolloutName, Refusal> {
    let name = &rollout.spec.name;
    match &rollout.ended {
        None => Ok(name),
        Some((_, outcome)) => {
            let (how, hint) = match outcome {
                Outcome::Done => (
                    "is done",
                    format!("`tidegate rollout undo {name}` goes back after the end"),
                ),
                Outcome::Superseded => (
                    "was superseded",
                    "`tidegate rollout status` shows by which".to_owned(),
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

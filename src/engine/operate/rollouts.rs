//! Verbs about a rollout.

use super::{answer, conflict};
use crate::domain::{BadName, Rollout, RolloutName, counted};
use crate::engine::command::ASK_WHY;
use crate::engine::course::Course;
use crate::engine::state::{HookStatus, RolloutState};
use crate::engine::turn::Turn;
use crate::engine::{
    Answer, Command, Effect, HookCall, Origin, Outcome, Record, Refusal, Turned, hooks, moments,
    rules, shift,
};

pub(super) fn pause(
    turn: &mut Turn<'_>,
    rollout: &RolloutState,
    by: &Command,
) -> Result<Answer, Refusal> {
    let name = running(turn, rollout, "pause")?;
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
    let name = running(turn, rollout, "resume")?;
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
pub(super) fn goes_on(turn: &Turn<'_>, rollout: &RolloutState) -> String {
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
    let name = running(turn, rollout, "abort")?;
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

/// Starts the way back of a rollout that is done.
pub(super) fn undo(
    turn: &mut Turn<'_>,
    rollout: &RolloutState,
    by: &Command,
) -> Result<Answer, Refusal> {
    let name = &rollout.spec.name;
    let (Some((_, Outcome::Done)), Some(started)) = (&rollout.ended, &rollout.started) else {
        let (what, hint) = match &rollout.ended {
            Some((_, Outcome::Superseded)) => return Err(superseded(turn, name, "undo")),
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
pub(super) fn acting<'a>(
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
    running(turn, rollout, verb)
}

pub(super) fn running<'a>(
    turn: &Turn<'_>,
    rollout: &'a RolloutState,
    verb: &str,
) -> Result<&'a RolloutName, Refusal> {
    let name = &rollout.spec.name;
    let (how, hint) = match &rollout.ended {
        None => return Ok(name),
        Some((_, Outcome::Superseded)) => return Err(superseded(turn, name, verb)),
        Some((_, Outcome::Done)) => (
            "is done",
            format!("`tidegate rollout undo {name}` goes back after the end"),
        ),
        Some((_, Outcome::RolledBack)) => (
            "is rolled back",
            "`tidegate rollout start` begins a new one".to_owned(),
        ),
    };
    let what = format!("{name} {how}: there is nothing to {verb}");
    Err(conflict(what, hint))
}

/// Whoever meant a rollout that another one took over from is told which that is, or the one after it.
fn superseded(turn: &Turn<'_>, name: &RolloutName, verb: &str) -> Refusal {
    let mut rollouts = turn.state.rollouts.values();
    let newest = rollouts.find(|other| !other.is_superseded() && other.superseded.contains(name));
    let Some(newest) = newest else {
        return conflict(
            format!("{name} was superseded: there is nothing to {verb}"),
            "`tidegate rollout status` lists those that there are",
        );
    };
    let by = &newest.spec.name;
    let hint = match (verb, &newest.ended) {
        ("undo", None) => format!("`tidegate rollout abort {by}` turns that one round"),
        (_, None) => format!("`tidegate rollout {verb} {by}` is about the one that runs"),
        (_, Some((_, Outcome::Done))) => {
            format!("that is done: `tidegate rollout undo {by}` goes back after the end")
        }
        (_, Some(_)) => format!("that is over: `tidegate rollout status {by}` shows how it ended"),
    };
    conflict(
        format!("{name} was superseded by {by}: there is nothing to {verb}"),
        hint,
    )
}

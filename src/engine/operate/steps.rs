//! Verbs that take a rollout on: promote and skip. Whoever says at which step they mean acts on that one, and on no
//! other that has come since.

use super::may::may_approve;
use super::rollouts::{acting, goes_on, running};
use super::{answer, conflict};
use crate::domain::{RolloutName, Span};
use crate::engine::command::ASK_WHY;
use crate::engine::instances::stage_of;
use crate::engine::state::{Bake, HookState, HookStatus, RolloutState};
use crate::engine::turn::Turn;
use crate::engine::{
    Answer, Command, Outcome, Proof, Record, Refusal, Stage, StageKind, moments, rolling, rules,
};

/// What to say where a rollout is past the step or wave that is meant; nothing while it is there, and a refusal
/// before.
pub(super) fn past(rollout: &RolloutState, step: Option<u32>) -> Result<Option<String>, Refusal> {
    let Some(number) = step else {
        return Ok(None);
    };
    let name = &rollout.spec.name;
    let (part, done, of) = rollout.parts();
    if number == 0 || number > of {
        let what = match of {
            0 => format!("{name} is at no step"),
            of => format!("{name} has {part}s 1 to {of}, and no {part} {number}"),
        };
        let hint = format!("`tidegate rollout status {name}` shows where it is");
        return Err(conflict(what, hint));
    }
    if number > done + 1 {
        let what = format!(
            "{name} is not at {part} {number} yet, but at {part} {}",
            done + 1
        );
        return Err(conflict(
            what,
            format!("{ASK_WHY} {name}` says what it waits for"),
        ));
    }
    Ok((number <= done).then(|| format!("{name} is past {part} {number} already")))
}

/// Gives the word that a rollout waits for, or has its present step over now; with `all`, every step but
/// the last.
pub(super) fn promote(
    turn: &mut Turn<'_>,
    rollout: &RolloutState,
    all: bool,
    names_step: bool,
    by: &Command,
) -> Result<Answer, Refusal> {
    let name = running(turn, rollout, "promote")?.clone();
    if rollout.turned.is_some() {
        return Err(conflict(
            format!("{name} goes back, and nothing can be promoted there"),
            "`tidegate rollout start` begins a new one when it is over",
        ));
    }
    if names_step && rollout.approved {
        let (part, done, _) = rollout.parts();
        return answer(format!(
            "{name} has its word for {part} {} already",
            done + 1
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
        if let Some(Stage::Draining { cause, since, .. }) = stage_of(turn, &service, &id)
            && cause.rollout().is_some_and(|by| rollout.answers_for(by))
        {
            let took = Span::between(since, turn.now);
            let missing = vec![format!("skipped by {}", by.by)];
            let proof = Proof {
                took,
                witnesses: 0,
                missing,
            };
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

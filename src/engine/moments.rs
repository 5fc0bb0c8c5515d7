//! Moments at which somebody outside has a say: a rollout goes on when each hook of the moment lets it pass.
//!
//! A hook is asked when nothing else holds what would begin. That it is asked is written down before it is, so a
//! restart asks again, with the same key. While it holds it is asked again and again, and only what it says anew
//! is written down. No hook holds what goes back: there only the end is told.

mod next;

pub use next::Standing;
use next::{Next, next};

use super::course::Course;
use super::facts::Asking;
use super::state::{AskState, AskStatus, RolloutState};
use super::turn::Turn;
use super::{
    Actor, Effect, HookAnswer, HookAsk, Moment, Origin, Outcome, Portion, Record, Turned, Wait,
};
use crate::domain::{PlaceName, RolloutHook, RolloutName, Strategy, Time, When};

/// May the rollout go beyond this moment? Asks its hooks, and says which have not let it pass. A hook that fails
/// may turn the rollout round; then `course` is of the past, and passes nothing more.
pub(super) fn pass(turn: &mut Turn<'_>, course: &Course, when: When, of: Portion) -> bool {
    let state = course.state(turn);
    if state.spec.hooks.is_empty() {
        return true;
    }
    if course.is_past(turn) {
        return false;
    }
    let moment = Moment { when, of };
    let goes_back = course.turned.is_some() || state.origin == Origin::Undo;
    if goes_back && !moment.is_end() {
        return true;
    }
    let is_asked = |hook: &RolloutHook| (hook.when, hook.each) == (when, moment.each());
    let hooks = (0_u32..).zip(state.spec.hooks.clone());
    let mut passes = true;
    for (number, hook) in hooks.filter(|(_, hook)| is_asked(hook)) {
        let state = course.state(turn);
        let key = key_of(state, &moment, number);
        let asking = turn.facts.asking.get(&key).copied();
        let stands = match next(state.asks.get(&key), asking, &hook, goes_back, turn.now) {
            Next::Pass => continue,
            Next::Ignore(words) => {
                let words = format!("ignored: {words}");
                answer(turn, &course.name, &key, HookAnswer::Passes(words));
                continue;
            }
            Next::GoBack(error) => {
                let reason = format!("{moment}: {} failed: {error}", hook.name);
                let by = Actor("tidegate".to_owned());
                Course::turn_round(turn, &course.name, by, Some(reason), Turned::Back);
                return false;
            }
            Next::Ask { attempt } => {
                let ask = ask_of(turn, course, &hook, &moment, key);
                self::ask(turn, number, hook.clone(), ask, attempt);
                Standing::Asked
            }
            Next::Repeat(said) => {
                let known = course.state(turn).asks.get(&key).cloned();
                turn.facts.asking.insert(key, Asking::Open);
                let at = turn.now;
                turn.effects.extend(known.map(|known| Effect::Consult {
                    hook: hook.call.clone(),
                    ask: HookAsk { at, ..known.ask },
                    attempt: known.attempt,
                }));
                Standing::Holds { said, again: None }
            }
            Next::Wait(stands) => stands,
        };
        passes = false;
        let wait = Wait::Moment {
            moment: moment.clone(),
            hook: hook.name,
            stands,
        };
        turn.wait(course.subject(), wait);
    }
    passes
}

/// May a rollout that has not moved anything yet do so?
pub(super) fn may_move(turn: &mut Turn<'_>, rollout: &RolloutName) -> bool {
    let Some(course) = Course::of(turn, rollout) else {
        return true;
    };
    let whole = Portion::Rollout { outcome: None };
    course.state(turn).has_moved() || pass(turn, &course, When::Before, whole)
}

/// The hooks that were asked and had not answered when a control plane ended, as effects that ask again.
pub(super) fn unanswered(rollout: &RolloutState, at: Time) -> impl Iterator<Item = Effect> {
    let asked = rollout.asks.iter();
    let asked = asked.filter(|asked| asked.status == AskStatus::Asked);
    asked.filter_map(move |asked| {
        let hook = rollout.spec.hooks.get(asked.hook as usize)?;
        let ask = asked.ask.clone();
        Some(Effect::Consult {
            hook: hook.call.clone(),
            ask: HookAsk { at, ..ask },
            attempt: asked.attempt,
        })
    })
}

/// Takes in what a hook says. What nobody waits for any more, or what it has said before, is nothing new.
pub(super) fn hear(turn: &mut Turn<'_>, key: &str, said: HookAnswer) {
    let was_open = turn.facts.asking.remove(key) == Some(Asking::Open);
    let mut rollouts = turn.state.rollouts.values();
    let Some((name, asked)) = rollouts.find_map(|r| Some((&r.spec.name, r.asks.get(key)?))) else {
        return;
    };
    if asked.status != AskStatus::Asked && !was_open {
        return;
    }
    let is_news = asked.status != AskStatus::Said(said.clone());
    let (name, holds) = (name.clone(), matches!(said, HookAnswer::Holds(_)));
    if is_news {
        answer(turn, &name, key, said);
    }
    if holds {
        let heard = Asking::Heard(turn.now);
        turn.facts.asking.insert(key.to_owned(), heard);
    }
}

/// Asks all hooks again that have not let the rollout pass; so many. Their tries are counted anew.
pub(super) fn ask_again(turn: &mut Turn<'_>, rollout: &RolloutState) -> usize {
    let said = open(rollout).filter(|(asked, _)| asked.status != AskStatus::Asked);
    let said: Vec<(&AskState, &RolloutHook)> = said.collect();
    for (asked, hook) in &said {
        turn.facts.asking.remove(&asked.ask.key);
        let (at, known) = (turn.now, asked.ask.clone());
        let again = HookAsk { at, ..known };
        ask(turn, asked.hook, (*hook).clone(), again, 1);
    }
    said.len()
}

/// Lets the rollout pass a hook that has not; says which.
pub(super) fn skip(turn: &mut Turn<'_>, rollout: &RolloutState, by: &Actor) -> Option<String> {
    let (asked, _) = open(rollout).next()?;
    let words = format!("skipped by {by}");
    answer(
        turn,
        &rollout.spec.name,
        &asked.ask.key,
        HookAnswer::Passes(words),
    );
    Some(format!("{} {}", asked.ask.hook, asked.ask.moment))
}

/// The hooks that have been asked and have not let the rollout pass, as far as its document still has them.
fn open(rollout: &RolloutState) -> impl Iterator<Item = (&AskState, &RolloutHook)> {
    let asked = rollout.asks.open();
    asked.filter_map(|asked| Some((asked, rollout.spec.hooks.get(asked.hook as usize)?)))
}

/// Forgets what was asked for moments that are over.
pub(super) fn forget_past(turn: &mut Turn<'_>) {
    let rollouts = &turn.state.rollouts;
    let is_known = |key: &String| rollouts.values().any(|r| r.asks.get(key).is_some());
    turn.facts.asking.retain(|key, _| is_known(key));
}

fn ask(turn: &mut Turn<'_>, number: u32, hook: RolloutHook, ask: HookAsk, attempt: u32) {
    turn.record(Record::HookAsked {
        hook: number,
        ask: Box::new(ask.clone()),
        attempt,
    });
    let hook = hook.call;
    turn.effects.push(Effect::Consult { hook, ask, attempt });
}

fn answer(turn: &mut Turn<'_>, rollout: &RolloutName, key: &str, answer: HookAnswer) {
    let asked = turn.state.rollouts.get(rollout);
    let Some(asked) = asked.and_then(|rollout| rollout.asks.get(key)) else {
        return;
    };
    turn.record(Record::HookAnswered {
        rollout: rollout.clone(),
        key: key.to_owned(),
        hook: asked.ask.hook.clone(),
        moment: asked.ask.moment.clone(),
        answer,
    });
}

fn ask_of(
    turn: &Turn<'_>,
    course: &Course,
    hook: &RolloutHook,
    moment: &Moment,
    key: String,
) -> HookAsk {
    HookAsk {
        key,
        hook: hook.name.clone(),
        at: turn.now,
        rollout: course.name.clone(),
        service: course.service.clone(),
        from: course.from.clone(),
        to: course.state(turn).spec.to.clone(),
        moment: moment.clone(),
    }
}

/// The same for the same hook at the same moment, also after a restart, and another one when the rollout runs
/// anew or its wave begins anew.
fn key_of(rollout: &RolloutState, moment: &Moment, hook: u32) -> String {
    let (name, run) = (&rollout.spec.name, rollout.planned.as_millisecond());
    let again = match rollout.waves_undone {
        0 => String::new(),
        times => format!("~{times}"),
    };
    let wave = match rollout.spec.strategy {
        Strategy::Waves(_) => format!("wave-{}/", rollout.waves_done + 1),
        _ => String::new(),
    };
    let at = |place: &Option<PlaceName>| {
        let place = place.as_ref().map(|place| format!("{place}/"));
        place.unwrap_or_default()
    };
    let part = match &moment.of {
        Portion::Batch { number, place } => format!("{}{number}", at(place)),
        Portion::Instance {
            instance,
            number,
            place,
        } => format!("{}{number}/{instance}", at(place)),
        Portion::Rollout { outcome } => match outcome {
            None => "begins",
            Some(Outcome::Done) => "done",
            Some(Outcome::RolledBack) => "rolledBack",
            Some(Outcome::Superseded) => "superseded",
        }
        .to_owned(),
        Portion::Step { number, .. } => number.to_string(),
        // The wave's number stands before it.
        Portion::Wave { .. } => String::new(),
    };
    let (when, each, hook) = (moment.when, moment.each(), hook + 1);
    format!("{name}-{run}{again}/{wave}{when}/{each}/{part}/{hook}")
}

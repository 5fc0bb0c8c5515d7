//! Freezes that an address decides on: when it is asked, and what holds by its last answer.
//!
//! It is asked only while a rollout that it could hold has not ended. What is not known holds, unless the
//! policy says otherwise.

use std::collections::BTreeSet;

use super::{Rule, is_exempt};
use crate::domain::{Freeze, Question, Span, Time};
use crate::engine::Effect;
use crate::engine::facts::Facts;
use crate::engine::turn::Turn;

/// How often an address is asked.
const ASK_EVERY: Span = Span::secs(15);

/// An answer holds for so long; then it is not known what holds now.
const ANSWER_HOLDS: Span = Span::secs(60);

/// What a question holds, by its last answer.
pub(super) fn held(facts: &Facts, question: &Question, now: Time) -> Option<Rule> {
    let (name, url) = (question.name.clone(), question.url.clone());
    let asked = facts.questions.get(&question.url);
    let answer = asked.and_then(|asked| asked.answer);
    if let Some((_, says)) = answer.filter(|(at, _)| Span::between(*at, now) <= ANSWER_HOLDS) {
        return says.then_some(Rule::Question { name, url });
    }
    let silence = asked.and_then(|asked| asked.silence.clone());
    let why = silence.unwrap_or_else(|| {
        match answer {
            Some(_) => "gave its last answer too long ago",
            None => "has not answered yet",
        }
        .to_owned()
    });
    let rule = Rule::Unanswered { name, url, why };
    (!question.go_if_unknown).then_some(rule)
}

/// Has those asked that a rollout depends on, when it is time, and forgets the others.
pub(in crate::engine) fn ask(turn: &mut Turn<'_>) {
    let documents = &turn.state.documents;
    let rollouts = turn.state.rollouts.values();
    let concerned = rollouts.filter(|rollout| !rollout.over() && !is_exempt(rollout));
    let policies = concerned.flat_map(|rollout| documents.policies_of(&rollout.spec.service));
    let freezes = policies.flat_map(|policy| &policy.freezes);
    let urls: BTreeSet<String> = freezes
        .filter_map(|freeze| match freeze {
            Freeze::Question(question) => Some(question.url.clone()),
            Freeze::Calendar(_) => None,
        })
        .collect();
    turn.facts.questions.retain(|url, _| urls.contains(url));
    for url in urls {
        let known = turn.facts.questions.entry(url.clone()).or_default();
        let is_due = |at| Span::between(at, turn.now) >= ASK_EVERY;
        if known.at.is_none_or(is_due) {
            known.at = Some(turn.now);
            turn.effects.push(Effect::Ask { url });
        }
    }
}

//! Whether gates have proven a part of a rollout, and what follows when they cannot.

use std::fmt::Write as _;

use super::decide::{go_back, hold, record};
use super::elsewhere::Known;
use super::{Follows, GateTrial, Verdict};
use crate::domain::{GateName, OnUnsure, OnWorse, RolloutName, Span};
use crate::engine::turn::Turn;
use crate::gates::Stands;

/// Is it proven?
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) enum Proven {
    /// All gates say so, or there is none to ask.
    Yes(String),
    /// Not yet: what is missing.
    NotYet(String),
    /// Time is up, and it goes on all the same, because a gate's document says so.
    Unproven(String),
    /// Time is up: it holds for somebody's word, or has turned round.
    Held,
}

/// A gate that has not proven a part of a rollout.
struct Missing {
    gate: GateName,
    /// What is missing.
    says: String,
    /// What follows when time is up.
    follows: OnUnsure,
    /// It may become sure yet, within this.
    within: Span,
}

/// A step that waits for a proof: `took` so long already, of at most `limit`.
pub(in crate::engine) fn step_is_proven(
    turn: &mut Turn<'_>,
    name: &RolloutName,
    took: Span,
    limit: Span,
) -> Proven {
    let missing = missing(turn, name);
    let Some(first) = missing.first() else {
        return Proven::Yes(said(turn, name));
    };
    if took < limit {
        return Proven::NotYet(format!("{}: {}", first.gate, first.says));
    }
    time_is_up(turn, name, missing)
}

/// A bake whose time is over: `over` so long already.
pub(in crate::engine) fn bake_is_proven(
    turn: &mut Turn<'_>,
    name: &RolloutName,
    over: Span,
) -> Proven {
    let missing = missing(turn, name);
    if missing.is_empty() {
        return Proven::Yes(said(turn, name));
    }
    // What goes on in the end need not be waited for.
    let mut asks = missing.iter().filter(|it| it.follows != OnUnsure::Proceed);
    if let Some(it) = asks.find(|it| over < it.within) {
        return Proven::NotYet(format!("{}: {}", it.gate, it.says));
    }
    time_is_up(turn, name, missing)
}

/// The gates that have not proven it.
fn missing(turn: &Turn<'_>, name: &RolloutName) -> Vec<Missing> {
    let Some(known) = super::known(turn, name) else {
        return Vec::new();
    };
    let state = known.rollout;
    let judged = turn.facts.judged.get(name);
    let gates = turn.state.gates_of(state).filter_map(|gate| {
        let part = (state.steps_done, state.waves_done);
        let decided = state.gates.get(&gate.name);
        if decided.is_some_and(|it| it.is_settled() || it.is_waived(part)) {
            return None;
        }
        let one = judged.and_then(|judged| judged.trial(&gate.name));
        let is_declared = turn.state.documents.gates.contains_key(&gate.name);
        let says = one.map_or_else(
            || vec!["nothing was counted yet".to_owned()],
            |one| unsure(&known, one, is_declared),
        );
        if says.is_empty() {
            return None;
        }
        let nothing = one.is_none_or(|one| one.trial.compared() == (0, 0));
        let compares_only = one.is_none_or(|one| one.trial.findings().iter().all(Option::is_some));
        let is_over = compares_only && !known.serves_stable();
        let mut says = says.join(", ");
        if let (true, Some(started)) = (is_over, &state.started) {
            let _ = write!(says, "; nobody serves {} any more", started.from);
        }
        Some(Missing {
            says,
            // One that nobody wrote does not hold for what cannot come: a service of which nothing is counted, as
            // where it speaks TCP, or a stable version that serves no more. It says that it cannot tell.
            follows: if !is_declared && (nothing || is_over) {
                OnUnsure::Proceed
            } else {
                state.spec.if_unsure(&gate)
            },
            within: if is_over {
                Span::ZERO
            } else {
                gate.prove_within
            },
            gate: gate.name.clone(),
        })
    });
    gates.collect()
}

/// What a gate's checks say that are not sure. In a gate that nobody wrote, a check holds nothing up for what no proxy
/// ever tells.
fn unsure(known: &Known<'_>, one: &GateTrial, is_declared: bool) -> Vec<String> {
    let checks = one.trial.checks().iter().zip(known.findings(one));
    let asked = checks.filter(|(check, _)| is_declared || !check.is_untold());
    let unsure = asked.filter_map(|(_, finding)| finding.filter(|it| it.stands != Stands::Good));
    unsure.map(|finding| finding.says).collect()
}

/// What the gates have seen.
fn said(turn: &Turn<'_>, name: &RolloutName) -> String {
    let judged = turn.facts.judged.get(name);
    let trials = judged.into_iter().flat_map(|it| it.trials.values());
    let says: Vec<String> = trials
        .map(|one| one.trial.says())
        .filter(|says| !says.is_empty())
        .collect();
    if says.is_empty() {
        "proven".to_owned()
    } else {
        format!("proven: {}", says.join(", "))
    }
}

/// The strictest of what the gates' documents ask for.
fn time_is_up(turn: &mut Turn<'_>, name: &RolloutName, missing: Vec<Missing>) -> Proven {
    let rank = |missing: &Missing| match missing.follows {
        OnUnsure::Proceed => 0,
        OnUnsure::Pause => 1,
        OnUnsure::Rollback => 2,
    };
    // Of several that ask for the same, the one that is named first.
    let strictest = missing.into_iter().rev().max_by_key(rank);
    let Some(Missing {
        gate,
        says,
        follows,
        ..
    }) = strictest
    else {
        return Proven::Yes("nothing is asked".to_owned());
    };
    let says = format!("it cannot tell: {says}");
    match follows {
        OnUnsure::Proceed => {
            record(
                turn,
                name,
                &gate,
                Verdict::Unsure,
                says.clone(),
                Follows::GoesOn,
            );
            Proven::Unproven(format!("{gate}: {says}"))
        }
        OnUnsure::Pause => {
            hold(turn, name, &gate, Verdict::Unsure, says);
            Proven::Held
        }
        OnUnsure::Rollback => {
            go_back(turn, name, &gate, Verdict::Unsure, says, OnWorse::Rollback);
            Proven::Held
        }
    }
}

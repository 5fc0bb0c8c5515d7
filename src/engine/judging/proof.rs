//! Whether gates have proven a part of a rollout, and what follows when they cannot.

use super::Judged;
use super::decide::{go_back, hold, record};
use super::shown::{Follows, Verdict};
use crate::domain::{GateName, OnUnsure, OnWorse, RolloutName, Span};
use crate::engine::turn::Turn;
use crate::gates::{Finding, Stands};

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

/// A step that waits for a proof: `took` so long already, of at most `limit`.
pub(in crate::engine) fn step_is_proven(
    turn: &mut Turn<'_>,
    name: &RolloutName,
    took: Span,
    limit: Span,
) -> Proven {
    let missing = missing(turn, name);
    let Some((gate, says)) = missing.first().cloned() else {
        return Proven::Yes(said(turn, name));
    };
    if took < limit {
        return Proven::NotYet(format!("{gate}: {says}"));
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
    let Some((gate, says)) = missing.first().cloned() else {
        return Proven::Yes(said(turn, name));
    };
    let limits = missing
        .iter()
        .filter_map(|(gate, _)| Some(turn.state.gate_of(name, gate)?.prove_within));
    let limit = limits.max().unwrap_or_default();
    let asks = missing
        .iter()
        .any(|(gate, _)| if_unsure(turn, name, gate) != OnUnsure::Proceed);
    if asks && over < limit {
        return Proven::NotYet(format!("{gate}: {says}"));
    }
    time_is_up(turn, name, missing)
}

/// The gates that have not proven it, each with what it says.
fn missing(turn: &Turn<'_>, name: &RolloutName) -> Vec<(GateName, String)> {
    let state = &turn.state.rollouts[name];
    let judged = turn.facts.judged.get(name);
    let gates = state.spec.gates.iter().filter_map(|gate| {
        let part = (state.steps_done, state.waves_done);
        let known = state.gates.get(gate);
        if known.is_some_and(|known| known.is_settled() || known.is_waived(part)) {
            return None;
        }
        let one = judged.and_then(|judged| judged.trials.get(gate));
        let Some(one) = one else {
            return Some((gate.clone(), "nothing was counted yet".to_owned()));
        };
        let unsure = |finding: &Finding| finding.stands != Stands::Good;
        let findings = one.trial.findings().into_iter().flatten();
        let says: Vec<String> = findings
            .filter(unsure)
            .map(|finding| finding.says)
            .collect();
        (!says.is_empty()).then(|| (gate.clone(), says.join(", ")))
    });
    gates.collect()
}

/// What the gates have seen.
fn said(turn: &Turn<'_>, name: &RolloutName) -> String {
    let judged = turn.facts.judged.get(name);
    let trials = judged.into_iter().flat_map(Judged::trials);
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

fn if_unsure(turn: &Turn<'_>, name: &RolloutName, gate: &GateName) -> OnUnsure {
    let declared = turn.state.gate_of(name, gate);
    let spec = &turn.state.rollouts[name].spec;
    declared.map_or_else(OnUnsure::default, |gate| spec.if_unsure(&gate))
}

/// The strictest of what the gates' documents ask for.
fn time_is_up(turn: &mut Turn<'_>, name: &RolloutName, missing: Vec<(GateName, String)>) -> Proven {
    let mut strictest = None;
    for (gate, says) in missing {
        let follows = if_unsure(turn, name, &gate);
        let rank = |follows: OnUnsure| match follows {
            OnUnsure::Proceed => 0,
            OnUnsure::Pause => 1,
            OnUnsure::Rollback => 2,
        };
        if strictest
            .as_ref()
            .is_none_or(|(known, _, _)| rank(follows) > rank(*known))
        {
            strictest = Some((follows, gate, says));
        }
    }
    let Some((follows, gate, says)) = strictest else {
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

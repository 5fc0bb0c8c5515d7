//! How the gates of a rollout stand, as people and programs see it.

use serde::{Deserialize, Serialize};

use super::elsewhere::Known;
use super::{Decision, Evidence, evidence};
use crate::domain::{GateName, Time};
use crate::engine::facts::Facts;
use crate::engine::state::{RolloutState, State};
use crate::gates::Stands;

/// How a gate stands in a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateView {
    /// The gate.
    pub gate: GateName,
    /// How it stands now, or how it stood when the rollout ended.
    pub stands: Stands,
    /// In a sentence.
    pub says: String,
    /// What it has decided, oldest first.
    pub decisions: Vec<Decision>,
    /// What is known now; `None` once the rollout is over or goes back.
    pub evidence: Option<Evidence>,
}

/// How the gates of a rollout stand.
pub(in crate::engine) fn views(
    state: &State,
    facts: &Facts,
    rollout: &RolloutState,
    now: Time,
) -> Vec<GateView> {
    let judged = facts.judged.get(&rollout.spec.name);
    let goes_on = rollout.runs() && rollout.turned.is_none();
    let of = Known {
        state,
        facts,
        rollout,
        now,
    };
    let gates = rollout.spec.gates.iter();
    let view = |gate: &GateName| {
        let known = rollout.gates.get(gate);
        let decisions = known
            .map(|known| known.decisions.clone())
            .unwrap_or_default();
        let one = judged.and_then(|judged| judged.trial(gate));
        // What has counted nothing is no evidence that anybody wants to look at.
        let evidence = one.filter(|one| goes_on && one.tells());
        let evidence = evidence.and_then(|one| evidence::evidence(&of, one));
        let last = decisions.last();
        let (stands, says) = match (&evidence, last) {
            (Some(evidence), _) => (evidence.stands(), evidence.says()),
            (None, Some(last)) => (last.stands(), format!("{}: {}", last.verdict, last.says)),
            (None, None) if rollout.started.is_none() => {
                (Stands::Unsure, "nothing to compare yet".to_owned())
            }
            (None, None) => (Stands::Unsure, "nothing was counted".to_owned()),
        };
        GateView {
            gate: gate.clone(),
            stands,
            says,
            decisions,
            evidence,
        }
    };
    gates.map(view).collect()
}

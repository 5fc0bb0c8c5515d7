//! Rollouts: where they stand, why they wait, and the verbs.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use super::Shared;
use super::error::ApiError;
use super::extract::{Asker, Body, parsed};
use crate::domain::RolloutName;
use crate::engine::{
    Answer, BlockerView, GateView, Phase, RolloutVerb, RolloutView, Turned, Verb, View,
};

/// The body of a verb.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Why, in the words of whoever asks.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The body of a verb about a rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ask {
    /// Why, in the words of whoever asks.
    pub reason: Option<String>,
    /// With `promote`: every step but the last.
    pub all: bool,
    /// With `abort`: all traffic back at once, whatever the old version can take.
    pub emergency: bool,
    /// With `promote` and `skip`: the number of the step or wave that is meant; past it, nothing is done.
    pub step: Option<u32>,
    /// With `abort`: only what belongs to the present wave.
    pub wave: bool,
}

impl Ask {
    const fn turned(&self) -> Turned {
        match (self.emergency, self.wave) {
            (true, _) => Turned::AtOnce,
            (false, true) => Turned::ThisWave,
            (false, false) => Turned::Back,
        }
    }
}

/// Why a rollout waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// The rollout.
    pub rollout: RolloutName,
    /// Where it stands.
    pub phase: Phase,
    /// The answer in a sentence.
    pub message: String,
    /// Everything that it waits for; what somebody can do something about comes first.
    pub blockers: Vec<BlockerView>,
    /// How its gates stand, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<String>,
    /// Things to know that do not stop it.
    pub notes: Vec<String>,
}

/// What the gates of a rollout go by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weighed {
    /// The rollout.
    pub rollout: RolloutName,
    /// Where it stands.
    pub phase: Phase,
    /// Each gate: what was counted, and what it has decided.
    pub gates: Vec<GateView>,
}

impl Why {
    fn of(rollout: &RolloutView) -> Self {
        let name = &rollout.name;
        let mut blockers = rollout.blockers.clone();
        blockers.sort_by_key(|blocker| blocker.hint.is_none());
        let message = match (blockers.as_slice(), rollout.ended) {
            (_, Some(ended)) => format!("{name} is {} since {ended:.0}", rollout.phase),
            ([], None) => format!("{name} is {} and waits for nothing", rollout.phase),
            ([first, ..], None) => format!("{name} is {}: {}", rollout.phase, first.text),
        };
        Self {
            rollout: name.clone(),
            phase: rollout.phase,
            message,
            blockers,
            gates: rollout
                .gates
                .iter()
                .map(|gate| format!("{}: {}", gate.gate, gate.says))
                .collect(),
            notes: rollout.notes.clone(),
        }
    }
}

/// The blocker to show where there is room for one: that which somebody can do something about.
pub(crate) fn foremost(blockers: &[BlockerView]) -> Option<&BlockerView> {
    let hinted = blockers.iter().find(|blocker| blocker.hint.is_some());
    hinted.or(blockers.first())
}

pub(super) async fn list(State(shared): State<Shared>) -> Json<Vec<RolloutView>> {
    Json(shared.view().rollouts.clone())
}

pub(super) async fn one(
    State(shared): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<RolloutView>, ApiError> {
    find(&shared.view(), &name).cloned().map(Json)
}

pub(super) async fn why(
    State(shared): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<Why>, ApiError> {
    find(&shared.view(), &name).map(|rollout| Json(Why::of(rollout)))
}

pub(super) async fn evidence(
    State(shared): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<Weighed>, ApiError> {
    let of = |rollout: &RolloutView| Weighed {
        rollout: rollout.name.clone(),
        phase: rollout.phase,
        gates: rollout.gates.clone(),
    };
    find(&shared.view(), &name).map(|rollout| Json(of(rollout)))
}

pub(super) async fn act(
    State(shared): State<Shared>,
    Path((name, verb)): Path<(String, String)>,
    asker: Asker,
    Body(ask): Body<Ask>,
) -> Result<Json<Answer>, ApiError> {
    let verb = Verb::Rollout {
        name: parsed(&name)?,
        verb: verb_named(&verb, &ask)?,
    };
    shared.carry_out(verb, asker, ask.reason).await.map(Json)
}

fn find<'a>(view: &'a View, name: &str) -> Result<&'a RolloutView, ApiError> {
    let found = view.rollouts.iter().find(|r| r.name.as_str() == name);
    found.ok_or_else(|| {
        ApiError::not_found(
            format!("there is no rollout `{name}`"),
            "`tidegate rollout status` lists them",
        )
    })
}

fn verb_named(word: &str, ask: &Ask) -> Result<RolloutVerb, ApiError> {
    let step = ask.step;
    if step.is_some() && !matches!(word, "promote" | "skip") {
        return Err(ApiError::invalid(
            format!("`step` says nothing to `{word}`"),
            "it goes with promote and skip",
        ));
    }
    Ok(match word {
        "abort" => RolloutVerb::Abort(ask.turned()),
        "override" => RolloutVerb::Override,
        "pause" => RolloutVerb::Pause,
        "promote" => RolloutVerb::Promote { all: ask.all, step },
        "resume" => RolloutVerb::Resume,
        "retry" => RolloutVerb::Retry,
        "skip" => RolloutVerb::Skip { step },
        "undo" => RolloutVerb::Undo,
        _ => {
            return Err(ApiError::not_found(
                format!("a rollout knows no verb `{word}`"),
                "use abort, override, pause, promote, resume, retry, skip or undo",
            ));
        }
    })
}

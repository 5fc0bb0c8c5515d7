//! The checks of gates that counting requests does not judge: somebody outside is asked, or the new instances are
//! looked at.
//!
//! A check is asked for while a rollout that its gate judges is under way and has not been turned round. Nobody is
//! asked twice at a time. Each answer takes the place of the one before, and none at all says so: a server that does
//! not answer leaves nobody sure. Answers are facts, which a restart forgets and asks for anew.

mod instances;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Effect;
use super::facts::Facts;
use super::state::{RolloutState, State};
use super::turn::Turn;
use crate::domain::{
    Check, Gate, GateName, Hook, Metric, PlaceName, RolloutName, ServiceName, Span, Strategy, Time,
    Variable, Variables, VersionName,
};

/// Who gave no answer is asked again after this long, if not sooner.
pub(super) const ASK_AGAIN: Span = Span::secs(5);

/// An answer counts for so much longer than until the next is due.
const ANSWER_HOLDS: Span = Span::secs(60);

/// A check of a rollout's gate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckId {
    /// Whom the gate judges.
    pub rollout: RolloutName,
    /// The gate.
    pub gate: GateName,
    /// Which of its checks, from 0.
    pub check: usize,
}

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "says", content = "why")]
pub enum Reading {
    /// Nothing against the new version.
    Good,
    /// It is not known, and why.
    Unsure(String),
    /// The new version is worse, and why.
    Worse(String),
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => f.write_str("good"),
            Self::Unsure(why) => write!(f, "unsure: {why}"),
            Self::Worse(why) => write!(f, "worse: {why}"),
        }
    }
}

/// Somebody is to be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Inquiry {
    /// For which check.
    pub of: CheckId,
    /// Tells the answer from one to an earlier question.
    pub number: u64,
    /// When.
    pub at: Time,
    /// What.
    pub what: Asked,
}

/// What somebody is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A number, of a metrics server.
    Number {
        /// The query, filled in.
        query: String,
        /// The server; the control plane's own unless given.
        server: Option<String>,
    },
    /// A verdict.
    Verdict {
        /// How.
        call: Hook,
        /// What about.
        about: Candidate,
    },
}

/// What a verdict is asked about, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The gate.
    pub gate: GateName,
    /// The rollout.
    pub rollout: RolloutName,
    /// Its service.
    pub service: ServiceName,
    /// The version that served when it began.
    pub from: VersionName,
    /// The version that it is to end on.
    pub to: VersionName,
    /// The wave that is rolled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wave: Option<String>,
    /// The regions or zones that are rolled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<PlaceName>,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// A number, to be held against the check's bounds.
    Number(f64),
    /// A verdict; or why there is neither, cut to a limit.
    Verdict(Reading),
}

/// The last answer to a check.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Heard {
    pub(super) reading: Reading,
    /// The number that it was read from.
    pub(super) number: Option<f64>,
    /// When it was asked for: what happened later is not in it.
    pub(super) asked: Time,
    /// When it came.
    pub(super) at: Time,
}

/// Has asked who is to be asked now, and forgets what nobody waits for.
pub(super) fn ask(turn: &mut Turn<'_>) {
    let wanted: BTreeMap<CheckId, (Asked, Span)> = wanted(turn.state).collect();
    let now = turn.now;
    turn.facts.measured.keep(&wanted);
    for (of, (what, every)) in wanted {
        if let Some(number) = turn.facts.measured.due(&of, &what, every, now) {
            let at = now;
            let inquiry = Inquiry {
                of,
                number,
                at,
                what,
            };
            turn.effects.push(Effect::Inquire(inquiry));
        }
    }
}

/// Takes in an answer. One that nobody waits for any more is nothing.
pub(super) fn hear(turn: &mut Turn<'_>, of: &CheckId, number: u64, said: Said) {
    let judged = match said {
        Said::Verdict(reading) => Some((reading, None)),
        Said::Number(value) => {
            let reading = metric(turn.state, of).map(|metric| read(&metric, value));
            reading.map(|reading| (reading, Some(value)))
        }
    };
    if let Some((reading, value)) = judged {
        let now = turn.now;
        turn.facts.measured.hear(of, number, reading, value, now);
    }
}

/// What a check says that counting requests does not judge; `None` if that does.
pub(super) fn says(
    state: &State,
    facts: &Facts,
    rollout: &RolloutState,
    (gate, index): (&Gate, usize),
    now: Time,
) -> Option<Reading> {
    Some(match gate.checks.get(index)? {
        Check::Crashes { at_most } => instances::crashes(state, facts, rollout, *at_most),
        Check::HealthyRatio { at_least } => {
            instances::healthy_ratio(state, facts, rollout, *at_least)
        }
        Check::Metric(_) | Check::Webhook(_) => {
            let of = CheckId {
                rollout: rollout.spec.name.clone(),
                gate: gate.name.clone(),
                check: index,
            };
            reading(facts, &of, now)
        }
        Check::Errors { .. } | Check::Latency { .. } | Check::Slo { .. } => return None,
    })
}

/// What a check that somebody outside is asked for says now.
fn reading(facts: &Facts, of: &CheckId, now: Time) -> Reading {
    let unsure = |why: &str| Reading::Unsure(why.to_owned());
    match facts.measured.heard(of) {
        None => unsure("there is no answer yet"),
        Some((heard, every)) => {
            let holds = Span::from(every.duration() + ANSWER_HOLDS.duration());
            if Span::between(heard.asked, now) > holds {
                return unsure("the last answer came too long ago");
            }
            heard.reading.clone()
        }
    }
}

/// How a number stands to what a check wants.
fn read(metric: &Metric, number: f64) -> Reading {
    if number.is_nan() {
        let why = "not a number (NaN), as where nothing is divided by nothing";
        return Reading::Unsure(why.to_owned());
    }
    if metric.is_good(number) {
        return Reading::Good;
    }
    let bounds = metric.bounds();
    Reading::Worse(format!("{number}, and is to be {bounds}"))
}

/// The metric that a check is, if it still is one.
fn metric(state: &State, of: &CheckId) -> Option<Metric> {
    let rollout = state.rollouts.get(&of.rollout)?;
    let gate = state.gates_of(rollout).find(|gate| gate.name == of.gate)?;
    match gate.checks.get(of.check)? {
        Check::Metric(metric) => Some(metric.clone()),
        _ => None,
    }
}

/// What is to be asked for each check, and how often.
fn wanted(state: &State) -> impl Iterator<Item = (CheckId, (Asked, Span))> {
    let rollouts = state.rollouts.values();
    let judged = rollouts.filter(|rollout| rollout.runs() && rollout.turned.is_none());
    judged.flat_map(|rollout| {
        let gates = state.gates_of(rollout);
        gates.flat_map(|gate| {
            let name = gate.name.clone();
            let asked = gate.checks.iter().enumerate().filter_map(|(i, check)| {
                let of = CheckId {
                    rollout: rollout.spec.name.clone(),
                    gate: name.clone(),
                    check: i,
                };
                let asked = match check {
                    Check::Metric(metric) => (number(metric, rollout), metric.every),
                    Check::Webhook(webhook) => {
                        let about = subject(&name, rollout)?;
                        let call = webhook.call.clone();
                        (Asked::Verdict { call, about }, webhook.every)
                    }
                    _ => return None,
                };
                Some((of, asked))
            });
            asked.collect::<Vec<_>>()
        })
    })
}

fn number(metric: &Metric, rollout: &RolloutState) -> Asked {
    let spec = &rollout.spec;
    let places = places(rollout).map(|place| place.0.clone());
    let stable = rollout.started.iter().map(|it| it.from.to_string());
    let variables = Variables(BTreeMap::from([
        (Variable::Places, places.collect()),
        (Variable::Rollout, vec![spec.name.to_string()]),
        (Variable::Service, vec![spec.service.to_string()]),
        (Variable::Stable, stable.collect()),
        (Variable::Version, vec![spec.to.to_string()]),
        (Variable::Wave, wave(rollout).into_iter().collect()),
    ]));
    Asked::Number {
        query: variables.fill(&metric.prometheus),
        server: metric.server.clone(),
    }
}

fn subject(gate: &GateName, rollout: &RolloutState) -> Option<Candidate> {
    let (spec, started) = (&rollout.spec, rollout.started.as_ref()?);
    Some(Candidate {
        gate: gate.clone(),
        rollout: spec.name.clone(),
        service: spec.service.clone(),
        from: started.from.clone(),
        to: spec.to.clone(),
        wave: wave(rollout),
        places: places(rollout).cloned().collect(),
    })
}

/// The name of the wave that is rolled, or comes next.
fn wave(rollout: &RolloutState) -> Option<String> {
    let Strategy::Waves(waves) = &rollout.spec.strategy else {
        return None;
    };
    let wave = waves.waves.get(rollout.waves_done as usize)?;
    Some(wave.name.clone())
}

fn places(rollout: &RolloutState) -> impl Iterator<Item = &PlaceName> {
    rollout.lanes.iter().filter_map(|lane| lane.place.as_ref())
}

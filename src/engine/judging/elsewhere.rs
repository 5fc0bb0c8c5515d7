//! Checks that counting requests does not judge, in the words of those that it does.

use super::GateTrial;
use crate::domain::{Check, Gate, Time};
use crate::engine::facts::Facts;
use crate::engine::measuring::{self, CheckId, Reading};
use crate::engine::state::{RolloutState, State};
use crate::engine::{StageKind, Stand};
use crate::gates::{Alarm, Finding, Stands, Telling};

/// How such a check stands.
#[derive(Debug)]
pub(super) struct Elsewhere {
    /// What it is about: a name, a query, or the check's word.
    pub(super) what: String,
    pub(super) finding: Finding,
    /// The number that it was read from, and when that was asked for.
    pub(super) number: Option<f64>,
    pub(super) asked: Option<Time>,
}

/// Where decisions look for what is known of a rollout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub(super) state: &'a State,
    pub(super) facts: &'a Facts,
    pub(super) rollout: &'a RolloutState,
    pub(super) now: Time,
}

impl Known<'_> {
    /// How one of a gate's checks stands; `None` if counting judges it.
    pub(super) fn elsewhere(&self, gate: &Gate, index: usize) -> Option<Elsewhere> {
        let Self {
            state,
            facts,
            rollout,
            now,
        } = *self;
        let reading = measuring::says(state, facts, rollout, (gate, index), now)?;
        let check = gate.checks.get(index)?;
        let what = match check {
            Check::Metric(metric) => metric.name.as_ref().unwrap_or(&metric.prometheus),
            Check::Webhook(webhook) => &webhook.name,
            _ => check.word(),
        };
        let of = CheckId {
            rollout: rollout.spec.name.clone(),
            gate: gate.name.clone(),
            check: index,
        };
        let heard = facts.measured.heard(&of).map(|(heard, _)| heard);
        let number = heard.and_then(|heard| heard.number);
        Some(Elsewhere {
            what: what.to_owned(),
            finding: finding(what, reading, number),
            number,
            asked: heard.map(|heard| heard.asked),
        })
    }

    /// How all checks of a gate stand, in their order; nothing of one that is not known of.
    pub(super) fn findings(&self, one: &GateTrial) -> Vec<Option<Finding>> {
        let counted = one.trial.findings().into_iter().enumerate();
        let findings = counted.map(|(index, counted)| {
            counted.or_else(|| Some(self.elsewhere(&one.gate, index)?.finding))
        });
        findings.collect()
    }

    /// Does anybody serve the stable version still, so that there is something to compare with?
    pub(super) fn serves_stable(&self) -> bool {
        let known = self.state.services.get(&self.rollout.spec.service);
        let both = known.zip(self.rollout.started.as_ref());
        both.is_some_and(|(known, started)| {
            let serves = |it: &Stand| it.stage == StageKind::Serving && it.version == started.from;
            known.instances.any(serves)
        })
    }

    /// Is a version worse? What somebody says outright counts at once, whatever is counted.
    pub(super) fn alarm(&self, one: &GateTrial) -> Option<Alarm> {
        let mut indices = 0..one.gate.checks.len();
        let said = indices.find_map(|index| {
            let finding = self.elsewhere(&one.gate, index)?.finding;
            (finding.stands == Stands::Worse).then_some(Alarm {
                says: finding.says,
                telling: Telling::Version,
            })
        });
        said.or_else(|| one.trial.alarm())
    }
}

fn finding(what: &str, reading: Reading, number: Option<f64>) -> Finding {
    let (stands, says) = match (reading, number) {
        (Reading::Good, Some(number)) => (Stands::Good, format!("{what} is {number}")),
        (Reading::Good, None) => (Stands::Good, format!("{what}: good")),
        (Reading::Unsure(why), _) => (Stands::Unsure, format!("{what}: {why}")),
        (Reading::Worse(why), _) => (Stands::Worse, format!("{what}: {why}")),
    };
    Finding { stands, says }
}

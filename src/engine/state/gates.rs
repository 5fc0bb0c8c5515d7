//! What gates have to do with a rollout, as far as it must outlive a restart.

use serde::{Deserialize, Serialize};

use crate::domain::InstanceId;
use crate::engine::judging::{Decision, Follows, GateTrial, Verdict};

/// Most decisions of a gate that are remembered in a rollout; the journal has them all.
const DECISIONS_MAX: usize = 20;

/// A gate in a rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GateState {
    /// Its trial, as it was last written down; none once the rollout is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Box<GateTrial>>,
    /// What it has decided, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
}

impl GateState {
    pub(super) fn decide(&mut self, decision: &Decision) {
        if self.decisions.len() == DECISIONS_MAX {
            let is_unsure = |it: &Decision| it.verdict == Verdict::Unsure;
            // What it could not tell in parts that are over is of no use any more; what it found is.
            let oldest = self.decisions.iter().position(is_unsure);
            self.decisions.remove(oldest.unwrap_or_default());
        }
        self.decisions.push(decision.clone());
    }

    /// Has it found the version worse, or an instance that nobody takes out? Then it has said what it has to say:
    /// whoever goes on from there does so knowing it.
    pub fn is_settled(&self) -> bool {
        self.decisions
            .iter()
            .any(|decision| match decision.verdict {
                Verdict::Worse => true,
                Verdict::OneBox { .. } => decision.follows != Follows::TakenOut,
                Verdict::Unsure => false,
            })
    }

    /// Has it said in this part of the rollout that it cannot tell?
    pub fn is_waived(&self, part: (u32, u32)) -> bool {
        let is_unsure = |decision: &&Decision| decision.verdict == Verdict::Unsure;
        self.decisions
            .iter()
            .filter(is_unsure)
            .any(|decision| decision.part == part)
    }

    /// The instances that it has taken out.
    pub fn taken_out(&self) -> impl Iterator<Item = &InstanceId> {
        self.decisions.iter().filter_map(|decision| {
            let Verdict::OneBox { instance } = &decision.verdict else {
                return None;
            };
            (decision.follows == Follows::TakenOut).then_some(instance)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Time;
    use crate::engine::Evidence;

    fn decision(part: u32, verdict: Verdict, follows: Follows) -> Decision {
        let evidence = Evidence {
            new: "v2".parse().unwrap(),
            stable: "v1".parse().unwrap(),
            since: Time::UNIX_EPOCH,
            decades: 0.0,
            needed: 2.0,
            checks: Vec::new(),
            left_out: crate::gates::Counts::default(),
            instances: Vec::new(),
            over_time: Vec::new(),
        };
        Decision {
            at: Time::UNIX_EPOCH,
            verdict,
            says: String::new(),
            follows,
            part: (part, 0),
            evidence,
        }
    }

    #[test]
    fn what_was_found_is_remembered_however_often_it_could_not_tell() {
        let mut gate = GateState::default();
        let instance = "cart-1".parse().unwrap();
        gate.decide(&decision(
            0,
            Verdict::OneBox { instance },
            Follows::TakenOut,
        ));
        for part in 1..=30 {
            gate.decide(&decision(part, Verdict::Unsure, Follows::GoesOn));
            assert!(gate.is_waived((part, 0)), "{part}");
        }
        gate.decide(&decision(30, Verdict::Worse, Follows::GoesOn));
        assert!(gate.is_settled() && gate.is_waived((30, 0)));
        assert_eq!(gate.taken_out().count(), 1);
        assert_eq!(gate.decisions.len(), DECISIONS_MAX);
    }
}

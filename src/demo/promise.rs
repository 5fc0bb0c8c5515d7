//! What a scenario promises, and whether it held.

use std::collections::BTreeMap;

use super::clients::Counts;
use super::judged::Judged;
use super::view::Rollout;

/// One promise, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Promise {
    /// What was promised.
    pub(super) text: String,
    /// What was seen.
    pub(super) seen: String,
    /// Did it hold?
    pub(super) held: bool,
}

impl Promise {
    /// A promise and what was seen.
    pub(super) fn new(text: impl Into<String>, held: bool, seen: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            seen: seen.into(),
            held,
        }
    }
}

/// All that is known at the end of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Instances at the start.
    pub(super) instances: usize,
    /// Proxies.
    pub(super) proxies: usize,
    /// How long load was sent, in seconds.
    pub(super) seconds: f64,
    /// Requests that have ended.
    pub(super) requests: u64,
    /// As many as the run was to make.
    pub(super) requests_min: u64,
    /// Those that failed.
    pub(super) failed: u64,
    /// The same by reason.
    pub(super) failed_by: BTreeMap<String, u64>,
    /// The rollout as the control plane tells it; `None` if there was none.
    pub(super) rollout: Option<Rollout>,
    /// The fewest instances that were seen ready at once.
    pub(super) min_ready_seen: Option<u64>,
    /// What became of sessions, where there were any.
    pub(super) sessions: Option<Counts>,
    /// What gates did in each roll.
    pub(super) judged: Vec<Judged>,
}

impl Facts {
    /// Released after proof, and without.
    pub(super) fn released(&self) -> (usize, usize) {
        let drained = self
            .rollout
            .as_ref()
            .map_or(&[][..], |rollout| &rollout.report.drained);
        let proven = drained.iter().filter(|drained| drained.proven).count();
        (proven, drained.len() - proven)
    }

    /// The lowest ready capacity, in instances: as the control plane counted it at each decision,
    /// else as the demo saw it a few times a second.
    pub(super) fn min_ready(&self) -> Option<u64> {
        let counted = self
            .rollout
            .as_ref()
            .and_then(|rollout| rollout.report.min_ready);
        counted.or(self.min_ready_seen)
    }

    /// No request failed.
    pub(super) fn none_failed(&self) -> Promise {
        let by: Vec<String> = self
            .failed_by
            .iter()
            .map(|(reason, count)| format!("{count} × {reason}"))
            .collect();
        let seen = match by.as_slice() {
            [] => format!("0 of {}", self.requests),
            by => format!("{} of {}: {}", self.failed, self.requests, by.join(", ")),
        };
        Promise::new("no request fails", self.failed == 0, seen)
    }

    /// There were enough requests for that to mean something.
    pub(super) fn enough_requests(&self) -> Promise {
        let text = format!("at least {} requests", self.requests_min);
        let seen = format!("{}, {:.0} per second", self.requests, self.rate());
        Promise::new(text, self.requests >= self.requests_min, seen)
    }

    /// The rollout came to its end, and every old instance was proven drained before its release.
    pub(super) fn all_proven(&self) -> [Promise; 2] {
        let (proven, unproven) = self.released();
        let held = proven == self.instances && unproven == 0;
        let done = self.rollout.as_ref().is_some_and(Rollout::is_done);
        let phase = self.phase();
        [
            Promise::new("the rollout is done", done, format!("phase {phase}")),
            Promise::new(
                format!("{} instances released, all with proof", self.instances),
                held,
                format!("{proven} proven, {unproven} unproven"),
            ),
        ]
    }

    /// Ready capacity never fell.
    pub(super) fn capacity_kept(&self) -> Promise {
        let text = format!("never fewer than {} instances ready", self.instances);
        let min = self.min_ready();
        let seen = min.map_or("not known".to_owned(), |min| format!("lowest {min}"));
        Promise::new(
            text,
            min.is_some_and(|min| min >= self.instances as u64),
            seen,
        )
    }

    /// The rollout's phase; `none` without a rollout.
    pub(super) fn phase(&self) -> &str {
        self.rollout
            .as_ref()
            .map_or("none", |rollout| &rollout.phase)
    }

    /// Requests per second.
    pub(super) fn rate(&self) -> f64 {
        if self.seconds > 0.0 {
            self.requests as f64 / self.seconds
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(proven: usize, unproven: usize, phase: &str) -> Facts {
        let drained = |proven: bool| crate::demo::view::Drained {
            proven,
            ..Default::default()
        };
        let mut rollout = Rollout {
            phase: phase.to_owned(),
            ..Rollout::default()
        };
        rollout
            .report
            .drained
            .extend((0..proven).map(|_| drained(true)));
        rollout
            .report
            .drained
            .extend((0..unproven).map(|_| drained(false)));
        Facts {
            instances: 2,
            rollout: Some(rollout),
            ..Facts::default()
        }
    }

    #[test]
    fn a_rollout_held_only_when_done_and_all_proven() {
        for (facts, held) in [
            (facts(2, 0, "Done"), [true, true]),
            (facts(2, 0, "Baking"), [false, true]),
            (facts(1, 1, "Done"), [true, false]),
            (facts(1, 0, "Done"), [true, false]),
            (
                Facts {
                    instances: 2,
                    ..Facts::default()
                },
                [false, false],
            ),
        ] {
            assert_eq!(
                facts.all_proven().map(|promise| promise.held),
                held,
                "{facts:?}"
            );
        }
    }

    #[test]
    fn capacity_is_judged_by_the_control_planes_count_first() {
        let mut facts = facts(2, 0, "Done");
        assert!(!facts.capacity_kept().held);
        facts.min_ready_seen = Some(2);
        assert!(facts.capacity_kept().held);
        facts.rollout.as_mut().unwrap().report.min_ready = Some(1);
        assert!(!facts.capacity_kept().held);
    }
}

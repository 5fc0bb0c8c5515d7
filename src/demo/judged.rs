//! What gates did in each roll, as the demo saw it from outside.

use serde::Serialize;
use tokio::time::Instant;

use super::clock::now;
use super::report::rounded;
use super::view::Rollout;

/// One roll.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Judged {
    /// The version that was rolled out.
    pub(super) to: String,
    /// What was found last: `worse`, `one-box v2-3`, `unsure`; `None` if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decision: Option<String>,
    /// The same with its numbers.
    pub(super) says: String,
    /// From its first share of the traffic to the decision, in seconds.
    pub(super) detect_s: Option<f64>,
    /// Requests that failed on it.
    pub(super) failed_on_new: u64,
    /// From the decision until the roll was rolled back, in seconds.
    pub(super) rolled_back_s: Option<f64>,
    /// How the rollout stood at last.
    pub(super) phase: String,
}

/// A roll that is being watched.
#[derive(Debug, Default)]
pub(super) struct Watch {
    so_far: Judged,
    /// Failures before it began.
    failed_before: u64,
    exposed: Option<Instant>,
    decided: Option<Instant>,
    decisions: usize,
}

impl Watch {
    /// Of a roll to this version; so many requests have failed on it before.
    pub(super) fn new(to: &str, failed_before: u64) -> Self {
        Self {
            so_far: Judged {
                to: to.to_owned(),
                ..Judged::default()
            },
            failed_before,
            ..Self::default()
        }
    }

    /// The version that is rolled out.
    pub(super) fn to(&self) -> &str {
        &self.so_far.to
    }

    /// Looks at it: its share of the traffic, and how many requests have failed on it so far.
    pub(super) fn look(&mut self, rollout: Option<&Rollout>, weight: f64, failed: u64) {
        let now = now();
        if weight > 0.0 {
            self.exposed.get_or_insert(now);
        }
        let Some(rollout) = rollout else { return };
        let decisions = rollout.decisions().count();
        let news = rollout.decisions().last();
        let news = news.filter(|_| decisions > self.decisions);
        // That it cannot tell in the end says less than what it has found before.
        let news = news.filter(|it| it.verdict() != "unsure" || self.decided.is_none());
        if let Some(decision) = news {
            self.decided = Some(now);
            self.decisions = decisions;
            self.so_far.decision = Some(decision.verdict());
            self.so_far.says.clone_from(&decision.says);
            let exposed = self.exposed.unwrap_or(now);
            self.so_far.detect_s = Some(rounded((now - exposed).as_secs_f64(), 10.0));
        }
        let back = self.decided.filter(|_| rollout.is("RolledBack"));
        if let (Some(decided), None) = (back, self.so_far.rolled_back_s) {
            self.so_far.rolled_back_s = Some(rounded((now - decided).as_secs_f64(), 10.0));
        }
        self.so_far.phase.clone_from(&rollout.phase);
        self.so_far.failed_on_new = failed.saturating_sub(self.failed_before);
    }

    /// What was seen so far.
    pub(super) const fn seen(&self) -> &Judged {
        &self.so_far
    }
}

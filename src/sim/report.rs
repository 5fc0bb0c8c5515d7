//! What a simulation came to, in the words of the demo's report.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::{RolloutName, ServiceName, Span, VersionName};
use crate::engine::{DrainView, Phase, RolloutView};

/// Of all rollouts together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What went wrong on purpose.
    pub faults: Vec<String>,
    /// What chance was drawn from.
    pub seed: u64,
    /// From asking for the rollouts to the end.
    pub duration_s: f64,
    /// Requests to all services.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// And why.
    pub failed_by: BTreeMap<String, u64>,
    /// Instances at the beginning, of all services together.
    pub instances: usize,
    /// Proxies.
    pub proxies: usize,
    /// Instances that were released with a full proof.
    pub released_proven: usize,
    /// Instances that were released without.
    pub released_unproven: usize,
    /// The lowest number of instances of a service that took requests during its rollout.
    pub min_ready: Option<u32>,
    /// From a publication to the last ACK, the median, in milliseconds.
    pub ack_ms_p50: Option<u64>,
    /// The longest.
    pub ack_ms_max: Option<u64>,
    /// How long each instance drained, in seconds.
    pub drain_s: Vec<f64>,
    /// The phase of the last rollout.
    pub phase: Option<Phase>,
    /// Each rollout.
    pub rollouts: Vec<RolloutReport>,
    /// Things to know.
    pub notes: Vec<String>,
}

/// Of one rollout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RolloutReport {
    /// Its name.
    pub name: RolloutName,
    /// What is rolled.
    pub service: ServiceName,
    /// From which version.
    pub from: Option<VersionName>,
    /// To which.
    pub to: VersionName,
    /// Where it stands at the end.
    pub phase: Phase,
    /// From its beginning to its end, or to the end of the simulation.
    pub duration_s: Option<f64>,
    /// So many instances are replaced.
    pub done: u32,
    /// Of so many.
    pub total: u32,
    /// The lowest number of instances that took requests.
    pub min_ready: Option<u32>,
    /// Each instance that drained, in order.
    pub drained: Vec<Drained>,
    /// What it waits for, if it has not ended: the sentence, and the next command.
    pub waits: Vec<String>,
}

/// How an instance drained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drained {
    /// The instance.
    pub instance: String,
    /// How long it took.
    pub took_s: f64,
    /// Did every proxy show it?
    pub proven: bool,
    /// What could not be proven.
    pub missing: Vec<String>,
}

impl RolloutReport {
    pub(super) fn new(view: &RolloutView, now: crate::domain::Time) -> Self {
        let waits = view.blockers.iter().map(|blocker| match &blocker.hint {
            Some(hint) => format!("{} ({hint})", blocker.text),
            None => blocker.text.clone(),
        });
        let took = |began| Span::between(began, view.ended.unwrap_or(now));
        Self {
            name: view.name.clone(),
            service: view.service.clone(),
            from: view.from.clone(),
            to: view.to.clone(),
            phase: view.phase,
            duration_s: view.started.map(|began| seconds(took(began))),
            done: view.done,
            total: view.total,
            min_ready: view.report.min_ready,
            drained: view.report.drained.iter().map(Drained::new).collect(),
            waits: waits.collect(),
        }
    }

    /// Did it get where it should?
    pub fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done | Phase::Superseded)
    }
}

impl Drained {
    fn new(view: &DrainView) -> Self {
        Self {
            instance: view.instance.to_string(),
            took_s: seconds(Span::millis(view.took_ms)),
            proven: view.proven,
            missing: view.missing.clone(),
        }
    }
}

impl Report {
    /// Did every rollout get where it should, and no request fail?
    pub fn is_good(&self) -> bool {
        self.failed == 0 && self.rollouts.iter().all(RolloutReport::is_done)
    }
}

/// Seconds, to the millisecond.
pub(super) fn seconds(span: Span) -> f64 {
    (span.duration().as_secs_f64() * 1000.0).round() / 1000.0
}

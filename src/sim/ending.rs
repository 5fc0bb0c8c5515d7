//! The end of a simulation: when it has come, and what it came to.

use std::collections::BTreeMap;

use super::report::{Report, RolloutReport, seconds};
use super::world::{Outcome, Sim};
use crate::domain::{Span, Time};
use crate::engine::{RolloutState, StageKind, Stand};

/// A rollout that has not come forward for this long, and for as long as its drains and lost proxies may
/// take, and waits for nothing that ends by itself, waits for ever.
const FOR_EVER: Span = Span::secs(4 * 3600);

/// No simulation is longer than this.
const LONGEST: Span = Span::secs(90 * 24 * 3600);

impl Sim<'_> {
    /// Has everything ended, or is nothing going to?
    pub(super) fn is_over(&self, asked: Time) -> bool {
        let Some(engine) = &self.engine else {
            return false;
        };
        let state = engine.state();
        let mut rollouts = state.rollouts.values();
        let all_ended = !state.rollouts.is_empty() && rollouts.all(RolloutState::over);
        let moves = |stand: &Stand| stand.stage.goes() && stand.stage != StageKind::Released;
        let mut services = state.services.values();
        let at_rest = services.all(|s| s.kept.is_none() && !s.instances.any(moves));
        if (all_ended && at_rest) || Span::between(asked, self.now) >= LONGEST {
            return true;
        }
        let running = state.rollouts.values().filter(|rollout| !rollout.over());
        let mut waits = running.flat_map(|rollout| engine.blockers(&rollout.spec.name));
        let ends = waits.any(|blocker| blocker.until.is_some_and(|until| until > self.now));
        let patience = self.setup.documents.services.values().map(|service| {
            service.drain.at_most.duration() + service.drain.lost_proxies.wait.duration() * 2
        });
        let patience = FOR_EVER.duration() + patience.max().unwrap_or_default();
        let kept = state.services.values().any(|s| s.kept.is_some());
        !ends && !kept && Span::between(self.progress, self.now).duration() >= patience
    }

    /// What it came to, since it was `asked` for.
    pub(super) fn outcome(mut self, asked: Time) -> Outcome {
        for proxy in self.proxies.values_mut() {
            proxy.settle(&mut self.tally, self.now);
        }
        let view = self.engine.as_ref().map(|engine| engine.view(self.now));
        let views = view.into_iter().flat_map(|view| view.rollouts);
        let views: Vec<_> = views.collect();
        let rollouts = views.iter().map(|view| RolloutReport::new(view, self.now));
        let rollouts: Vec<RolloutReport> = rollouts.collect();
        let drained: Vec<_> = rollouts.iter().flat_map(|r| &r.drained).collect();
        let mut acks: Vec<u64> = views.iter().flat_map(|v| v.report.ack_ms.clone()).collect();
        acks.sort_unstable();
        let failed_by = self
            .tally
            .failed()
            .map(|(why, n)| (why.words().to_owned(), n));
        let failed_by: BTreeMap<String, u64> = failed_by.collect();
        let mut notes: Vec<String> = views.iter().flat_map(|v| v.notes.clone()).collect();
        notes.sort();
        notes.dedup();
        let services = self.setup.documents.services.len();
        let report = Report {
            faults: self.setup.faults.iter().map(ToString::to_string).collect(),
            seed: self.setup.seed,
            duration_s: seconds(Span::between(asked, self.now)),
            requests: self.tally.requests(),
            failed: failed_by.values().sum(),
            failed_by,
            instances: services * self.setup.instances as usize,
            proxies: self.proxies.len(),
            released_proven: drained.iter().filter(|d| d.proven).count(),
            released_unproven: drained.iter().filter(|d| !d.proven).count(),
            min_ready: rollouts.iter().filter_map(|r| r.min_ready).min(),
            ack_ms_p50: acks.get(acks.len().saturating_sub(1) / 2).copied(),
            ack_ms_max: acks.last().copied(),
            drain_s: drained.iter().map(|d| d.took_s).collect(),
            phase: rollouts.last().map(|r| r.phase),
            rollouts,
            notes,
        };
        Outcome {
            timeline: self.timeline.lines,
            report,
            asked,
            writes: self.writes.unwrap_or(0),
        }
    }
}

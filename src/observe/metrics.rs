//! The metrics: gauges that follow the newest view, counters and histograms that follow single
//! facts.
//!
//! In come views, journal entries and what the streams count; out goes OpenMetrics text. Labels
//! come from names that documents and discovery bound; an id of a proxy, an instance or a session
//! is never one. `docs/metrics.md` is made from the registry, and a test keeps it so.

mod families;
mod labels;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use crate::domain::{ServiceName, VersionName};
use crate::engine::{Entry, HookAnswer, Outcome, Record, Stage, View};
use crate::secrets::{SecretState, SecretsView};
use crate::serving::Refused;
use families::Families;
use labels::{
    BlockerLabels, InstanceLabels, KindLabels, OutcomeLabels, PhaseLabels, ProxyLabels,
    ReasonLabels, RequestLabels, StateLabels, VersionLabels,
};

/// Every metric of a control plane.
pub struct Metrics {
    registry: Registry,
    families: Families,
    /// Held while gauges are replaced and while they are read: a scrape between the two would miss
    /// series. Nothing waits inside, so it is no async mutex.
    scrape: Mutex<()>,
}

impl Metrics {
    /// Adds the metrics to `registry`.
    pub fn new(mut registry: Registry) -> Self {
        let families = Families::register(&mut registry);
        Self {
            registry,
            families,
            scrape: Mutex::new(()),
        }
    }

    /// Everything as OpenMetrics text.
    pub fn encode(&self) -> String {
        let _whole = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        // Writing to a string cannot fail, and a metric that cannot be encoded is left out.
        let _ = text::encode(&mut out, &self.registry);
        out
    }

    /// Replaces every gauge by what `view` shows.
    pub fn observe_view(&self, view: &View) {
        let _whole = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        let to = &self.families;
        to.ready.set(i64::from(view.ready));
        to.generation
            .set(i64::try_from(view.generation.0).unwrap_or(i64::MAX));
        self.observe_services(view);
        self.observe_rollouts(view);
        self.observe_proxies(view);
    }

    fn observe_services(&self, view: &View) {
        let to = &self.families;
        to.instances.clear();
        to.weights.clear();
        for service in &view.services {
            for version in &service.versions {
                to.weights
                    .get_or_create(&VersionLabels {
                        service: service.name.to_string(),
                        version: version.name.to_string(),
                    })
                    .set(version.weight / 100.0);
            }
            for instance in &service.instances {
                to.instances
                    .get_or_create(&InstanceLabels {
                        service: service.name.to_string(),
                        version: instance.version.to_string(),
                        stage: instance.stage.clone(),
                    })
                    .inc();
            }
        }
    }

    fn observe_rollouts(&self, view: &View) {
        let to = &self.families;
        to.rollouts.clear();
        to.blockers.clear();
        for rollout in &view.rollouts {
            to.rollouts
                .get_or_create(&PhaseLabels {
                    phase: rollout.phase.to_string(),
                })
                .inc();
        }
        let of_rollouts = view.rollouts.iter().flat_map(|r| &r.blockers);
        let of_services = view.services.iter().flat_map(|s| &s.blockers);
        for blocker in of_rollouts.chain(of_services) {
            to.blockers
                .get_or_create(&BlockerLabels::new(&blocker.on))
                .inc();
        }
    }

    fn observe_proxies(&self, view: &View) {
        let to = &self.families;
        for (connected, label) in [(true, ProxyLabels::CONNECTED), (false, ProxyLabels::LOST)] {
            let count = view.proxies.iter().filter(|p| p.connected == connected);
            to.proxies
                .get_or_create(&label)
                .set(i64::try_from(count.count()).unwrap_or(i64::MAX));
        }
        let refusing = view.proxies.iter().filter(|p| p.nack.is_some()).count();
        to.proxies_refusing
            .set(i64::try_from(refusing).unwrap_or(i64::MAX));
    }

    /// Counts what a journal entry tells.
    pub fn observe_entry(&self, entry: &Entry) {
        let to = &self.families;
        to.journal_entries.inc();
        match &entry.record {
            Record::InForce { took, .. } => to.barrier.observe(took.duration().as_secs_f64()),
            Record::InstanceMoved {
                to: Stage::Drained { proof, .. },
                ..
            } => to
                .drain
                .get_or_create(&OutcomeLabels::of_drain(proof))
                .observe(proof.took.duration().as_secs_f64()),
            Record::InstanceLost { .. } => {
                to.instances_lost.inc();
            }
            Record::HookFailed { .. }
            | Record::HookAnswered {
                answer: HookAnswer::Fails(_) | HookAnswer::Silent(_),
                ..
            } => {
                to.hooks_failed.inc();
            }
            Record::RolloutEnded { outcome, .. } => Self::rollout_ended(to, *outcome),
            Record::RolloutSuperseded { .. } => Self::rollout_ended(to, Outcome::Superseded),
            _ => {}
        }
    }

    fn rollout_ended(to: &Families, outcome: Outcome) {
        let labels = match outcome {
            Outcome::Done => OutcomeLabels::DONE,
            Outcome::RolledBack => OutcomeLabels::ROLLED_BACK,
            Outcome::Superseded => OutcomeLabels::SUPERSEDED,
        };
        to.rollouts_ended.get_or_create(&labels).inc();
    }

    /// Some entries became durable together in so many seconds.
    pub fn journal_appended(&self, seconds: f64) {
        self.families.journal_append.observe(seconds);
    }

    /// The journal takes up so many bytes, so many entries are in no checkpoint, and it could not be
    /// compacted.
    pub fn set_journal(&self, bytes: u64, uncovered: u64, not_compacted: bool) {
        let to = &self.families;
        to.journal_size
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
        let uncovered = i64::try_from(uncovered).unwrap_or(i64::MAX);
        to.journal_uncovered.set(uncovered);
        to.journal_not_compacted.set(i64::from(not_compacted));
    }

    /// So many leases are alive.
    pub fn set_leases(&self, leases: usize) {
        self.families
            .leases
            .set(i64::try_from(leases).unwrap_or(i64::MAX));
    }

    /// How the secrets stand now.
    pub fn observe_secrets(&self, view: &SecretsView) {
        for state in SecretState::ALL {
            let count = view.secrets.iter().filter(|it| it.state == state).count();
            self.families
                .secrets
                .get_or_create(&StateLabels::new(state))
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Files of a secret changed: they were taken, or are of no use.
    pub fn secret_read(&self, taken: bool) {
        let label = OutcomeLabels::of_read(taken);
        self.families.secret_reads.get_or_create(&label).inc();
    }

    /// A load report came faster than it could be taken in.
    pub fn load_report_dropped(&self) {
        self.families.load_reports_dropped.inc();
    }

    /// A proxy reported requests to a version that have ended, each attempt for itself.
    pub fn requests_reported(
        &self,
        service: &ServiceName,
        version: &VersionName,
        succeeded: u64,
        failed: u64,
    ) {
        for (outcome, count) in [
            (RequestLabels::SUCCESS, succeeded),
            (RequestLabels::ERROR, failed),
        ] {
            let label = RequestLabels::new(service, version, outcome);
            let requests = self.families.requests_reported.get_or_create(&label);
            requests.inc_by(count);
        }
    }

    /// A proxy opened a stream.
    pub fn stream_opened(&self) {
        self.families.streams.inc();
    }

    /// A stream ended.
    pub fn stream_closed(&self) {
        self.families.streams.dec();
    }

    /// A stream was cut because its peer read nothing.
    pub fn stream_stalled(&self) {
        self.families.streams_stalled.inc();
    }

    /// A proxy connected.
    pub fn connection_opened(&self) {
        self.families.connections.inc();
    }

    /// Its connection ended.
    pub fn connection_closed(&self) {
        self.families.connections.dec();
    }

    /// A connection came to nothing.
    pub fn connection_refused(&self, why: Refused) {
        let label = ReasonLabels::new(why);
        self.families
            .connections_refused
            .get_or_create(&label)
            .inc();
    }

    /// The certificate files changed: they were taken, or are broken.
    pub fn certificates_read(&self, taken: bool) {
        let label = OutcomeLabels::of_read(taken);
        self.families.certificate_reads.get_or_create(&label).inc();
    }

    /// A certificate was shown that may not speak for the node that was claimed.
    pub fn denied(&self) {
        self.families.denials.inc();
    }

    /// A response with resources of `kind` was put together that no stream had been sent before.
    pub fn encoded(&self, kind: &str) {
        self.families
            .encodes
            .get_or_create(&KindLabels::new(kind))
            .inc();
    }

    /// A response with resources of `kind` was handed to a stream.
    pub fn pushed(&self, kind: &str, bytes: usize) {
        let label = KindLabels::new(kind);
        self.families.pushes.get_or_create(&label).inc();
        self.families
            .pushed_bytes
            .get_or_create(&label)
            .inc_by(bytes as u64);
    }

    /// A proxy acknowledged resources of `kind`, so many seconds after their publication.
    pub fn acked(&self, kind: &str, seconds: f64) {
        self.families
            .acks
            .get_or_create(&KindLabels::new(kind))
            .observe(seconds);
    }

    /// A proxy refused resources of `kind`.
    pub fn nacked(&self, kind: &str) {
        self.families
            .nacks
            .get_or_create(&KindLabels::new(kind))
            .inc();
    }

    /// A stream stopped waiting for what should have been acknowledged before resources of `kind`.
    pub fn gate_released(&self, kind: &str) {
        self.families
            .gate_releases
            .get_or_create(&KindLabels::new(kind))
            .inc();
    }
}

//! The families with their names and help texts, in the order in which they are scraped.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};

use super::labels::{
    BlockerLabels, InstanceLabels, KindLabels, OutcomeLabels, PhaseLabels, ProxyLabels,
    ReasonLabels, RequestLabels, StateLabels, VersionLabels,
};

/// Before each name.
const PREFIX: &str = "tidegate";

/// Seconds from a publication to acknowledgements: Envoy takes milliseconds, a slow fleet seconds.
const ACK_SECONDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// Seconds of a drain: a flush of metrics at least, the longest requests and sessions at most.
const DRAIN_SECONDS: [f64; 10] = [1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

/// Seconds of a durable write.
const APPEND_SECONDS: [f64; 9] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0];

type Histograms<S> = Family<S, Histogram, fn() -> Histogram>;

pub(super) struct Families {
    pub(super) ready: Gauge,
    pub(super) generation: Gauge,
    pub(super) rollouts: Family<PhaseLabels, Gauge>,
    pub(super) rollouts_ended: Family<OutcomeLabels, Counter>,
    pub(super) blockers: Family<BlockerLabels, Gauge>,
    pub(super) weights: Family<VersionLabels, Gauge<f64, AtomicU64>>,
    pub(super) instances: Family<InstanceLabels, Gauge>,
    pub(super) instances_lost: Counter,
    pub(super) hooks_failed: Counter,
    pub(super) leases: Gauge,
    pub(super) barrier: Histogram,
    pub(super) drain: Histograms<OutcomeLabels>,
    pub(super) proxies: Family<ProxyLabels, Gauge>,
    pub(super) proxies_refusing: Gauge,
    pub(super) streams: Gauge,
    pub(super) streams_stalled: Counter,
    pub(super) encodes: Family<KindLabels, Counter>,
    pub(super) pushes: Family<KindLabels, Counter>,
    pub(super) pushed_bytes: Family<KindLabels, Counter>,
    pub(super) acks: Histograms<KindLabels>,
    pub(super) nacks: Family<KindLabels, Counter>,
    pub(super) gate_releases: Family<KindLabels, Counter>,
    pub(super) connections: Gauge,
    pub(super) connections_refused: Family<ReasonLabels, Counter>,
    pub(super) certificate_reads: Family<OutcomeLabels, Counter>,
    pub(super) secrets: Family<StateLabels, Gauge>,
    pub(super) secret_reads: Family<OutcomeLabels, Counter>,
    pub(super) denials: Counter,
    pub(super) load_reports_dropped: Counter,
    pub(super) requests_reported: Family<RequestLabels, Counter>,
    pub(super) journal_entries: Counter,
    pub(super) journal_append: Histogram,
    pub(super) journal_size: Gauge,
    pub(super) journal_uncovered: Gauge,
    pub(super) journal_not_compacted: Gauge,
}

impl Families {
    /// Units are appended to the names, and `_total` to those of counters.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let to = registry.sub_registry_with_prefix(PREFIX);
        Self {
            ready: plain(
                to,
                "ready",
                "1 while proxies are answered, else 0",
                Gauge::default(),
            ),
            generation: plain(
                to,
                "generation",
                "Number of the newest plan",
                Gauge::default(),
            ),
            rollouts: plain(
                to,
                "rollouts",
                "Rollouts by `phase`, ended ones included",
                Family::default(),
            ),
            rollouts_ended: plain(
                to,
                "rollouts_ended",
                "Rollouts that ended, by `outcome` (`done`, `rolledBack`)",
                Family::default(),
            ),
            blockers: plain(
                to,
                "blockers",
                "What rollouts and drains wait for now, by `kind`; `tidegate why` says it in words",
                Family::default(),
            ),
            weights: with_unit(
                to,
                "version_weight",
                "Share of its service's traffic that a version gets, from 0 to 1",
                Unit::Other("ratio".to_owned()),
                Family::default(),
            ),
            instances: plain(
                to,
                "instances",
                "Instances by `service`, `version` and `stage`",
                Family::default(),
            ),
            instances_lost: plain(
                to,
                "instances_lost",
                "Instances that vanished before they were drained",
                Counter::default(),
            ),
            hooks_failed: plain(
                to,
                "hooks_failed",
                "Hook calls that failed",
                Counter::default(),
            ),
            leases: plain(
                to,
                "leases",
                "Instance leases that are alive",
                Gauge::default(),
            ),
            barrier: with_unit(
                to,
                "barrier",
                "From the publication of a plan until every proxy concerned has it in force",
                Unit::Seconds,
                Histogram::new(ACK_SECONDS),
            ),
            drain: with_unit(
                to,
                "drain",
                "From the first word of DRAINING until an instance counts as drained, by `outcome` (`proven`, `unproven`)",
                Unit::Seconds,
                Family::new_with_constructor(|| Histogram::new(DRAIN_SECONDS)),
            ),
            proxies: plain(
                to,
                "proxies",
                "Proxies that hold configuration, by `state` (`connected`, `lost`)",
                Family::default(),
            ),
            proxies_refusing: plain(
                to,
                "proxies_refusing",
                "Proxies whose newest answer for some resource is a NACK",
                Gauge::default(),
            ),
            streams: plain(to, "streams", "xDS streams that are open", Gauge::default()),
            streams_stalled: plain(
                to,
                "streams_stalled",
                "Streams that were cut because their peers read nothing",
                Counter::default(),
            ),
            encodes: plain(
                to,
                "encodes",
                "Responses that were put together, by `kind` of resource: one for each content, however many streams are sent it",
                Family::default(),
            ),
            pushes: plain(
                to,
                "pushes",
                "Responses handed to streams, by `kind` of resource",
                Family::default(),
            ),
            pushed_bytes: with_unit(
                to,
                "pushed",
                "Size of the responses handed to streams, by `kind` of resource",
                Unit::Bytes,
                Family::default(),
            ),
            acks: with_unit(
                to,
                "ack",
                "From the publication of a plan to one proxy's ACK, by `kind` of resource; its count is the number of ACKs",
                Unit::Seconds,
                Family::new_with_constructor(|| Histogram::new(ACK_SECONDS)),
            ),
            nacks: plain(
                to,
                "nacks",
                "NACKs, by `kind` of resource",
                Family::default(),
            ),
            gate_releases: plain(
                to,
                "gate_releases",
                "Responses that went out although the one they had to follow was not acknowledged in time, by `kind` of resource",
                Family::default(),
            ),
            connections: plain(
                to,
                "connections",
                "Connections of proxies that are open",
                Gauge::default(),
            ),
            connections_refused: plain(
                to,
                "connections_refused",
                "Connections that came to nothing, by `reason` (`handshake`, `limit`)",
                Family::default(),
            ),
            certificate_reads: plain(
                to,
                "certificate_reads",
                "Changes of the port's certificate files, by `outcome` (`taken`, `broken`)",
                Family::default(),
            ),
            secrets: plain(
                to,
                "secrets",
                "Secrets for proxies, by `state` (`broken`, `current`, `expired`, `kept`, `missing`); `tidegate secrets` names them",
                Family::default(),
            ),
            secret_reads: plain(
                to,
                "secret_reads",
                "Changes of the files of secrets for proxies, by `outcome` (`taken`, `broken`)",
                Family::default(),
            ),
            denials: plain(
                to,
                "denials",
                "Streams and reports that were denied because the certificate may not speak for the node",
                Counter::default(),
            ),
            load_reports_dropped: plain(
                to,
                "load_reports_dropped",
                "Load reports that came faster than they could be taken in",
                Counter::default(),
            ),
            requests_reported: plain(
                to,
                "requests_reported",
                "Requests to a version that have ended, each attempt for itself, as counted by proxies that report by LRS; by `service`, `version` and `outcome` (`success`, `error`)",
                Family::default(),
            ),
            journal_entries: plain(
                to,
                "journal_entries",
                "Decisions written to the journal",
                Counter::default(),
            ),
            journal_append: with_unit(
                to,
                "journal_append",
                "Until decisions are durable",
                Unit::Seconds,
                Histogram::new(APPEND_SECONDS),
            ),
            journal_size: with_unit(
                to,
                "journal_size",
                "What the journal takes up on the disk",
                Unit::Bytes,
                Gauge::default(),
            ),
            journal_uncovered: plain(
                to,
                "journal_uncovered",
                "Entries since the newest checkpoint, which a start would read",
                Gauge::default(),
            ),
            journal_not_compacted: plain(
                to,
                "journal_not_compacted",
                "1 while no checkpoint can be made or old entries cannot be deleted",
                Gauge::default(),
            ),
        }
    }
}

fn plain<M: Metric + Clone>(to: &mut Registry, name: &str, help: &str, metric: M) -> M {
    to.register(name, help, metric.clone());
    metric
}

fn with_unit<M: Metric + Clone>(
    to: &mut Registry,
    name: &str,
    help: &str,
    unit: Unit,
    metric: M,
) -> M {
    to.register_with_unit(name, help, unit, metric.clone());
    metric
}

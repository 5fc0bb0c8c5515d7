//! How many requests each version and each endpoint has answered to a proxy since that started.
//!
//! All are cumulative, so a lost report costs nothing; deltas are passed over. Seen on Envoy 1.40.0:
//!
//! - **Of a version** there is what the proxy's clients were answered in the end: `cluster.upstream_rq`, with
//!   the code in a tag of Envoy's, `cluster.upstream_rq_completed`, and with older bootstraps
//!   `cluster.upstream_rq_xx`. They grow with the head of the answer, and agree with one another. What the proxy answers
//!   itself counts too: a refused connection, one that ends before the head, 503; a broken head 502; no head
//!   in time 504. A retried attempt does not count (it is under `retry.`), nor does a request that its client gave up
//!   before there was a head.
//! - **Cut off after its head,** an answer counts under its code, mostly 200, and no counter says that and nothing else:
//!   `upstream_cx_protocol_error` counts broken heads as well as HTTP/1 bodies that end too soon,
//!   `upstream_rq_timeout` those that are late with the head as well as with the rest. So they are read as
//!   [`Mishaps`], and what a 502, a 504 or a retry may explain is taken off later. A body that only the end of its
//!   connection ends is never cut, as far as Envoy can tell. Of an HTTP/2 stream `upstream_rq_rx_reset` tells no
//!   more, and counts answers that are whole and were reset later; it is not read. A gRPC call that
//!   is cut has a status that says so.
//! - **Of a gRPC service** there is `cluster.grpc` from the filter `grpc_stats`, with the status in the tag that the
//!   bootstrap defines, calls that never reached it included: 14 (unavailable) beside a 503.
//! - **How long answers took** is `cluster.upstream_rq_time`: to the end of answers that came whole. Those that the
//!   proxy gave itself are not in it, so not the ones that were too late for its timeout. Whole
//!   milliseconds, rounded down: what took 1.3 ms took at most 1 ms. Absent until there is one.
//! - **Of an endpoint** there are attempts: `rq_success`, which is any code but 5xx and also cut answers, and
//!   `rq_error`: 5xx, refused, reset, late. Each attempt of a retried request counts.
//! - `start_time_unix_nano` is when the process began (in microseconds, for all that its name says), the same in all
//!   reports of a process.
//! - Points that have the same name and the same tags after a conversion are summed up, so what tells them
//!   apart must be a tag.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality::Cumulative;
use opentelemetry_proto::tonic::metrics::v1::{
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, metric,
};

use super::{EndpointKey, attribute, endpoint_key, is_named, whole};
use crate::domain::{ServiceName, VersionName};
use crate::engine::{Attempts, Completed, Times};

/// The counters that are read, by name.
const COUNTERS: [(&str, What); 9] = [
    ("cluster.upstream_rq_completed", What::All),
    ("cluster.upstream_rq", What::Code),
    ("cluster.upstream_rq_xx", What::Class),
    ("cluster.grpc", What::Grpc),
    ("cluster.upstream_cx_protocol_error", What::Broken),
    ("cluster.upstream_rq_timeout", What::Late),
    ("cluster.upstream_rq_retry", What::Repeated),
    ("cluster.endpoint.rq_success", What::Ok),
    ("cluster.endpoint.rq_error", What::Failed),
];
const TIMES: &str = "cluster.upstream_rq_time";

/// The cluster's name, whole: Envoy's own tag ends at the first dot.
const CLUSTER: &str = "tidegate.cluster";
const CODE: &str = "envoy.response_code";
const CLASS: &str = "envoy.response_code_class";
const GRPC_STATUS: &str = "tidegate.grpc_status";

/// Most edges that a histogram may have.
const EDGES_MAX: usize = 400;

/// What a number counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    All,
    Code,
    Class,
    Grpc,
    Broken,
    Late,
    Repeated,
    Ok,
    Failed,
}

/// A point that may count something.
#[derive(Clone, Copy, Debug)]
pub(super) enum Point<'a> {
    Counter(What, &'a NumberDataPoint),
    Times(&'a HistogramDataPoint),
}

/// What was counted until one moment.
#[derive(Debug, Default)]
pub(super) struct Counts {
    since: Option<u64>,
    versions: BTreeMap<(ServiceName, VersionName), Version>,
    endpoints: BTreeMap<EndpointKey, (Option<u64>, Option<u64>)>,
}

#[derive(Debug, Default)]
struct Version {
    all: Option<u64>,
    codes: BTreeMap<u16, u64>,
    classes: BTreeMap<u16, u64>,
    grpc: BTreeMap<u16, u64>,
    broken: Option<u64>,
    late: Option<u64>,
    repeated: Option<u64>,
    times: Option<Times>,
}

/// The points that count.
pub(super) fn points(resource: &ResourceMetrics) -> impl Iterator<Item = Point<'_>> {
    let scopes = resource.scope_metrics.iter();
    let metrics = scopes.flat_map(|scope| &scope.metrics);
    metrics.flat_map(|metric| {
        let counters = counters_of(metric).into_iter();
        let counters = counters.flat_map(|(what, points)| {
            let points = points.iter();
            points.map(move |point| Point::Counter(what, point))
        });
        counters.chain(times_of(metric).iter().map(Point::Times))
    })
}

fn counters_of(metric: &Metric) -> Option<(What, &[NumberDataPoint])> {
    let mut known = COUNTERS.iter();
    let (_, what) = known.find(|(name, _)| is_named(metric, name))?;
    match &metric.data {
        Some(metric::Data::Sum(sum)) if sum.aggregation_temporality() == Cumulative => {
            Some((*what, &sum.data_points))
        }
        _ => None,
    }
}

fn times_of(metric: &Metric) -> &[HistogramDataPoint] {
    match &metric.data {
        Some(metric::Data::Histogram(all))
            if all.aggregation_temporality() == Cumulative && is_named(metric, TIMES) =>
        {
            &all.data_points
        }
        _ => &[],
    }
}

impl Point<'_> {
    /// When it was read, by the proxy's clock.
    pub(super) const fn read_at_ns(self) -> u64 {
        match self {
            Self::Counter(_, point) => point.time_unix_nano,
            Self::Times(point) => point.time_unix_nano,
        }
    }
}

impl Counts {
    /// Takes in a point; what is about no version is skipped.
    pub(super) fn add(&mut self, point: Point<'_>) {
        // Whatever cannot be read is left out, and so is known as not known.
        let _ = match point {
            Point::Counter(what, point) => self.count(what, point),
            Point::Times(point) => self.time(point),
        };
    }

    fn count(&mut self, what: What, point: &NumberDataPoint) -> Option<()> {
        let value = whole(point)?;
        if let What::Ok | What::Failed = what {
            let key = endpoint_key(point)?;
            let attempts = self.endpoints.entry(key).or_default();
            match what {
                What::Ok => attempts.0 = Some(value),
                _ => attempts.1 = Some(value),
            }
        } else {
            let tag = |key| attribute(&point.attributes, key)?.parse::<u16>().ok();
            let version = self.version(&point.attributes)?;
            match what {
                What::All => version.all = Some(value),
                What::Code => drop(version.codes.insert(tag(CODE)?, value)),
                What::Class => drop(version.classes.insert(tag(CLASS)?.checked_mul(100)?, value)),
                What::Grpc => drop(version.grpc.insert(tag(GRPC_STATUS)?, value)),
                What::Broken => version.broken = Some(value),
                What::Late => version.late = Some(value),
                What::Repeated => version.repeated = Some(value),
                What::Ok | What::Failed => {}
            }
        }
        self.began(point.start_time_unix_nano);
        Some(())
    }

    fn time(&mut self, point: &HistogramDataPoint) -> Option<()> {
        let bounds = &point.explicit_bounds;
        let ascend = bounds.windows(2).all(|two| two[0] < two[1]);
        let is_whole = point.bucket_counts.len() == bounds.len() + 1;
        if !ascend || !is_whole || bounds.len() > EDGES_MAX {
            return None;
        }
        let version = self.version(&point.attributes)?;
        version.times = Some(Times {
            bounds_ms: Arc::from(bounds.as_slice()),
            counts: point.bucket_counts.clone(),
        });
        self.began(point.start_time_unix_nano);
        Some(())
    }

    fn version(&mut self, tags: &[KeyValue]) -> Option<&mut Version> {
        let (service, version) = attribute(tags, CLUSTER)?.split_once('/')?;
        let key = (service.parse().ok()?, version.parse().ok()?);
        Some(self.versions.entry(key).or_default())
    }

    fn began(&mut self, at: u64) {
        if at > 0 {
            self.since = Some(at);
        }
    }

    /// All of it: which process counted, what versions answered, and what endpoints were asked.
    pub(super) fn said(self) -> (Option<u64>, Vec<Completed>, Vec<Attempts>) {
        let versions = self.versions.into_iter();
        let completed = versions.map(|((service, version), it)| it.completed(service, version));
        let endpoints = self.endpoints.into_iter();
        let attempts = endpoints.map(|(key, (ok, failed))| Attempts {
            service: key.service,
            version: key.version,
            instance: key.instance,
            address: key.address,
            ok,
            failed,
        });
        (self.since, completed.collect(), attempts.collect())
    }
}

impl Version {
    fn completed(self, service: ServiceName, version: VersionName) -> Completed {
        let by_class = self.codes.is_empty() && !self.classes.is_empty();
        let codes = if by_class { self.classes } else { self.codes };
        let mut said = Completed::nothing_of(service, version);
        (said.total, said.by_class, said.times) = (self.all, by_class, self.times);
        said.codes = codes.into_iter().collect();
        said.grpc = self.grpc.into_iter().collect();
        said.mishaps.broken = self.broken;
        said.mishaps.late = self.late;
        said.mishaps.repeated = self.repeated;
        said
    }
}

#[cfg(test)]
mod tests;

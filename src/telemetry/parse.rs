//! One export request, read: which proxy, when, and which gauges of which instances. What is counted, by
//! version and by endpoint, is read in [`counts`].
//!
//! Seen on Envoy 1.40.0 with `track_cluster_stats: {per_endpoint_stats: true}`, a flush each 0.5 s:
//!
//! - The gauges are `cluster.endpoint.rq_active`, `cluster.endpoint.rq_pending_active` and
//!   `cluster.endpoint.healthy`, as integers, zeros included, with the attributes `envoy.cluster_name`, `envoy.endpoint_address` and
//!   `envoy.endpoint_hostname` and no others. The sink's `prefix: x` makes them `x.cluster.endpoint.…`;
//!   a name given by `custom_metric_conversions` gets no prefix. Names without a conversion come as one
//!   metric per data point (20,000 metrics for 2,000 endpoints), converted ones as one metric with all
//!   its points, in an order that differs from flush to flush.
//! - `time_unix_nano` is sane (in whole microseconds; 1 ms before arrival, 140 ms with 2,000 endpoints)
//!   and the same for all points of a flush. It is taken when the reading is done, not when it begins.
//!   `start_time_unix_nano` is 0 on gauges and wrong on sums.
//! - One flush is one request, 1.8 KB per endpoint with nothing filtered out, unless
//!   `max_data_points_per_request` is set: then several, sent at once, arriving interleaved, and the
//!   two gauges of an instance may come in different ones. [`super::flush`] joins them.
//! - The resource carries `service.instance.id` only by a static resource detector; `initial_metadata`
//!   arrives as gRPC metadata.

mod counts;

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, NumberDataPoint, ResourceMetrics, metric, number_data_point,
};

use crate::domain::{InstanceId, ProxyId, ServiceName, VersionName};
use crate::engine::{Attempts, Completed};
use counts::Counts;

/// Most points in one request: three gauges and two counts for each of 20,000 endpoints.
pub(crate) const POINTS_MAX: usize = 100_000;

const GAUGES: [(&str, Gauge); 3] = [
    ("cluster.endpoint.rq_active", Gauge::Active),
    ("cluster.endpoint.rq_pending_active", Gauge::Pending),
    ("cluster.endpoint.healthy", Gauge::Healthy),
];
const CLUSTER_NAME: &str = "envoy.cluster_name";
const ENDPOINT_ADDRESS: &str = "envoy.endpoint_address";
const ENDPOINT_HOSTNAME: &str = "envoy.endpoint_hostname";
const PROXY_ID: &str = "service.instance.id";

/// The gauges and counts of one proxy that were read at one moment; perhaps only some of that flush.
#[derive(Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) proxy: ProxyId,
    /// On the proxy's clock.
    pub(crate) read_at_ns: u64,
    /// Tells the process that counts from others, if it says so.
    pub(crate) since: Option<u64>,
    pub(crate) points: Vec<Point>,
    pub(crate) completed: Vec<Completed>,
    pub(crate) attempts: Vec<Attempts>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) endpoint: EndpointKey,
    pub(crate) gauge: Gauge,
    pub(crate) value: u64,
}

/// One endpoint of one cluster, as the proxy tells them apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EndpointKey {
    pub(crate) service: ServiceName,
    pub(crate) version: VersionName,
    pub(crate) instance: InstanceId,
    pub(crate) address: String,
}

/// What a number says of an endpoint. The first two add up to "requests in progress".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gauge {
    /// Sent to the endpoint, not answered yet.
    Active,
    /// Waiting for a connection to it.
    Pending,
    /// 1 while the proxy sends it new requests.
    Healthy,
}

/// Why a request is refused as a whole.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("`{id}` cannot be a proxy's id: {reason}")]
    BadProxyId { id: String, reason: String },
    #[error(
        "the metrics do not say which proxy they are from: the resource attribute \
         `{PROXY_ID}` is missing; start the proxy from `tidegate bootstrap`"
    )]
    NoProxyId,
    #[error(
        "more than {POINTS_MAX} counts in one request; set `max_data_points_per_request` \
         of the sink"
    )]
    TooManyPoints,
}

/// The readings in a request, oldest first for each resource. `metadata_id` is the proxy's id by gRPC
/// metadata; a resource's own attribute comes before it, since a collector may forward many proxies.
///
/// What is not about an instance of a `<service>/<version>` cluster is skipped.
pub(crate) fn readings(
    request: &ExportMetricsServiceRequest,
    metadata_id: Option<&str>,
) -> Result<Vec<Reading>, Refusal> {
    let mut readings = Vec::new();
    let mut budget = POINTS_MAX;
    for resource in &request.resource_metrics {
        let proxy = proxy_id(resource, metadata_id)?;
        let mut by_time = BTreeMap::<u64, (Vec<Point>, Counts)>::new();
        for (gauge, point) in gauge_points(resource) {
            budget = budget.checked_sub(1).ok_or(Refusal::TooManyPoints)?;
            if let Some(read) = read_point(gauge, point) {
                let at = by_time.entry(point.time_unix_nano).or_default();
                at.0.push(read);
            }
        }
        for point in counts::points(resource) {
            budget = budget.checked_sub(1).ok_or(Refusal::TooManyPoints)?;
            if point.read_at_ns() > 0 {
                let at = by_time.entry(point.read_at_ns()).or_default();
                at.1.add(point);
            }
        }
        for (read_at_ns, (points, counts)) in by_time {
            let (since, completed, attempts) = counts.said();
            readings.push(Reading {
                proxy: proxy.clone(),
                read_at_ns,
                since,
                points,
                completed,
                attempts,
            });
        }
    }
    Ok(readings)
}

fn proxy_id(resource: &ResourceMetrics, metadata_id: Option<&str>) -> Result<ProxyId, Refusal> {
    let attributes = resource
        .resource
        .as_ref()
        .map_or(&[][..], |resource| &resource.attributes);
    let id = attribute(attributes, PROXY_ID)
        .or(metadata_id)
        .ok_or(Refusal::NoProxyId)?;
    id.parse::<ProxyId>().map_err(|error| Refusal::BadProxyId {
        id: id.to_owned(),
        reason: error.to_string(),
    })
}

fn gauge_points(resource: &ResourceMetrics) -> impl Iterator<Item = (Gauge, &NumberDataPoint)> {
    resource
        .scope_metrics
        .iter()
        .flat_map(|scope| &scope.metrics)
        .flat_map(|metric| {
            let points = match (gauge_of(metric), &metric.data) {
                (Some(gauge), Some(metric::Data::Gauge(data))) => Some((gauge, &data.data_points)),
                _ => None,
            };
            points
                .into_iter()
                .flat_map(|(gauge, points)| points.iter().map(move |point| (gauge, point)))
        })
}

/// The metric by that name, perhaps behind a prefix.
fn is_named(metric: &Metric, name: &str) -> bool {
    let prefix = metric.name.strip_suffix(name);
    prefix.is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('.'))
}

fn gauge_of(metric: &Metric) -> Option<Gauge> {
    GAUGES
        .iter()
        .find_map(|(name, gauge)| is_named(metric, name).then_some(*gauge))
}

fn read_point(gauge: Gauge, point: &NumberDataPoint) -> Option<Point> {
    let endpoint = endpoint_key(point)?;
    (point.time_unix_nano > 0).then_some(Point {
        endpoint,
        gauge,
        value: whole(point)?,
    })
}

/// The endpoint that a point is about, if that is an instance.
fn endpoint_key(point: &NumberDataPoint) -> Option<EndpointKey> {
    let (service, version) = attribute(&point.attributes, CLUSTER_NAME)?.split_once('/')?;
    Some(EndpointKey {
        service: service.parse().ok()?,
        version: version.parse().ok()?,
        instance: attribute(&point.attributes, ENDPOINT_HOSTNAME)?
            .parse()
            .ok()?,
        address: attribute(&point.attributes, ENDPOINT_ADDRESS)
            .unwrap_or_default()
            .to_owned(),
    })
}

/// Envoy sends integers; what lies between may make doubles of them. Below zero is no count.
fn whole(point: &NumberDataPoint) -> Option<u64> {
    match point.value? {
        number_data_point::Value::AsInt(value) => u64::try_from(value).ok(),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "in range"
        )]
        number_data_point::Value::AsDouble(value) => {
            (0.0..=1e15).contains(&value).then(|| value.ceil() as u64)
        }
    }
}

fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let value = attributes
        .iter()
        .find(|attribute| attribute.key == key)?
        .value
        .as_ref()?;
    match value.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use opentelemetry_proto::tonic::common::v1::AnyValue;
    use opentelemetry_proto::tonic::metrics::v1::{Gauge as GaugeData, ScopeMetrics};
    use opentelemetry_proto::tonic::resource::v1::Resource;

    use super::*;

    pub(crate) const ACTIVE: &str = "cluster.endpoint.rq_active";
    pub(crate) const PENDING: &str = "cluster.endpoint.rq_pending_active";

    fn text(key: &str, value: &str) -> KeyValue {
        let value = Some(any_value::Value::StringValue(value.to_owned()));
        KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value }),
            ..KeyValue::default()
        }
    }

    pub(crate) fn gauge(name: &str, at: u64, cluster: &str, host: &str, value: i64) -> Metric {
        let point = NumberDataPoint {
            attributes: vec![
                text(CLUSTER_NAME, cluster),
                text(ENDPOINT_ADDRESS, "127.0.0.1:9000"),
                text(ENDPOINT_HOSTNAME, host),
            ],
            time_unix_nano: at,
            value: Some(number_data_point::Value::AsInt(value)),
            ..NumberDataPoint::default()
        };
        Metric {
            name: name.to_owned(),
            data: Some(metric::Data::Gauge(GaugeData {
                data_points: vec![point],
            })),
            ..Metric::default()
        }
    }

    pub(crate) fn resource(id: Option<&str>, metrics: Vec<Metric>) -> ResourceMetrics {
        let attributes = id.map(|id| text(PROXY_ID, id)).into_iter().collect();
        ResourceMetrics {
            resource: Some(Resource {
                attributes,
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }
    }

    pub(crate) fn request(resources: Vec<ResourceMetrics>) -> ExportMetricsServiceRequest {
        ExportMetricsServiceRequest {
            resource_metrics: resources,
        }
    }

    /// `proxy@time service/version/instance gauge=value …` for each reading.
    fn show(readings: &[Reading]) -> Vec<String> {
        let point = |point: &Point| {
            let EndpointKey {
                service,
                version,
                instance,
                ..
            } = &point.endpoint;
            format!(
                " {service}/{version}/{instance} {:?}={}",
                point.gauge, point.value
            )
        };
        readings
            .iter()
            .map(|reading| {
                let points: String = reading.points.iter().map(point).collect();
                format!("{}@{}{points}", reading.proxy, reading.read_at_ns)
            })
            .collect()
    }

    #[test]
    fn what_is_no_gauge_of_an_instance_is_skipped() {
        for (metric, want) in [
            (
                gauge(ACTIVE, 5, "cart/v1", "i-1", 2),
                Some("e@5 cart/v1/i-1 Active=2"),
            ),
            (
                gauge(PENDING, 5, "cart/v1", "i-1", 0),
                Some("e@5 cart/v1/i-1 Pending=0"),
            ),
            (
                gauge("edge.cluster.endpoint.rq_active", 5, "cart/v1", "i-1", 2),
                Some("e@5 cart/v1/i-1 Active=2"),
            ),
            (
                gauge("supercluster.endpoint.rq_active", 5, "cart/v1", "i-1", 2),
                None,
            ),
            (
                gauge("cluster.endpoint.cx_active", 5, "cart/v1", "i-1", 2),
                None,
            ),
            (
                gauge("cluster.upstream_rq_active", 5, "cart/v1", "i-1", 2),
                None,
            ),
            (gauge(ACTIVE, 5, "tidegate", "i-1", 2), None),
            (gauge(ACTIVE, 5, "a/b/c", "i-1", 2), None),
            (gauge(ACTIVE, 5, "cart/v1", "", 2), None),
            (gauge(ACTIVE, 5, "cart/v1", "i-1", -1), None),
            (gauge(ACTIVE, 0, "cart/v1", "i-1", 2), None),
        ] {
            let name = format!("{metric:?}");
            let got = readings(&request(vec![resource(Some("e"), vec![metric])]), None).unwrap();
            assert_eq!(show(&got), Vec::from_iter(want), "{name}");
        }
    }

    #[test]
    fn readings_are_told_apart_by_proxy_and_time() {
        let got = readings(
            &request(vec![
                resource(
                    Some("edge-1"),
                    vec![
                        gauge(ACTIVE, 6, "cart/v1", "i-1", 1),
                        gauge(ACTIVE, 5, "cart/v1", "i-1", 2),
                        gauge(PENDING, 6, "cart/v1", "i-1", 3),
                    ],
                ),
                resource(None, vec![gauge(ACTIVE, 5, "cart/v1", "i-1", 4)]),
            ]),
            Some("edge-2"),
        );
        assert_eq!(
            show(&got.unwrap()),
            [
                "edge-1@5 cart/v1/i-1 Active=2",
                "edge-1@6 cart/v1/i-1 Active=1 cart/v1/i-1 Pending=3",
                "edge-2@5 cart/v1/i-1 Active=4",
            ]
        );
    }

    #[test]
    fn a_proxy_without_a_name_is_refused_with_a_hint() {
        let nameless = request(vec![resource(None, vec![])]);
        let refusal = readings(&nameless, None).unwrap_err();
        assert_eq!(refusal, Refusal::NoProxyId);
        assert!(
            refusal
                .to_string()
                .ends_with("start the proxy from `tidegate bootstrap`")
        );
        let refusal = readings(&nameless, Some("a b")).unwrap_err();
        assert!(matches!(refusal, Refusal::BadProxyId { .. }), "{refusal}");
    }

    #[test]
    fn a_double_is_rounded_up_to_a_count() {
        for (value, want) in [
            (0.0, Some(0)),
            (0.2, Some(1)),
            (-1.0, None),
            (f64::NAN, None),
        ] {
            let value = Some(number_data_point::Value::AsDouble(value));
            assert_eq!(
                whole(&NumberDataPoint {
                    value,
                    ..NumberDataPoint::default()
                }),
                want
            );
        }
    }

    #[test]
    fn too_many_gauges_are_refused() {
        let one = gauge(ACTIVE, 5, "cart/v1", "i-1", 1);
        let many = request(vec![resource(Some("e"), vec![one; POINTS_MAX + 1])]);
        assert_eq!(readings(&many, None).unwrap_err(), Refusal::TooManyPoints);
    }
}

//! How many requests each version has answered to a proxy since that started.
//!
//! Seen on Envoy 1.40.0: `cluster.upstream_rq_completed` is a monotonic sum with the whole name of the
//! cluster in the tag that the bootstrap defines. It is cumulative, so a lost report costs nothing;
//! deltas are passed over.

use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality::Cumulative;
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, ResourceMetrics, metric};

use super::{attribute, is_named, whole};
use crate::engine::Completed;

const COMPLETED: &str = "cluster.upstream_rq_completed";
/// The cluster's name, whole: Envoy's own tag ends at the first dot.
const CLUSTER: &str = "tidegate.cluster";

/// The points that count.
pub(super) fn points(resource: &ResourceMetrics) -> impl Iterator<Item = &NumberDataPoint> {
    let scopes = resource.scope_metrics.iter();
    let metrics = scopes.flat_map(|scope| &scope.metrics);
    let counts = metrics.filter(|metric| is_named(metric, COMPLETED));
    counts.flat_map(|metric| match &metric.data {
        Some(metric::Data::Sum(sum)) if sum.aggregation_temporality() == Cumulative => {
            sum.data_points.as_slice()
        }
        _ => &[],
    })
}

/// What a point counts, if that is a version.
pub(super) fn read(point: &NumberDataPoint) -> Option<Completed> {
    let (service, version) = attribute(&point.attributes, CLUSTER)?.split_once('/')?;
    (point.time_unix_nano > 0).then_some(Completed {
        total: Some(whole(point)?),
        ..Completed::nothing_of(service.parse().ok()?, version.parse().ok()?)
    })
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::metrics::v1::{
        AggregationTemporality, Metric, Sum, number_data_point,
    };

    use super::super::tests::{ACTIVE, gauge, request, resource};
    use super::super::{Reading, readings};
    use super::*;

    fn count(name: &str, at: u64, cluster: &str, value: i64, of: AggregationTemporality) -> Metric {
        let tag = any_value::Value::StringValue(cluster.to_owned());
        let point = NumberDataPoint {
            attributes: vec![KeyValue {
                key: CLUSTER.to_owned(),
                value: Some(AnyValue { value: Some(tag) }),
                ..KeyValue::default()
            }],
            time_unix_nano: at,
            value: Some(number_data_point::Value::AsInt(value)),
            ..NumberDataPoint::default()
        };
        let sum = Sum {
            data_points: vec![point],
            aggregation_temporality: of.into(),
            is_monotonic: true,
        };
        Metric {
            name: name.to_owned(),
            data: Some(metric::Data::Sum(sum)),
            ..Metric::default()
        }
    }

    /// `time service/version=total …` for each reading.
    fn show(readings: &[Reading]) -> Vec<String> {
        let line = |reading: &Reading| {
            let counts = reading.completed.iter();
            let counts =
                counts.map(|it| format!(" {}/{}={}", it.service, it.version, it.total.unwrap()));
            format!("{}{}", reading.read_at_ns, counts.collect::<String>())
        };
        readings.iter().map(line).collect()
    }

    #[test]
    fn totals_of_versions_are_read_with_the_gauges_of_the_same_flush() {
        let delta = AggregationTemporality::Delta;
        let metrics = vec![
            gauge(ACTIVE, 5, "cart/v1", "i-1", 2),
            count(COMPLETED, 5, "cart/1.2", 40, Cumulative),
            count(
                &format!("edge.{COMPLETED}"),
                5,
                "cart@live/v2",
                0,
                Cumulative,
            ),
            count(COMPLETED, 6, "cart/1.2", 41, Cumulative),
            count(COMPLETED, 5, "cart/v3", 7, delta),
            count(COMPLETED, 5, "tidegate", 7, Cumulative),
            count("cluster.upstream_rq_xx", 5, "cart/v1", 7, Cumulative),
            count(COMPLETED, 0, "cart/v1", 7, Cumulative),
            count(COMPLETED, 5, "cart/v1", -1, Cumulative),
        ];
        let got = readings(&request(vec![resource(Some("edge-1"), metrics)]), None);
        let got = got.unwrap();
        assert_eq!(
            show(&got),
            ["5 cart/1.2=40 cart@live/v2=0", "6 cart/1.2=41"]
        );
        assert_eq!(got[0].points.len(), 1);
    }
}

//! What is read of counters, as a table.

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality::{self, Delta};
use opentelemetry_proto::tonic::metrics::v1::{Histogram, Sum, number_data_point};

use super::super::tests::{ACTIVE, gauge, request, resource};
use super::super::{CLUSTER_NAME, ENDPOINT_ADDRESS, ENDPOINT_HOSTNAME, Reading, readings};
use super::*;

const COMPLETED: &str = "cluster.upstream_rq_completed";

fn tag(key: &str, value: &str) -> KeyValue {
    let value = Some(any_value::Value::StringValue(value.to_owned()));
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value }),
        ..KeyValue::default()
    }
}

fn sum(name: &str, at: u64, tags: &[(&str, &str)], value: i64) -> Metric {
    sum_of(name, at, tags, value, Cumulative)
}

fn sum_of(
    name: &str,
    at: u64,
    tags: &[(&str, &str)],
    value: i64,
    of: AggregationTemporality,
) -> Metric {
    let point = NumberDataPoint {
        attributes: tags.iter().map(|(key, value)| tag(key, value)).collect(),
        start_time_unix_nano: 77,
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

fn times(cluster: &str, bounds: &[f64], counts: &[u64]) -> Metric {
    let point = HistogramDataPoint {
        attributes: vec![tag(CLUSTER, cluster)],
        time_unix_nano: 5,
        explicit_bounds: bounds.to_vec(),
        bucket_counts: counts.to_vec(),
        ..HistogramDataPoint::default()
    };
    let histogram = Histogram {
        data_points: vec![point],
        aggregation_temporality: Cumulative.into(),
    };
    Metric {
        name: TIMES.to_owned(),
        data: Some(metric::Data::Histogram(histogram)),
        ..Metric::default()
    }
}

fn read(metrics: Vec<Metric>) -> Vec<Reading> {
    readings(&request(vec![resource(Some("edge-1"), metrics)]), None).unwrap()
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
    let cluster = |name: &'static str| [(CLUSTER, name)];
    let metrics = vec![
        gauge(ACTIVE, 5, "cart/v1", "i-1", 2),
        sum(COMPLETED, 5, &cluster("cart/1.2"), 40),
        sum(&format!("edge.{COMPLETED}"), 5, &cluster("cart@live/v2"), 0),
        sum(COMPLETED, 6, &cluster("cart/1.2"), 41),
        sum_of(COMPLETED, 5, &cluster("cart/v3"), 7, Delta),
        sum(COMPLETED, 5, &cluster("tidegate"), 7),
        sum("cluster.upstream_rq_total", 5, &cluster("cart/v1"), 7),
        sum(COMPLETED, 0, &cluster("cart/v1"), 7),
        sum(COMPLETED, 5, &cluster("cart/v1"), -1),
    ];
    let got = read(metrics);
    assert_eq!(
        show(&got),
        ["5 cart/1.2=40 cart@live/v2=0", "6 cart/1.2=41"]
    );
    assert_eq!(got[0].points.len(), 1);
    assert_eq!(got[0].since, Some(77));
}

#[test]
fn everything_that_is_counted_of_a_version_comes_together() {
    let version = (CLUSTER, "cart/v1");
    let got = read(vec![
        sum("cluster.upstream_rq", 5, &[version, (CODE, "503")], 3),
        sum("cluster.upstream_rq", 5, &[version, (CODE, "200")], 9),
        sum("cluster.upstream_rq", 5, &[version, (CODE, "2xx")], 9),
        sum("cluster.upstream_rq_xx", 5, &[version, (CLASS, "5")], 3),
        sum("cluster.grpc", 5, &[version, (GRPC_STATUS, "14")], 2),
        sum("cluster.grpc", 5, &[version], 2),
        sum("cluster.upstream_cx_protocol_error", 5, &[version], 4),
        sum("cluster.upstream_rq_timeout", 5, &[version], 5),
        sum("cluster.upstream_rq_retry", 5, &[version], 6),
        times("cart/v1", &[1.0, 2.5], &[7, 0, 1]),
    ]);
    let said = &got[0].completed[0];
    assert_eq!(
        (&*said.codes, said.by_class),
        (&[(200, 9), (503, 3)][..], false)
    );
    assert_eq!(said.grpc, [(14, 2)]);
    let mishaps = said.mishaps;
    assert_eq!(
        (mishaps.broken, mishaps.late, mishaps.repeated),
        (Some(4), Some(5), Some(6))
    );
    let times = said.times.as_ref().unwrap();
    assert_eq!(
        (&*times.bounds_ms, &*times.counts),
        (&[1.0, 2.5][..], &[7, 0, 1][..])
    );
}

#[test]
fn where_codes_are_not_told_classes_stand_for_them() {
    let tags = [(CLUSTER, "cart/v1"), (CLASS, "5")];
    let got = read(vec![sum("cluster.upstream_rq_xx", 5, &tags, 3)]);
    let said = &got[0].completed[0];
    assert_eq!((&*said.codes, said.by_class), (&[(500, 3)][..], true));
}

#[test]
fn a_histogram_that_does_not_fit_its_edges_is_passed_over() {
    for (bounds, counts) in [
        (&[1.0, 2.0][..], &[1, 1][..]),
        (&[2.0, 1.0], &[1, 1, 1]),
        (&[1.0, f64::NAN], &[1, 1, 1]),
        (&[1.0; EDGES_MAX + 1], &[1; EDGES_MAX + 2]),
    ] {
        let got = read(vec![times("cart/v1", bounds, counts)]);
        let told = got.iter().flat_map(|it| &it.completed);
        assert_eq!(told.count(), 0, "{bounds:?}");
    }
}

#[test]
fn attempts_are_told_by_endpoint() {
    let endpoint = [
        (CLUSTER_NAME, "cart/v1"),
        (ENDPOINT_ADDRESS, "127.0.0.1:9000"),
        (ENDPOINT_HOSTNAME, "i-1"),
    ];
    let got = read(vec![
        sum("cluster.endpoint.rq_success", 5, &endpoint, 9),
        sum("cluster.endpoint.rq_error", 5, &endpoint, 1),
        sum("cluster.endpoint.rq_success", 6, &endpoint, 10),
    ]);
    let attempts = got.iter().flat_map(|it| &it.attempts);
    let attempts: Vec<_> = attempts
        .map(|it| (it.instance.as_str(), &*it.address, it.ok, it.failed))
        .collect();
    assert_eq!(
        attempts,
        [
            ("i-1", "127.0.0.1:9000", Some(9), Some(1)),
            ("i-1", "127.0.0.1:9000", Some(10), None)
        ]
    );
}

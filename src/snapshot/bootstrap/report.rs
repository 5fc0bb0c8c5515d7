//! What an Envoy reports to Tidegate, and how: OpenTelemetry metrics, pushed over gRPC, or load reports.
//!
//! Everything that is not kept here is dropped, counts per endpoint included: all of them would be
//! ten times as many bytes. A kept metric has the name that Envoy gives it once tags are taken out.

use super::quoted;
use crate::domain::Span;

/// The metrics that are reported, with a pattern of the full names of their stats. Only clusters
/// that are named after a version, with a `/`, count.
const KEPT: [(&str, &str); 15] = [
    (
        "cluster.endpoint.rq_active",
        r"cluster\.[^/]+/.+\.endpoint\..+\.rq_active",
    ),
    (
        "cluster.endpoint.rq_pending_active",
        r"cluster\.[^/]+/.+\.endpoint\..+\.rq_pending_active",
    ),
    (
        "cluster.endpoint.cx_active",
        r"cluster\.[^/]+/.+\.endpoint\..+\.cx_active",
    ),
    (
        "cluster.endpoint.healthy",
        r"cluster\.[^/]+/.+\.endpoint\..+\.healthy",
    ),
    (
        "cluster.endpoint.rq_success",
        r"cluster\.[^/]+/.+\.endpoint\..+\.rq_success",
    ),
    (
        "cluster.endpoint.rq_error",
        r"cluster\.[^/]+/.+\.endpoint\..+\.rq_error",
    ),
    (
        "cluster.upstream_rq",
        r"cluster\.[^/]+/.+\.upstream_rq_[1-5][0-9][0-9]",
    ),
    (
        "cluster.upstream_rq_completed",
        r"cluster\.[^/]+/.+\.upstream_rq_completed",
    ),
    (
        "cluster.upstream_rq_time",
        r"cluster\.[^/]+/.+\.upstream_rq_time",
    ),
    (
        "cluster.upstream_cx_protocol_error",
        r"cluster\.[^/]+/.+\.upstream_cx_protocol_error",
    ),
    (
        "cluster.upstream_rq_timeout",
        r"cluster\.[^/]+/.+\.upstream_rq_timeout",
    ),
    (
        "cluster.upstream_rq_retry",
        r"cluster\.[^/]+/.+\.upstream_rq_retry",
    ),
    ("cluster.grpc", r"cluster\.[^/]+/.+\.grpc\.[0-9]+"),
    (
        "cluster.membership_healthy",
        r"cluster\.[^/]+/.+\.membership_healthy",
    ),
    (
        "control_plane.connected_state",
        r"control_plane\.connected_state",
    ),
];

/// Copies of the stats of a cluster for parts of its traffic, and attempts that were repeated; kept, they
/// would be counted with the rest, for a conversion sums up what has the same name and tags.
const COPIES: &str =
    r"cluster\..+\.(canary|external|internal|retry|zone\..+)\.upstream_rq_[a-z0-9_]+";

/// The name of a cluster that is named after a version, whole. Envoy's own tag ends at the first dot,
/// so the versions `1.2` and `1.3` would be counted as one. Counts per endpoint are not affected.
const CLUSTER_TAG: &str = r"^cluster\.(([^/]+/.+?)\.)(?:(?:(?:canary|external|internal|retry|zone\..+)\.)?(?:upstream_rq|upstream_cx|membership)_[a-z0-9_]+|grpc\.[0-9]+)$";

/// The status of gRPC calls, which Envoy has in the name alone.
const GRPC_TAG: &str = r"^cluster\.[^/]+/.+?\.grpc(\.([0-9]+))$";

/// Edges of time in which answers are counted, in milliseconds: 13 in ten times the time, so that a
/// threshold is off by 12 % at most. Envoy counts whole milliseconds, and tells two digits apart.
const EDGES_MS: [f64; 13] = [
    1.0, 1.2, 1.5, 1.7, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0,
];

/// The last edge: what takes longer took too long.
const EDGE_MS_MAX: f64 = 60_000.0;

/// All edges in milliseconds, with those that are asked for.
fn edges(wanted: &[Span]) -> Vec<f64> {
    let decades = [1.0, 10.0, 100.0, 1_000.0, 10_000.0];
    let grid = decades
        .iter()
        .flat_map(|decade| EDGES_MS.map(|edge| edge * decade));
    let grid = grid.filter(|edge| edge.fract() == 0.0 && *edge <= EDGE_MS_MAX);
    let wanted = wanted
        .iter()
        .map(|edge| edge.duration().as_secs_f64() * 1e3);
    // What took less than a millisecond was counted as none.
    let mut all: Vec<f64> = std::iter::once(0.5).chain(grid).chain(wanted).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

/// The part of a bootstrap that sets reporting by LRS up.
pub(super) const BY_LRS: &str = "
# How Tidegate learns that an instance is idle: load reports, as often as it asks for them. They exclude
# statistics per endpoint, and with them the OTLP sink that other bootstraps have.
cluster_manager:
  load_stats_config:
    api_type: GRPC
    transport_api_version: V3
    grpc_services: [{ envoy_grpc: { cluster_name: tidegate } }]
";

/// The part of a bootstrap that sets reporting by metrics up.
pub(super) fn by_otlp(node_id: &str, flush_interval: Span, latency_edges: &[Span]) -> String {
    let flush = flush_interval.duration();
    let mut yaml = format!(
        "
# How Tidegate learns that an instance is idle: requests in progress per endpoint, pushed over OTLP.
stats_flush_interval: {}.{:03}s
stats_config:
  stats_tags:
    # Envoy's own tag for the cluster ends at the first dot of its name.
    - {{ tag_name: tidegate.cluster, regex: '{CLUSTER_TAG}' }}
    - {{ tag_name: tidegate.grpc_status, regex: '{GRPC_TAG}' }}
  # How long answers took is compared at these edges, in milliseconds.
  histogram_bucket_settings:
    - match: {{ suffix: upstream_rq_time }}
      buckets: {:?}
stats_sinks:
  - name: envoy.stat_sinks.open_telemetry
    typed_config:
      \"@type\": type.googleapis.com/envoy.extensions.stat_sinks.open_telemetry.v3.SinkConfig
      # Counters and histograms are cumulative, which is the default: a lost report loses nothing.
      grpc_service: {{ envoy_grpc: {{ cluster_name: tidegate }} }}
      # Whose report it is. This must be the node's id.
      resource_detectors:
        - name: envoy.tracers.opentelemetry.resource_detectors.static_config
          typed_config:
            \"@type\": type.googleapis.com/envoy.extensions.tracers.opentelemetry.resource_detectors.v3.StaticConfigResourceDetectorConfig
            attributes: {{ service.instance.id: {} }}
      # What is reported; the first pattern that matches decides.
      custom_metric_conversions:
        matcher_list:
          matchers:
",
        flush.as_secs(),
        flush.subsec_millis(),
        edges(latency_edges),
        quoted(node_id)
    );
    yaml.push_str(&matcher(COPIES, "drop", "DropAction", ""));
    for (name, pattern) in KEPT {
        let metric = format!("                    metric_name: {name}\n");
        yaml.push_str(&matcher(pattern, "keep", "ConversionAction", &metric));
    }
    yaml.push_str(
        "        on_no_match:
          action:
            name: drop
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.stat_sinks.open_telemetry.v3.SinkConfig.DropAction
",
    );
    yaml
}

fn matcher(pattern: &str, name: &str, action: &str, settings: &str) -> String {
    format!(
        "            - predicate:
                single_predicate:
                  input:
                    name: name
                    typed_config:
                      \"@type\": type.googleapis.com/envoy.extensions.matching.common_inputs.stats.v3.StatFullNameMatchInput
                  value_match:
                    safe_regex: {{ google_re2: {{}}, regex: '{pattern}' }}
              on_match:
                action:
                  name: {name}
                  typed_config:
                    \"@type\": type.googleapis.com/envoy.extensions.stat_sinks.open_telemetry.v3.SinkConfig.{action}
{settings}"
    )
}

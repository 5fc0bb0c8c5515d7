//! The cluster of one version: `<service>/<version>`, with endpoints by EDS, or with the one host that
//! it resolves (see [`host`]).
//!
//! A cluster is made in three layers. First what Tidegate owns, because drains and their proof rest
//! on it; then the user's overlay; then a default for each setting that is still open, so that an
//! overlay replaces a default and never stands beside it. Nothing here changes during a rollout.

use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use envoy_types::pb::envoy::config::cluster::v3::cluster::common_lb_config::LocalityConfigSpecifier;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, CommonLbConfig, DiscoveryType, EdsClusterConfig, LbConfig, LbPolicy,
    LeastRequestLbConfig, RoundRobinLbConfig, SlowStartConfig,
};
use envoy_types::pb::envoy::config::cluster::v3::{CircuitBreakers, Cluster, TrackClusterStats};
use envoy_types::pb::envoy::config::core::v3::health_check::{
    GrpcHealthCheck, HealthChecker, HttpHealthCheck, TcpHealthCheck,
};
use envoy_types::pb::envoy::config::core::v3::{
    HealthCheck, HealthStatus, HealthStatusSet, Http1ProtocolOptions, Http2ProtocolOptions,
    RoutingPriority,
};
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions,
};
use envoy_types::pb::envoy::r#type::v3::{CodecClientType, Percent};
use envoy_types::util::pack_any;

use super::overlay::{self, Layers, OverlayError};
use super::proto::{ads, duration, number};
use crate::domain::{
    Client, OverlayPart, Probe, Protocol, ServiceName, ServicePlan, Span, VersionName, VersionPlan,
};

mod host;

/// Time to connect to an instance.
const CONNECT_TIMEOUT: Span = Span::secs(1);

/// How long a changed cluster waits for its assignment, which is always sent right behind it; this
/// is the belt to those braces. Envoy's default of 15 s would hold back every other cluster's ACK.
const EDS_PATIENCE: Span = Span::secs(2);

/// Retries in progress per cluster. Envoy's default of 3 turns a retry policy into more errors.
const RETRIES_MAX: u32 = 1024;

/// Connections, pending requests and requests per cluster. Envoy's default of 1024 each would refuse
/// requests of a busy service in the middle of a rollout; an overlay sets a real limit.
pub(super) const LOAD_MAX: u32 = 100_000;

/// Spreads the checks of many proxies, which would else all come at the same moment.
const HEALTH_JITTER_PERCENT: u32 = 20;

/// A name in `Cluster.typed_extension_protocol_options`.
pub(super) const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// The name of a version's cluster and of its assignment.
pub(super) fn cluster_name(service: &ServiceName, version: &VersionName) -> String {
    format!("{service}/{version}")
}

/// The clusters of one service for a kind of Envoy, encoded, in the order of its versions.
pub(super) fn clusters(
    service: &ServicePlan,
    client: Client,
) -> Result<Vec<(String, Vec<u8>)>, OverlayError> {
    let settings = service.overlay.as_ref();
    let settings = settings.and_then(|overlay| overlay.part(OverlayPart::Cluster));
    let layers = Layers::parse(OverlayPart::Cluster, settings)?;
    let encode = |version: &VersionPlan| {
        let mut cluster = owned(service, version, client);
        layers.merge_into(&mut cluster)?;
        fill(&mut cluster, service, version);
        let encoded = overlay::encode(&cluster, &[&layers])?;
        Ok((cluster.name, encoded))
    };
    service.versions.iter().map(encode).collect()
}

/// Has the service's overlay its clusters weigh localities, or balance in a way that may?
pub(super) fn weighs_localities(service: &ServicePlan) -> Result<bool, OverlayError> {
    let settings = service.overlay.as_ref();
    let settings = settings.and_then(|overlay| overlay.part(OverlayPart::Cluster));
    let mut cluster = Cluster::default();
    Layers::parse(OverlayPart::Cluster, settings)?.merge_into(&mut cluster)?;
    let balancing = cluster.common_lb_config.unwrap_or_default();
    Ok(cluster.load_balancing_policy.is_some()
        || matches!(
            balancing.locality_config_specifier,
            Some(LocalityConfigSpecifier::LocalityWeightedLbConfig(_))
        ))
}

/// What Tidegate owns (an overlay that names one of these is refused, see `overlay::owned`), and the
/// plain fields whose default an overlay may override.
fn owned(service: &ServicePlan, version: &VersionPlan, client: Client) -> Cluster {
    let per_endpoint_stats = TrackClusterStats {
        per_endpoint_stats: true,
        ..TrackClusterStats::default()
    };
    let mut cluster = Cluster {
        name: cluster_name(&service.name, &version.name),
        // Else an instance that still passes its check stays in rotation after its removal.
        ignore_health_on_host_removal: true,
        common_lb_config: Some(CommonLbConfig {
            // In a panic Envoy sends new requests to draining instances.
            healthy_panic_threshold: Some(Percent { value: 0.0 }),
            // Else a new instance is used up to a second after every sign says that it is ready.
            update_merge_window: Some(duration(Span::ZERO)),
            ..CommonLbConfig::default()
        }),
        // The counts of requests in progress: the proof of drain. An Envoy that has LRS in its
        // bootstrap refuses a cluster with these, and counts by that.
        track_cluster_stats: (client == Client::Envoy).then_some(per_endpoint_stats),
        ..Cluster::default()
    };
    match &version.host {
        Some(named) => host::resolve(&mut cluster, named),
        None => from_assignment(&mut cluster),
    }
    cluster.set_lb_policy(LbPolicy::LeastRequest);
    if let Some(options) = http_options(service.protocol) {
        let options = (HTTP_OPTIONS.to_owned(), pack_any(options));
        cluster.typed_extension_protocol_options.extend([options]);
    }
    cluster
}

fn from_assignment(cluster: &mut Cluster) {
    cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into()));
    cluster.eds_cluster_config = Some(EdsClusterConfig {
        eds_config: Some(ads(Some(EDS_PATIENCE))),
        service_name: String::new(),
    });
}

fn http_options(protocol: Protocol) -> Option<HttpProtocolOptions> {
    let config = match protocol {
        Protocol::Http1 => ProtocolConfig::HttpProtocolOptions(Http1ProtocolOptions::default()),
        Protocol::Http2 | Protocol::Grpc => {
            ProtocolConfig::Http2ProtocolOptions(Http2ProtocolOptions::default())
        }
        Protocol::Tcp => return None,
    };
    Some(HttpProtocolOptions {
        upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(
            ExplicitHttpConfig {
                protocol_config: Some(config),
            },
        )),
        ..HttpProtocolOptions::default()
    })
}

/// A default for each setting that the overlay left open. Before the merge is too early: protobuf
/// merges 250 ms into 1 s as 1.25 s, and a list into a list as both.
fn fill(cluster: &mut Cluster, service: &ServicePlan, version: &VersionPlan) {
    cluster
        .connect_timeout
        .get_or_insert_with(|| duration(CONNECT_TIMEOUT));
    if cluster.health_checks.is_empty() {
        cluster.health_checks.push(health_check(service, version));
    }
    if let Some(named) = version.host.as_ref().filter(|named| named.host.tls()) {
        let secured = || host::secured(&named.host, service);
        cluster.transport_socket.get_or_insert_with(secured);
    }
    // A session that is pinned to a draining instance may finish there.
    let balancing = cluster.common_lb_config.get_or_insert_default();
    balancing
        .override_host_status
        .get_or_insert_with(|| HealthStatusSet {
            statuses: [
                HealthStatus::Unknown,
                HealthStatus::Healthy,
                HealthStatus::Degraded,
                HealthStatus::Draining,
            ]
            .map(Into::into)
            .to_vec(),
        });
    fill_limits(cluster.circuit_breakers.get_or_insert_default());
    if !service.warm_up.is_zero() && cluster.load_balancing_policy.is_none() {
        fill_slow_start(cluster, service.warm_up);
    }
}

fn fill_limits(breakers: &mut CircuitBreakers) {
    let thresholds = &mut breakers.thresholds;
    let normal = RoutingPriority::Default;
    let index = thresholds
        .iter()
        .position(|t| t.priority() == normal)
        .unwrap_or_else(|| {
            thresholds.push(Thresholds::default());
            thresholds.len() - 1
        });
    let limits = &mut thresholds[index];
    limits.max_connections.get_or_insert(number(LOAD_MAX));
    limits.max_pending_requests.get_or_insert(number(LOAD_MAX));
    limits.max_requests.get_or_insert(number(LOAD_MAX));
    if limits.retry_budget.is_none() {
        limits.max_retries.get_or_insert(number(RETRIES_MAX));
    }
}

/// Puts the warm-up where the effective policy, ours or the overlay's, reads it; hashing policies
/// have none.
fn fill_slow_start(cluster: &mut Cluster, warm_up: Span) {
    let slow = SlowStartConfig {
        slow_start_window: Some(duration(warm_up)),
        ..SlowStartConfig::default()
    };
    match (cluster.lb_policy(), &mut cluster.lb_config) {
        (LbPolicy::LeastRequest, Some(LbConfig::LeastRequestLbConfig(config))) => {
            config.slow_start_config.get_or_insert(slow);
        }
        (LbPolicy::RoundRobin, Some(LbConfig::RoundRobinLbConfig(config))) => {
            config.slow_start_config.get_or_insert(slow);
        }
        (LbPolicy::LeastRequest, open @ None) => {
            *open = Some(LbConfig::LeastRequestLbConfig(LeastRequestLbConfig {
                slow_start_config: Some(slow),
                ..LeastRequestLbConfig::default()
            }));
        }
        (LbPolicy::RoundRobin, open @ None) => {
            *open = Some(LbConfig::RoundRobinLbConfig(RoundRobinLbConfig {
                slow_start_config: Some(slow),
            }));
        }
        _ => {}
    }
}

/// The check that each Envoy runs by itself. Envoy holds a new host back until its first check, and
/// one good answer is enough then; so there is no initial jitter, and no slower pace without traffic:
/// a version at weight 0 has none, and must be known to be ready before its weight comes.
fn health_check(service: &ServicePlan, version: &VersionPlan) -> HealthCheck {
    let health = &service.health;
    let interval = Some(duration(health.interval));
    HealthCheck {
        timeout: Some(duration(health.timeout)),
        interval,
        no_traffic_interval: interval,
        interval_jitter_percent: HEALTH_JITTER_PERCENT,
        healthy_threshold: Some(number(health.healthy_after)),
        unhealthy_threshold: Some(number(health.unhealthy_after)),
        health_checker: Some(checker(service, version)),
        ..HealthCheck::default()
    }
}

/// The host is the version's own, else the service's name: Envoy's default is the cluster's, whose `/`
/// many servers refuse.
fn checker(service: &ServicePlan, version: &VersionPlan) -> HealthChecker {
    let named = version.host.as_ref().map(|named| named.host.authority());
    let asked_as = named.unwrap_or_else(|| service.name.pool().to_string());
    match &service.health.probe {
        Probe::Grpc { service: asked } => HealthChecker::GrpcHealthCheck(GrpcHealthCheck {
            service_name: asked.clone(),
            authority: asked_as,
            ..GrpcHealthCheck::default()
        }),
        Probe::Http { path } => HealthChecker::HttpHealthCheck(HttpHealthCheck {
            host: asked_as,
            path: path.clone(),
            codec_client_type: match service.protocol {
                Protocol::Http1 | Protocol::Tcp => CodecClientType::Http1,
                Protocol::Http2 | Protocol::Grpc => CodecClientType::Http2,
            }
            .into(),
            ..HttpHealthCheck::default()
        }),
        Probe::Tcp => HealthChecker::TcpHealthCheck(TcpHealthCheck::default()),
    }
}

#[cfg(test)]
mod tests;

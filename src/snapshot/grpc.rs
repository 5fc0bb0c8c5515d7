//! What gRPC clients are told, which find a service's instances without a proxy: `xds:///<service>`.
//!
//! They know a part of what Envoy knows, and refuse or ignore the rest. They ask for an API listener
//! by the service's name and for everything else by names found there. Versions share the traffic by
//! the same weights as in an Envoy. Three things differ, as measured on grpcio and grpc-js:
//!
//! - They have no panic mode and take no weights of endpoints, but those of localities at all times;
//!   so these count what takes new requests alone, and a locality without any is left out.
//! - They refuse an assignment in which an address stands twice.
//! - They know only the clusters that a route gives a weight to: C-core leaves out one with a weight of
//!   0, and would connect to a new version when its weight has come, and report nothing of an old one
//!   while it drains. So a second route, which no call ever comes to, names every routed version.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, EdsClusterConfig, LbPolicy,
};
use envoy_types::pb::envoy::config::cluster::v3::{CircuitBreakers, Cluster};
use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::{ConfigSource, HealthStatus, SelfConfigSource};
use envoy_types::pb::envoy::config::endpoint::v3::{ClusterLoadAssignment, LocalityLbEndpoints};
use envoy_types::pb::envoy::config::listener::v3::{ApiListener, Listener};
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::util::pack_any;

use super::assignment::one_by_address;
use super::cluster::{LOAD_MAX, cluster_name};
use super::listener::http_manager;
use super::proto::{ads, number};
use super::route::{ANY_HOST, configuration, to_clusters, virtual_host, weights};
use crate::domain::{EndpointState, ServiceName, ServicePlan, VersionName, VersionPlan};

/// The listener that `xds:///<service>` asks for. It only says which routes to ask for.
pub(super) fn listener(service: &ServiceName) -> Listener {
    Listener {
        name: service.to_string(),
        api_listener: Some(ApiListener {
            api_listener: Some(pack_any(http_manager(service.as_str()))),
        }),
        ..Listener::default()
    }
}

/// The routes of a service, under its name; none while no version is ready, as a direct response is
/// refused. Calls fail at once then, with UNAVAILABLE.
pub(super) fn routes(service: &ServicePlan) -> RouteConfiguration {
    let by_weight = weights(service);
    let mut of_all = by_weight.clone();
    for version in &mut of_all {
        version.weight = Some(number(1));
    }
    let routes = if by_weight.is_empty() {
        Vec::new()
    } else {
        // Every path begins so, and the first that matches wins.
        vec![to_clusters("/", by_weight), to_clusters("/", of_all)]
    };
    configuration(
        service.name.to_string(),
        vec![virtual_host(vec![ANY_HOST.to_owned()], routes)],
    )
}

/// The cluster of one version. A service's overlay is in Envoy's words, and not for them.
pub(super) fn cluster(service: &ServiceName, version: &VersionName) -> Cluster {
    let mut cluster = Cluster {
        name: cluster_name(service, version),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
        eds_cluster_config: Some(EdsClusterConfig {
            eds_config: Some(ads(None)),
            service_name: String::new(),
        }),
        // Their default of 1024 calls in progress would refuse those of a busy client.
        circuit_breakers: Some(CircuitBreakers {
            thresholds: vec![Thresholds {
                max_requests: Some(number(LOAD_MAX)),
                ..Thresholds::default()
            }],
            ..CircuitBreakers::default()
        }),
        // Loads are reported where all of this comes from.
        lrs_server: Some(ConfigSource {
            config_source_specifier: Some(
                ConfigSourceSpecifier::Self_(SelfConfigSource::default()),
            ),
            ..ConfigSource::default()
        }),
        ..Cluster::default()
    };
    // C-core refuses LEAST_REQUEST.
    cluster.set_lb_policy(LbPolicy::RoundRobin);
    cluster
}

/// Are they told the same as Envoys of a version's endpoints?
pub(super) fn shares_assignment(version: &VersionPlan) -> bool {
    let mut seen = BTreeSet::new();
    let mut endpoints = version.endpoints.iter();
    endpoints.all(|it| it.state == EndpointState::Healthy && seen.insert(it.address))
}

/// The endpoints of one version, where [`shares_assignment`] says no.
pub(super) fn assignment(service: &ServiceName, version: &VersionPlan) -> ClusterLoadAssignment {
    let endpoints = one_by_address(&version.endpoints).into_iter();
    let version = VersionPlan {
        endpoints: endpoints.cloned().collect(),
        ..version.clone()
    };
    let mut assignment = super::assignment::assignment(service, &version);
    assignment.endpoints.retain_mut(|place| {
        let weight = takes(place);
        place.load_balancing_weight = Some(number(weight));
        weight > 0
    });
    assignment
}

/// What a locality's endpoints that take new requests carry together.
fn takes(place: &LocalityLbEndpoints) -> u32 {
    let healthy = place.lb_endpoints.iter();
    healthy
        .filter(|endpoint| endpoint.health_status() == HealthStatus::Healthy)
        .filter_map(|endpoint| endpoint.load_balancing_weight)
        .fold(0, |sum, weight| sum.saturating_add(weight.value))
}

#[cfg(test)]
mod tests;

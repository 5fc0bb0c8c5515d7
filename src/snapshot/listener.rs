//! Listeners. An HTTP listener only says which routes to ask for; it stays still while they change.
//!
//! A TCP listener has no routes to ask for, so the weights of its service's versions stand in the
//! listener itself: rolling a TCP service changes that listener, and each change is for new
//! connections only.
//!
//! Users' settings are merged like a cluster's, before the defaults: those of the gateway, and over
//! them those of the listener. Their filters stand before the router, or before the one filter that
//! takes the connections.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::listener::v3::{
    Filter, FilterChain, Listener as EnvoyListener, filter,
};
use envoy_types::pb::envoy::extensions::filters::http::grpc_stats::v3::FilterConfig as GrpcStats;
use envoy_types::pb::envoy::extensions::filters::http::grpc_stats::v3::filter_config::PerMethodStatSpecifier;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    RouteSpecifier, UpgradeConfig,
};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, Rds, RequestIdExtension, http_filter,
};
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::{
    ClusterSpecifier, WeightedCluster,
};
use envoy_types::pb::envoy::extensions::request_id::uuid::v3::UuidRequestIdConfig;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use prost::Name;

use super::cluster::cluster_name;
use super::overlay::{self, Layers, OverlayError};
use super::proto::{address, ads, truth};
use crate::domain::{Gateway, Listener, OverlayPart, Protocol, ServiceName, ServicePlan};

/// Each listener of a gateway with its name, which is also the name of its routes:
/// `<gateway>/<port>`, and `<gateway>/<port>.1` and so on for further ones on the same port (at
/// another address, or where 0 lets the host choose). Names follow ports and not positions, so that
/// a listener put in front of others does not restart them.
pub(super) fn named(gateway: &Gateway) -> impl Iterator<Item = (String, &Listener)> {
    let mut seen: BTreeMap<u16, u32> = BTreeMap::new();
    gateway.listeners.iter().map(move |listener| {
        let before = seen.entry(listener.port).or_default();
        let suffix = if *before == 0 {
            String::new()
        } else {
            format!(".{before}")
        };
        *before += 1;
        (
            format!("{}/{}{suffix}", gateway.name, listener.port),
            listener,
        )
    })
}

/// A listener whose requests follow the routes of its name, encoded. It counts how gRPC calls ended if one
/// of the services behind it speaks that.
pub(super) fn http<'a>(
    name: &str,
    gateway: &Gateway,
    listener: &Listener,
    find: impl Fn(&ServiceName) -> Option<&'a ServicePlan>,
) -> Result<Vec<u8>, OverlayError> {
    let settings = layers(OverlayPart::HttpConnectionManager, gateway, listener)?;
    let mut manager = HttpConnectionManager {
        use_remote_address: Some(truth(true)),
        ..http_manager(name)
    };
    settings.merge_into(&mut manager)?;
    if !settings.name("upgrade_configs") {
        manager.upgrade_configs.push(UpgradeConfig {
            upgrade_type: "websocket".to_owned(),
            ..UpgradeConfig::default()
        });
    }
    let mut services = listener.routes.iter().map(|route| &route.service);
    let speaks_grpc = |service| find(service).is_some_and(|it| it.protocol == Protocol::Grpc);
    if services.any(speaks_grpc) && !manager.http_filters.iter().any(is::<GrpcStats>) {
        manager.http_filters.push(grpc_stats());
    }
    if manager.tracing.is_some() && manager.request_id_extension.is_none() {
        manager.request_id_extension = Some(ids_that_stay());
    }
    put_router_last(&mut manager.http_filters);
    let filter = "envoy.filters.network.http_connection_manager";
    finish(
        name,
        gateway,
        listener,
        filter,
        pack_any(manager),
        &settings,
    )
}

/// What every HTTP listener has in it: its requests follow the routes of its name.
pub(super) fn http_manager(name: &str) -> HttpConnectionManager {
    HttpConnectionManager {
        stat_prefix: name.to_owned(),
        route_specifier: Some(RouteSpecifier::Rds(Rds {
            config_source: Some(ads(None)),
            route_config_name: name.to_owned(),
        })),
        http_filters: vec![HttpFilter {
            name: "envoy.filters.http.router".to_owned(),
            config_type: Some(http_filter::ConfigType::TypedConfig(pack_any(
                Router::default(),
            ))),
            ..HttpFilter::default()
        }],
        ..HttpConnectionManager::default()
    }
}

/// The router is the last filter, and there is one: the user's, if one is among theirs.
fn put_router_last(filters: &mut Vec<HttpFilter>) {
    let last = filters.iter().rev().find(|filter| is::<Router>(filter));
    let last = last.cloned();
    filters.retain(|filter| !is::<Router>(filter));
    filters.extend(last);
}

/// Counts the calls of each cluster by their status, all methods together: most failed calls have the HTTP
/// code 200. It stands next to the router, so what users' filters answer is not held against a version.
fn grpc_stats() -> HttpFilter {
    let config = GrpcStats {
        per_method_stat_specifier: Some(PerMethodStatSpecifier::StatsForAllMethods(truth(false))),
        ..GrpcStats::default()
    };
    HttpFilter {
        name: "envoy.filters.http.grpc_stats".to_owned(),
        config_type: Some(http_filter::ConfigType::TypedConfig(pack_any(config))),
        ..HttpFilter::default()
    }
}

/// Ids of requests in which no word on tracing is packed. Else the id that a session is dealt by is another one than its
/// cookie gets. Whether a service keeps sessions makes no difference, for a listener stays still when that changes.
fn ids_that_stay() -> RequestIdExtension {
    let config = UuidRequestIdConfig {
        pack_trace_reason: Some(truth(false)),
        ..UuidRequestIdConfig::default()
    };
    RequestIdExtension {
        typed_config: Some(pack_any(config)),
    }
}

/// Is it that kind of filter?
fn is<T: Name>(filter: &HttpFilter) -> bool {
    match &filter.config_type {
        Some(http_filter::ConfigType::TypedConfig(any)) => any.type_url == T::type_url(),
        _ => false,
    }
}

/// A listener whose connections go to the versions of one TCP service, encoded.
pub(super) fn tcp(
    name: &str,
    gateway: &Gateway,
    listener: &Listener,
    service: &ServicePlan,
) -> Result<Vec<u8>, OverlayError> {
    let settings = layers(OverlayPart::TcpProxy, gateway, listener)?;
    let mut proxy = TcpProxy {
        stat_prefix: name.to_owned(),
        cluster_specifier: Some(tcp_clusters(service)),
        ..TcpProxy::default()
    };
    settings.merge_into(&mut proxy)?;
    let filter = "envoy.filters.network.tcp_proxy";
    finish(name, gateway, listener, filter, pack_any(proxy), &settings)
}

/// Envoy refuses a weight of 0 here, unlike in routes, so such versions are left out. With no
/// version at all the cluster is one that never exists, and Envoy closes each new connection:
/// taking the listener away would cut those that are open.
fn tcp_clusters(service: &ServicePlan) -> ClusterSpecifier {
    let clusters: Vec<_> = service
        .routed()
        .filter(|version| version.weight.get() > 0)
        .map(|version| ClusterWeight {
            name: cluster_name(&service.name, &version.name),
            weight: u32::from(version.weight.get()),
            ..ClusterWeight::default()
        })
        .collect();
    if clusters.is_empty() {
        return ClusterSpecifier::Cluster(service.name.to_string());
    }
    ClusterSpecifier::WeightedClusters(WeightedCluster { clusters })
}

/// Is this the listener of a TCP service? The lint has made sure that it then has no other one.
pub(super) fn tcp_service<'a>(
    listener: &Listener,
    mut find: impl FnMut(&ServiceName) -> Option<&'a ServicePlan>,
) -> Option<&'a ServicePlan> {
    let service = find(&listener.routes.first()?.service)?;
    (service.protocol == Protocol::Tcp).then_some(service)
}

/// The listener and its filter chain around the filter that takes the connections.
fn finish(
    name: &str,
    gateway: &Gateway,
    listener: &Listener,
    filter: &str,
    config: Any,
    merged: &Layers,
) -> Result<Vec<u8>, OverlayError> {
    let of_chain = layers(OverlayPart::FilterChain, gateway, listener)?;
    let mut chain = FilterChain::default();
    of_chain.merge_into(&mut chain)?;
    chain.filters.push(Filter {
        name: filter.to_owned(),
        config_type: Some(filter::ConfigType::TypedConfig(config)),
    });

    let of_listener = layers(OverlayPart::Listener, gateway, listener)?;
    let mut envoy = EnvoyListener {
        name: name.to_owned(),
        address: Some(address(listener.address.clone(), listener.port)),
        ..EnvoyListener::default()
    };
    of_listener.merge_into(&mut envoy)?;
    envoy.filter_chains.push(chain);
    overlay::encode(&envoy, &[merged, &of_chain, &of_listener])
}

/// The settings of one part: the gateway's, then the listener's.
fn layers(
    part: OverlayPart,
    gateway: &Gateway,
    listener: &Listener,
) -> Result<Layers, OverlayError> {
    let overlays = [&gateway.overlay, &listener.overlay].into_iter().flatten();
    Layers::parse(part, overlays.filter_map(|overlay| overlay.part(part)))
}

#[cfg(test)]
mod tests;

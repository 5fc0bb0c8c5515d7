use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use prost::Message;

use super::super::samples;
use super::*;
use crate::domain::Weight;

fn config<M: Message + Default>(listener: &EnvoyListener) -> M {
    let Some(filter::ConfigType::TypedConfig(any)) =
        &listener.filter_chains[0].filters[0].config_type
    else {
        panic!("{listener:?}")
    };
    M::decode(any.value.as_slice()).unwrap()
}

#[test]
fn names_follow_ports_and_are_unique() {
    let mut gateway = samples::plan().gateways.remove(0);
    let first = gateway.listeners[0].clone();
    let on = |address: &str, port| Listener {
        address: address.into(),
        port,
        ..first.clone()
    };
    gateway.listeners = vec![on("a", 0), on("a", 80), on("b", 80), on("a", 0), on("a", 0)];
    let names: Vec<_> = named(&gateway).map(|(name, _)| name).collect();
    assert_eq!(
        names,
        ["mesh/0", "mesh/80", "mesh/80.1", "mesh/0.1", "mesh/0.2"]
    );
}

#[test]
fn an_http_listener_asks_for_its_routes_and_says_nothing_of_versions() {
    let gateway = samples::plan().gateways.remove(0);
    let listener = http("mesh/10000", &gateway, &gateway.listeners[0], |_| None);
    let listener = EnvoyListener::decode(listener.unwrap().as_slice()).unwrap();
    let manager: HttpConnectionManager = config(&listener);
    let Some(RouteSpecifier::Rds(rds)) = manager.route_specifier else {
        panic!("{manager:?}")
    };
    assert_eq!(rds.route_config_name, "mesh/10000");
    let source = rds.config_source.unwrap().config_source_specifier;
    assert!(
        matches!(source, Some(ConfigSourceSpecifier::Ads(_))),
        "{source:?}"
    );
}

#[test]
fn a_tcp_listener_carries_the_weights_but_no_zero() {
    let mut plan = samples::plan();
    let gateway = plan.gateways.remove(0);
    let cart = &mut plan.services[0];
    let specifier = |cart: &ServicePlan| {
        let listener = tcp("mesh/1", &gateway, &gateway.listeners[0], cart).unwrap();
        let listener = EnvoyListener::decode(listener.as_slice()).unwrap();
        config::<TcpProxy>(&listener).cluster_specifier.unwrap()
    };
    let weighted = |all: &[(&str, u32)]| {
        let clusters = all.iter().map(|(name, weight)| ClusterWeight {
            name: (*name).to_owned(),
            weight: *weight,
            ..ClusterWeight::default()
        });
        ClusterSpecifier::WeightedClusters(WeightedCluster {
            clusters: clusters.collect(),
        })
    };
    assert_eq!(
        specifier(cart),
        weighted(&[("cart/v1", 7500), ("cart/v2", 2500)])
    );
    cart.versions[0].weight = Weight::NONE;
    cart.versions[1].weight = Weight::ALL;
    assert_eq!(specifier(cart), weighted(&[("cart/v2", 10_000)]));
    cart.versions.clear();
    assert_eq!(specifier(cart), ClusterSpecifier::Cluster("cart".into()));
}

#[test]
fn a_listener_is_tcp_when_its_service_is() {
    let mut plan = samples::plan();
    let listener = plan.gateways[0].listeners[0].clone();
    assert!(tcp_service(&listener, |name| plan.service(name)).is_none());
    plan.services[0].protocol = Protocol::Tcp;
    assert!(tcp_service(&listener, |name| plan.service(name)).is_some());
}

fn with_overlays(gateway_json: &str, listener_json: &str) -> HttpConnectionManager {
    before_service(Protocol::Http1, gateway_json, listener_json)
}

fn before_service(
    protocol: Protocol,
    gateway_json: &str,
    listener_json: &str,
) -> HttpConnectionManager {
    let mut plan = samples::plan();
    plan.services[0].protocol = protocol;
    let mut gateway = plan.gateways.remove(0);
    let of = |json| samples::overlay(OverlayPart::HttpConnectionManager, json);
    gateway.overlay = Some(of(gateway_json));
    gateway.listeners[0].overlay = Some(of(listener_json));
    let find = |name: &ServiceName| plan.service(name);
    let listener = http("mesh/1", &gateway, &gateway.listeners[0], find).unwrap();
    config(&EnvoyListener::decode(listener.as_slice()).unwrap())
}

fn filter(name: &str, config: &str) -> String {
    let package = "type.googleapis.com/envoy.extensions.filters.http";
    format!(r#"{{"name": "{name}", "typed_config": {{"@type": "{package}.{config}}}}}"#)
}

#[test]
fn users_filters_stand_before_the_router_the_gateways_first() {
    let cors = |name| filter(name, r#"cors.v3.Cors""#);
    let router = filter(
        "mine",
        r#"router.v3.Router", "suppress_envoy_headers": true"#,
    );
    let names = |gateway: &str, listener: &str| {
        let list = |filters: &str| format!(r#"{{"http_filters": [{filters}]}}"#);
        let manager = with_overlays(&list(gateway), &list(listener));
        let names = manager.http_filters.into_iter().map(|filter| filter.name);
        names.collect::<Vec<_>>()
    };
    let generated = "envoy.filters.http.router";
    assert_eq!(names("", ""), [generated]);
    assert_eq!(names(&cors("a"), &cors("b")), ["a", "b", generated]);
    let own = format!("{}, {router}", cors("a"));
    assert_eq!(names(&own, &cors("b")), ["a", "b", "mine"]);
}

#[test]
fn calls_are_counted_by_status_next_to_the_router_where_a_service_speaks_grpc() {
    let cors = filter("cors", r#"cors.v3.Cors""#);
    let own = filter("own", r#"grpc_stats.v3.FilterConfig""#);
    let router = "envoy.filters.http.router";
    for (protocol, own, want) in [
        (Protocol::Http2, &cors, &["cors", router][..]),
        (
            Protocol::Grpc,
            &cors,
            &["cors", "envoy.filters.http.grpc_stats", router],
        ),
        (Protocol::Grpc, &own, &["own", router]),
    ] {
        let filters = format!(r#"{{"http_filters": [{own}]}}"#);
        let manager = before_service(protocol, &filters, "{}");
        let names = manager.http_filters.iter().map(|filter| &*filter.name);
        assert_eq!(names.collect::<Vec<_>>(), want, "{protocol:?} {own}");
    }
}

#[test]
fn a_default_is_replaced_also_by_nothing() {
    let manager = with_overlays("{}", "{}");
    assert_eq!(manager.upgrade_configs[0].upgrade_type, "websocket");
    assert_eq!(manager.use_remote_address, Some(truth(true)));
    let manager = with_overlays(
        r#"{"upgradeConfigs": []}"#,
        r#"{"use_remote_address": false}"#,
    );
    assert_eq!(manager.upgrade_configs, []);
    assert_eq!(manager.use_remote_address, Some(truth(false)));
    assert!(manager.route_specifier.is_some());
}

#[test]
fn a_tcp_listener_has_a_chain_and_settings_too() {
    let mut plan = samples::plan();
    let mut gateway = plan.gateways.remove(0);
    let rbac = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC";
    let chain = format!(
        r#"{{"filters": [{{"name": "rbac", "typed_config": {{"@type": "{rbac}", "stat_prefix": "x"}}}}],
            "transport_socket_connect_timeout": "3s"}}"#
    );
    gateway.overlay = Some(crate::domain::Overlay(
        [
            (OverlayPart::FilterChain, chain),
            (OverlayPart::Listener, r#"{"tcp_backlog_size": 7}"#.into()),
            (OverlayPart::TcpProxy, r#"{"idle_timeout": "1s"}"#.into()),
        ]
        .into(),
    ));
    let encoded = tcp("mesh/1", &gateway, &gateway.listeners[0], &plan.services[0]).unwrap();
    let listener = EnvoyListener::decode(encoded.as_slice()).unwrap();
    assert_eq!(listener.tcp_backlog_size.unwrap().value, 7);
    let chain = &listener.filter_chains[0];
    let names: Vec<_> = chain.filters.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["rbac", "envoy.filters.network.tcp_proxy"]);
    assert!(chain.transport_socket_connect_timeout.is_some());
    let Some(filter::ConfigType::TypedConfig(any)) = &chain.filters[1].config_type else {
        panic!("{chain:?}")
    };
    let proxy = TcpProxy::decode(any.value.as_slice()).unwrap();
    assert_eq!(proxy.idle_timeout.unwrap().seconds, 1);
    assert!(proxy.cluster_specifier.is_some());
}

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
    let listener = http("mesh/10000", &gateway.listeners[0]);
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
        config::<TcpProxy>(&tcp("mesh/1", &gateway.listeners[0], cart))
            .cluster_specifier
            .unwrap()
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

use envoy_types::pb::envoy::config::core::v3::address::Address;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{ClusterLoadAssignment, LbEndpoint};
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryResponse;

use super::super::{assignment as whole_assignment, samples};
use super::*;
use crate::domain::EndpointState;

fn cart() -> ServiceName {
    "cart".parse().unwrap()
}

fn decoded<M: Message + Default>(resource: &Resource) -> M {
    let response = DeltaDiscoveryResponse::decode(resource.delta_field.clone()).unwrap();
    let content = response.resources[0].resource.clone().unwrap();
    M::decode(content.value.as_slice()).unwrap()
}

fn names(members: &[Arc<Member>]) -> Vec<String> {
    let names = members.iter().map(|it| it.resource.name.to_string());
    names
        .map(|name| name.strip_prefix(COLLECTIONS).unwrap().to_owned())
        .collect()
}

#[test]
fn endpoints_say_the_same_as_in_an_assignment() {
    let mut version = samples::version("v1", 3);
    version.endpoints[1].state = EndpointState::Draining;
    version.endpoints[2].capacity = 5;
    let members = members(&cart(), &version, &[]);
    let one_by_one = members.iter().map(|it| decoded(&it.resource));
    let one_by_one: Vec<LbEndpoint> = one_by_one.collect();
    let together = whole_assignment::assignment(&cart(), &version);
    assert_eq!(one_by_one, together.endpoints[0].lb_endpoints);
}

/// An Envoy that is told anything else one by one is gone.
#[test]
fn every_endpoint_has_an_ip_address_and_a_port() {
    let mut version = samples::version("v1", 5);
    let addresses = [
        "127.0.0.1:1",
        "[::1]:2",
        "[fe80::1%7]:3",
        "[::ffff:1.2.3.4]:4",
        "0.0.0.0:65535",
    ];
    for (endpoint, address) in version.endpoints.iter_mut().zip(addresses) {
        endpoint.address = address.parse().unwrap();
    }
    for member in members(&cart(), &version, &[]) {
        let told: LbEndpoint = decoded(&member.resource);
        let Some(HostIdentifier::Endpoint(host)) = told.host_identifier else {
            panic!("{told:?}")
        };
        let Some(Address::SocketAddress(socket)) = host.address.unwrap().address else {
            panic!("{member:?}")
        };
        socket.address.parse::<std::net::IpAddr>().unwrap();
        let port = u32::from(member.endpoint.address.port());
        assert_eq!(socket.port_specifier, Some(PortSpecifier::PortValue(port)));
        assert!(told.load_balancing_weight.unwrap().value > 0);
    }
}

#[test]
fn names_hold_nothing_that_a_proxy_would_rewrite() {
    let mut version = samples::version("v1", 3);
    version.name = "v1+b".parse().unwrap();
    version.endpoints[0].id = "127.0.0.1:80".parse().unwrap();
    version.endpoints[1].locality.zone = "a/b".into();
    version.endpoints[2].locality.region = String::new();
    let names = names(&members(&cart(), &version, &[]));
    assert_eq!(
        names,
        [
            "/cart/_0aa2506d3d0acd00/r/a/127.0.0.1:80",
            "/cart/_0aa2506d3d0acd00/r/_0da3cfa5f8b7fae9/v1-1",
            "/cart/_0aa2506d3d0acd00/_af1349b9f5f9a1a6/a/v1-2",
        ]
    );
}

#[test]
fn the_assignment_refers_to_all_that_its_endpoints_are_in_and_changes_with_nothing_else() {
    let mut version = samples::version("v1", 3);
    version.endpoints[2].locality.zone = "b".into();
    let whole = |version: &VersionPlan| {
        let whole = whole_assignment::assignment(&cart(), version);
        let name = whole.cluster_name.clone();
        encode::resource(ResourceKind::Endpoint, &name, whole.encode_to_vec())
    };
    let refer = |version: &VersionPlan| {
        let members = members(&cart(), version, &[]);
        assignment(&cart(), version, &members, &whole(version))
    };
    let before = refer(&version);
    let reference = before.reference.as_ref().unwrap();
    let collections: Vec<_> = ["a", "b"]
        .map(|zone| Arc::from(format!("{COLLECTIONS}/cart/v1/r/{zone}/*")))
        .into();
    assert_eq!(reference.collections, collections);
    assert_eq!(reference.whole, whole(&version));

    let told: ClusterLoadAssignment = decoded(&before);
    assert_eq!(told.cluster_name, "cart/v1");
    for (place, name) in told.endpoints.iter().zip(&collections) {
        let Some(LbConfig::LedsClusterLocalityConfig(leds)) = &place.lb_config else {
            panic!("{place:?}")
        };
        assert_eq!(leds.leds_collection_name, **name);
        let patience = leds.leds_config.as_ref().unwrap().initial_fetch_timeout;
        assert_eq!(patience.unwrap().seconds, 0, "endless");
        assert!(place.lb_endpoints.is_empty());
    }

    version.endpoints[0].state = EndpointState::Draining;
    version.endpoints[1].capacity = 7;
    let mut more = version.endpoints[0].clone();
    more.id = "v1-9".parse().unwrap();
    more.address.set_port(1);
    version.endpoints.push(more);
    let after = refer(&version);
    assert_eq!(after.version, before.version);
    assert!(!after.is_same(&before), "it stands for something else");

    version.endpoints.remove(2);
    assert_ne!(refer(&version).version, before.version, "zone b is gone");
}

#[test]
fn an_address_comes_once_and_is_that_of_whom_takes_requests() {
    let mut version = samples::version("v1", 3);
    version.endpoints[0].state = EndpointState::Draining;
    version.endpoints[1].address = version.endpoints[0].address;
    let names = names(&members(&cart(), &version, &[]));
    assert_eq!(names, ["/cart/v1/r/a/v1-1", "/cart/v1/r/a/v1-2"]);
}

#[test]
fn what_did_not_change_is_not_encoded_again() {
    let mut version = samples::version("v1", 5);
    let before = members(&cart(), &version, &[]);
    version.endpoints[1].state = EndpointState::Draining;
    version.endpoints.remove(3);
    let after = members(&cart(), &version, &before);
    let kept = |it: &&Arc<Member>| before.iter().any(|old| Arc::ptr_eq(old, it));
    let kept: Vec<_> = after.iter().filter(kept).cloned().collect();
    let names_kept = ["v1-0", "v1-2", "v1-4"].map(|id| format!("/cart/v1/r/a/{id}"));
    assert_eq!((names(&kept), after.len()), (names_kept.into(), 4));
}

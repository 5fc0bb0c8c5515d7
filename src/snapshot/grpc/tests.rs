use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;

use super::super::samples;
use super::*;

/// Each place by its zone, with its weight and the addresses and states of its endpoints.
fn places(assignment: &ClusterLoadAssignment) -> Vec<(String, u32, usize)> {
    let place = |place: &LocalityLbEndpoints| {
        let zone = place.locality.as_ref().unwrap().zone.clone();
        let weight = place.load_balancing_weight.unwrap().value;
        (zone, weight, place.lb_endpoints.len())
    };
    assignment.endpoints.iter().map(place).collect()
}

#[test]
fn the_first_route_splits_and_the_second_names_every_version() {
    let mut cart = samples::plan().services.remove(0);
    samples::set_weights(&mut cart, &[1, 0]);
    let mut gone = samples::version("v0", 0);
    gone.routed = false;
    cart.versions.insert(0, gone);
    let got = routes(&cart);
    let routes = &got.virtual_hosts[0].routes;
    let shares: Vec<Vec<(String, u32)>> = routes
        .iter()
        .map(|route| {
            let Some(Action::Route(action)) = &route.action else {
                panic!("{route:?}")
            };
            let Some(ClusterSpecifier::WeightedClusters(of)) = &action.cluster_specifier else {
                panic!("{action:?}")
            };
            let share =
                |c: &envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight| {
                    (c.name.clone(), c.weight.unwrap().value)
                };
            of.clusters.iter().map(share).collect()
        })
        .collect();
    let all = |v1, v2| vec![("cart/v1".to_owned(), v1), ("cart/v2".to_owned(), v2)];
    assert_eq!(shares, [all(10_000, 0), all(1, 1)]);
    assert_eq!(
        (got.name.as_str(), got.virtual_hosts[0].domains[0].as_str()),
        ("cart", "*")
    );
}

#[test]
fn a_service_without_versions_has_no_route() {
    let got = routes(&samples::service("cart"));
    assert!(got.virtual_hosts[0].routes.is_empty(), "{got:?}");
}

#[test]
fn localities_weigh_what_takes_new_requests() {
    let cart = samples::service("cart").name;
    let mut version = samples::version("v1", 4);
    assert!(shares_assignment(&version));
    version.endpoints[0].state = EndpointState::Draining;
    version.endpoints[0].capacity = 7;
    version.endpoints[1].capacity = 3;
    version.endpoints[3].locality.zone = "b".into();
    version.endpoints[3].state = EndpointState::Draining;
    assert!(!shares_assignment(&version));
    assert_eq!(
        places(&assignment(&cart, &version)),
        [("a".to_owned(), 4, 3)]
    );
}

#[test]
fn an_address_stands_once_and_takes_requests_if_one_of_its_instances_does() {
    let cart = samples::service("cart").name;
    let mut version = samples::version("v1", 2);
    version.endpoints[1].address = version.endpoints[0].address;
    assert!(!shares_assignment(&version));
    version.endpoints[0].state = EndpointState::Draining;
    for _ in 0..2 {
        assert_eq!(
            places(&assignment(&cart, &version)),
            [("a".to_owned(), 1, 1)]
        );
        version.endpoints.reverse();
    }
}

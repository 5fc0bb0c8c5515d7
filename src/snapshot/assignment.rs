//! The endpoints of one version: a `ClusterLoadAssignment`, empty when there are none.
//!
//! An endpoint is HEALTHY or DRAINING here, or absent; Envoy refuses a weight of 0 and loses track
//! of in-progress requests on anything else. Its hostname is the instance's id, which is how
//! Envoy's own per-endpoint counts find their way back to the instance.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use envoy_types::pb::envoy::config::core::v3::{HealthStatus, Locality as EnvoyLocality};
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint as EnvoyEndpoint, LbEndpoint, LocalityLbEndpoints,
};

use super::cluster::cluster_name;
use super::proto::{address, number};
use crate::domain::{Endpoint, EndpointState, Locality, ServiceName, VersionPlan};

/// The assignment of one version's cluster.
pub(super) fn assignment(service: &ServiceName, version: &VersionPlan) -> ClusterLoadAssignment {
    let mut localities: BTreeMap<&Locality, Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in &version.endpoints {
        localities
            .entry(&endpoint.locality)
            .or_default()
            .push(endpoint);
    }
    let localities = localities.into_iter();
    let localities = localities.map(|(place, all)| locality(place, all));
    of_localities(service, version, localities.collect())
}

/// The assignment of one version's cluster, with these localities.
pub(super) fn of_localities(
    service: &ServiceName,
    version: &VersionPlan,
    localities: Vec<LocalityLbEndpoints>,
) -> ClusterLoadAssignment {
    ClusterLoadAssignment {
        cluster_name: cluster_name(service, &version.name),
        endpoints: localities,
        ..ClusterLoadAssignment::default()
    }
}

/// A place, in Envoy's words.
pub(super) fn envoy_locality(place: &Locality) -> EnvoyLocality {
    EnvoyLocality {
        region: place.region.clone(),
        zone: place.zone.clone(),
        sub_zone: String::new(),
    }
}

/// The endpoints, each address once. Where an instance has come back under another id it is the one
/// that takes requests.
pub(super) fn one_by_address(endpoints: &[Endpoint]) -> Vec<&Endpoint> {
    let mut kept: BTreeMap<SocketAddr, &Endpoint> = BTreeMap::new();
    for endpoint in endpoints {
        let before = kept.entry(endpoint.address).or_insert(endpoint);
        if before.state == EndpointState::Draining && endpoint.state == EndpointState::Healthy {
            *before = endpoint;
        }
    }
    let mut kept: Vec<_> = kept.into_values().collect();
    kept.sort_by_key(|endpoint| &endpoint.id);
    kept
}

/// The endpoints of one place, by id. The place's weight counts draining endpoints as well, so that
/// a drain moves load to the neighbours in the same place first.
fn locality(place: &Locality, mut endpoints: Vec<&Endpoint>) -> LocalityLbEndpoints {
    endpoints.sort_by_key(|endpoint| &endpoint.id);
    let capacity = endpoints
        .iter()
        .fold(0_u32, |sum, e| sum.saturating_add(e.capacity));
    LocalityLbEndpoints {
        locality: Some(envoy_locality(place)),
        lb_endpoints: endpoints.into_iter().map(lb_endpoint).collect(),
        load_balancing_weight: Some(number(capacity)),
        ..LocalityLbEndpoints::default()
    }
}

/// One endpoint. It always has an IP address: of one by LEDS that has none, an Envoy would die.
pub(super) fn lb_endpoint(endpoint: &Endpoint) -> LbEndpoint {
    let status = match endpoint.state {
        EndpointState::Healthy => HealthStatus::Healthy,
        EndpointState::Draining => HealthStatus::Draining,
    };
    let host = endpoint.address;
    LbEndpoint {
        health_status: status.into(),
        load_balancing_weight: Some(number(endpoint.capacity)),
        host_identifier: Some(HostIdentifier::Endpoint(EnvoyEndpoint {
            address: Some(address(host.ip().to_string(), host.port())),
            hostname: endpoint.id.to_string(),
            ..EnvoyEndpoint::default()
        })),
        ..LbEndpoint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn endpoints_stand_in_their_places_with_weight_and_state() {
        let service = samples::service("cart");
        let mut version = samples::version("v1", 3);
        version.endpoints[0].locality.zone = "b".into();
        version.endpoints[2].capacity = 5;
        version.endpoints[2].state = EndpointState::Draining;

        let got = assignment(&service.name, &version);
        assert_eq!(got.cluster_name, "cart/v1");
        let places: Vec<_> = got
            .endpoints
            .iter()
            .map(|place| {
                let endpoints: Vec<_> = place
                    .lb_endpoints
                    .iter()
                    .map(|e| {
                        let Some(HostIdentifier::Endpoint(host)) = &e.host_identifier else {
                            panic!("{e:?}")
                        };
                        (
                            host.hostname.as_str(),
                            e.health_status(),
                            e.load_balancing_weight,
                        )
                    })
                    .collect();
                let zone = place.locality.as_ref().unwrap().zone.as_str();
                (zone, place.load_balancing_weight, endpoints)
            })
            .collect();
        let weight = |w| Some(number(w));
        assert_eq!(
            places,
            [
                (
                    "a",
                    weight(6),
                    vec![
                        ("v1-1", HealthStatus::Healthy, weight(1)),
                        ("v1-2", HealthStatus::Draining, weight(5)),
                    ]
                ),
                (
                    "b",
                    weight(1),
                    vec![("v1-0", HealthStatus::Healthy, weight(1))]
                ),
            ]
        );
    }

    #[test]
    fn a_version_without_endpoints_has_an_empty_assignment() {
        let got = assignment(&samples::service("cart").name, &samples::version("v1", 0));
        assert_eq!(
            (got.cluster_name.as_str(), got.endpoints.len()),
            ("cart/v1", 0)
        );
    }
}

//! The four variants of the protocol, and where each is served.

use std::fmt;

/// How state is carried, and for how many types on one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    /// Only differences, or state of the world.
    pub(crate) is_delta: bool,
    /// One stream for all types (ADS), or one for each.
    pub(crate) is_aggregated: bool,
}

const fn variant(is_delta: bool, is_aggregated: bool) -> Variant {
    Variant {
        is_delta,
        is_aggregated,
    }
}

/// All of them.
pub(crate) const ALL: &[Variant] = &[
    variant(false, false),
    variant(false, true),
    variant(true, false),
    variant(true, true),
];
/// State of the world, separate and aggregated.
pub(crate) const SOTW: &[Variant] = &[variant(false, false), variant(false, true)];
/// Delta, separate and aggregated.
pub(crate) const DELTA: &[Variant] = &[variant(true, false), variant(true, true)];
/// One stream for all types.
pub(crate) const ADS: &[Variant] = &[variant(false, true), variant(true, true)];
/// One stream for each type.
pub(crate) const SEPARATE: &[Variant] = &[variant(false, false), variant(true, false)];
pub(crate) const DELTA_ADS: &[Variant] = &[variant(true, true)];
pub(crate) const SOTW_ADS: &[Variant] = &[variant(false, true)];

impl Variant {
    /// What is right for this variant.
    pub(crate) fn pick<T>(self, delta: T, sotw: T) -> T {
        if self.is_delta { delta } else { sotw }
    }

    /// The method that serves the type of a letter.
    pub(crate) fn path(self, letter: &str) -> &'static str {
        if self.is_aggregated {
            return self.pick(
                "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
                "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
            );
        }
        match letter {
            "b" => {
                "/envoy.service.endpoint.v3.LocalityEndpointDiscoveryService/DeltaLocalityEndpoints"
            }
            "s" => self.pick(
                "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets",
                "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets",
            ),
            "c" => self.pick(
                "/envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters",
                "/envoy.service.cluster.v3.ClusterDiscoveryService/StreamClusters",
            ),
            "e" => self.pick(
                "/envoy.service.endpoint.v3.EndpointDiscoveryService/DeltaEndpoints",
                "/envoy.service.endpoint.v3.EndpointDiscoveryService/StreamEndpoints",
            ),
            "l" => self.pick(
                "/envoy.service.listener.v3.ListenerDiscoveryService/DeltaListeners",
                "/envoy.service.listener.v3.ListenerDiscoveryService/StreamListeners",
            ),
            "r" => self.pick(
                "/envoy.service.route.v3.RouteDiscoveryService/DeltaRoutes",
                "/envoy.service.route.v3.RouteDiscoveryService/StreamRoutes",
            ),
            _ => panic!("no service is for the type {letter}"),
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match (self.is_delta, self.is_aggregated) {
            (false, false) => "SotW",
            (false, true) => "SotW ADS",
            (true, false) => "delta",
            (true, true) => "delta ADS",
        })
    }
}

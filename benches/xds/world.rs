//! What the servers of a comparison serve, message by message the same: some clusters with their
//! endpoints, one listener, one route. `benches/peers` build the same.
//!
//! A change is one endpoint's weight in the first cluster's assignment (which EDS sends whole), or
//! the weights of the route.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, EdsClusterConfig,
};
use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{
    Address, AggregatedConfigSource, ApiVersion, ConfigSource, SocketAddress,
};
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::locality_lb_endpoints::LbConfig;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LedsClusterLocalityConfig, LocalityLbEndpoints,
};
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::config::route::v3::{
    Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost, WeightedCluster,
};
use envoy_types::pb::google::protobuf::{Duration, UInt32Value};
use prost::Message;
use serde::Serialize;

pub(crate) const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
pub(crate) const ENDPOINT: &str =
    "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
pub(crate) const LB_ENDPOINT: &str = "type.googleapis.com/envoy.config.endpoint.v3.LbEndpoint";
pub(crate) const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
pub(crate) const ROUTE: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

/// All that a proxy asks for.
pub(crate) const KINDS: [&str; 5] = [CLUSTER, ENDPOINT, LB_ENDPOINT, LISTENER, ROUTE];

/// The first cluster's endpoints, where they come one by one.
pub(crate) const COLLECTION: &str =
    "xdstp://bench/envoy.config.endpoint.v3.LbEndpoint/service-00000/*";

pub(crate) const DELTA_PATH: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
pub(crate) const SOTW_PATH: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";

/// `node.cluster` of every proxy.
pub(crate) const NODE_CLUSTER: &str = "bench";

/// Of the listener and its routes.
const LISTENER_NAME: &str = "bench";

/// The type with this URL.
pub(crate) fn kind(url: &[u8]) -> Option<&'static str> {
    KINDS.into_iter().find(|kind| kind.as_bytes() == url)
}

/// How much is served.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct World {
    #[arg(long, default_value_t = 1)]
    pub(crate) clusters: usize,
    /// Of each cluster.
    #[arg(long, default_value_t = 10)]
    pub(crate) endpoints: usize,
    /// Those of the first cluster come one by one, by LEDS.
    #[arg(long)]
    pub(crate) leds: bool,
}

/// What is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Change {
    /// The weight of one endpoint.
    Endpoint,
    /// So many endpoints that the resource takes a megabyte.
    Large,
    /// The weight of one endpoint, which is a resource of its own.
    Leds,
    /// The weights of the route.
    Route,
}

/// Endpoints of an assignment of about a megabyte.
const LARGE_ENDPOINTS: usize = 43_000;

impl Change {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Large => "large",
            Self::Leds => "leds",
            Self::Route => "route",
        }
    }

    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Endpoint | Self::Large => ENDPOINT,
            Self::Leds => LB_ENDPOINT,
            Self::Route => ROUTE,
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Endpoint, Self::Large, Self::Leds, Self::Route]
            .into_iter()
            .find(|change| change.word() == word)
    }
}

/// A message of any type.
#[derive(Clone, Debug)]
pub(crate) enum Typed {
    Cluster(Box<Cluster>),
    Endpoint(ClusterLoadAssignment),
    /// With its name, which does not stand in it.
    LbEndpoint(String, Box<LbEndpoint>),
    Listener(Box<Listener>),
    Route(Box<RouteConfiguration>),
}

impl Typed {
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Cluster(_) => CLUSTER,
            Self::Endpoint(_) => ENDPOINT,
            Self::LbEndpoint(..) => LB_ENDPOINT,
            Self::Listener(_) => LISTENER,
            Self::Route(_) => ROUTE,
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Cluster(cluster) => &cluster.name,
            Self::Endpoint(assignment) => &assignment.cluster_name,
            Self::LbEndpoint(name, _) => name,
            Self::Listener(listener) => &listener.name,
            Self::Route(routes) => &routes.name,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Cluster(cluster) => cluster.encode_to_vec(),
            Self::Endpoint(assignment) => assignment.encode_to_vec(),
            Self::LbEndpoint(_, endpoint) => endpoint.encode_to_vec(),
            Self::Listener(listener) => listener.encode_to_vec(),
            Self::Route(routes) => routes.encode_to_vec(),
        }
    }
}

impl World {
    /// Everything, before the first change.
    pub(crate) fn all(self) -> Vec<Typed> {
        let listener = Listener {
            name: LISTENER_NAME.into(),
            address: Some(address("0.0.0.0".into(), 10_000)),
            ..Listener::default()
        };
        let mut all = vec![
            Typed::Listener(listener.into()),
            Typed::Route(routes(0).into()),
        ];
        for number in 0..self.clusters {
            all.push(Typed::Cluster(cluster(number).into()));
            if number == 0 && self.leds {
                all.push(Typed::Endpoint(collected()));
                all.extend((0..self.endpoints).map(member));
            } else {
                all.push(Typed::Endpoint(assignment(number, self.endpoints)));
            }
        }
        all
    }

    /// What a change puts in place of what was there.
    pub(crate) fn change(self, change: Change, number: u32) -> Typed {
        match change {
            Change::Route => Typed::Route(routes(number).into()),
            Change::Leds => {
                let Typed::LbEndpoint(name, mut changed) = member(0) else {
                    unreachable!("a member is an endpoint")
                };
                changed.load_balancing_weight = Some(UInt32Value { value: number + 1 });
                Typed::LbEndpoint(name, changed)
            }
            Change::Endpoint | Change::Large => {
                let endpoints = match change {
                    Change::Large => LARGE_ENDPOINTS,
                    _ => self.endpoints,
                };
                let mut changed = assignment(0, endpoints);
                changed.endpoints[0].lb_endpoints[0].load_balancing_weight =
                    Some(UInt32Value { value: number + 1 });
                Typed::Endpoint(changed)
            }
        }
    }
}

fn cluster_name(number: usize) -> String {
    format!("service-{number:05}/v1")
}

fn ads() -> ConfigSource {
    ConfigSource {
        resource_api_version: ApiVersion::V3.into(),
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
        ..ConfigSource::default()
    }
}

fn cluster(number: usize) -> Cluster {
    let eds = EdsClusterConfig {
        eds_config: Some(ads()),
        ..EdsClusterConfig::default()
    };
    Cluster {
        name: cluster_name(number),
        connect_timeout: Some(Duration {
            seconds: 1,
            nanos: 0,
        }),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
        eds_cluster_config: Some(eds),
        ..Cluster::default()
    }
}

fn endpoint(number: usize) -> LbEndpoint {
    let [_, .., a, b, c] = number.to_be_bytes();
    let endpoint = Endpoint {
        address: Some(address(format!("10.{a}.{b}.{c}"), 8080)),
        ..Endpoint::default()
    };
    LbEndpoint {
        host_identifier: Some(HostIdentifier::Endpoint(endpoint)),
        ..LbEndpoint::default()
    }
}

/// One of the collection.
fn member(number: usize) -> Typed {
    let name = COLLECTION.replace('*', &number.to_string());
    Typed::LbEndpoint(name, endpoint(number).into())
}

/// The assignment of the first cluster, whose endpoints are a collection.
fn collected() -> ClusterLoadAssignment {
    let leds = LedsClusterLocalityConfig {
        leds_config: Some(ads()),
        leds_collection_name: COLLECTION.into(),
    };
    let mut assignment = assignment(0, 0);
    assignment.endpoints[0].lb_config = Some(LbConfig::LedsClusterLocalityConfig(leds));
    assignment
}

fn assignment(number: usize, endpoints: usize) -> ClusterLoadAssignment {
    let locality = LocalityLbEndpoints {
        lb_endpoints: (0..endpoints).map(endpoint).collect(),
        ..LocalityLbEndpoints::default()
    };
    ClusterLoadAssignment {
        cluster_name: cluster_name(number),
        endpoints: vec![locality],
        ..ClusterLoadAssignment::default()
    }
}

fn address(address: String, port: u32) -> Address {
    let socket = SocketAddress {
        address,
        port_specifier: Some(PortSpecifier::PortValue(port)),
        ..SocketAddress::default()
    };
    Address {
        address: Some(AddressKind::SocketAddress(socket)),
    }
}

fn routes(number: u32) -> RouteConfiguration {
    let weight = |name: &str, weight: u32| ClusterWeight {
        name: name.into(),
        weight: Some(UInt32Value { value: weight }),
        ..ClusterWeight::default()
    };
    let weights = WeightedCluster {
        clusters: vec![
            weight("service-00000/v1", number + 1),
            weight("service-00000/v2", 100),
        ],
        ..WeightedCluster::default()
    };
    let matched = RouteMatch {
        path_specifier: Some(PathSpecifier::Prefix("/".into())),
        ..RouteMatch::default()
    };
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::WeightedClusters(weights)),
        ..RouteAction::default()
    };
    let route = Route {
        r#match: Some(matched),
        action: Some(Action::Route(action)),
        ..Route::default()
    };
    let host = VirtualHost {
        name: "all".into(),
        domains: vec!["*".into()],
        routes: vec![route],
        ..VirtualHost::default()
    };
    RouteConfiguration {
        name: LISTENER_NAME.into(),
        virtual_hosts: vec![host],
        ..RouteConfiguration::default()
    }
}

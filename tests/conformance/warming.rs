//! What warms, changes and goes, on real Envoys: whole states set through the adapter, so that there are
//! some that the control plane never makes, such as a cluster whose endpoints are missing.
//!
//! Each story is told twice, to an Envoy by delta and to one by state of the world. The one endpoint of
//! every cluster is that Envoy's own admin page, which says `LIVE`.

use std::net::SocketAddr;

use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, EdsClusterConfig,
};
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::address::Address as Kind;
use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{
    Address, AggregatedConfigSource, ApiVersion, ConfigSource, SocketAddress,
};
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
};
use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain, Listener, filter};
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::{
    Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost,
};
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, Rds, http_filter,
};
use envoy_types::pb::google::protobuf::{Any, Duration};
use prost::{Message, Name};
use tempfile::TempDir;

use super::adapter::Adapter;
use super::program::Program;
use super::world::{NODE, World, type_url};
use crate::support::envoy::Envoy;
use crate::support::http;
use crate::support::wait::{SOON, eventually, if_so};

/// A cluster that has no endpoints yet is replaced by another of its name, which has.
pub(crate) fn a_newer_cluster_replaces_one_that_warms() {
    for scene in scenes() {
        let mut next = scene.first();
        next.push(cluster("b", 2));
        scene.set("2", next);
        scene.until_told("b");
        scene.set("3", scene.serving("b", 3));
        scene.until_route("b");
        let timeout = scene.clusters();
        assert!(
            timeout.contains(&("b".to_owned(), "3s".to_owned())),
            "{timeout:?}"
        );
        scene.envoy.stats().assert_warm();
        scene.assert_serves("in");
    }
}

/// It goes before its endpoints have ever come.
pub(crate) fn a_cluster_that_warms_is_removed() {
    for scene in scenes() {
        let mut next = scene.first();
        next.push(cluster("b", 2));
        scene.set("2", next);
        scene.until_told("b");
        scene.set("3", scene.first());
        eventually(SOON, "the cluster b to be gone", || {
            let clusters = scene.clusters();
            if_so(
                clusters.iter().all(|(name, _)| name != "b"),
                format!("{clusters:?}"),
            )
        });
        scene.assert_serves("in");
        scene.envoy.stats().assert_nothing_refused();
    }
}

/// Everything is replaced by something of another name, and what it replaces is taken away.
pub(crate) fn everything_is_replaced() {
    for scene in scenes() {
        let next = vec![
            cluster("b", 1),
            scene.assignment("b"),
            listener("two", "second"),
            route("second", "b"),
        ];
        scene.set("2", next);
        scene.assert_serves("two");
        eventually(SOON, "what was there before to be gone", || {
            let clusters = scene.clusters();
            let stats = scene.envoy.stats();
            let is_gone = clusters.iter().all(|(name, _)| name != "a")
                && stats.get("listener_manager.listener_removed") == 1;
            if_so(is_gone, format!("{clusters:?} {stats:?}"))
        });
        scene.assert_serves("two");
        let stats = scene.envoy.stats();
        stats.assert_warm();
        stats.assert_nothing_refused();
    }
}

struct Scene {
    envoy: Envoy,
    adapter: Adapter,
    beside: World,
    is_sotw: bool,
    _program: Program,
    _directory: TempDir,
}

/// One with an Envoy by delta, then one with an Envoy by state of the world, each serving.
fn scenes() -> impl Iterator<Item = Scene> {
    ["sidecar.yaml", "sotw.yaml"].into_iter().map(Scene::new)
}

impl Scene {
    fn new(file: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = Program::start(directory.path());
        let beside = World::at(program.adapter);
        let envoy = Envoy::start(file, NODE, program.xds, directory.path());
        let scene = Self {
            adapter: Adapter::connect(&beside),
            beside,
            envoy,
            is_sotw: file == "sotw.yaml",
            _program: program,
            _directory: directory,
        };
        scene.set("1", scene.first());
        scene.assert_serves("in");
        scene
    }

    fn set(&self, version: &str, resources: Vec<Any>) {
        self.adapter.set_encoded(&self.beside, version, resources);
    }

    /// A listener `in`, and the cluster `a` behind it.
    fn first(&self) -> Vec<Any> {
        self.serving("a", 1)
    }

    /// The same with a cluster of this name besides, to which all requests go.
    fn serving(&self, name: &str, timeout: i64) -> Vec<Any> {
        let mut all = vec![cluster("a", 1), self.assignment("a")];
        if name != "a" {
            all.extend([cluster(name, timeout), self.assignment(name)]);
        }
        all.extend([listener("in", "main"), route("main", name)]);
        all
    }

    fn assignment(&self, cluster: &str) -> Any {
        let endpoint = Endpoint {
            address: Some(address(self.envoy.admin().unwrap())),
            ..Endpoint::default()
        };
        let endpoint = LbEndpoint {
            host_identifier: Some(HostIdentifier::Endpoint(endpoint)),
            ..LbEndpoint::default()
        };
        any(
            "e",
            &ClusterLoadAssignment {
                cluster_name: cluster.into(),
                endpoints: vec![LocalityLbEndpoints {
                    lb_endpoints: vec![endpoint],
                    ..LocalityLbEndpoints::default()
                }],
                ..ClusterLoadAssignment::default()
            },
        )
    }

    /// Waits until Envoy has been told of a cluster that has no endpoints. By delta it is told that
    /// there are none, and goes on; by state of the world it waits for them.
    fn until_told(&self, name: &str) {
        eventually(SOON, &format!("the cluster {name} to be known"), || {
            let clusters = self.clusters();
            let is_known = clusters.iter().any(|(known, _)| known == name);
            let warming = self.envoy.stats().get("cluster_manager.warming_clusters");
            let is_as_warm = warming == u64::from(self.is_sotw);
            if_so(
                is_known && is_as_warm,
                format!("{clusters:?}, {warming} warming"),
            )
        });
    }

    /// Waits until requests go to this cluster.
    fn until_route(&self, cluster: &str) {
        eventually(SOON, &format!("requests to go to {cluster}"), || {
            self.assert_serves("in");
            let stats = self.envoy.stats();
            let count = stats.get(&format!("cluster.{cluster}.upstream_rq_200"));
            if_so(count > 0, format!("{stats:?}"))
        });
    }

    /// Waits for a listener; from then on each request must be answered.
    fn assert_serves(&self, listener: &str) {
        let at = self.envoy.listener(listener);
        let answer = http::get(&format!("http://{at}/ready")).unwrap();
        assert_eq!((answer.status, answer.body.trim()), (200, "LIVE"));
    }

    /// Names and timeouts of the clusters that it was sent, warm or warming.
    fn clusters(&self) -> Vec<(String, String)> {
        let dump = self.envoy.config_dump();
        let configs = dump["configs"].as_array().cloned().unwrap_or_default();
        let lists = configs.iter().flat_map(|config| {
            let lists = ["dynamic_active_clusters", "dynamic_warming_clusters"];
            lists.map(|list| config[list].as_array().cloned().unwrap_or_default())
        });
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let each = lists.flatten().map(|held| {
            let cluster = &held["cluster"];
            (text(&cluster["name"]), text(&cluster["connect_timeout"]))
        });
        each.collect()
    }
}

fn any(letter: &str, message: &impl Message) -> Any {
    Any {
        type_url: type_url(letter),
        value: message.encode_to_vec(),
    }
}

fn address(at: SocketAddr) -> Address {
    let socket = SocketAddress {
        address: at.ip().to_string(),
        port_specifier: Some(PortSpecifier::PortValue(at.port().into())),
        ..SocketAddress::default()
    };
    Address {
        address: Some(Kind::SocketAddress(socket)),
    }
}

fn ads() -> ConfigSource {
    ConfigSource {
        resource_api_version: ApiVersion::V3.into(),
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
        ..ConfigSource::default()
    }
}

fn cluster(name: &str, timeout: i64) -> Any {
    any(
        "c",
        &Cluster {
            name: name.into(),
            cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
            eds_cluster_config: Some(EdsClusterConfig {
                eds_config: Some(ads()),
                ..EdsClusterConfig::default()
            }),
            connect_timeout: Some(Duration {
                seconds: timeout,
                ..Duration::default()
            }),
            ..Cluster::default()
        },
    )
}

fn route(name: &str, cluster: &str) -> Any {
    let route = Route {
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix("/".into())),
            ..RouteMatch::default()
        }),
        action: Some(Action::Route(RouteAction {
            cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.into())),
            ..RouteAction::default()
        })),
        ..Route::default()
    };
    any(
        "r",
        &RouteConfiguration {
            name: name.into(),
            virtual_hosts: vec![VirtualHost {
                name: "all".into(),
                domains: vec!["*".into()],
                routes: vec![route],
                ..VirtualHost::default()
            }],
            ..RouteConfiguration::default()
        },
    )
}

fn listener(name: &str, route: &str) -> Any {
    let router = HttpFilter {
        name: "router".into(),
        config_type: Some(http_filter::ConfigType::TypedConfig(typed(
            &Router::default(),
        ))),
        ..HttpFilter::default()
    };
    let manager = HttpConnectionManager {
        stat_prefix: name.into(),
        http_filters: vec![router],
        route_specifier: Some(RouteSpecifier::Rds(Rds {
            config_source: Some(ads()),
            route_config_name: route.into(),
        })),
        ..HttpConnectionManager::default()
    };
    let filter = Filter {
        name: "http".into(),
        config_type: Some(filter::ConfigType::TypedConfig(typed(&manager))),
    };
    any(
        "l",
        &Listener {
            name: name.into(),
            address: Some(address(SocketAddr::from(([127, 0, 0, 1], 0)))),
            filter_chains: vec![FilterChain {
                filters: vec![filter],
                ..FilterChain::default()
            }],
            ..Listener::default()
        },
    )
}

fn typed<T: Message + Name>(message: &T) -> Any {
    Any {
        type_url: T::type_url(),
        value: message.encode_to_vec(),
    }
}

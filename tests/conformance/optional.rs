//! Rules 49 to 53: what servers may offer besides.

use envoy_types::pb::envoy::config::core::v3::Node;
use tidegate::domain::Span;
use tonic::Code;

use super::client::Ask;
use super::row::{Rule, elsewhere, not_served, served, wire};
use super::variant::{ALL, DELTA, DELTA_ADS, SOTW_ADS, Variant};
use super::world::{NODE, World};

pub(crate) const RULES: &[Rule] = &[
    not_served(
        49,
        "TTLs and heartbeats, for clients that announce them.",
        "Envoy 1.40 crashes when endpoints or routes expire on a state-of-the-world stream",
        &[wire(
            "who announces them gets resources without a TTL and without a wrapper",
            ALL,
            no_ttl,
        )],
    ),
    not_served(
        50,
        "Virtual hosts and clusters on demand, scoped routes, runtime layers, extension configs.",
        "every route and cluster that a proxy may need is told to it beforehand, and a gateway has no such parts",
        &[
            wire(
                "a virtual host does not exist, at once",
                DELTA_ADS,
                no_virtual_hosts,
            ),
            wire(
                "a virtual host is not answered, and nothing breaks",
                SOTW_ADS,
                no_virtual_hosts,
            ),
            wire(
                "their services, and those that poll, are told as not there",
                ALL,
                no_such_service,
            ),
            wire(
                "a cluster asked for by name is served, or does not exist, at once",
                DELTA,
                cluster_on_demand,
            ),
        ],
    ),
    served(
        51,
        "Names of the form `xdstp://` are names like any other.",
        &[wire(
            "served when there, told as missing when not",
            DELTA,
            xdstp_names,
        )],
    ),
    served(
        52,
        "Endpoints one by one (LEDS), in collections.",
        &[
            wire(
                "all of a collection, then what changes of it",
                DELTA,
                collection,
            ),
            wire(
                "a collection that is not there does not exist",
                DELTA,
                no_collection,
            ),
            wire(
                "what a client that comes back may still have is taken away",
                DELTA,
                collection_after_reconnect,
            ),
            wire(
                "in state of the world there are none",
                SOTW_ADS,
                no_collections_in_sotw,
            ),
        ],
    ),
    served(
        53,
        "What each client has is there to be seen.",
        &[elsewhere(
            "sent, accepted and refused, resource by resource",
            "src/xds/tests.rs",
            "what_a_proxy_was_told_can_be_looked_at",
        )],
    ),
];

fn no_ttl(v: Variant) {
    let world = World::with("c:a@1 e:a@1");
    let mut client = world.client(v);
    let features = [
        "xds.config.supports-resource-ttl",
        "xds.config.resource-in-sotw",
        "xds.config.supports-resource-in-sotw",
    ];
    let node = Node {
        id: NODE.into(),
        client_features: features.map(str::to_owned).into(),
        ..Node::default()
    };
    let asking = |names| Ask {
        node: Some(node.clone()),
        ..Ask::of(names)
    };
    // The client of these tests fails on a TTL, and on what is not the plain type.
    assert_eq!(client.put("c", asking(&[])), "c a@1");
    assert_eq!(client.put("e", asking(&["a"])), "e a@1");
    assert_eq!((client.ack("c"), client.ack("e")), Default::default());
    world.pass(Span::secs(3_600));
    assert_eq!(client.heard(), "", "no heartbeat");
}

fn no_virtual_hosts(v: Variant) {
    let world = World::with("r:main@1");
    let mut client = world.client(v);
    let heard = client.ask("config.route.v3.VirtualHost", "main/a.example");
    assert_eq!(heard, v.pick("VirtualHost -main/a.example", ""));
    assert_eq!(client.ask("r", "main"), "r main@1");
}

fn no_such_service(v: Variant) {
    let world = World::with("c:a@1");
    let client = world.client(v);
    let service = "/envoy.service";
    for path in [
        "cluster.v3.ClusterDiscoveryService/FetchClusters",
        "discovery.v3.AggregatedDiscoveryService/Nonsense",
        "endpoint.v3.LocalityEndpointDiscoveryService/StreamLocalityEndpoints",
        "extension.v3.ExtensionConfigDiscoveryService/DeltaExtensionConfigs",
        "route.v3.ScopedRoutesDiscoveryService/StreamScopedRoutes",
        "route.v3.VirtualHostDiscoveryService/DeltaVirtualHosts",
        "runtime.v3.RuntimeDiscoveryService/StreamRuntime",
    ] {
        let code = client.raw(&format!("{service}.{path}"), "application/grpc", b"");
        assert_eq!(code, Code::Unimplemented, "{path}");
    }
    assert_eq!(world.client(v).ask("c", ""), "c a@1");
}

fn cluster_on_demand(v: Variant) {
    let world = World::with("c:a@1 c:b@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("c", ""), "c a@1 b@1");
    assert_eq!(client.ack("c"), "");
    assert_eq!(client.ask("c", "a nobody"), "c a@1 -nobody");
}

fn xdstp_names(v: Variant) {
    let name = "xdstp://ct/envoy.config.endpoint.v3.ClusterLoadAssignment/cart?zone=a";
    let world = World::with(&format!("e:{name}@1"));
    let mut client = world.client(v);
    assert_eq!(client.ask("e", name), format!("e {name}@1"));
    assert_eq!(client.ack("e"), "");
    assert_eq!(client.ask("e", "xdstp://"), "e -xdstp://");
}

const CART: &str = "xdstp://ct/envoy.config.endpoint.v3.LbEndpoint/cart";

/// Endpoints of the collection by id and content, beside one of another.
fn endpoints(all: &str) -> String {
    let each = all.split(' ').map(|one| format!("b:{CART}/{one} "));
    each.collect::<String>() + &format!("b:{CART}2/x@1 b:{CART}/deeper/x@1")
}

/// A response with these endpoints.
fn told(all: &str) -> String {
    let each = all.split(' ').map(|one| match one.strip_prefix('-') {
        Some(gone) => format!(" -{CART}/{gone}"),
        None => format!(" {CART}/{one}"),
    });
    format!("b{}", each.collect::<String>())
}

fn collection(v: Variant) {
    let world = World::with(&endpoints("1@up 2@up"));
    let mut client = world.client(v);
    assert_eq!(client.ask("b", &format!("{CART}/*")), told("1@up 2@up"));
    assert_eq!(client.ack("b"), "");
    world.publish(&endpoints("1@up 2@draining"));
    assert_eq!(client.heard(), told("2@draining"));
    assert_eq!(client.ack("b"), "");
    world.publish(&endpoints("2@draining 3@up"));
    let heard = client.heard();
    assert_eq!(
        client.settle(&heard),
        format!("{}, {}", told("3@up"), told("-1"))
    );
    assert_eq!(client.ask("b", &format!("-{CART}/*")), "");
    world.publish(&endpoints("2@gone"));
    assert_eq!(client.heard(), "");
}

fn no_collection(v: Variant) {
    let world = World::with("e:a@1");
    let mut client = world.client(v);
    assert_eq!(client.ask("b", &format!("{CART}/*")), told("-*"));
    assert_eq!(client.ack("b"), "");
    world.publish(&endpoints("1@up"));
    assert_eq!(client.heard(), told("1@up"));
}

fn collection_after_reconnect(v: Variant) {
    let world = World::with(&endpoints("1@up 2@up"));
    let mut client = world.client(v);
    let ask = Ask {
        names: vec![format!("{CART}/*")],
        held: [(format!("{CART}/gone"), "any".to_owned())].into(),
        ..Ask::default()
    };
    let heard = client.put("b", ask);
    let all = client.settle(&heard);
    assert_eq!(all, format!("{}, {}", told("1@up 2@up"), told("-gone")));
}

fn no_collections_in_sotw(v: Variant) {
    let world = World::with(&endpoints("1@up"));
    let mut client = world.client(v);
    assert_eq!(client.ask("b", &format!("{CART}/*")), "");
    assert_eq!(client.ends.len(), 0);
}

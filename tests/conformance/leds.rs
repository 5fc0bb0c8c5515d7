//! Rule 52 as Tidegate serves it: a plan with a service whose endpoints are delivered one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::Node;
use tidegate::domain::{
    Client as Kind, Delivery, Endpoint, EndpointState, Gateway, Generation, HealthCheck, Locality,
    Plan, Probe, Protocol, ProxyIdentity, ProxySelector, ServicePlan, Span, UpstreamTls,
    VersionPlan, Weight,
};
use tidegate::snapshot::{Dialect, Resource, ResourceKind, ResourceSet, compile};

use super::client::{Ask, Client};
use super::row::{Row, Rule, served, wire};
use super::variant::{ALL, DELTA_ADS, Variant};
use super::world::{NODE, World};

pub(crate) const RULES: &[Rule] = &[served(
    52,
    "Endpoints one by one (LEDS), of a service that asks for it.",
    ROWS,
)];

const ROWS: &[Row] = &[
    wire(
        "an Envoy is told an assignment whole, then by reference, then its endpoints alone",
        DELTA_ADS,
        one_by_one,
    ),
    wire(
        "an Envoy is told the whole again when its cluster changes, and when it comes back",
        DELTA_ADS,
        whole_again,
    ),
    wire(
        "a change is in force when the endpoint is acknowledged, and not before it was asked for",
        DELTA_ADS,
        in_force,
    ),
    wire(
        "who cannot ask for collections, or is no Envoy, is never told of one",
        ALL,
        together,
    ),
];

const CLUSTER: &str = "cart/v1";
const COLLECTION: &str = "xdstp://tidegate/envoy.config.endpoint.v3.LbEndpoint/cart/v1/r/a";

/// The plan of this number, with endpoints of these states on ports from 1 on.
fn plan(generation: u64, checked_every: u64, states: &[EndpointState]) -> Plan {
    let endpoint = |(port, state): (u16, &EndpointState)| Endpoint {
        id: port.to_string().parse().unwrap(),
        address: ([127, 0, 0, 1], port).into(),
        locality: Locality {
            region: "r".into(),
            zone: "a".into(),
        },
        capacity: 1,
        state: *state,
    };
    Plan {
        generation: Generation(generation),
        gateways: vec![Gateway {
            name: "mesh".parse().unwrap(),
            proxies: ProxySelector::default(),
            listeners: Vec::new(),
            services: vec!["cart".parse().unwrap()],
            overlay: None,
        }],
        services: vec![ServicePlan {
            tls: UpstreamTls::default(),
            name: "cart".parse().unwrap(),
            protocol: Protocol::Grpc,
            health: HealthCheck {
                probe: Probe::Tcp,
                interval: Span::secs(checked_every),
                timeout: Span::secs(1),
                healthy_after: 1,
                unhealthy_after: 1,
            },
            warm_up: Span::ZERO,
            sessions: None,
            delivery: Delivery::OneByOne,
            overlay: None,
            versions: vec![VersionPlan {
                host: None,
                name: "v1".parse().unwrap(),
                routed: true,
                weight: Weight::ALL,
                mirrored: Weight::NONE,
                endpoints: (1..).zip(states).map(endpoint).collect(),
            }],
        }],
    }
}

const UP: EndpointState = EndpointState::Healthy;
const DRAINING: EndpointState = EndpointState::Draining;

fn publish(world: &World, plan: &Plan) {
    world.show(compile(plan).unwrap());
}

/// What an Envoy's streams are told of the plan where they can ask for collections.
fn told(plan: &Plan) -> Arc<ResourceSet> {
    let words = Dialect {
        client: Kind::Envoy,
        delivery: Delivery::OneByOne,
    };
    let proxy = ProxyIdentity {
        id: NODE.parse().unwrap(),
        cluster: String::new(),
        metadata: BTreeMap::new(),
        locality: Locality::default(),
        agent: "envoy".to_owned(),
    };
    compile(plan).unwrap().for_proxy(&proxy, words).unwrap()
}

fn ask(client: &mut Client<'_>, agent: &str, letter: &str, name: &str) -> String {
    let node = Node {
        id: NODE.to_owned(),
        user_agent_name: agent.to_owned(),
        ..Node::default()
    };
    let ask = Ask {
        node: Some(node),
        names: (!name.is_empty())
            .then(|| name.to_owned())
            .into_iter()
            .collect(),
        ..Ask::default()
    };
    client.put(letter, ask)
}

/// Was the assignment that came last told by reference?
fn is_reference(client: &Client<'_>, plan: &Plan) -> bool {
    let set = told(plan);
    let resource = &set.of(ResourceKind::Endpoint)[CLUSTER];
    let version = &client.last("e").versions[CLUSTER];
    let whole: &Resource = &resource.reference.as_ref().unwrap().whole;
    assert!(**version == *resource.version || **version == *whole.version);
    **version == *resource.version
}

/// An Envoy that has everything of the plan.
fn settled<'w>(world: &'w World, v: Variant, first: &Plan) -> Client<'w> {
    publish(world, first);
    let mut client = world.client(v);
    let mut heard = ask(&mut client, "envoy", "c", "");
    heard += &ask(&mut client, "envoy", "e", CLUSTER);
    assert_eq!(heard, "c cart/v1@e cart/v1@");
    assert!(!is_reference(&client, first));
    assert_eq!(client.ack("c"), "");
    assert_eq!(client.ack("e"), "e cart/v1@");
    assert!(is_reference(&client, first));
    assert_eq!(client.ack("e"), "");
    client
}

fn endpoint(id: &str) -> String {
    format!("b {COLLECTION}/{id}@")
}

fn one_by_one(v: Variant) {
    let world = World::new();
    let mut client = settled(&world, v, &plan(1, 1, &[UP, UP]));
    let both = format!("{} {COLLECTION}/2@", endpoint("1"));
    assert_eq!(client.ask("b", &format!("{COLLECTION}/*")), both);
    assert_eq!(client.ack("b"), "");
    publish(&world, &plan(2, 1, &[UP, DRAINING]));
    assert_eq!(client.heard(), endpoint("2"));
    assert_eq!(client.ack("b"), "");
    publish(&world, &plan(3, 1, &[UP]));
    assert_eq!(client.heard(), format!("b -{COLLECTION}/2"));
    assert_eq!(client.ack("b"), "");
    publish(&world, &plan(4, 1, &[UP, UP]));
    assert_eq!(client.heard(), endpoint("2"));
}

fn whole_again(v: Variant) {
    let world = World::new();
    let mut client = settled(&world, v, &plan(1, 1, &[UP, UP]));
    client.ask("b", &format!("{COLLECTION}/*"));
    client.ack("b");
    let changed = plan(2, 9, &[UP]);
    publish(&world, &changed);
    assert_eq!(client.heard(), "c cart/v1@, e cart/v1@");
    assert!(!is_reference(&client, &changed));
    assert_eq!(client.ask("b", &format!("-{COLLECTION}/*")), "");
    assert_eq!(client.ack("c"), "");
    assert_eq!(client.ack("e"), "e cart/v1@");
    assert!(is_reference(&client, &changed));
    assert_eq!(client.ack("e"), "");
    assert_eq!(client.ask("b", &format!("{COLLECTION}/*")), endpoint("1"));
    assert_eq!(client.ack("b"), "");

    let held = client.last("e").versions.clone();
    let mut client = client.reconnect();
    let ask_again = Ask {
        node: Some(Node {
            id: NODE.to_owned(),
            user_agent_name: "envoy".to_owned(),
            ..Node::default()
        }),
        names: vec![CLUSTER.to_owned()],
        held,
        ..Ask::default()
    };
    assert_eq!(client.put("e", ask_again), "e cart/v1@");
    assert!(!is_reference(&client, &changed));
    assert_eq!(client.ask("b", &format!("{COLLECTION}/*")), "");
    client.ask("b", &format!("-{COLLECTION}/*"));
    assert_eq!(client.ack("e"), "e cart/v1@");
    assert!(is_reference(&client, &changed));
    assert_eq!(client.ask("b", &format!("{COLLECTION}/*")), endpoint("1"));
}

fn in_force(v: Variant) {
    let world = World::new();
    let mut client = settled(&world, v, &plan(1, 1, &[UP, UP]));
    for letter in ["l", "r"] {
        client.ask(letter, "none");
        client.ack(letter);
    }
    assert_eq!(world.events(), [format!("{NODE} connected")]);
    client.ask("b", &format!("{COLLECTION}/*"));
    assert_eq!(world.events(), [""; 0]);
    client.ack("b");
    assert_eq!(world.events(), [format!("{NODE} has 1")]);
    publish(&world, &plan(2, 1, &[UP, DRAINING]));
    assert_eq!(client.heard(), endpoint("2"));
    assert_eq!(world.events(), [""; 0]);
    client.ack("b");
    assert_eq!(world.events(), [format!("{NODE} has 2")]);
}

fn together(v: Variant) {
    let first = plan(1, 1, &[UP, DRAINING]);
    let set = told(&first);
    let whole = &set.of(ResourceKind::Endpoint)[CLUSTER].reference;
    let bytes = whole.as_ref().unwrap().whole.sotw_field.len();
    for agent in ["envoy", "gRPC C-core", "", "somebody"] {
        if v.is_delta && v.is_aggregated && agent == "envoy" {
            continue;
        }
        let world = World::new();
        publish(&world, &first);
        let mut client = world.client(v);
        assert_eq!(ask(&mut client, agent, "e", CLUSTER), "e cart/v1@");
        if agent.starts_with("gRPC") {
            // It is told that one of them takes no more calls in the words for it.
            continue;
        }
        assert!(client.last("e").bytes >= bytes, "{agent}");
        assert_eq!(client.ack("e"), "", "{agent}");
    }
}

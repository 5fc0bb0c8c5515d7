mod delivery;

use std::collections::BTreeMap;

use super::super::{samples, tls_certificate};
use super::*;
use crate::domain::{EndpointState, Locality, OverlayPart, Protocol, ProxyIdentity};

const ENVOY: Dialect = Dialect::plain(Client::Envoy);

fn proxy(cluster: &str) -> ProxyIdentity {
    ProxyIdentity {
        id: "edge-1".parse().unwrap(),
        cluster: cluster.into(),
        metadata: BTreeMap::new(),
        locality: Locality::default(),
        agent: "envoy 1.40.0".into(),
    }
}

/// Everything that a proxy of `web` may see, as `kind name`, with its version.
fn seen(plan: &Plan) -> BTreeMap<String, Arc<str>> {
    let set = compile(plan)
        .unwrap()
        .for_proxy(&proxy("web"), ENVOY)
        .unwrap();
    assert_eq!(set.generation, plan.generation);
    let of = |kind: ResourceKind| {
        let set = Arc::clone(&set);
        let all: Vec<_> = set.of(kind).values().cloned().collect();
        all.into_iter()
            .map(move |r| (format!("{kind} {}", r.name), Arc::clone(&r.version)))
    };
    ResourceKind::ALL.into_iter().flat_map(of).collect()
}

fn changed(before: &Plan, after: &Plan) -> Vec<String> {
    let (before, after) = (seen(before), seen(after));
    let names = before
        .keys()
        .chain(after.keys().filter(|name| !before.contains_key(*name)));
    names
        .filter(|name| before.get(*name) != after.get(*name))
        .cloned()
        .collect()
}

#[test]
fn an_audience_has_all_that_its_gateway_reaches() {
    let mut plan = samples::plan();
    plan.services.push(samples::service("other"));
    let names: Vec<_> = seen(&plan).into_keys().collect();
    assert_eq!(
        names,
        [
            "cluster cart/v1",
            "cluster cart/v2",
            "endpoint cart/v1",
            "endpoint cart/v2",
            "listener mesh/10000",
            "route cart",
            "route mesh/10000",
        ]
    );
    assert!(
        compile(&plan)
            .unwrap()
            .for_proxy(&proxy("edge"), ENVOY)
            .is_none()
    );
}

#[test]
fn every_cluster_has_an_assignment_also_without_endpoints() {
    let mut plan = samples::plan();
    let mut old = samples::version("v0", 0);
    old.routed = false;
    plan.services[0].versions.insert(0, old);
    let seen = seen(&plan);
    assert!(seen.contains_key("cluster cart/v0") && seen.contains_key("endpoint cart/v0"));
}

#[test]
fn the_same_plan_gives_the_same_bytes() {
    let mut plan = samples::plan();
    let json = r#"{"metadata": {"filter_metadata": {"a": {"x": 1, "y": 2, "z": 3}, "b": {}}}}"#;
    plan.services[0].overlay = Some(samples::overlay(OverlayPart::Cluster, json));
    let sets = || {
        compile(&plan)
            .unwrap()
            .for_proxy(&proxy("web"), ENVOY)
            .unwrap()
    };
    let first = sets();
    for _ in 0..10 {
        assert_eq!(sets(), first);
    }
}

#[test]
fn a_rollout_touches_routes_and_assignments_only() {
    let before = samples::plan();

    let mut weights = before.clone();
    samples::set_weights(&mut weights.services[0], &[1, 1]);
    assert_eq!(
        changed(&before, &weights),
        ["route cart", "route mesh/10000"]
    );

    let mut draining = before.clone();
    draining.services[0].versions[0].endpoints[1].state = EndpointState::Draining;
    assert_eq!(changed(&before, &draining), ["endpoint cart/v1"]);

    let mut added = before.clone();
    added.services[0].versions[1] = samples::version("v2", 2);
    samples::set_weights(&mut added.services[0], &[3, 1]);
    assert_eq!(changed(&before, &added), ["endpoint cart/v2"]);

    let mut unrouted = before.clone();
    unrouted.services[0].versions[1].routed = false;
    samples::set_weights(&mut unrouted.services[0], &[1, 0]);
    assert_eq!(
        changed(&before, &unrouted),
        ["route cart", "route mesh/10000"]
    );
}

#[test]
fn a_tcp_service_has_no_routes() {
    let mut plan = samples::plan();
    plan.services[0].protocol = Protocol::Tcp;
    let names: Vec<_> = seen(&plan)
        .into_keys()
        .filter(|name| !name.contains("cart/"))
        .collect();
    assert_eq!(names, ["listener mesh/10000"]);
}

#[test]
fn resources_are_shared_between_audiences() {
    let mut plan = samples::plan();
    let mut edge = plan.gateways[0].clone();
    edge.name = "edge".parse().unwrap();
    edge.proxies.cluster = Some("edge".into());
    plan.gateways.push(edge);
    let snapshot = compile(&plan).unwrap();
    let cluster = |proxy_cluster| {
        let set = snapshot.for_proxy(&proxy(proxy_cluster), ENVOY).unwrap();
        Arc::clone(&set.of(ResourceKind::Cluster)["cart/v1"])
    };
    assert!(Arc::ptr_eq(&cluster("web"), &cluster("edge")));
}

#[test]
fn errors_name_the_object() {
    let mut plan = samples::plan();
    plan.services[0].overlay = Some(samples::overlay(OverlayPart::Cluster, r#"{"nme": "x"}"#));
    let error = compile(&plan).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the Envoy settings of service `cart` do not fit"
    );
    plan.services.clear();
    let error = compile(&plan).unwrap_err();
    assert!(matches!(error, CompileError::Lint { .. }), "{error}");
}

/// Everything that a gRPC client of `web` may see, as `kind name`.
fn seen_by_grpc(plan: &Plan) -> Vec<String> {
    let client = ProxyIdentity {
        agent: "gRPC C-core 55".into(),
        ..proxy("web")
    };
    let set = compile(plan)
        .unwrap()
        .for_proxy(&client, Dialect::of(&client, false))
        .unwrap();
    let of = |kind: ResourceKind| {
        set.of(kind)
            .keys()
            .map(move |name| format!("{kind} {name}"))
    };
    ResourceKind::ALL.into_iter().flat_map(of).collect()
}

#[test]
fn a_grpc_client_has_a_listener_by_the_services_name_and_never_an_envoys() {
    let mut plan = samples::plan();
    assert_eq!(seen_by_grpc(&plan), [""; 0], "it speaks no HTTP/1");
    plan.services[0].protocol = Protocol::Grpc;
    assert_eq!(
        seen_by_grpc(&plan),
        [
            "cluster cart/v1",
            "cluster cart/v2",
            "endpoint cart/v1",
            "endpoint cart/v2",
            "listener cart",
            "route cart",
        ]
    );
    assert!(!seen(&plan).contains_key("listener cart"));
}

#[test]
fn grpc_clients_share_the_assignments_of_envoys_in_which_nothing_drains() {
    let mut plan = samples::plan();
    plan.services[0].protocol = Protocol::Grpc;
    plan.services[0].versions[0].endpoints[1].state = EndpointState::Draining;
    let snapshot = compile(&plan).unwrap();
    let of = |agent: &str, name| {
        let client = ProxyIdentity {
            agent: agent.into(),
            ..proxy("web")
        };
        let set = snapshot
            .for_proxy(&client, Dialect::of(&client, false))
            .unwrap();
        Arc::clone(&set.of(ResourceKind::Endpoint)[name])
    };
    let is_shared = |name| Arc::ptr_eq(&of("envoy", name), &of("gRPC", name));
    assert!(is_shared("cart/v2") && !is_shared("cart/v1"));
}

/// What a stream that holds the set of `before` must look at, given the set of `after`.
fn looked_at(before: &Plan, after: &Plan) -> Vec<String> {
    let mut compiler = Compiler::default();
    let then = compiler
        .compile(before)
        .unwrap()
        .for_proxy(&proxy("web"), ENVOY);
    let snapshot = compiler.compile(after).unwrap();
    let now = snapshot.for_proxy(&proxy("web"), ENVOY).unwrap();
    let anew = compile(after)
        .unwrap()
        .for_proxy(&proxy("web"), ENVOY)
        .unwrap();
    assert_eq!(now, anew, "as if compiled from nothing");
    let then = then.unwrap();
    let changes = now.changes_since(&then).unwrap();
    let of = |kind| changes.of(kind).map(move |name| format!("{kind} {name}"));
    ResourceKind::ALL.into_iter().flat_map(of).collect()
}

#[test]
fn a_compiler_compiles_what_changed_and_ends_where_a_new_one_would() {
    let before = samples::plan();
    let changes: [fn(&mut Plan); 8] = [
        |_| {},
        |p| samples::set_weights(&mut p.services[0], &[1, 1]),
        |p| p.services[0].versions[0].endpoints[1].state = EndpointState::Draining,
        |p| p.services[0].versions.truncate(1),
        |p| p.services[0].protocol = Protocol::Tcp,
        |p| p.services.push(samples::service("other")),
        |p| {
            p.services.push(samples::service("other"));
            p.gateways[0].services.push("other".parse().unwrap());
        },
        |p| p.gateways[0].listeners.clear(),
    ];
    let looks = changes.map(|change| {
        let mut after = before.clone();
        change(&mut after);
        if after.services[0].versions.len() == 1 {
            samples::set_weights(&mut after.services[0], &[1]);
        }
        after.generation = before.generation.next();
        looked_at(&before, &after).join(", ")
    });
    assert_eq!(
        looks,
        [
            "",
            "route cart, route mesh/10000",
            "endpoint cart/v1",
            "cluster cart/v2, endpoint cart/v2, route cart, route mesh/10000",
            "cluster cart/v1, cluster cart/v2, listener mesh/10000, route cart, route mesh/10000",
            "",
            "route other",
            "cluster cart/v1, cluster cart/v2, endpoint cart/v1, endpoint cart/v2, listener mesh/10000, route cart, route mesh/10000",
        ]
    );
}

#[test]
fn an_error_leaves_a_compiler_where_it_stood() {
    let plan = samples::plan();
    let mut compiler = Compiler::default();
    compiler.compile(&plan).unwrap();
    let mut bad = plan.clone();
    bad.services[0].overlay = Some(samples::overlay(OverlayPart::Cluster, r#"{"nme": "x"}"#));
    compiler.compile(&bad).unwrap_err();
    let again = compiler
        .compile(&plan)
        .unwrap()
        .for_proxy(&proxy("web"), ENVOY);
    assert_eq!(
        again,
        compile(&plan).unwrap().for_proxy(&proxy("web"), ENVOY)
    );
}

#[test]
fn edited_settings_of_a_service_change_the_routes_to_it_everywhere() {
    let mut compiler = Compiler::default();
    let mut plan = samples::plan();
    compiler.compile(&plan).unwrap();
    let json = r#"{"route": {"timeout": "5s"}}"#;
    plan.services[0].overlay = Some(samples::overlay(OverlayPart::Route, json));
    let set = compiler
        .compile(&plan)
        .unwrap()
        .for_proxy(&proxy("web"), ENVOY);
    assert_eq!(set, compile(&plan).unwrap().for_proxy(&proxy("web"), ENVOY));
    let bad = r#"{"roote": {}}"#;
    plan.gateways[0].listeners[0].routes[0].overlay =
        Some(samples::overlay(OverlayPart::Route, bad));
    let error = compiler.compile(&plan).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the Envoy settings of gateway `mesh` do not fit"
    );
}

/// `edge` and `mesh` both reach `cart`; who asks for what is written in their settings alone.
fn with_secrets() -> (Plan, Arc<ByName>) {
    let mut plan = samples::plan();
    let tls = |context, secret| samples::tls(context, secret);
    plan.services[0].overlay = Some(samples::overlay(
        OverlayPart::Cluster,
        &tls("UpstreamTlsContext", "client"),
    ));
    let mut edge = plan.gateways[0].clone();
    edge.name = "edge".parse().unwrap();
    edge.proxies.cluster = Some("edge".into());
    edge.listeners[0].overlay = Some(samples::overlay(
        OverlayPart::FilterChain,
        &tls("DownstreamTlsContext", "edge"),
    ));
    plan.gateways.insert(0, edge);
    (plan, secrets(&["client", "edge", "nobodys"], "1"))
}

fn secrets(names: &[&str], key: &str) -> Arc<ByName> {
    let secret = |name: &&str| (Arc::from(*name), tls_certificate(name, "chain", key));
    Arc::new(names.iter().map(secret).collect())
}

/// The secrets that a proxy of a cluster may see, with their versions.
fn told(snapshot: &Snapshot, cluster: &str) -> BTreeMap<String, Arc<str>> {
    let set = snapshot.for_proxy(&proxy(cluster), ENVOY).unwrap();
    let told = set.of(ResourceKind::Secret).values();
    told.map(|it| (it.name.to_string(), Arc::clone(&it.version)))
        .collect()
}

fn names(snapshot: &Snapshot, cluster: &str) -> Vec<String> {
    told(snapshot, cluster).into_keys().collect()
}

#[test]
fn secrets_go_to_those_whose_settings_ask_and_to_nobody_else() {
    let (mut plan, secrets) = with_secrets();
    let mut compiler = Compiler::default();
    compiler.with_secrets(Arc::clone(&secrets));
    let first = compiler.compile(&plan).unwrap();
    assert_eq!(names(&first, "edge"), ["client", "edge"]);
    assert_eq!(names(&first, "web"), ["client"]);
    let mut grpc = proxy("edge");
    grpc.agent = "gRPC C-core 1.80".into();
    if grpc.client() == Client::Grpc {
        let set = first
            .for_proxy(&grpc, Dialect::plain(Client::Grpc))
            .unwrap();
        assert!(set.of(ResourceKind::Secret).is_empty());
    }
    let users: Vec<_> = compiler.secret_users().into_keys().collect();
    assert_eq!(users, ["client", "edge"]);

    // Who asks no more is told no more.
    plan.generation = plan.generation.next();
    plan.gateways[0].listeners[0].overlay = None;
    let second = compiler.compile(&plan).unwrap();
    assert_eq!(names(&second, "edge"), ["client"]);
    plan.generation = plan.generation.next();
    plan.services[0].overlay = None;
    let third = compiler.compile(&plan).unwrap();
    assert!(names(&third, "edge").is_empty() && names(&third, "web").is_empty());
    assert!(compiler.secret_users().is_empty());
}

#[test]
fn a_secret_that_changes_touches_itself_alone() {
    let (plan, one) = with_secrets();
    let mut compiler = Compiler::default();
    compiler.with_secrets(one);
    let first = compiler.compile(&plan).unwrap();
    let two = secrets(&["client", "edge", "nobodys"], "2");
    let mut mixed = ByName::clone(&two);
    let before = told(&first, "edge");
    mixed.insert("client".into(), tls_certificate("client", "chain", "1"));
    let second = compiler.with_secrets(Arc::new(mixed));
    assert_eq!(second.generation, first.generation);
    let after = told(&second, "edge");
    assert_eq!(before["client"], after["client"]);
    assert_ne!(before["edge"], after["edge"]);

    let set = |snapshot: &Snapshot, cluster| snapshot.for_proxy(&proxy(cluster), ENVOY).unwrap();
    let (then, now) = (set(&first, "edge"), set(&second, "edge"));
    let changes = now.changes_since(&then).unwrap();
    let touched: Vec<_> = ResourceKind::ALL
        .into_iter()
        .flat_map(|kind| changes.of(kind).map(move |name| format!("{kind} {name}")))
        .collect();
    assert_eq!(touched, ["secret edge"]);
    assert!(Arc::ptr_eq(&set(&first, "web"), &set(&second, "web")));

    // What is away and comes back is told again.
    let third = compiler.with_secrets(secrets(&["client"], "1"));
    assert_eq!(names(&third, "edge"), ["client"]);
    let fourth = compiler.with_secrets(two);
    assert_eq!(told(&fourth, "edge")["edge"], after["edge"]);
}

//! Endpoints one by one: for those who can take it, and at the cost of what changed.

use super::*;
use crate::domain::Delivery;

const ONE_BY_ONE: Dialect = Dialect {
    client: Client::Envoy,
    delivery: Delivery::OneByOne,
};

fn plan() -> Plan {
    let mut plan = samples::plan();
    plan.services[0].delivery = Delivery::OneByOne;
    plan.services[0].protocol = Protocol::Grpc;
    plan
}

/// Names as `kind name`, without how all collections begin.
fn names(snapshot: &Snapshot, words: Dialect) -> Vec<String> {
    let set = snapshot.for_proxy(&proxy("web"), words).unwrap();
    let name = |(kind, it): (ResourceKind, &Arc<Resource>)| {
        let last = it.name.rsplit("LbEndpoint/").next().unwrap();
        format!("{kind} {last}")
    };
    set.all().map(name).collect()
}

fn refers(snapshot: &Snapshot, words: Dialect, name: &str) -> bool {
    let set = snapshot.for_proxy(&proxy("web"), words).unwrap();
    set.of(ResourceKind::Endpoint)[name].reference.is_some()
}

#[test]
fn only_who_can_take_them_is_told_endpoints_one_by_one() {
    let snapshot = compile(&plan()).unwrap();
    let by_lrs = Dialect {
        client: Client::EnvoyByLrs,
        ..ONE_BY_ONE
    };
    for words in [ONE_BY_ONE, by_lrs] {
        let endpoints = names(&snapshot, words);
        let endpoints: Vec<_> = endpoints
            .iter()
            .filter(|it| it.contains("endpoint"))
            .collect();
        assert_eq!(
            endpoints,
            [
                "endpoint cart/v1",
                "endpoint cart/v2",
                "lb_endpoint cart/v1/r/a/v1-0",
                "lb_endpoint cart/v1/r/a/v1-1",
                "lb_endpoint cart/v1/r/a/v1-2",
                "lb_endpoint cart/v2/r/a/v2-0",
            ]
        );
        assert!(refers(&snapshot, words, "cart/v1"));
    }
    for client in Client::ALL {
        let words = Dialect::plain(client);
        assert!(!refers(&snapshot, words, "cart/v1"));
        let names = names(&snapshot, words);
        assert!(
            !names.iter().any(|it| it.starts_with("lb_endpoint")),
            "{names:?}"
        );
    }
}

#[test]
fn a_version_without_endpoints_and_clusters_that_weigh_localities_are_told_together() {
    let mut plan = plan();
    let mut old = samples::version("v0", 0);
    old.routed = false;
    plan.services[0].versions.insert(0, old);
    let snapshot = compile(&plan).unwrap();
    assert!(!refers(&snapshot, ONE_BY_ONE, "cart/v0"));

    for overlay in [
        r#"{"common_lb_config": {"locality_weighted_lb_config": {}}}"#,
        r#"{"load_balancing_policy": {"policies": []}}"#,
    ] {
        plan.services[0].overlay = Some(samples::overlay(OverlayPart::Cluster, overlay));
        let snapshot = compile(&plan).unwrap();
        assert!(!refers(&snapshot, ONE_BY_ONE, "cart/v1"), "{overlay}");
    }
}

#[test]
fn a_compiler_compiles_what_changed_of_single_endpoints_too() {
    type Change = fn(&mut Plan);
    let before = plan();
    let changes: [(Change, &str); 7] = [
        (|_| {}, ""),
        (
            |p| p.services[0].versions[0].endpoints[1].state = EndpointState::Draining,
            "endpoint cart/v1, lb_endpoint cart/v1/r/a/v1-1",
        ),
        (
            |p| drop(p.services[0].versions[0].endpoints.remove(1)),
            "endpoint cart/v1, lb_endpoint cart/v1/r/a/v1-1",
        ),
        (
            |p| p.services[0].versions[0].endpoints[2].address.set_port(9),
            "endpoint cart/v1, lb_endpoint cart/v1/r/a/v1-2",
        ),
        (|p| p.services[0].versions[0].endpoints.swap(0, 2), ""),
        (
            |p| p.services[0].versions.truncate(1),
            "cluster cart/v2, endpoint cart/v2, lb_endpoint cart/v2/r/a/v2-0, route cart, route mesh/10000",
        ),
        (|p| p.services.push(samples::service("other")), ""),
    ];
    for (change, looked_at) in changes {
        let mut compiler = Compiler::default();
        let then = compiler.compile(&before).unwrap();
        let then = then.for_proxy(&proxy("web"), ONE_BY_ONE).unwrap();
        let mut after = before.clone();
        change(&mut after);
        if after.services[0].versions.len() == 1 {
            samples::set_weights(&mut after.services[0], &[1]);
        }
        after.generation = before.generation.next();
        let now = compiler.compile(&after).unwrap();
        let now = now.for_proxy(&proxy("web"), ONE_BY_ONE).unwrap();
        let anew = compile(&after).unwrap();
        let anew = anew.for_proxy(&proxy("web"), ONE_BY_ONE).unwrap();
        assert_eq!(now, anew, "as if compiled from nothing");
        let changes = now.changes_since(&then).unwrap();
        let of = |kind| {
            let names = changes
                .of(kind)
                .map(|name| name.rsplit("LbEndpoint/").next().unwrap());
            names.map(move |name| format!("{kind} {name}"))
        };
        let looks: Vec<_> = ResourceKind::ALL.into_iter().flat_map(of).collect();
        assert_eq!(looks.join(", "), looked_at);
    }
}

#[test]
fn delivery_can_be_switched() {
    let mut compiler = Compiler::default();
    for delivery in [Delivery::Together, Delivery::OneByOne, Delivery::Together] {
        let mut plan = plan();
        plan.services[0].delivery = delivery;
        let snapshot = compiler.compile(&plan).unwrap();
        let told = snapshot.for_proxy(&proxy("web"), ONE_BY_ONE).unwrap();
        let anew = compile(&plan).unwrap();
        assert_eq!(told, anew.for_proxy(&proxy("web"), ONE_BY_ONE).unwrap());
        assert_eq!(
            refers(&snapshot, ONE_BY_ONE, "cart/v1"),
            delivery == Delivery::OneByOne
        );
    }
}

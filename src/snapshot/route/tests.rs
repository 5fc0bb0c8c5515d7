use super::super::samples;
use super::*;
use crate::domain::Weight;
use prost::Message;

fn decoded(encoded: Result<Vec<u8>, OverlayError>) -> RouteConfiguration {
    RouteConfiguration::decode(encoded.unwrap().as_slice()).unwrap()
}

/// Each virtual host as `domains: prefix -> service's first cluster or status`.
fn table(routes: &[Route]) -> Vec<String> {
    let mut plan = samples::plan();
    for name in ["api", "web"] {
        let mut service = samples::service(name);
        service.versions = vec![samples::version("v1", 1)];
        samples::set_weights(&mut service, &[1]);
        plan.services.push(service);
    }
    plan.services.sort_by(|a, b| a.name.cmp(&b.name));
    let configuration = decoded(listener_routes(&plan, "mesh/1", routes));
    let row = |host: &VirtualHost| {
        let routes: Vec<_> = host.routes.iter().map(route_text).collect();
        assert_eq!(host.name, host.domains[0]);
        format!("{}: {}", host.domains.join(" "), routes.join(", "))
    };
    configuration.virtual_hosts.iter().map(row).collect()
}

fn route_text(route: &EnvoyRoute) -> String {
    let Some(PathSpecifier::Prefix(prefix)) = &route.r#match.as_ref().unwrap().path_specifier
    else {
        panic!("{route:?}")
    };
    match route.action.as_ref().unwrap() {
        Action::Route(action) => {
            let Some(ClusterSpecifier::WeightedClusters(clusters)) = &action.cluster_specifier
            else {
                panic!("{action:?}")
            };
            let first = clusters.clusters[0].name.split('/').next().unwrap();
            format!("{prefix} -> {first}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_route_that_matches_wins_across_hosts() {
    use samples::route;
    assert_eq!(table(&[]), Vec::<String>::new());
    assert_eq!(table(&[route(&[], "/", "cart")]), ["*: / -> cart"]);
    // The same hosts share one virtual host, prefixes in the order given.
    assert_eq!(
        table(&[
            route(&["a", "b"], "/api", "api"),
            route(&["b", "A"], "/", "cart")
        ]),
        ["a b: /api -> api, / -> cart"]
    );
    // A route for any host holds for a named one too, in its place in the order.
    assert_eq!(
        table(&[
            route(&["*"], "/api", "api"),
            route(&["web.example"], "/", "web"),
            route(&[], "/", "cart"),
        ]),
        [
            "web.example: /api -> api, / -> web, / -> cart",
            "*: /api -> api, / -> cart"
        ]
    );
    assert_eq!(
        table(&[
            route(&["*.example"], "/", "web"),
            route(&["a.example", "b.*"], "/", "api")
        ]),
        [
            "*.example: / -> web",
            "a.example: / -> web, / -> api",
            "b.*: / -> api"
        ]
    );
}

#[test]
fn weights_stand_in_order_and_are_written_also_when_zero() {
    let mut plan = samples::plan();
    let cart = &mut plan.services[0];
    cart.versions.insert(1, samples::version("v0", 0));
    cart.versions[1].routed = false;
    cart.versions[0].weight = Weight::NONE;
    cart.versions[2].weight = Weight::ALL;

    let got = decoded(service_routes(&plan, &plan.services[0].name));
    assert_eq!(
        (got.name.as_str(), got.ignore_port_in_host_matching),
        ("cart", true)
    );
    let host = &got.virtual_hosts[0];
    assert_eq!(host.domains, ["*"]);
    let Some(Action::Route(action)) = &host.routes[0].action else {
        panic!("{host:?}")
    };
    assert_eq!(action.timeout, Some(duration(Span::ZERO)));
    assert_eq!(action.retry_policy, None);
    let Some(ClusterSpecifier::WeightedClusters(weighted)) = &action.cluster_specifier else {
        panic!("{action:?}")
    };
    let weights: Vec<_> = weighted
        .clusters
        .iter()
        .map(|c| (c.name.as_str(), c.weight.unwrap().value))
        .collect();
    assert_eq!(weights, [("cart/v1", 0), ("cart/v2", 10_000)]);
}

#[test]
fn a_service_without_a_routed_version_says_so() {
    let mut plan = samples::plan();
    for version in &mut plan.services[0].versions {
        version.routed = false;
    }
    let got = decoded(service_routes(&plan, &plan.services[0].name));
    let Some(Action::DirectResponse(answer)) = &got.virtual_hosts[0].routes[0].action else {
        panic!("{got:?}")
    };
    let text = "no version of the service `cart` is ready\n".to_owned();
    let body = answer.body.as_ref().unwrap().specifier.clone();
    assert_eq!(
        (answer.status, body),
        (503, Some(data_source::Specifier::InlineString(text)))
    );
}

#[test]
fn a_routes_settings_win_over_its_services_and_touch_no_share() {
    let mut plan = samples::plan();
    let json = r#"{"route": {"timeout": "9s", "retry_policy": {"retry_on": "5xx"}},
        "request_headers_to_remove": ["a"]}"#;
    plan.services[0].overlay = Some(samples::overlay(OverlayPart::Route, json));
    let mut own = samples::route(&[], "/", "cart");
    let json = r#"{"route": {"timeout": "0.25s"}, "request_headers_to_remove": ["b"]}"#;
    own.overlay = Some(samples::overlay(OverlayPart::Route, json));

    let got = decoded(listener_routes(&plan, "mesh/1", std::slice::from_ref(&own)));
    let route = &got.virtual_hosts[0].routes[0];
    assert_eq!(route.request_headers_to_remove, ["a", "b"]);
    let Some(Action::Route(action)) = &route.action else {
        panic!("{route:?}")
    };
    assert_eq!(action.timeout, Some(duration(Span::millis(250))));
    assert_eq!(action.retry_policy.as_ref().unwrap().retry_on, "5xx");
    let Some(ClusterSpecifier::WeightedClusters(weighted)) = &action.cluster_specifier else {
        panic!("{action:?}")
    };
    assert_eq!(weighted.clusters.len(), 2);

    for version in &mut plan.services[0].versions {
        version.routed = false;
    }
    let got = decoded(listener_routes(&plan, "mesh/1", &[own]));
    let route = &got.virtual_hosts[0].routes[0];
    assert!(matches!(route.action, Some(Action::DirectResponse(_))));
    assert_eq!(route.request_headers_to_remove, ["a", "b"]);
}

/// Copies go to the version that is tried, by parts of 10,000, beside the shares.
#[test]
fn a_mirrored_version_gets_copies() {
    let mut plan = samples::plan();
    plan.services[0].versions[1].mirrored = Weight::parts(1_000);
    let got = decoded(service_routes(&plan, &plan.services[0].name));
    let Some(Action::Route(action)) = &got.virtual_hosts[0].routes[0].action else {
        panic!("{got:?}");
    };
    let copies: Vec<_> = action
        .request_mirror_policies
        .iter()
        .map(|policy| {
            let share = policy
                .runtime_fraction
                .as_ref()
                .and_then(|f| f.default_value);
            let share = share.map(|share| (share.numerator, share.denominator));
            (policy.cluster.as_str(), share)
        })
        .collect();
    assert_eq!(copies, [("cart/v2", Some((1_000, 1)))]);
}

#[test]
fn a_host_by_name_is_asked_by_its_name_and_no_other_is() {
    let mut service = samples::plan().services.remove(0);
    let endpoint = service.versions[1].endpoints.remove(0);
    service.versions[1].host = Some(crate::domain::NamedEndpoint {
        id: endpoint.id,
        host: "https://b.example:8443".parse().unwrap(),
        locality: endpoint.locality,
        state: Some(crate::domain::EndpointState::Healthy),
    });
    let rewritten = weights(&service);
    let rewritten = rewritten.iter().map(|it| it.host_rewrite_specifier.clone());
    let by_name = HostRewriteSpecifier::HostRewriteLiteral("b.example:8443".into());
    assert_eq!(rewritten.collect::<Vec<_>>(), [None, Some(by_name)]);
}

//! Routes: which service answers, and how its versions share the traffic.
//!
//! All that a rollout shifts is here: the weights of weighted clusters, which always sum to 10,000,
//! always stand in the same order and are always written, also when 0; Envoy's choice by hash is
//! monotonic only then. A service without any routed version answers 503 and says why.
//!
//! There is no retry policy unless the user sets one: what a drain promises must hold without retries, which would hide a
//! broken promise and send requests twice. There is no route timeout either: Envoy's default of 15 s
//! would cut long answers and streams; its stream idle timeout of 5 min stays.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::core::v3::{DataSource, RuntimeFractionalPercent, data_source};
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::{
    ClusterSpecifier, RequestMirrorPolicy,
};
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::cluster_weight::HostRewriteSpecifier;
use envoy_types::pb::envoy::config::route::v3::{
    DirectResponseAction, Route as EnvoyRoute, RouteAction, RouteConfiguration, RouteMatch,
    VirtualHost, WeightedCluster,
};
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::envoy::r#type::v3::fractional_percent::DenominatorType;

use super::cluster::cluster_name;
use super::overlay::{self, Layers, OverlayError};
use super::proto::{duration, number};
use super::session;
use crate::domain::{
    Overlay, OverlayPart, Plan, Route, ServiceName, ServicePlan, Span, VersionPlan, Weight,
};

/// What answers for a service without a routed version.
const UNAVAILABLE: u32 = 503;

/// The host pattern that matches everything.
pub(super) const ANY_HOST: &str = "*";

/// The routes of one listener, encoded, in the order in which its document gives them.
pub(super) fn listener_routes(
    plan: &Plan,
    name: &str,
    routes: &[Route],
) -> Result<Vec<u8>, OverlayError> {
    // Envoy first picks the most specific host and only then looks at its routes, but "the first
    // route that matches" must hold across hosts. So each host gets every route that covers it, in
    // order; hosts with the same routes share a virtual host, for Envoy refuses a host named twice.
    let hosts: Vec<Vec<String>> = routes.iter().map(patterns).collect();
    let mut shared: BTreeMap<Vec<usize>, Vec<String>> = BTreeMap::new();
    let mut domains: Vec<&String> = hosts.iter().flatten().collect();
    domains.sort_unstable();
    domains.dedup();
    for domain in domains {
        let covering = |of: &Vec<String>| of.iter().any(|pattern| covers(pattern, domain));
        let indices = (0..routes.len())
            .filter(|index| covering(&hosts[*index]))
            .collect();
        shared.entry(indices).or_default().push(domain.clone());
    }
    let (mut built, mut merged) = (Vec::new(), Vec::new());
    for route in routes {
        let layers = layers(plan, &route.service, route.overlay.as_ref())?;
        built.push(to_service(plan, &route.prefix, &route.service, &layers)?);
        merged.push(layers);
    }
    let virtual_hosts = shared.into_iter().map(|(indices, domains)| {
        let matching = indices.into_iter().flat_map(|index| built[index].clone());
        virtual_host(domains, matching.collect())
    });
    let configuration = configuration(name.to_owned(), virtual_hosts.collect());
    overlay::encode(&configuration, &merged.iter().collect::<Vec<_>>())
}

/// The settings of a route: the service's, then its own.
fn layers(
    plan: &Plan,
    service: &ServiceName,
    own: Option<&Overlay>,
) -> Result<Layers, OverlayError> {
    let service = plan.service(service);
    let overlays = [service.and_then(|service| service.overlay.as_ref()), own];
    let texts = overlays.into_iter().flatten();
    let texts = texts.filter_map(|overlay| overlay.part(OverlayPart::Route));
    Layers::parse(OverlayPart::Route, texts)
}

/// The routes of one service alone, encoded, for proxies whose own listeners ask for them by its name.
pub(super) fn service_routes(plan: &Plan, service: &ServiceName) -> Result<Vec<u8>, OverlayError> {
    let layers = layers(plan, service, None)?;
    let routes = to_service(plan, "/", service, &layers)?;
    let host = virtual_host(vec![ANY_HOST.to_owned()], routes);
    let configuration = configuration(service.to_string(), vec![host]);
    overlay::encode(&configuration, &[&layers])
}

/// Routes under a name.
pub(super) fn configuration(name: String, virtual_hosts: Vec<VirtualHost>) -> RouteConfiguration {
    RouteConfiguration {
        name,
        virtual_hosts,
        // A host matches with whatever port the caller used.
        ignore_port_in_host_matching: true,
        ..RouteConfiguration::default()
    }
}

/// A virtual host, named by its first host pattern, which no other one has.
pub(super) fn virtual_host(domains: Vec<String>, routes: Vec<EnvoyRoute>) -> VirtualHost {
    let name = domains.first().cloned().unwrap_or_default();
    VirtualHost {
        name,
        domains,
        routes,
        ..VirtualHost::default()
    }
}

/// A route's host patterns, as Envoy compares them.
fn patterns(route: &Route) -> Vec<String> {
    if route.hosts.is_empty() {
        return vec![ANY_HOST.to_owned()];
    }
    route
        .hosts
        .iter()
        .map(|host| host.to_ascii_lowercase())
        .collect()
}

/// Does `pattern` match every host that `domain`, itself perhaps a pattern, matches?
fn covers(pattern: &str, domain: &str) -> bool {
    if pattern == ANY_HOST || pattern == domain {
        return true;
    }
    let longer = domain.len() >= pattern.len();
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(suffix), _) => longer && domain.ends_with(suffix),
        (_, Some(prefix)) => longer && domain.starts_with(prefix),
        _ => false,
    }
}

/// The routes of a prefix to a service: one, or several where it keeps sessions.
fn to_service(
    plan: &Plan,
    prefix: &str,
    service: &ServiceName,
    settings: &Layers,
) -> Result<Vec<EnvoyRoute>, OverlayError> {
    let planned = plan.service(service);
    let planned = planned.filter(|planned| planned.routed().next().is_some());
    let clusters = planned.map(weights).unwrap_or_default();
    let mut dealt = to_clusters(prefix, clusters);
    if let Some(Action::Route(action)) = &mut dealt.action {
        action.request_mirror_policies = planned.map(mirrors).unwrap_or_default();
    }
    let mut routes = match planned {
        Some(planned) => session::routes(planned, dealt),
        None => vec![dealt],
    };
    for route in &mut routes {
        settings.merge_into(route)?;
        if planned.is_none() {
            // How to forward means nothing where nobody is; the other settings hold.
            route.action = Some(Action::DirectResponse(no_version(service)));
        }
    }
    Ok(routes)
}

/// A route to clusters, by their shares.
pub(super) fn to_clusters(prefix: &str, clusters: Vec<ClusterWeight>) -> EnvoyRoute {
    EnvoyRoute {
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix(prefix.to_owned())),
            ..RouteMatch::default()
        }),
        action: Some(Action::Route(RouteAction {
            cluster_specifier: Some(ClusterSpecifier::WeightedClusters(WeightedCluster {
                clusters,
                ..WeightedCluster::default()
            })),
            timeout: Some(duration(Span::ZERO)),
            ..RouteAction::default()
        })),
        ..EnvoyRoute::default()
    }
}

/// The shares of a service's routed versions.
pub(super) fn weights(service: &ServicePlan) -> Vec<ClusterWeight> {
    let weight = |version: &VersionPlan| ClusterWeight {
        name: cluster_name(&service.name, &version.name),
        weight: Some(number(u32::from(version.weight.get()))),
        // Whoever is known by a name tells by it whom a request is for.
        host_rewrite_specifier: version
            .host
            .as_ref()
            .map(|named| HostRewriteSpecifier::HostRewriteLiteral(named.host.authority())),
        ..ClusterWeight::default()
    };
    service.routed().map(weight).collect()
}

/// Who gets copies of a service's requests.
fn mirrors(service: &ServicePlan) -> Vec<RequestMirrorPolicy> {
    let mirrored = service.routed().filter(|v| v.mirrored > Weight::NONE);
    let policy = |version: &VersionPlan| RequestMirrorPolicy {
        cluster: cluster_name(&service.name, &version.name),
        runtime_fraction: Some(RuntimeFractionalPercent {
            default_value: Some(FractionalPercent {
                numerator: u32::from(version.mirrored.get()),
                denominator: DenominatorType::TenThousand.into(),
            }),
            ..RuntimeFractionalPercent::default()
        }),
        ..RequestMirrorPolicy::default()
    };
    mirrored.map(policy).collect()
}

fn no_version(service: &ServiceName) -> DirectResponseAction {
    let text = format!("no version of the service `{service}` is ready\n");
    DirectResponseAction {
        status: UNAVAILABLE,
        body: Some(DataSource {
            specifier: Some(data_source::Specifier::InlineString(text)),
            ..DataSource::default()
        }),
        ..DirectResponseAction::default()
    }
}

#[cfg(test)]
mod tests;

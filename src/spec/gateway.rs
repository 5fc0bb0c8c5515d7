//! Gateway documents.

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::context::Context;
use super::decode::decode;
use super::envoy::{self, ListenerEnvoy, RouteEnvoy};
use super::field::Field;
use super::source::Place;
use super::tree::{Node, Value};
use super::words::{NameText, PortNumber, ServiceText};
use crate::domain::{
    AliasName, Gateway, GatewayName, Kind, Listener, ProxySelector, Route, ServiceName,
};

/// Listeners and routes for the proxies that it selects.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GatewaySpec {
    /// Which proxies it is for; at least one condition, and all of them must hold.
    proxies: Field<ProxiesSpec>,
    /// What the proxies listen on. Absent for proxies that have listeners of their own.
    #[serde(default)]
    listeners: Field<Vec<Field<ListenerSpec>>>,
    /// Services whose routes and clusters the proxies may take although no listener names them.
    #[serde(default)]
    #[schemars(with = "Vec<ServiceText>")]
    services: Field<Vec<Field<ServiceName>>>,
    /// Envoy settings of your own, for each of the listeners.
    #[serde(default)]
    envoy: Field<ListenerEnvoy>,
}

/// Selects proxies by what their node says of itself.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProxiesSpec {
    /// The node's cluster.
    #[serde(default)]
    cluster: Field<String>,
    /// Top-level texts of the node's metadata.
    #[serde(default)]
    metadata: Field<BTreeMap<String, String>>,
    /// The region of the node's locality.
    #[serde(default)]
    region: Field<String>,
    /// The zone of the node's locality.
    #[serde(default)]
    zone: Field<String>,
}

/// One listening port.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListenerSpec {
    /// The port bound on each proxy; 0 lets its host choose.
    #[schemars(with = "PortNumber")]
    port: Field<u16>,
    /// The IP address bound on each proxy; `0.0.0.0` unless given.
    #[serde(default)]
    address: Field<String>,
    /// Where requests go: the first route that matches.
    routes: Field<Vec<Field<RouteSpec>>>,
    /// Envoy settings of your own; they win over the gateway's.
    #[serde(default)]
    envoy: Field<ListenerEnvoy>,
}

/// Requests of some hosts under some path go to a service.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RouteSpec {
    /// Host names; any unless given.
    #[serde(default)]
    hosts: Field<Vec<Field<String>>>,
    /// The beginning of the path; `/` unless given.
    #[serde(default)]
    prefix: Field<String>,
    /// The service that answers.
    #[schemars(with = "ServiceText")]
    service: Field<ServiceName>,
    /// The service's alias that is called; the service itself unless given.
    #[serde(default)]
    #[schemars(with = "NameText")]
    alias: Field<AliasName>,
    /// Envoy settings of your own; they win over the service's.
    #[serde(default)]
    envoy: Field<RouteEnvoy>,
}

/// Reads the spec of a gateway; `None` once it was told what is missing.
pub(super) fn read(
    name: Option<GatewayName>,
    spec: &Node,
    at: Place,
    cx: &Context<'_>,
) -> Option<Gateway> {
    let node = spec;
    let spec: GatewaySpec = decode(node, cx.sink)?;
    let proxies_at = spec.proxies.key().unwrap_or(at);
    let proxies = spec
        .proxies
        .required("proxies", at, cx.sink)
        .map(|p| selector(p, proxies_at, cx));
    if !spec.listeners.is_given() && !spec.services.is_given() {
        let hint = "give `listeners`, or `services` for proxies with listeners of their own";
        cx.sink
            .hinted(at, "the gateway serves nothing", hint.to_owned());
    }
    let overlay = envoy::read(spec.envoy, Some(node), None, cx);
    let (mut listeners, mut lines) = (Vec::new(), Vec::new());
    for (number, field) in spec.listeners.or(Vec::new()).into_iter().enumerate() {
        let place = field.at(at);
        let node = item(Some(node), "listeners", number);
        let given = field.get();
        let Some(listener) = given.and_then(|l| listener(l, node, number, place, cx)) else {
            continue;
        };
        if let Some(i) = listeners.iter().position(|other| clash(&listener, other)) {
            let (port, line) = (listener.port, lines[i]);
            let message =
                format!("port {port} is used twice, first by the listener in line {line}");
            cx.sink.problem(place, message);
        }
        listeners.push(listener);
        lines.push(place.line);
    }
    let mut services = Vec::new();
    for field in spec.services.or(Vec::new()) {
        let place = field.at(at);
        if let Some(service) = field.get() {
            cx.refer(Kind::Service, &service, place, None);
            services.push(service);
        }
    }
    Some(Gateway {
        name: name?,
        proxies: proxies?,
        listeners,
        services,
        overlay,
    })
}

fn selector(spec: ProxiesSpec, at: Place, cx: &Context<'_>) -> ProxySelector {
    let metadata = spec.metadata.or(BTreeMap::new());
    let texts = [&spec.cluster, &spec.region, &spec.zone];
    let given = texts.iter().any(|field| field.is_given()) || !metadata.is_empty();
    if !given {
        let hint = "give `cluster`, `metadata`, `region` or `zone`";
        cx.sink.hinted(
            at,
            "`proxies` selects nothing in particular",
            hint.to_owned(),
        );
    }
    ProxySelector {
        cluster: spec.cluster.get(),
        metadata,
        region: spec.region.get(),
        zone: spec.zone.get(),
    }
}

/// An item of a list of the document.
fn item<'a>(parent: Option<&'a Node>, list: &str, number: usize) -> Option<&'a Node> {
    match &parent?.get(list)?.1.value {
        Value::List(items) => items.get(number),
        _ => None,
    }
}

fn listener(
    spec: ListenerSpec,
    node: Option<&Node>,
    number: usize,
    at: Place,
    cx: &Context<'_>,
) -> Option<Listener> {
    let port = spec.port.required("port", at, cx.sink);
    let address_at = spec.address.at(at);
    let address = spec.address.or(ANY_ADDRESS.to_owned());
    if address.parse::<IpAddr>().is_err() {
        let message = format!("`{address}` is not an IP address");
        cx.sink
            .hinted(address_at, message, "for any, leave it out".to_owned());
    }
    let overlay = envoy::read(spec.envoy, node, Some(number), cx);
    let routes_at = spec.routes.key().unwrap_or(at);
    let given = spec.routes.required("routes", at, cx.sink)?;
    if given.is_empty() {
        cx.sink
            .problem(routes_at, "a listener needs at least one route");
    }
    let mut routes = Vec::new();
    for (index, field) in given.into_iter().enumerate() {
        let (place, node) = (field.at(at), item(node, "routes", index));
        routes.extend(field.get().and_then(|r| route(r, node, number, place, cx)));
    }
    Some(Listener {
        address,
        port: port?,
        routes,
        overlay,
    })
}

fn route(
    spec: RouteSpec,
    node: Option<&Node>,
    listener: usize,
    at: Place,
    cx: &Context<'_>,
) -> Option<Route> {
    let overlay = envoy::read(spec.envoy, node, Some(listener), cx);
    let mut hosts = Vec::new();
    for field in spec.hosts.or(Vec::new()) {
        let place = field.at(at);
        let Some(host) = field.get() else { continue };
        if host.is_empty() || host.contains(['/', ' ']) {
            let hint = "write a name as in the `Host` header, or `*` for any";
            cx.sink.hinted(
                place,
                format!("`{host}` is not a host name"),
                hint.to_owned(),
            );
        }
        hosts.push(host);
    }
    let prefix_at = spec.prefix.at(at);
    let prefix = spec.prefix.or("/".to_owned());
    if !prefix.starts_with('/') {
        let hint = format!("write `/{prefix}`");
        cx.sink.hinted(
            prefix_at,
            format!("the prefix `{prefix}` must begin with `/`"),
            hint,
        );
    }
    let service_at = spec.service.at(at);
    let service = spec.service.required("service", at, cx.sink)?;
    let service = cx.service(service, service_at, spec.alias, Some(listener))?;
    Some(Route {
        hosts,
        prefix,
        service,
        overlay,
    })
}

/// Two listeners may not want the same port, or a proxy would refuse the second.
pub(super) fn clash(one: &Listener, other: &Listener) -> bool {
    let any = |address: &str| matches!(address, ANY_ADDRESS | "::");
    one.port != 0
        && one.port == other.port
        && (one.address == other.address || any(&one.address) || any(&other.address))
}

/// Where a listener listens unless told.
const ANY_ADDRESS: &str = "0.0.0.0";

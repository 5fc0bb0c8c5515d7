//! A small plan for the tests of this module: one gateway, one service rolling from v1 to v2.

use std::net::SocketAddr;

use crate::domain::{
    Delivery, Endpoint, EndpointState, Gateway, Generation, HealthCheck, Listener, Locality,
    Overlay, OverlayPart, Plan, Probe, Protocol, ProxySelector, Route, ServicePlan, Span,
    UpstreamTls, VersionPlan, Weight, split_weights,
};

/// `mesh` routes to `cart`: three of v1 at 75 %, one of v2 at 25 %.
pub(super) fn plan() -> Plan {
    let mut cart = service("cart");
    cart.versions = vec![version("v1", 3), version("v2", 1)];
    set_weights(&mut cart, &[3, 1]);
    Plan {
        generation: Generation(7),
        gateways: vec![Gateway {
            name: "mesh".parse().unwrap(),
            proxies: ProxySelector {
                cluster: Some("web".into()),
                ..ProxySelector::default()
            },
            listeners: vec![Listener {
                address: "127.0.0.1".into(),
                port: 10000,
                routes: vec![route(&[], "/", "cart")],
                overlay: None,
            }],
            services: Vec::new(),
            overlay: None,
        }],
        services: vec![cart],
    }
}

/// An HTTP/1 service without versions.
pub(super) fn service(name: &str) -> ServicePlan {
    ServicePlan {
        name: name.parse().unwrap(),
        protocol: Protocol::Http1,
        health: HealthCheck {
            probe: Probe::Http {
                path: "/healthz".into(),
            },
            interval: Span::secs(2),
            timeout: Span::secs(1),
            healthy_after: 2,
            unhealthy_after: 3,
        },
        tls: UpstreamTls::default(),
        warm_up: Span::ZERO,
        sessions: None,
        delivery: Delivery::Together,
        overlay: None,
        versions: Vec::new(),
    }
}

/// A routed version with so many healthy endpoints of capacity 1 in zone `a`.
pub(super) fn version(name: &str, endpoints: u16) -> VersionPlan {
    let endpoint = |index: u16| Endpoint {
        id: format!("{name}-{index}").parse().unwrap(),
        address: SocketAddr::from(([127, 0, 0, 1], 20_000 + index)),
        locality: Locality {
            region: "r".into(),
            zone: "a".into(),
        },
        capacity: 1,
        state: EndpointState::Healthy,
    };
    VersionPlan {
        host: None,
        name: name.parse().unwrap(),
        routed: true,
        weight: Weight::NONE,
        mirrored: Weight::NONE,
        endpoints: (0..endpoints).map(endpoint).collect(),
    }
}

/// Weights in proportion to these parts.
pub(super) fn set_weights(service: &mut ServicePlan, parts: &[u64]) {
    let weights = split_weights(parts).unwrap();
    for (version, weight) in service.versions.iter_mut().zip(weights) {
        version.weight = weight;
    }
}

/// A route of a listener.
pub(super) fn route(hosts: &[&str], prefix: &str, service: &str) -> Route {
    Route {
        hosts: hosts.iter().map(ToString::to_string).collect(),
        prefix: prefix.into(),
        service: service.parse().unwrap(),
        overlay: None,
    }
}

/// Settings of one part.
pub(super) fn overlay(part: OverlayPart, json: &str) -> Overlay {
    Overlay([(part, json.to_owned())].into())
}

/// Settings of a cluster or filter chain with a TLS context that asks for a secret on the aggregated
/// stream.
pub(super) fn tls(context: &str, secret: &str) -> String {
    let package = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";
    serde_json::json!({ "transport_socket": { "name": "tls", "typed_config": {
        "@type": format!("{package}.{context}"),
        "common_tls_context": { "tls_certificate_sds_secret_configs": [
            { "name": secret, "sds_config": { "ads": {}, "resource_api_version": "V3" } },
        ] },
    } } })
    .to_string()
}

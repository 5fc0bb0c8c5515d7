//! A plan for the tests: `web` reaches `cart`, whose v1 has four instances, two of which drain.

use std::net::SocketAddr;

use crate::domain::{
    Delivery, Endpoint, EndpointState, Gateway, Generation, HealthCheck, Locality, Plan, Probe,
    Protocol, ProxySelector, ServicePlan, Span, UpstreamTls, VersionPlan, Weight,
};

pub(super) fn plan() -> Plan {
    let endpoint = |(port, zone, state): (u16, &str, EndpointState)| Endpoint {
        id: format!("i{port}").parse().unwrap(),
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        locality: Locality {
            region: String::new(),
            zone: zone.into(),
        },
        capacity: 1,
        state,
    };
    let version = VersionPlan {
        host: None,
        name: "v1".parse().unwrap(),
        routed: true,
        weight: Weight::ALL,
        mirrored: Weight::NONE,
        endpoints: [
            (1, "a", EndpointState::Healthy),
            (2, "a", EndpointState::Draining),
            (5, "b", EndpointState::Healthy),
            (6, "b", EndpointState::Draining),
        ]
        .map(endpoint)
        .into(),
    };
    let cart = ServicePlan {
        name: "cart".parse().unwrap(),
        protocol: Protocol::Http1,
        health: HealthCheck {
            probe: Probe::Tcp,
            interval: Span::secs(1),
            timeout: Span::secs(1),
            healthy_after: 1,
            unhealthy_after: 1,
        },
        tls: UpstreamTls::default(),
        warm_up: Span::ZERO,
        sessions: None,
        delivery: Delivery::Together,
        overlay: None,
        versions: vec![version],
    };
    Plan {
        generation: Generation(1),
        gateways: vec![Gateway {
            name: "mesh".parse().unwrap(),
            proxies: ProxySelector {
                cluster: Some("web".into()),
                ..ProxySelector::default()
            },
            listeners: Vec::new(),
            services: vec!["cart".parse().unwrap()],
            overlay: None,
        }],
        services: vec![cart],
    }
}

/// The same, before anything drained.
pub(super) fn calm() -> Plan {
    let mut plan = plan();
    for endpoint in &mut plan.services[0].versions[0].endpoints {
        endpoint.state = EndpointState::Healthy;
    }
    plan
}

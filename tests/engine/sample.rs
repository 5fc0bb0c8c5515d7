//! Documents and small values that the tests share.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tidegate::domain::{
    Amount, Bake, Delivery, Documents, Drain, Gateway, HealthCheck, Hook, Instance, InstanceSource,
    Listener, Locality, LostProxies, Probe, Protocol, ProxyId, ProxyIdentity, ProxySelector,
    Rolling, Rollout, Route, Rps, Service, Span, Strategy, ThenDo, UpstreamTls, VersionLabel,
};
use tidegate::engine::Actor;

/// A name of any kind.
pub(crate) fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("a legal name")
}

pub(crate) fn actor() -> Actor {
    Actor("ada".to_owned())
}

/// The service `cart`.
pub(crate) fn service() -> Service {
    Service {
        name: name("cart"),
        labels: std::collections::BTreeMap::new(),
        source: InstanceSource::Api,
        matches: BTreeMap::new(),
        version_label: VersionLabel("version".to_owned()),
        protocol: Protocol::Http1,
        health: HealthCheck {
            probe: Probe::Tcp,
            interval: Span::secs(1),
            timeout: Span::secs(1),
            healthy_after: 1,
            unhealthy_after: 1,
        },
        capacity: None,
        measured: false,
        min_ready: Span::millis(200),
        min_per_zone: 0,
        warm_up: Span::ZERO,
        sessions: None,
        drain: Drain {
            at_most: Span::secs(600),
            lost_proxies: LostProxies {
                wait: Span::secs(20),
                then: ThenDo::Pause,
            },
        },
        delivery: Delivery::Together,
        tls: UpstreamTls::default(),
        first: None,
        overlay: None,
        run: None,
    }
}

/// A gateway that gives `cart` to the proxies of `mesh`.
pub(crate) fn gateway() -> Gateway {
    Gateway {
        name: name("mesh"),
        proxies: ProxySelector {
            cluster: Some("mesh".to_owned()),
            ..ProxySelector::default()
        },
        listeners: vec![Listener {
            address: "127.0.0.1".to_owned(),
            port: 10_000,
            routes: vec![Route {
                hosts: Vec::new(),
                prefix: "/".to_owned(),
                service: name("cart"),
                overlay: None,
            }],
            overlay: None,
        }],
        services: Vec::new(),
        overlay: None,
    }
}

/// The service and the gateway, and no rollout.
pub(crate) fn documents(service: Service) -> Documents {
    let gateway = gateway();
    Documents {
        gateways: BTreeMap::from([(gateway.name.clone(), gateway)]),
        services: BTreeMap::from([(service.name.clone(), service)]),
        ..Documents::default()
    }
}

/// One by one, one more than desired, never one fewer; hooks start and stop instances.
pub(crate) fn rollout(called: &str, to: &str) -> Rollout {
    Rollout {
        name: name(called),
        service: name("cart"),
        from: None,
        to: name(to),
        strategy: rolling(1, 1, 0),
        replace: Some(hook()),
        hooks: Vec::new(),
        gates: Vec::new(),
        on_worse: None,
        if_unsure: None,
        keeps_sessions: false,
        bake: Bake {
            span: Span::ZERO,
            holdback: 0,
        },
        keep_old: Span::ZERO,
        deadline: Span::secs(600),
    }
}

pub(crate) fn rolling(batch: u32, max_surge: u32, max_unavailable: u32) -> Strategy {
    Strategy::Rolling(Rolling::new(
        Amount::Count(batch),
        Amount::Count(max_surge),
        Amount::Count(max_unavailable),
    ))
}

pub(crate) fn hook() -> Hook {
    Hook::Exec {
        argv: vec!["replace".to_owned()],
        timeout: Span::secs(60),
    }
}

/// The instance `id` of `version` behind `port`.
pub(crate) fn instance(id: &str, version: &str, port: u16, capacity: Option<Rps>) -> Instance {
    Instance {
        id: name(id),
        address: SocketAddr::from(([127, 0, 0, 1], port)).into(),
        version: name(version),
        locality: Locality::default(),
        capacity,
        lease: None,
        labels: BTreeMap::new(),
    }
}

/// A proxy of the mesh.
pub(crate) fn identity(id: &ProxyId) -> ProxyIdentity {
    ProxyIdentity {
        id: id.clone(),
        cluster: "mesh".to_owned(),
        metadata: BTreeMap::new(),
        locality: Locality::default(),
        agent: "envoy 1.40.0".to_owned(),
    }
}

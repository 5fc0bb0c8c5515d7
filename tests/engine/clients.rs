//! What is asked of each kind of client before an instance counts.

use tidegate::domain::{ProxyId, ServiceName, Span, Time};
use tidegate::engine::{Engine, Event, ProxyEvent, State};

use crate::sample::{actor, documents, identity, instance, name, service};

/// The stage of an instance that was told to the one proxy, which has acknowledged it this moment and
/// reports nothing.
fn stage_when_acknowledged(agent: &str) -> String {
    let mut now = Span::secs(1_000_000_000).after(Time::UNIX_EPOCH);
    let (mut engine, _) = Engine::recover(State::default(), now);
    let (cart, only): (ServiceName, _) = (name("cart"), instance("v1-0", "v1", 20_000, None));
    let id: ProxyId = name("proxy-1");
    let mut proxy = identity(&id);
    proxy.agent = agent.into();
    let told = |event| Event::Proxy {
        id: id.clone(),
        event,
    };
    let documents = Event::Documents {
        documents: Box::new(documents(service())),
        by: actor(),
    };
    let healthy = Event::Health {
        service: cart.clone(),
        instance: only.id.clone(),
        healthy: true,
        detail: "200".to_owned(),
    };
    let discovered = Event::Discovered {
        service: cart.clone(),
        instances: vec![only.clone()],
    };
    let connected = told(ProxyEvent::Connected(proxy));
    for event in [documents, connected, discovered, healthy] {
        engine.handle(event, now);
    }
    now = Span::secs(3600).after(now);
    engine.handle(Event::Tick, now);
    let generation = engine.state().generation;
    engine.handle(told(ProxyEvent::InForce(generation)), now);
    engine.handle(Event::Tick, now);
    engine.state().services[&cart].instances[&only.id]
        .stage
        .to_string()
}

#[test]
fn an_envoy_checks_a_new_instance_itself_and_a_grpc_client_does_not() {
    for (agent, stage) in [
        ("envoy 1.40.0", "joining"),
        (
            "gRPC C-core linux Python C-core 58.0.0 Python 1.85.1",
            "serving",
        ),
        ("gRPC Node Pure JS 1.14.7", "serving"),
    ] {
        assert_eq!(stage_when_acknowledged(agent), stage, "{agent}");
    }
}

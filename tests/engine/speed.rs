//! How long a turn takes with a large fleet. Measured and printed (`--nocapture`), not judged: the
//! machine that runs the tests is nobody's promise.

use std::time::Duration;

use tidegate::domain::{Instance, ProxyId, Span};
use tidegate::engine::{Engine, Event, InstanceLoad, LoadReport, ProxyEvent, Source, State};

use crate::sample::{actor, documents, identity, instance, name, rolling, rollout, service};

const INSTANCES: u16 = 1_000;
const PROXIES: u32 = 200;
const TURNS: u32 = 6;

/// So many of them report in each turn; a report costs the same from whoever it comes.
const REPORTING: u32 = 20;

struct Large {
    engine: Engine,
    now: tidegate::domain::Time,
    all: Vec<Instance>,
}

impl Large {
    fn event(&mut self, event: Event) -> Duration {
        #[expect(clippy::disallowed_methods, reason = "it is a measurement")]
        let began = std::time::Instant::now();
        self.engine.handle(event, self.now);
        began.elapsed()
    }

    fn tick(&mut self) -> Duration {
        self.now = Span::millis(250).after(self.now);
        self.event(Event::Tick)
    }

    fn proxy(&mut self, number: u32, event: ProxyEvent) -> Duration {
        let id: ProxyId = name(&format!("edge-{number}"));
        self.event(Event::Proxy { id, event })
    }

    fn acknowledge(&mut self) -> Duration {
        let generation = self.engine.state().generation;
        let each = (0..PROXIES).map(|p| self.proxy(p, ProxyEvent::InForce(generation)));
        each.max().unwrap_or_default()
    }

    fn report(&mut self) -> Duration {
        let read_at_ns = u64::try_from(self.now.as_nanosecond()).unwrap_or(0);
        let load = |instance: &Instance| InstanceLoad {
            service: name("cart"),
            version: instance.version.clone(),
            instance: instance.id.clone(),
            in_progress: 0,
            healthy: Some(true),
        };
        let instances: Vec<_> = self.all.iter().map(load).collect();
        let report = |_| LoadReport {
            source: Source::Otlp,
            read_at_ns,
            instances: instances.clone(),
            completed: Vec::new(),
            attempts: Vec::new(),
            since: None,
        };
        let each = (0..REPORTING).map(|p| self.proxy(p, ProxyEvent::Load(report(p))));
        each.max().unwrap_or_default()
    }
}

#[test]
fn a_turn_with_a_thousand_instances_and_two_hundred_proxies() {
    let now = Span::secs(1_000_000_000).after(tidegate::domain::Time::UNIX_EPOCH);
    let (engine, _) = Engine::recover(State::default(), now);
    let one = |n: u16, v: &str| instance(&format!("{v}-{n:04}"), v, 20_000 + n, None);
    let all: Vec<Instance> = (0..INSTANCES).map(|n| one(n, "v1")).collect();
    let mut large = Large { engine, now, all };
    let mut docs = documents(service());
    let mut next = rollout("next", "v2");
    (next.strategy, next.replace) = (rolling(50, 50, 50), None);
    docs.rollouts.insert(next.name.clone(), next);
    large.event(Event::Documents {
        documents: Box::new(docs),
        by: actor(),
    });
    for number in 0..PROXIES {
        let id: ProxyId = name(&format!("edge-{number}"));
        large.proxy(number, ProxyEvent::Connected(identity(&id)));
    }
    large.all.extend((0..50).map(|n| one(n + INSTANCES, "v2")));
    let instances = large.all.clone();
    let service: tidegate::domain::ServiceName = name("cart");
    let discovered = large.event(Event::Discovered {
        service: service.clone(),
        instances,
    });
    let mut health = Duration::ZERO;
    for instance in large.all.clone() {
        health = health.max(large.event(Event::Health {
            service: service.clone(),
            instance: instance.id,
            healthy: true,
            detail: "200".to_owned(),
        }));
    }
    // Proxies that do not report are given time to have made their own checks.
    for _ in 0..2 {
        large.now = Span::secs(60).after(large.now);
        large.tick();
        large.acknowledge();
    }
    let (mut tick, mut acknowledged, mut reported) = Default::default();
    for _ in 0..TURNS {
        tick = large.tick().max(tick);
        acknowledged = large.acknowledge().max(acknowledged);
        reported = large.report().max(reported);
    }
    let quiet = large.tick();
    #[expect(clippy::disallowed_methods, reason = "it is a measurement")]
    let began = std::time::Instant::now();
    drop(large.engine.view(large.now));
    let view = began.elapsed();
    println!(
        "the longest of each: discovered {discovered:?}, health {health:?}, tick {tick:?}, \
         acknowledgement {acknowledged:?}, report {reported:?}; a quiet tick {quiet:?}, a view {view:?}"
    );
    assert!(large.engine.state().rollouts[&name("next")].runs());
}

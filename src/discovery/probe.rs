//! The health of all instances: one task probes one instance, for as long as that is known.
//!
//! In go whole sets, out go [`Event::Health`]s: the first verdict on an instance and every change. A
//! changed address or health check starts over with an open verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

use crate::domain::{
    Address, HealthCheck, Instance, InstanceId, Protocol, Service, ServiceName, UpstreamTls,
};
use crate::engine::Event;
use crate::process::Tasks;

use super::caller::Caller;
use super::check::check;
use super::verdict::Verdict;

/// Most checks that run at once; each holds a connection.
const CHECKS_MAX: usize = 512;
/// Shortest time between two checks of an instance.
const INTERVAL_MIN: Duration = Duration::from_millis(50);

/// All probes that run.
#[derive(Debug)]
pub(crate) struct Probes {
    checks: Arc<Semaphore>,
    events: mpsc::Sender<Event>,
    running: BTreeMap<ServiceName, BTreeMap<InstanceId, Probing>>,
    tasks: Tasks,
}

/// A probe that runs for as long as this value lives.
#[derive(Debug)]
struct Probing {
    target: Target,
    task: AbortHandle,
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is probed and how; another of these is another probe.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    address: Address,
    health: HealthCheck,
    protocol: Protocol,
    tls: UpstreamTls,
}

impl Target {
    fn new(service: &Service, instance: &Instance) -> Self {
        let Service {
            protocol,
            health,
            tls,
            ..
        } = service;
        Self {
            address: instance.address.clone(),
            health: health.clone(),
            protocol: *protocol,
            tls: tls.clone(),
        }
    }
}

impl Probes {
    pub(crate) fn new(tasks: Tasks, events: mpsc::Sender<Event>) -> Self {
        let checks = Arc::new(Semaphore::new(CHECKS_MAX));
        Self {
            checks,
            events,
            running: BTreeMap::new(),
            tasks,
        }
    }

    /// Stops the probes of services that are not in `declared`.
    pub(crate) fn keep_services(&mut self, declared: &BTreeSet<ServiceName>) {
        self.running.retain(|name, _| declared.contains(name));
    }

    /// Stops the probes of instances that are gone or have changed.
    pub(crate) fn retire(&mut self, service: &Service, instances: &[Instance]) {
        let Some(running) = self.running.get_mut(&service.name) else {
            return;
        };
        let targets: BTreeMap<_, _> = instances
            .iter()
            .map(|i| (&i.id, Target::new(service, i)))
            .collect();
        running.retain(|id, probing| targets.get(id) == Some(&probing.target));
    }

    /// Has exactly `instances` probed.
    pub(crate) fn sync(&mut self, service: &Service, instances: &[Instance]) {
        self.retire(service, instances);
        let running = self.running.entry(service.name.clone()).or_default();
        for instance in instances {
            running.entry(instance.id.clone()).or_insert_with(|| {
                let target = Target::new(service, instance);
                let probe = Probe {
                    checks: Arc::clone(&self.checks),
                    events: self.events.clone(),
                    instance: instance.id.clone(),
                    service: service.name.clone(),
                    target: target.clone(),
                };
                let stop = self.tasks.stopping();
                let task = self.tasks.spawn("health probe", async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = probe.run() => {}
                    }
                });
                Probing { target, task }
            });
        }
    }
}

struct Probe {
    checks: Arc<Semaphore>,
    events: mpsc::Sender<Event>,
    instance: InstanceId,
    service: ServiceName,
    target: Target,
}

impl Probe {
    /// Probes until nobody listens any more.
    async fn run(self) {
        let Target {
            address,
            health,
            protocol,
            tls,
        } = &self.target;
        let mut caller = Caller::new(address.clone(), *protocol, tls.clone());
        let interval = health.interval.duration().max(INTERVAL_MIN);
        let mut verdict = Verdict::new(health);
        let mut gap = interval.mul_f64(phase(&self.instance));
        loop {
            let answer = {
                let Ok(_permit) = self.checks.acquire().await else {
                    return;
                };
                check(&mut caller, *protocol, health).await
            };
            if let Some(healthy) = verdict.observe(answer.is_ok()) {
                let (Ok(detail) | Err(detail)) = answer;
                let event = Event::Health {
                    service: self.service.clone(),
                    instance: self.instance.clone(),
                    healthy,
                    detail,
                };
                if self.events.send(event).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(gap).await;
            gap = interval;
        }
    }
}

/// Where in the interval an instance's second check falls, from a half to the whole: instances that
/// are discovered together must not be probed together for ever.
fn phase(instance: &InstanceId) -> f64 {
    let mut hasher = DefaultHasher::new();
    instance.hash(&mut hasher);
    0.5 + (hasher.finish() % 1024) as f64 / 2048.0
}

//! Processes: they start, pass their health check or not, and end.

use std::net::SocketAddr;

use super::chance::Chance;
use super::fault::{Fault, STARTS_IN, STARTS_SLOWLY_IN};
use super::flow::Failed;
use super::proxy::Key;
use super::world::{Happening, Sim};
use crate::domain::{
    Instance, InstanceId, Locality, Service, ServiceName, Span, Time, VersionName,
};
use crate::engine::{Engine, Event};

/// A process, known to the engine or not.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) instance: Instance,
    /// It answers from then on.
    boots: Time,
    /// It fails its health check all the same.
    pub(super) sick: bool,
    /// What the prober has said of it to this control plane.
    pub(super) said: Option<bool>,
    /// Somebody is about to stop it.
    pub(super) stopping: bool,
}

/// Addresses are handed out from 240.0.0.1 on, where nobody's are.
const FIRST_ADDRESS: u32 = 0xF000_0001;

/// Where all of them answer.
const PORT: u16 = 8080;

impl Process {
    /// One that answers already.
    pub(super) fn there(instance: Instance, now: Time, sick: bool) -> Self {
        Self {
            instance,
            boots: now,
            sick,
            said: None,
            stopping: false,
        }
    }
}

impl Sim<'_> {
    /// Starts a process; `boots` is how long it takes to answer.
    pub(super) fn launch(
        &mut self,
        service: &ServiceName,
        version: &VersionName,
        place: Locality,
        boots: Span,
    ) -> Option<InstanceId> {
        let id = loop {
            let number = self.numbers.entry((service.clone(), version.clone()));
            let number = number.or_default();
            let id: InstanceId = format!("{version}-{number}").parse().ok()?;
            *number += 1;
            if !self.is_known(service, &id) {
                break id;
            }
        };
        let usual = self.usual.get(service).copied();
        let drawn = || self.chance.pick(&self.setup.capacities).copied();
        let capacity = usual.or_else(drawn).flatten();
        let address = std::net::Ipv4Addr::from(FIRST_ADDRESS + self.launched);
        let labels = self.launched as usize % self.setup.labels.len().max(1);
        let labels = self.setup.labels.get(labels).cloned().unwrap_or_default();
        self.launched += 1;
        let instance = Instance {
            id: id.clone(),
            address: SocketAddr::from((address, PORT)).into(),
            version: version.clone(),
            locality: place,
            capacity,
            lease: None,
            labels,
        };
        let process = Process::there(instance, boots.after(self.now), false);
        let key = (service.clone(), id.clone());
        self.stood
            .insert(key.clone(), process.instance.locality.clone());
        self.processes.insert(key, process);
        Some(id)
    }

    /// Is there one of that name, or has there been one that the engine remembers?
    fn is_known(&self, service: &ServiceName, id: &InstanceId) -> bool {
        let state = self.engine.as_ref().map(Engine::state);
        let known = state.and_then(|state| state.services.get(service));
        let is_there = self.processes.contains_key(&(service.clone(), id.clone()));
        is_there || known.is_some_and(|known| known.instances.contains(id))
    }

    /// Somebody starts an instance, and it is discovered at once.
    pub(super) fn bring(&mut self, service: &ServiceName, version: &VersionName, place: Locality) {
        let documented = self.setup.documents.services.get(service);
        let times = self.setup.times.get(service).zip(documented);
        let chance = &mut self.chance;
        let seen = times.and_then(|(times, service)| times.boots(service, chance));
        let slow = self.setup.faults.contains(&Fault::SlowStart);
        let boots = seen.unwrap_or_else(|| start_time(slow, chance));
        let Some(id) = self.launch(service, version, place, boots) else {
            return;
        };
        let key = (service.clone(), id);
        let instance = Box::new(self.processes[&key].instance.clone());
        let service = service.clone();
        self.event(Event::Appeared { service, instance });
        self.probe_soon(key);
    }

    /// The prober comes by within its interval.
    pub(super) fn probe_soon(&mut self, key: Key) {
        let Some(service) = self.setup.documents.services.get(&key.0) else {
            return;
        };
        let after = self.chance.up_to(service.health.interval);
        self.soon(after, Happening::Probe(key));
    }

    /// The prober has made up its mind, or says that it cannot yet.
    pub(super) fn probe(&mut self, key: &Key) {
        let service = self.setup.documents.services.get(&key.0).cloned();
        let Some((process, service)) = self.processes.get_mut(key).zip(service) else {
            return;
        };
        let passes = passes_at(process, &service);
        let is_well = passes <= self.now && !process.sick;
        if passes > self.now {
            self.queue.at(passes, Happening::Probe(key.clone()));
        }
        if process.said == Some(is_well) || self.engine.is_none() {
            return;
        }
        process.said = Some(is_well);
        let address = process.instance.address.clone();
        self.watch.probed(&key.1, &address, is_well);
        if is_well {
            let ready = service.min_ready.after(self.now);
            self.tick_by(ready);
        }
        let detail = if is_well {
            "it answers"
        } else if passes <= self.now {
            "503 Service Unavailable"
        } else {
            "connection refused"
        };
        self.event(Event::Health {
            service: key.0.clone(),
            instance: key.1.clone(),
            healthy: is_well,
            detail: detail.to_owned(),
        });
    }

    /// A process ends, and whatever was in progress on it.
    pub(super) fn stop(&mut self, key: &Key) {
        if self.processes.remove(key).is_none() {
            return;
        }
        let (service, instance) = key;
        let health = self
            .setup
            .documents
            .services
            .get(service)
            .map(|s| &s.health);
        let unseen = health.map_or(0, |health| {
            super::chance::millis(health.interval) * u64::from(health.unhealthy_after)
        });
        for proxy in self.proxies.values_mut() {
            let (cut, in_vain) = proxy.lose(service, instance, self.now);
            self.tally.fail(Failed::CutOff, cut);
            let in_vain = (in_vain * unseen).div_ceil(1_000_000);
            self.tally.fail(Failed::Gone, in_vain);
        }
        self.event(Event::Vanished {
            service: service.clone(),
            instance: instance.clone(),
        });
    }

    /// All that is there, to a control plane that has just begun.
    pub(super) fn discover(&mut self) {
        let services: Vec<_> = self.setup.documents.services.keys().cloned().collect();
        for service in services {
            let there = self.processes.iter().filter(|(key, _)| key.0 == service);
            let instances = there.map(|(_, process)| process.instance.clone());
            let instances = instances.collect();
            let service = service.clone();
            self.event(Event::Discovered { service, instances });
        }
        self.processes.values_mut().for_each(|p| p.said = None);
        let keys: Vec<Key> = self.processes.keys().cloned().collect();
        for key in keys {
            self.probe_soon(key);
        }
    }
}

fn start_time(slow: bool, chance: &mut Chance) -> Span {
    let (least, most) = if slow { STARTS_SLOWLY_IN } else { STARTS_IN };
    chance.between(least, most)
}

/// When the prober has seen enough good answers.
fn passes_at(process: &Process, service: &Service) -> Time {
    let answers = service.health.interval.duration() * service.health.healthy_after;
    Span::from(answers).after(process.boots)
}

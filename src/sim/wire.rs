//! Between the control plane and its proxies: plans on their way down, words and readings on their way up.

use std::sync::Arc;

use super::listed::with_hosts;
use super::proxy::Conditions;
use super::world::{Happening, Sim};
use crate::domain::{Generation, Nack, Plan, ProxyId, Span, Time};
use crate::engine::{InstanceLoad, LoadReport, ProxyEvent, Source, StageKind, Stand};

/// Plans and words are on their way for so long: at least, and at most.
const ON_THE_WAY: (Span, Span) = (Span::millis(5), Span::millis(200));

impl Sim<'_> {
    /// Tells every proxy that is connected.
    pub(super) fn publish(&mut self, plan: &Arc<Plan>) {
        if let Some(engine) = &self.engine {
            self.watch
                .published(plan, engine.state(), &self.proxies, self.now);
        }
        let plan = &with_hosts(plan);
        self.published = Some(Arc::clone(plan));
        let connected = self.proxies.values().filter(|proxy| proxy.connected);
        let ids: Vec<ProxyId> = connected.map(|proxy| proxy.identity.id.clone()).collect();
        for id in ids {
            self.tell(&id, plan);
        }
    }

    /// Once more to those that refused.
    pub(super) fn resend(&mut self) {
        let refusing = self.proxies.values().filter(|p| p.connected && p.refuses);
        let ids: Vec<ProxyId> = refusing.map(|proxy| proxy.identity.id.clone()).collect();
        if let Some(plan) = self.published.clone() {
            for id in ids {
                self.tell(&id, &plan);
            }
        }
    }

    pub(super) fn tell(&mut self, id: &ProxyId, plan: &Arc<Plan>) {
        let Some(session) = self.proxies.get(id).map(|proxy| proxy.session) else {
            return;
        };
        let at = self.arrival(id);
        let plan = Arc::clone(plan);
        let arrives = Happening::PlanArrives(id.clone(), session, plan);
        self.queue.at(at, arrives);
    }

    /// When something arrives that is sent to or by a proxy now: not before what was sent before.
    pub(super) fn arrival(&mut self, id: &ProxyId) -> Time {
        let (least, most) = ON_THE_WAY;
        let at = self.chance.between(least, most).after(self.now);
        let Some(proxy) = self.proxies.get_mut(id) else {
            return at;
        };
        proxy.last_arrival = proxy.last_arrival.max(at);
        proxy.last_arrival
    }

    pub(super) fn plan_arrives(&mut self, id: ProxyId, session: u32, plan: Arc<Plan>) {
        let Some(proxy) = self.proxies.get_mut(&id).filter(|p| p.session == session) else {
            return;
        };
        let generation = plan.generation;
        let word = if proxy.refuses {
            ProxyEvent::Nacked(refusal(generation))
        } else {
            let conditions = Conditions {
                very_long: &self.very_long,
                times: &self.setup.times,
                report_every: self.setup.report_every,
                bad: &self.bad,
            };
            let (tally, chance) = (&mut self.tally, &mut self.chance);
            proxy.take(plan, &conditions, tally, chance, self.now);
            ProxyEvent::InForce(generation)
        };
        if !proxy.reporting && !proxy.silent {
            proxy.reporting = true;
            let after = self.chance.up_to(self.setup.report_every);
            self.soon(after, Happening::Report(id.clone()));
        }
        let at = self.arrival(&id);
        self.queue
            .at(at, Happening::Word(id, session, Box::new(word)));
    }

    /// Reads what is in progress. Of the readings only those are sent on that something waits for; the
    /// others would change nothing.
    pub(super) fn report(&mut self, id: ProxyId) {
        let now = self.now;
        let Some((proxy, engine)) = self.proxies.get_mut(&id).zip(self.engine.as_ref()) else {
            return self.soon(self.setup.report_every, Happening::Report(id));
        };
        let is_waited_for =
            |stand: &Stand| matches!(stand.stage, StageKind::Joining | StageKind::Draining);
        let mut instances = Vec::new();
        let mut waits = false;
        for service in proxy.rates.keys() {
            let Some(known) = engine.state().services.get(service) else {
                continue;
            };
            for (stand, ids) in known.instances.stands(is_waited_for) {
                waits = true;
                for instance in ids {
                    let said = proxy.says_of(service, stand.version.as_str(), instance, now);
                    instances.extend(said.map(|(in_progress, uses)| InstanceLoad {
                        service: service.clone(),
                        version: stand.version.clone(),
                        instance: instance.clone(),
                        in_progress,
                        healthy: Some(uses),
                    }));
                }
            }
        }
        proxy.reporting = waits;
        let read_at = now.as_nanosecond() + i128::from(proxy.ahead_ns);
        let session = proxy.session;
        if proxy.connected && !instances.is_empty() {
            let report = LoadReport {
                source: Source::Otlp,
                read_at_ns: u64::try_from(read_at).unwrap_or(0),
                instances,
                completed: Vec::new(),
                attempts: Vec::new(),
                since: None,
            };
            let at = self.arrival(&id);
            let word = Box::new(ProxyEvent::Load(report));
            self.queue
                .at(at, Happening::Word(id.clone(), session, word));
        }
        if waits {
            self.soon(self.setup.report_every, Happening::Report(id));
        }
    }
}

fn refusal(generation: Generation) -> Nack {
    Nack {
        generation,
        kind: "route".to_owned(),
        resources: vec!["simulated".to_owned()],
        message: "it refuses whatever it is told".to_owned(),
    }
}

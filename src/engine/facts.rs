//! What is only observed: health, connections, acknowledgements, requests in progress.
//!
//! Nothing here is journaled. After a restart it is empty and fills again; decisions wait until it
//! has. In particular every proxy that the state knows counts as not connected until it is back.

mod clock;
mod measured;
pub(super) mod tally;
mod timeless;
mod traffic;
mod witness;

use std::collections::{BTreeMap, BTreeSet};

use clock::Clock;
use measured::Measured;
use tally::Tally;
use traffic::Traffic;
pub(super) use witness::Witness;

use super::judging::Judged;
use super::{LoadReport, Source, State};
use crate::domain::{Generation, InstanceId, Nack, ProxyId, RolloutName, ServiceName, Span, Time};
use crate::gates::Baseline;

/// Everything observed since the start.
#[derive(Debug, Default, Clone)]
pub(super) struct Facts {
    /// Instances that their source knew before and no longer does.
    pub(super) vanished: BTreeMap<ServiceName, BTreeSet<InstanceId>>,
    /// Health by service.
    health: BTreeMap<ServiceName, Healths>,
    /// Proxies that were heard of.
    pub(super) proxies: BTreeMap<ProxyId, ProxyFacts>,
    /// When each generation that is not yet in force was published.
    pub(super) unacknowledged: BTreeMap<Generation, Time>,
    /// Hooks that hold and have been asked again since.
    pub(super) asking: BTreeMap<String, Asking>,
    /// What was answered to the checks of gates.
    pub(super) measured: Measured,
    /// What addresses were asked that house rules depend on, and what they answered.
    pub(super) questions: BTreeMap<String, Asked>,
    /// The trials of the gates of rollouts that run.
    pub(super) judged: BTreeMap<RolloutName, Judged>,
    /// What stable versions are like.
    pub(super) baselines: BTreeMap<ServiceName, Baseline>,
    /// When counts were last weighed.
    pub(super) weighed: Option<Time>,
    /// How many requests proxies have counted, and how they ended.
    pub(super) tally: Tally,
    /// How many requests a second that makes.
    pub(super) traffic: Traffic,
    /// What proxies have shown of draining instances.
    pub(super) witnesses: BTreeMap<(ServiceName, InstanceId), BTreeMap<ProxyId, Witness>>,
}

/// How it stands with asking a hook again that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// It said the same as before, then.
    Heard(Time),
    /// It has not answered yet.
    Open,
}

/// A question and its answer.
#[derive(Debug, Default, Clone)]
pub(super) struct Asked {
    /// When it was asked last.
    pub(super) at: Option<Time>,
    /// The last answer, and when it came.
    pub(super) answer: Option<(Time, bool)>,
    /// Why there was none the last time.
    pub(super) silence: Option<String>,
}

impl Asked {
    /// Takes in how a question ended. That there is no answer leaves the one before, while it is good.
    pub(super) fn hear(&mut self, answer: Result<bool, String>, now: Time) {
        match answer {
            Ok(answer) => (self.answer, self.silence) = (Some((now, answer)), None),
            Err(why) => self.silence = Some(why),
        }
    }
}

/// The health of a service's instances; missing until the first probe of each.
#[derive(Debug, Default, Clone)]
struct Healths {
    by_instance: BTreeMap<InstanceId, Health>,
    unhealthy: BTreeSet<InstanceId>,
}

/// An instance's health.
#[derive(Debug, Clone)]
pub(super) struct Health {
    pub(super) healthy: bool,
    pub(super) since: Time,
    pub(super) detail: String,
}

/// What is known of a proxy.
#[derive(Debug, Clone)]
pub(super) struct ProxyFacts {
    pub(super) connected: bool,
    /// Since when that is so.
    pub(super) since: Time,
    /// Has it been connected since the start?
    pub(super) seen: bool,
    pub(super) in_force: Option<Generation>,
    pub(super) nack: Option<Nack>,
    pub(super) last_report: Option<Time>,
    by_lrs: Heard,
    by_otlp: Heard,
}

/// What a proxy said by one source.
#[derive(Debug, Default, Clone)]
struct Heard {
    clock: Clock,
    last: Option<Time>,
    /// What it said of instances in its last report.
    said: BTreeMap<(ServiceName, InstanceId), Said>,
}

/// A proxy that speaks of an instance by both sources is taken at its word by OTLP, which knows more,
/// until it has been silent there for so long.
const OTLP_SILENT_AFTER: Span = Span::secs(30);

/// What one report says of one instance.
#[derive(Debug, Clone, Copy)]
struct Said {
    in_progress: u64,
    healthy: Option<bool>,
}

impl Facts {
    /// The facts at a start, when nobody has spoken yet.
    pub(super) fn at_start(state: &State, now: Time) -> Self {
        let away = state
            .proxies
            .keys()
            .map(|id| (id.clone(), ProxyFacts::new(false, now)));
        Self {
            proxies: away.collect(),
            ..Self::default()
        }
    }

    /// Does the source of `service` no longer know `instance`? False before the source has spoken.
    pub(super) fn vanished(&self, service: &ServiceName, instance: &InstanceId) -> bool {
        self.vanished
            .get(service)
            .is_some_and(|gone| gone.contains(instance))
    }

    /// Takes in what a probe found.
    pub(super) fn hear_health(
        &mut self,
        service: &ServiceName,
        instance: &InstanceId,
        healthy: bool,
        detail: String,
        now: Time,
    ) {
        let of_service = self.health.entry(service.clone()).or_default();
        let known = of_service.by_instance.entry(instance.clone());
        let health = known.or_insert(Health {
            healthy,
            since: now,
            detail: String::new(),
        });
        if health.healthy != healthy {
            (health.healthy, health.since) = (healthy, now);
        }
        health.detail = detail;
        if healthy {
            of_service.unhealthy.remove(instance);
        } else {
            of_service.unhealthy.insert(instance.clone());
        }
    }

    /// Forgets all that was observed of an instance.
    pub(super) fn forget(&mut self, service: &ServiceName, instance: &InstanceId) {
        if let Some(of_service) = self.health.get_mut(service) {
            of_service.by_instance.remove(instance);
            of_service.unhealthy.remove(instance);
        }
        if let Some(gone) = self.vanished.get_mut(service) {
            gone.remove(instance);
        }
        self.witnesses.remove(&(service.clone(), instance.clone()));
    }

    /// The instance's health; `None` before the first probe.
    pub(super) fn health(&self, service: &ServiceName, instance: &InstanceId) -> Option<&Health> {
        self.health.get(service)?.by_instance.get(instance)
    }

    /// The instances of `service` that fail their health check.
    pub(super) fn unhealthy(&self, service: &ServiceName) -> Vec<InstanceId> {
        let of_service = self.health.get(service);
        let unhealthy = of_service.into_iter().flat_map(|known| &known.unhealthy);
        unhealthy.cloned().collect()
    }

    /// How long the instance has been healthy; `None` if it is not.
    pub(super) fn healthy_for(
        &self,
        service: &ServiceName,
        instance: &InstanceId,
        now: Time,
    ) -> Option<Span> {
        let health = self.health(service, instance).filter(|h| h.healthy)?;
        Some(Span::between(health.since, now))
    }

    /// Requests in progress on an instance over all proxies that say; `None` if none does.
    pub(super) fn in_progress(&self, service: &ServiceName, instance: &InstanceId) -> Option<u64> {
        let key = (service.clone(), instance.clone());
        let said = self
            .proxies
            .values()
            .filter_map(|proxy| proxy.said_of(&key));
        said.map(|said| said.in_progress)
            .reduce(u64::saturating_add)
    }

    /// Notes that `proxy` has acknowledged that `instance` drains; its readings count from here.
    pub(super) fn acknowledge_drain(
        &mut self,
        service: &ServiceName,
        instance: &InstanceId,
        proxy: &ProxyId,
        named: bool,
        now: Time,
    ) {
        let witnesses = self
            .witnesses
            .entry((service.clone(), instance.clone()))
            .or_default();
        let witness = witnesses.entry(proxy.clone()).or_default();
        witness.acknowledge(now, named);
    }

    /// What each proxy has shown of a draining instance.
    pub(super) fn witnesses_of(
        &self,
        service: &ServiceName,
        instance: &InstanceId,
    ) -> Option<&BTreeMap<ProxyId, Witness>> {
        self.witnesses.get(&(service.clone(), instance.clone()))
    }

    /// Takes in a report. One flush may come in several reports with the same reading time, each
    /// about other instances; what is older than the newest says nothing new.
    pub(super) fn hear_load(&mut self, id: &ProxyId, report: LoadReport, now: Time) {
        let Some(proxy) = self.proxies.get_mut(id) else {
            return;
        };
        let heard = match report.source {
            Source::Lrs => &mut proxy.by_lrs,
            Source::Otlp => &mut proxy.by_otlp,
        };
        let was_read_at_ns = heard.clock.last_read_at_ns;
        let Some(reading) = heard.clock.reckon(report.read_at_ns, now) else {
            return;
        };
        if report.read_at_ns != was_read_at_ns {
            heard.said.clear();
        }
        heard.last = Some(now);
        proxy.last_report = Some(now);
        if reading.catches_up {
            let of_proxy = self
                .witnesses
                .values_mut()
                .filter_map(|all| all.get_mut(id));
            of_proxy.for_each(Witness::count_anew);
        }
        // Load reports count attempts, and not what clients asked for.
        if report.source == Source::Otlp {
            let completed = &report.completed;
            self.traffic.hear(id, completed, report.read_at_ns, now);
        }
        for load in report.instances {
            let key = (load.service, load.instance);
            let said = Said {
                in_progress: load.in_progress,
                healthy: load.healthy,
            };
            let heard = match report.source {
                Source::Lrs => &mut proxy.by_lrs,
                Source::Otlp => &mut proxy.by_otlp,
            };
            let is_repeated = heard.said.insert(key.clone(), said).is_some();
            if is_repeated || (report.source == Source::Lrs && proxy.otlp_says(&key)) {
                continue;
            }
            let witness = self.witnesses.get_mut(&key).and_then(|all| all.get_mut(id));
            if let Some(witness) = witness {
                witness.hear(said, reading.at);
            }
        }
    }
}

impl ProxyFacts {
    /// A proxy that is connected, or away, since `now`.
    pub(super) fn new(connected: bool, now: Time) -> Self {
        Self {
            connected,
            since: now,
            seen: connected,
            in_force: None,
            nack: None,
            last_report: None,
            by_lrs: Heard::default(),
            by_otlp: Heard::default(),
        }
    }

    /// Does the proxy say, in a report that came after `since`, that it sends requests to the
    /// instance? `None` if it does not tell, as by LRS.
    pub(super) fn uses(&self, of: &(ServiceName, InstanceId), since: Time) -> Option<bool> {
        self.by_otlp.last.filter(|at| *at > since)?;
        self.by_otlp.said.get(of)?.healthy
    }

    /// What counts of what it said last.
    fn said_of(&self, of: &(ServiceName, InstanceId)) -> Option<&Said> {
        let heard = if self.otlp_says(of) {
            &self.by_otlp
        } else {
            &self.by_lrs
        };
        heard.said.get(of)
    }

    fn otlp_says(&self, of: &(ServiceName, InstanceId)) -> bool {
        let is_silent = |last| {
            let by_lrs = self.by_lrs.last.unwrap_or(last);
            Span::between(last, by_lrs) >= OTLP_SILENT_AFTER
        };
        self.by_otlp.last.is_some_and(|last| !is_silent(last)) && self.by_otlp.said.contains_key(of)
    }

    /// It is there, perhaps as a new process that knows nothing yet and has another clock.
    pub(super) fn connect(&mut self, now: Time) {
        (self.connected, self.since, self.seen) = (true, now, true);
        (self.in_force, self.nack) = (None, None);
        self.by_lrs.clock = Clock::default();
        self.by_otlp.clock = Clock::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A proxy that says both is believed where it counts more, and its two clocks are kept apart.
    #[test]
    fn where_otlp_speaks_of_an_instance_lrs_is_not_heard() {
        let start = Span::secs(1_000).after(Time::UNIX_EPOCH);
        let (id, service) = ("edge".parse().unwrap(), "cart".parse().unwrap());
        let instance: InstanceId = "i".parse().unwrap();
        let mut facts = Facts::default();
        facts
            .proxies
            .insert("edge".parse().unwrap(), ProxyFacts::new(true, start));
        let mut hear = |source, after: u64, read_at_ns, in_progress| {
            let load = super::super::InstanceLoad {
                service: "cart".parse().unwrap(),
                version: "v1".parse().unwrap(),
                instance: instance.clone(),
                in_progress,
                healthy: None,
            };
            let report = LoadReport {
                source,
                read_at_ns,
                instances: vec![load],
                completed: Vec::new(),
                attempts: Vec::new(),
                since: None,
            };
            facts.hear_load(&id, report, Span::secs(after).after(start));
            facts.in_progress(&service, &instance)
        };
        assert_eq!(hear(Source::Lrs, 0, 9_000, 1), Some(1));
        assert_eq!(hear(Source::Otlp, 1, 5, 2), Some(2));
        assert_eq!(hear(Source::Lrs, 2, 9_001, 3), Some(2));
        assert_eq!(hear(Source::Lrs, 31, 9_002, 4), Some(4), "OTLP has ended");
    }
}

//! What is only observed: health, connections, acknowledgements, requests in progress.
//!
//! Nothing here is journaled. After a restart it is empty and fills again; decisions wait until it
//! has. In particular every proxy that the state knows counts as not connected until it is back.

use std::collections::{BTreeMap, BTreeSet};

use super::{LoadReport, Source, State};
use crate::domain::{Generation, InstanceId, Nack, ProxyId, ServiceName, Span, Time, counted};

/// Everything observed since the start.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// What each source knows now; a service is missing until its source has spoken.
    pub(super) discovered: BTreeMap<ServiceName, BTreeSet<InstanceId>>,
    /// Health by instance; missing until the first probe.
    pub(super) health: BTreeMap<(ServiceName, InstanceId), Health>,
    /// Proxies that were heard of.
    pub(super) proxies: BTreeMap<ProxyId, ProxyFacts>,
    /// When each generation that is not yet in force was published.
    pub(super) unacknowledged: BTreeMap<Generation, Time>,
    /// What proxies have shown of draining instances.
    pub(super) witnesses: BTreeMap<(ServiceName, InstanceId), BTreeMap<ProxyId, Witness>>,
}

/// An instance's health.
#[derive(Debug, Clone)]
pub(super) struct Health {
    pub(super) healthy: bool,
    pub(super) since: Time,
    pub(super) detail: String,
}

/// What is known of a proxy.
#[derive(Debug)]
pub(super) struct ProxyFacts {
    pub(super) connected: bool,
    /// Since when that is so.
    pub(super) since: Time,
    pub(super) in_force: Option<Generation>,
    pub(super) nack: Option<Nack>,
    pub(super) last_report: Option<Time>,
    by_lrs: Heard,
    by_otlp: Heard,
}

/// What a proxy said by one source.
#[derive(Debug, Default)]
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

/// What one proxy has shown of one draining instance.
///
/// Only readings that began after the proxy acknowledged DRAINING count. When a reading began is
/// reckoned on our clock, from the proxy's own time and the fastest report seen from it; a report
/// that was held up on its way is thereby known to be old. That reckoning is late by as much as the
/// fastest report took, so the first report that seems to be from after the ACK is passed over, and
/// two more must say zero. This holds as long as the fastest report takes less than the time
/// between two; one that catches up with those before it shows that it did not, and counting begins
/// anew. A reading that says whether the proxy still uses the instance settles the question by
/// itself: while it does, the reading is from before.
#[derive(Debug, Default)]
pub(super) struct Witness {
    acknowledged: Option<Time>,
    readings_since: u32,
    zeros: u32,
    last: u64,
}

/// So many readings of zero, one after the other, are a proof.
const ZEROS_NEEDED: u32 = 2;

impl Witness {
    /// Has the proxy shown that the instance is idle?
    pub(super) fn has_proof(&self) -> bool {
        self.acknowledged.is_some() && self.zeros >= ZEROS_NEEDED
    }

    /// What is missing, for people.
    pub(super) fn gap(&self, proxy: &ProxyId, last_report: Option<Time>) -> String {
        let Some(acknowledged) = self.acknowledged else {
            return format!("{proxy} has not acknowledged that it drains");
        };
        match (self.readings_since, self.last) {
            (0, _) if last_report.is_some_and(|at| at > acknowledged) => format!(
                "{proxy} reports no numbers for it (is it started from `tidegate bootstrap`?)"
            ),
            (0 | 1, _) => format!("{proxy} has not reported since it acknowledged"),
            (_, 0) => format!("{proxy} reported it idle once, twice is needed"),
            (_, n) => format!("{} in progress on {proxy}", counted(n, "request")),
        }
    }

    fn acknowledge(&mut self, now: Time) {
        self.acknowledged.get_or_insert(now);
    }

    fn count_anew(&mut self) {
        (self.readings_since, self.zeros) = (0, 0);
    }

    fn hear(&mut self, said: Said, read_at: Time) {
        let is_after = |acknowledged: Time| read_at > acknowledged;
        if !self.acknowledged.is_some_and(is_after) || said.healthy == Some(true) {
            return;
        }
        self.readings_since = self.readings_since.saturating_add(1);
        if self.readings_since == 1 {
            return;
        }
        self.last = said.in_progress;
        self.zeros = if said.in_progress == 0 {
            self.zeros.saturating_add(1)
        } else {
            0
        };
    }
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
        self.discovered
            .get(service)
            .is_some_and(|known| !known.contains(instance))
    }

    /// The instance's health; `None` before the first probe.
    pub(super) fn health(&self, service: &ServiceName, instance: &InstanceId) -> Option<&Health> {
        self.health.get(&(service.clone(), instance.clone()))
    }

    /// Has the instance been healthy for at least `span`?
    pub(super) fn healthy_for(
        &self,
        service: &ServiceName,
        instance: &InstanceId,
        span: Span,
        now: Time,
    ) -> bool {
        let health = self.health(service, instance);
        health.is_some_and(|h| h.healthy && Span::between(h.since, now) >= span)
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
        now: Time,
    ) {
        let witnesses = self
            .witnesses
            .entry((service.clone(), instance.clone()))
            .or_default();
        witnesses.entry(proxy.clone()).or_default().acknowledge(now);
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
        (self.connected, self.since) = (true, now);
        (self.in_force, self.nack) = (None, None);
        self.by_lrs.clock = Clock::default();
        self.by_otlp.clock = Clock::default();
    }
}

/// A proxy's clock, as far as its reports show it.
#[derive(Debug, Default)]
struct Clock {
    last_read_at_ns: u64,
    /// Our clock minus the proxy's, as the report that came fastest in this period shows it.
    fastest_ns: Option<i128>,
    /// The same of the period before.
    fastest_before_ns: Option<i128>,
    period_began: Time,
}

/// When a report was read, on our clock.
struct Reading {
    at: Time,
    /// It came so much faster than those before it that they were held up on their way.
    catches_up: bool,
}

/// What is known of a clock is learned anew over so long, for clocks drift and are set.
const CLOCK_PERIOD: Span = Span::secs(300);

/// A reading that is older than the one before by more than this comes from a clock that was set
/// back; by less, it was overtaken.
const OVERTAKEN_NS_MAX: u64 = 60_000_000_000;

impl Clock {
    /// Takes in when a report that has just arrived was read; `None` if a newer one is here already.
    fn reckon(&mut self, read_at_ns: u64, now: Time) -> Option<Reading> {
        if read_at_ns.saturating_add(OVERTAKEN_NS_MAX) < self.last_read_at_ns {
            *self = Self::default();
        }
        if read_at_ns < self.last_read_at_ns {
            return None;
        }
        if Span::between(self.period_began, now) >= CLOCK_PERIOD {
            self.fastest_before_ns = self.fastest_ns.take();
            self.period_began = now;
        }
        let offset = now.as_nanosecond() - i128::from(read_at_ns);
        let known = self.fastest_ns.into_iter().chain(self.fastest_before_ns);
        let known = known.min();
        let gap = i128::from(read_at_ns - self.last_read_at_ns);
        let catches_up = known.is_some_and(|known| (known - offset) * 2 > gap);
        self.last_read_at_ns = read_at_ns;
        self.fastest_ns = Some(
            self.fastest_ns
                .map_or(offset, |fastest| fastest.min(offset)),
        );
        let fastest = known.map_or(offset, |known| known.min(offset));
        let at = Time::from_nanosecond(i128::from(read_at_ns) + fastest).unwrap_or(Time::MIN);
        Some(Reading { at, catches_up })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn said(in_progress: u64, healthy: Option<bool>) -> Said {
        Said {
            in_progress,
            healthy,
        }
    }

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
            };
            facts.hear_load(&id, report, Span::secs(after).after(start));
            facts.in_progress(&service, &instance)
        };
        assert_eq!(hear(Source::Lrs, 0, 9_000, 1), Some(1));
        assert_eq!(hear(Source::Otlp, 1, 5, 2), Some(2));
        assert_eq!(hear(Source::Lrs, 2, 9_001, 3), Some(2));
        assert_eq!(hear(Source::Lrs, 31, 9_002, 4), Some(4), "OTLP has ended");
    }

    /// The proof rule as a table: what is read after the ACK, and whether it proves.
    #[test]
    fn a_proof_needs_two_zeros_that_began_after_the_ack() {
        let (ack, later) = (Time::UNIX_EPOCH, Span::secs(1).after(Time::UNIX_EPOCH));
        for (heard, proven) in [
            (&[][..], false),
            (&[0], false),
            (&[0, 0], false),
            (&[0, 0, 0], true),
            (&[3, 0, 0], true),
            (&[0, 0, 1, 0], false),
        ] {
            let mut witness = Witness::default();
            witness.acknowledge(ack);
            for reading in heard {
                witness.hear(said(*reading, None), later);
            }
            assert_eq!(witness.has_proof(), proven, "{heard:?}");
        }
        let mut early = Witness::default();
        early.hear(said(0, None), later);
        early.acknowledge(later);
        for _ in 0..9 {
            early.hear(said(0, None), ack);
        }
        assert!(
            !early.has_proof(),
            "what was read before the ACK proves nothing"
        );
        let mut unaware = Witness::default();
        unaware.acknowledge(ack);
        for _ in 0..9 {
            unaware.hear(said(0, Some(true)), later);
        }
        assert!(
            !unaware.has_proof(),
            "nor does a reading in which it still takes requests"
        );
        for _ in 0..3 {
            unaware.hear(said(0, Some(false)), later);
        }
        assert!(unaware.has_proof());
    }
}

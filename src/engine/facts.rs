//! What is only observed: health, connections, acknowledgements, requests in progress.
//!
//! Nothing here is journaled. After a restart it is empty and fills again; decisions wait until it
//! has. In particular every proxy that the state knows counts as not connected until it is back.

use std::collections::{BTreeMap, BTreeSet};

use super::{LoadReport, State};
use crate::domain::{Generation, InstanceId, Nack, ProxyId, ServiceName, Span, Time};

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
    last_read_at_ns: u64,
    /// Our clock minus the proxy's, as the report that came fastest shows it.
    clock_offset_ns: Option<i128>,
    /// Requests in progress as of the last report.
    pub(super) in_progress: BTreeMap<(ServiceName, InstanceId), u64>,
}

/// What one proxy has shown of one draining instance.
///
/// Only readings that began after the proxy acknowledged DRAINING count. When a reading began is
/// reckoned on our clock, from the proxy's own time and the fastest report seen from it; a report
/// that was held up on its way is thereby known to be old. That reckoning is late by as much as the
/// fastest report took, so the first report that seems to be from after the ACK is passed over, and
/// two more must say zero. This holds as long as the fastest report takes less than the time
/// between two.
#[derive(Debug, Default, Clone)]
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
            (_, n) => format!("{n} requests in progress on {proxy}"),
        }
    }

    fn acknowledge(&mut self, now: Time) {
        self.acknowledged.get_or_insert(now);
    }

    fn hear(&mut self, in_progress: u64, read_at: Time) {
        if self
            .acknowledged
            .is_none_or(|acknowledged| read_at <= acknowledged)
        {
            return;
        }
        self.readings_since = self.readings_since.saturating_add(1);
        if self.readings_since == 1 {
            return;
        }
        self.last = in_progress;
        self.zeros = if in_progress == 0 {
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
            .filter_map(|proxy| proxy.in_progress.get(&key));
        said.copied().reduce(u64::saturating_add)
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

    /// What `proxy` has shown of a draining instance.
    pub(super) fn witness(
        &self,
        service: &ServiceName,
        instance: &InstanceId,
        proxy: &ProxyId,
    ) -> Witness {
        let witnesses = self.witnesses.get(&(service.clone(), instance.clone()));
        witnesses
            .and_then(|all| all.get(proxy))
            .cloned()
            .unwrap_or_default()
    }

    /// Takes in a report. One flush may come in several reports with the same reading time, each
    /// about other instances; what is older than the newest says nothing new.
    pub(super) fn hear_load(&mut self, id: &ProxyId, report: LoadReport, now: Time) {
        let Some(proxy) = self.proxies.get_mut(id) else {
            return;
        };
        if report.read_at_ns < proxy.last_read_at_ns {
            return;
        }
        if report.read_at_ns > proxy.last_read_at_ns {
            proxy.in_progress.clear();
        }
        proxy.last_read_at_ns = report.read_at_ns;
        proxy.last_report = Some(now);
        let read_at = proxy.reckon(report.read_at_ns, now);
        for load in report.instances {
            let key = (load.service, load.instance);
            if proxy
                .in_progress
                .insert(key.clone(), load.in_progress)
                .is_some()
            {
                continue;
            }
            let witness = self.witnesses.get_mut(&key).and_then(|all| all.get_mut(id));
            if let Some(witness) = witness {
                witness.hear(load.in_progress, read_at);
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
            last_read_at_ns: 0,
            clock_offset_ns: None,
            in_progress: BTreeMap::new(),
        }
    }

    /// When a reading that has just arrived was taken, on our clock.
    fn reckon(&mut self, read_at_ns: u64, now: Time) -> Time {
        let offset = now.as_nanosecond() - i128::from(read_at_ns);
        let fastest = self
            .clock_offset_ns
            .map_or(offset, |known| known.min(offset));
        self.clock_offset_ns = Some(fastest);
        Time::from_nanosecond(i128::from(read_at_ns) + fastest).unwrap_or(Time::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                witness.hear(*reading, later);
            }
            assert_eq!(witness.has_proof(), proven, "{heard:?}");
        }
        let mut early = Witness::default();
        early.hear(0, later);
        early.acknowledge(later);
        for _ in 0..9 {
            early.hear(0, ack);
        }
        assert!(
            !early.has_proof(),
            "what was read before the ACK proves nothing"
        );
    }
}

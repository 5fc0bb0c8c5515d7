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
    /// Requests in progress as of the last report.
    pub(super) in_progress: BTreeMap<(ServiceName, InstanceId), u64>,
}

/// What one proxy has shown of one draining instance.
///
/// Only readings that began after the proxy acknowledged DRAINING count. The first report to arrive
/// after the ACK may have been taken just before it, so it is passed over; two more must say zero.
#[derive(Debug, Default, Clone)]
pub(super) struct Witness {
    acknowledged: bool,
    reports_since: u32,
    zeros: u32,
    /// The newest reading since the ACK; `None` when the reports do not name the instance.
    pub(super) last: Option<u64>,
}

/// So many readings of zero, one after the other, are a proof.
const ZEROS_NEEDED: u32 = 2;

impl Witness {
    /// Has the proxy shown that the instance is idle?
    pub(super) fn has_proof(&self) -> bool {
        self.acknowledged && self.zeros >= ZEROS_NEEDED
    }

    /// What is missing, for people.
    pub(super) fn gap(&self, proxy: &ProxyId) -> String {
        match (self.acknowledged, self.reports_since, self.last) {
            (false, _, _) => format!("{proxy} has not acknowledged that it drains"),
            (true, 0 | 1, _) => format!("{proxy} has not reported since it acknowledged"),
            (true, _, None) => format!(
                "{proxy} reports no numbers for it (is it started from `tidegate bootstrap`?)"
            ),
            (true, _, Some(0)) => format!("{proxy} reported it idle once, twice is needed"),
            (true, _, Some(n)) => format!("{n} requests in progress on {proxy}"),
        }
    }

    fn acknowledge(&mut self) {
        self.acknowledged = true;
    }

    fn hear(&mut self, in_progress: Option<u64>) {
        if !self.acknowledged {
            return;
        }
        self.reports_since = self.reports_since.saturating_add(1);
        if self.reports_since == 1 {
            return;
        }
        self.last = in_progress;
        self.zeros = if in_progress == Some(0) {
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
    ) {
        let witnesses = self
            .witnesses
            .entry((service.clone(), instance.clone()))
            .or_default();
        witnesses.entry(proxy.clone()).or_default().acknowledge();
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

    /// Takes in a report. Readings that are not newer than the last one say nothing new.
    pub(super) fn hear_load(&mut self, id: &ProxyId, report: LoadReport, now: Time) {
        let Some(proxy) = self.proxies.get_mut(id) else {
            return;
        };
        if report.read_at_ns <= proxy.last_read_at_ns {
            return;
        }
        proxy.last_read_at_ns = report.read_at_ns;
        proxy.last_report = Some(now);
        proxy.in_progress = report
            .instances
            .into_iter()
            .map(|load| ((load.service, load.instance), load.in_progress))
            .collect();
        for (key, witnesses) in &mut self.witnesses {
            if let Some(witness) = witnesses.get_mut(id) {
                witness.hear(proxy.in_progress.get(key).copied());
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
            in_progress: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The proof rule as a table: what is heard after the ACK, and whether it proves.
    #[test]
    fn a_proof_needs_two_zeros_that_began_after_the_ack() {
        for (heard, proven) in [
            (&[][..], false),
            (&[Some(0)], false),
            (&[Some(0), Some(0)], false),
            (&[Some(0), Some(0), Some(0)], true),
            (&[Some(3), Some(0), Some(0)], true),
            (&[Some(0), Some(0), Some(1), Some(0)], false),
            (&[Some(0), None, None], false),
        ] {
            let mut witness = Witness::default();
            witness.acknowledge();
            heard.iter().for_each(|reading| witness.hear(*reading));
            assert_eq!(witness.has_proof(), proven, "{heard:?}");
        }
        let mut deaf = Witness::default();
        (0..9).for_each(|_| deaf.hear(Some(0)));
        assert!(
            !deaf.has_proof(),
            "what is said before the ACK proves nothing"
        );
    }
}

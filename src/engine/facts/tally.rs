//! What proxies have counted, as increments: every request once, whatever becomes of the reports.
//!
//! In go readings of counters that only grow, as they come: late, twice, out of order, in parts, from
//! processes that follow one another. Out come, per service, the answers and attempts that were added since
//! they were last taken. What is taken adds up to what the proxies counted until the newest reading that
//! was heard, and never to more:
//!
//! - What a proxy says of a service for the first time is where counting begins, for nobody knows when it was
//!   counted. From then on, what it names for the first time counts whole: it did not exist before.
//! - A reading older than the newest is passed over, and one that is repeated adds nothing.
//! - A process that follows another counts from zero, so its whole count is new. It is another one when it says
//!   so (`since`), when its clock was set back far, or when a count fell. The last holds for one version or
//!   endpoint alone, whose counters a proxy makes anew with its cluster or host.
//!
//! [`Tally::heard`] is where counting stands, as a value that can be written down next to what was made of
//! what was taken; [`Tally::resume`] goes on from there in another process. Knows nothing of tests, and which
//! answers are failures.

mod pending;
mod proxy;
mod series;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use pending::{Answers, Taken, Tried};

use pending::Pending;
use proxy::Proxy;
use series::Of;

use serde::{Deserialize, Serialize};

use crate::domain::{InstanceId, ProxyId, ServiceName, Span, Time, VersionName};
use crate::engine::event::{Attempts, Completed, LoadReport, Source, Times};

/// Sets of edges of time that are told apart; times in still others are not counted. Proxies of one fleet
/// mostly have the same.
const EDGES_MAX: usize = 64;

/// Most edges in a set; times with more are not counted.
const EDGES_IN_SET_MAX: usize = 400;

/// A proxy that says nothing of a service for so long is forgotten; if it returns, counting begins anew.
const SILENT_AFTER: Span = Span::secs(3600);

/// All that proxies have counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    services: BTreeMap<ServiceName, OfService>,
    edges: Edges,
}

#[derive(Clone, Debug, Default)]
struct OfService {
    proxies: BTreeMap<ProxyId, Proxy>,
    pending: Pending,
}

/// Where counting stands with one proxy: its newest word on a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// Whose.
    pub proxy: ProxyId,
    /// How it came.
    pub source: Source,
    /// Of which process it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// When it was read, by the proxy's clock.
    pub read_at_ns: u64,
    /// What versions have answered.
    pub completed: Vec<Completed>,
    /// What endpoints were asked.
    pub attempts: Vec<Attempts>,
}

/// Who reports.
#[derive(Clone, Copy, Debug)]
pub struct Reporter<'a> {
    /// The proxy.
    pub id: &'a ProxyId,
    /// The region it stands in.
    pub region: &'a str,
}

impl Tally {
    /// Takes in a report. Of versions that `is_known` denies nothing new is kept, since proxies may make
    /// names up.
    pub fn hear(
        &mut self,
        from: Reporter<'_>,
        report: &LoadReport,
        is_known: impl Fn(&ServiceName, &VersionName) -> bool,
        now: Time,
    ) {
        let mut parts: BTreeMap<&ServiceName, Part<'_>> = BTreeMap::new();
        for said in &report.completed {
            parts.entry(&said.service).or_default().answers.push(said);
        }
        for said in &report.attempts {
            parts.entry(&said.service).or_default().attempts.push(said);
        }
        for (service, part) in parts {
            let is_any_known = part.versions().any(|it| is_known(service, it));
            if !is_any_known && !self.services.contains_key(service) {
                continue;
            }
            let of_service = self.services.entry(service.clone()).or_default();
            let proxy = of_service.proxies.entry(from.id.clone());
            let proxy = proxy.or_insert_with(|| Proxy::new(report.source));
            let Some(reading) = proxy.begin(report, now) else {
                continue;
            };
            let is_known = |version: &VersionName| is_known(service, version);
            let pending = &mut of_service.pending;
            for said in &part.answers {
                let counts = series::answers(said, &mut self.edges);
                let (of, by_class) = (Of::Version(said.version.clone()), said.by_class);
                proxy.hear(of, by_class, &counts, reading, &is_known, |count, more| {
                    pending.answered(&said.version, from.region, count, more);
                });
            }
            for said in &part.attempts {
                let (of, counts) = (Of::endpoint(said), series::attempts(said));
                proxy.hear(of, false, &counts, reading, &is_known, |count, more| {
                    pending.tried(&said.version, &said.instance, count, more);
                });
            }
        }
    }

    /// What was added since the last time, of all versions and instances of a service.
    pub fn take(&mut self, service: &ServiceName) -> Taken {
        let of_service = self.services.get_mut(service);
        let pending = of_service.map(|it| std::mem::take(&mut it.pending));
        pending.unwrap_or_default().taken(&self.edges)
    }

    /// When each proxy was last heard to count requests to a service.
    pub fn last_heard(&self, service: &ServiceName) -> impl Iterator<Item = (&ProxyId, Time)> {
        let proxies = self.services.get(service).into_iter();
        let proxies = proxies.flat_map(|it| &it.proxies);
        proxies.map(|(id, proxy)| (id, proxy.heard))
    }

    /// Where counting stands for a service, for [`Tally::resume`]. What was added and not taken is not in
    /// it, so take first.
    pub fn heard(&self, service: &ServiceName) -> Vec<Heard> {
        let proxies = self.services.get(service).into_iter();
        let proxies = proxies.flat_map(|it| &it.proxies);
        proxies
            .map(|(id, proxy)| proxy.export(id, service, &self.edges))
            .collect()
    }

    /// Goes on counting a service where another process stood. What was heard here meanwhile is dropped.
    pub fn resume(&mut self, service: &ServiceName, heard: &[Heard], now: Time) {
        let proxies = heard.iter();
        let proxies = proxies.map(|it| (it.proxy.clone(), Proxy::import(it, &mut self.edges, now)));
        let of_service = OfService {
            proxies: proxies.collect(),
            pending: Pending::default(),
        };
        self.services.insert(service.clone(), of_service);
    }

    /// Forgets proxies that have long been silent, and what waits to be taken of versions that are no more.
    pub fn tidy(&mut self, now: Time, is_known: impl Fn(&ServiceName, &VersionName) -> bool) {
        self.services.retain(|service, it| {
            let is_heard = |proxy: &Proxy| Span::between(proxy.heard, now) < SILENT_AFTER;
            it.proxies.retain(|_, proxy| is_heard(proxy));
            it.pending.retain(|version| is_known(service, version));
            !it.proxies.is_empty()
        });
    }
}

/// What a report says of one service.
#[derive(Default)]
struct Part<'a> {
    answers: Vec<&'a Completed>,
    attempts: Vec<&'a Attempts>,
}

impl<'a> Part<'a> {
    fn versions(&self) -> impl Iterator<Item = &'a VersionName> {
        let answers = self.answers.iter().map(|it| &it.version);
        answers.chain(self.attempts.iter().map(|it| &it.version))
    }
}

/// The sets of edges of time that proxies have, each kept once.
#[derive(Clone, Debug, Default)]
struct Edges(Vec<Arc<[f64]>>);

impl Edges {
    /// The number of a set; `None` if there are too many.
    fn number(&mut self, bounds: &Arc<[f64]>) -> Option<u16> {
        let known = self.0.iter().position(|it| it == bounds);
        if known.is_none() {
            if self.0.len() == EDGES_MAX || bounds.len() > EDGES_IN_SET_MAX {
                return None;
            }
            self.0.push(Arc::clone(bounds));
        }
        u16::try_from(known.unwrap_or(self.0.len() - 1)).ok()
    }

    /// Says how many took as long as a class of a set says. A version has times by one set.
    fn put(&self, times: &mut Option<Times>, set: u16, class: u16, value: u64) {
        let Some(bounds) = self.0.get(usize::from(set)) else {
            return;
        };
        let times = times.get_or_insert_with(|| Times {
            bounds_ms: Arc::clone(bounds),
            counts: vec![0; bounds.len() + 1],
        });
        if let Some(count) = times.counts.get_mut(usize::from(class))
            && times.bounds_ms == *bounds
        {
            *count = value;
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

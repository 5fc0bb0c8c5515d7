//! What one proxy has counted of one service: which readings are taken in, and of which process they are.

use std::collections::BTreeMap;

use super::series::{self, Count, Counter, Of, Reading, Series};
use super::{
    Attempts, Completed, Edges, Heard, LoadReport, ProxyId, ServiceName, Time, VersionName,
};
use crate::engine::Source;

/// A reading that is older than the newest by more than this comes from a clock that was set back; by
/// less, it was overtaken.
const OVERTAKEN_NS_MAX: u64 = 60_000_000_000;

/// What no reading has spoken of for so many readings, the proxy does not have any more: eight minutes of a
/// sidecar that says all that it has twice a second.
const UNSPOKEN_READINGS_MAX: u64 = 1_000;

/// So many processes of a proxy are remembered that are over.
const PROCESSES_MAX: usize = 8;

/// Versions and endpoints of one service that are kept for one proxy.
const SERIES_MAX: usize = 20_000;

#[derive(Clone, Debug)]
pub(super) struct Proxy {
    pub(super) heard: Time,
    source: Source,
    since: Option<u64>,
    /// The processes before this one, the latest last; what they said may still be under way.
    before: Vec<u64>,
    read_at_ns: u64,
    /// Its readings so far.
    readings: u64,
    /// The reading with which its process began.
    began: u64,
    /// The last reading came from before the one ahead of it, by the proxy's clock.
    is_doubtful: bool,
    /// It tells code from code, so what it says of classes would be counted twice.
    has_codes: bool,
    series: BTreeMap<Of, Series>,
}

impl Proxy {
    pub(super) const fn new(source: Source) -> Self {
        Self {
            heard: Time::MIN,
            source,
            since: None,
            before: Vec::new(),
            read_at_ns: 0,
            readings: 0,
            began: 0,
            is_doubtful: false,
            has_codes: false,
            series: BTreeMap::new(),
        }
    }

    /// Begins to take in a report; `None` if it says nothing new.
    pub(super) fn begin(&mut self, report: &LoadReport, now: Time) -> Option<Reading> {
        match (self.source, report.source) {
            // Who reports by both is taken at its word by OTLP, which knows more.
            (Source::Otlp, Source::Lrs) => return None,
            (Source::Lrs, Source::Otlp) => *self = Self::new(Source::Otlp),
            _ => {}
        }
        let is_same =
            matches!((self.since, report.since), (Some(one), Some(other)) if one == other);
        let is_other = !is_same && self.since.is_some() && report.since.is_some();
        let read_at_ns = report.read_at_ns;
        if self.readings == 0 {
            self.readings = 1;
        } else if read_at_ns != self.read_at_ns || is_other {
            let behind = self.read_at_ns.saturating_sub(read_at_ns);
            let is_over = report.since.is_some_and(|it| self.before.contains(&it));
            if is_over || (behind > 0 && behind <= OVERTAKEN_NS_MAX) {
                return None;
            }
            self.readings += 1;
            self.is_doubtful = behind > 0 && is_same;
            if is_other || (behind > 0 && !is_same) {
                self.began = self.readings;
            }
            self.forget_unspoken();
        }
        (self.heard, self.read_at_ns) = (now, read_at_ns);
        if is_other && let Some(over) = self.since {
            self.before.push(over);
            let forgotten = self.before.len().saturating_sub(PROCESSES_MAX);
            self.before.drain(..forgotten);
        }
        self.since = report.since.or(self.since);
        Some(Reading {
            number: self.readings,
            is_baseline: self.readings == 1,
            is_doubtful: self.is_doubtful,
        })
    }

    /// Takes in what a reading says of one version or endpoint.
    pub(super) fn hear(
        &mut self,
        of: Of,
        by_class: bool,
        counts: &[(Count, u64)],
        reading: Reading,
        is_known: &impl Fn(&VersionName) -> bool,
        more: impl FnMut(Count, u64),
    ) {
        let is_code = |(count, _): &(Count, u64)| matches!(count, Count::Code(_));
        self.has_codes |= !by_class && counts.iter().any(is_code);
        let of_class: Vec<(Count, u64)>;
        let counts = if by_class && self.has_codes {
            let others = counts.iter().filter(|it| !is_code(it));
            of_class = others.copied().collect();
            &of_class
        } else {
            counts
        };
        let began = self.began;
        if let Some(series) = self.series.get_mut(&of) {
            series.hear(counts, reading, began, more);
        } else if self.series.len() < SERIES_MAX && is_known(of.version()) {
            let mut series = Series::default();
            series.hear(counts, reading, began, more);
            self.series.insert(of, series);
        }
    }

    fn forget_unspoken(&mut self) {
        if self.readings.is_multiple_of(UNSPOKEN_READINGS_MAX) {
            let kept = self.readings - UNSPOKEN_READINGS_MAX;
            self.series.retain(|_, series| series.last >= kept);
        }
    }

    /// Its newest count of everything, as if one report had said it all.
    pub(super) fn export(&self, id: &ProxyId, service: &ServiceName, edges: &Edges) -> Heard {
        let mut heard = Heard {
            proxy: id.clone(),
            source: self.source,
            since: self.since,
            read_at_ns: self.read_at_ns,
            completed: Vec::new(),
            attempts: Vec::new(),
        };
        for (of, series) in &self.series {
            let began = series.began.max(self.began);
            let counters = series.counters.iter().filter(|it| it.reading >= began);
            match of {
                Of::Version(version) => {
                    let mut said = Completed::nothing_of(service.clone(), version.clone());
                    said.by_class = !self.has_codes;
                    counters.for_each(|it| series::put(&mut said, it.count, it.value, edges));
                    heard.completed.push(said);
                }
                Of::Endpoint(version, instance, address) => {
                    let counters: Vec<&Counter> = counters.collect();
                    let value_of = |count| {
                        let found = counters.iter().find(|it| it.count == count);
                        found.map(|it| it.value)
                    };
                    heard.attempts.push(Attempts {
                        service: service.clone(),
                        version: version.clone(),
                        instance: instance.clone(),
                        address: address.clone(),
                        ok: value_of(Count::Ok),
                        failed: value_of(Count::Failed),
                    });
                }
            }
        }
        heard
    }

    /// One that has said just that, and more than once, so that all it says from now on is new.
    pub(super) fn import(heard: &Heard, edges: &mut Edges, now: Time) -> Self {
        let mut proxy = Self::new(heard.source);
        let reading = Reading {
            number: 1,
            is_baseline: true,
            is_doubtful: false,
        };
        for said in &heard.completed {
            let of = Of::Version(said.version.clone());
            let counts = series::answers(said, edges);
            proxy.hear(of, said.by_class, &counts, reading, &|_| true, |_, _| {});
        }
        for said in &heard.attempts {
            let (of, counts) = (Of::endpoint(said), series::attempts(said));
            proxy.hear(of, false, &counts, reading, &|_| true, |_, _| {});
        }
        Self {
            heard: now,
            since: heard.since,
            read_at_ns: heard.read_at_ns,
            readings: 2,
            ..proxy
        }
    }
}

//! What proxies count of the answers, told now and then while gates judge.
//!
//! Of each region one proxy tells what all of them have counted: the sum is what counts, and a turn of the engine for
//! each of hundreds of proxies would cost more than it says.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::world::{Happening, Sim};
use crate::domain::{ProxyId, ServiceName, Span, Time, VersionName};
use crate::engine::{Completed, Engine, LoadReport, ProxyEvent, RolloutState, Source, Times};

/// Counts are told so often at first …
const SOON: Span = Span::secs(1);

/// … and so often at last: the longer nothing changes, the less another report says.
const SELDOM: Span = Span::secs(30);

/// Of the time since something changed, this part passes between two reports.
const PART: u32 = 20;

/// How long answers take, whatever version gives them: so many of a thousand up to each edge in milliseconds, and the
/// rest longer than the last.
const TIMES: [(f64, u128); 4] = [(10.0, 300), (25.0, 400), (50.0, 200), (100.0, 90)];

/// One in the unit of what was answered.
const ONE: u128 = 1_000_000;

/// What each proxy has told so far, in millionths: all answers, and errors among them.
type Told = BTreeMap<ProxyId, BTreeMap<(ServiceName, VersionName), (u128, u128)>>;

/// What is told of answers, and when.
#[derive(Debug, Default)]
pub(super) struct Counts {
    told: Told,
    /// The number of the next report.
    next: u64,
    changed: Time,
}

impl Sim<'_> {
    /// Something changes that may show in what is counted: it is told soon.
    pub(super) fn counts_change(&mut self) {
        self.counts.changed = self.now;
        self.tell_counts_in(SOON);
    }

    fn tell_counts_in(&mut self, span: Span) {
        self.counts.next += 1;
        self.soon(span, Happening::Counts(self.counts.next));
    }

    pub(super) fn tell_counts(&mut self, number: u64) {
        if number != self.counts.next {
            return;
        }
        let quiet = Span::between(self.counts.changed, self.now).duration();
        let next = Span::from(quiet / PART);
        self.tell_counts_in(next.clamp(SOON, SELDOM));
        let is_judged = |rollout: &RolloutState| rollout.runs() && !rollout.spec.gates.is_empty();
        let state = self.engine.as_ref().map(Engine::state);
        if !state.is_some_and(|state| state.rollouts.values().any(is_judged)) {
            return;
        }
        for proxy in self.proxies.values_mut() {
            proxy.settle(&mut self.tally, self.now);
        }
        for ((region, service, version), (all, bad)) in self.tally.take_answered() {
            let tells = self.proxies.values().find(|proxy| {
                proxy.connected && !proxy.silent && proxy.identity.locality.region == region
            });
            if let Some(proxy) = tells {
                let of_proxy = self
                    .counts
                    .told
                    .entry(proxy.identity.id.clone())
                    .or_default();
                let sum = of_proxy.entry((service, version)).or_default();
                *sum = (sum.0 + all, sum.1 + bad);
            }
        }
        let edges: Arc<[f64]> = TIMES.map(|(edge, _)| edge).into();
        let reports: Vec<_> = self
            .counts
            .told
            .iter()
            .map(|(id, told)| (id.clone(), said(told, &edges)))
            .collect();
        for (id, completed) in reports {
            let Some(proxy) = self.proxies.get(&id).filter(|proxy| proxy.connected) else {
                continue;
            };
            let read_at = self.now.as_nanosecond() + i128::from(proxy.ahead_ns);
            let session = proxy.session;
            let report = LoadReport {
                source: Source::Otlp,
                read_at_ns: u64::try_from(read_at).unwrap_or(0),
                since: None,
                instances: Vec::new(),
                completed,
                attempts: Vec::new(),
            };
            let at = self.arrival(&id);
            let word = Box::new(ProxyEvent::Load(report));
            self.queue.at(at, Happening::Word(id, session, word));
        }
    }
}

fn said(
    told: &BTreeMap<(ServiceName, VersionName), (u128, u128)>,
    edges: &Arc<[f64]>,
) -> Vec<Completed> {
    let whole = |millionths: u128| u64::try_from(millionths / ONE).unwrap_or(u64::MAX);
    let of_version =
        |((service, version), (all, bad)): (&(ServiceName, VersionName), &(u128, u128))| {
            let (total, failed) = (whole(*all), whole(*bad));
            let mut left = total;
            let mut counts: Vec<u64> = TIMES
                .iter()
                .map(|(_, share)| {
                    let count = whole(all * share / 1_000);
                    left = left.saturating_sub(count);
                    count
                })
                .collect();
            counts.push(left);
            Completed {
                total: Some(total),
                codes: vec![(200, total.saturating_sub(failed)), (503, failed)],
                times: Some(Times {
                    bounds_ms: Arc::clone(edges),
                    counts,
                }),
                ..Completed::nothing_of(service.clone(), version.clone())
            }
        };
    told.iter().map(of_version).collect()
}

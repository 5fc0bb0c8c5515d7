//! One stream of load reports: whose it is, what it was asked, and what becomes of its reports.
//!
//! It runs only while its responses are read. Its node is read in full once; later messages may carry
//! it again, and may not change it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prost::Message;
use tonic::{Status, Streaming};

use super::ask::{ALL_CLUSTERS_FEATURE, Ask, FAST, SLOW, reachable};
use super::clock::ProxyClock;
use super::habits::Habits;
use super::ledger::Ledger;
use super::message::{ClusterStats, LoadStatsRequest, LoadStatsResponse, NodeHead};
use super::totals::Totals;
use super::{Counted, Plans, Seat, Shared};
use crate::domain::{Generation, Plan, ProxyIdentity, ServiceName, Span, Time, VersionPlan};
use crate::engine::{LoadReport, Source};
use crate::peer::Claim;
use crate::serving::Caller;
use crate::xds::{check_same_node, identify_encoded};

/// Most clusters in one report; each one of an Envoy's, those of its own bootstrap included.
const CLUSTERS_MAX: usize = 20_000;

/// Most endpoints in one report.
const ENDPOINTS_MAX: usize = 100_000;

/// A client that has been idle twice sends nothing more. While something drains its word is wanted, so
/// a stream that has been silent for this long is ended; the client opens another and reports once at
/// least. Longer than the second that gRPC takes for the least interval.
const SILENT_MAX: Duration = Duration::from_secs(3);

/// A stream, from its first message on.
pub(super) struct Session {
    shared: Arc<Shared>,
    requests: Streaming<LoadStatsRequest>,
    caller: Caller,
    opened_at: Time,
    plans: Plans,
    /// Known from the first message on.
    proxy: Option<Proxy>,
    has_ended: bool,
}

struct Proxy {
    identity: ProxyIdentity,
    seat: Seat,
    habits: Habits,
    can_send_all: bool,
    ledger: Ledger,
    totals: Totals,
    /// Tells its counts from those of other streams.
    opened_at_ns: u64,
    clock: ProxyClock,
    /// As of this plan.
    generation: Option<Generation>,
    services: BTreeSet<ServiceName>,
    asked: Option<Ask>,
    /// When it spoke last, or was asked.
    silent_since: Time,
}

impl Session {
    pub(super) fn new(
        shared: Arc<Shared>,
        caller: Caller,
        requests: Streaming<LoadStatsRequest>,
    ) -> Self {
        Self {
            caller,
            opened_at: (shared.clock)(),
            plans: shared.plans.clone(),
            shared,
            requests,
            proxy: None,
            has_ended: false,
        }
    }

    /// The next response; an error is the last.
    pub(super) async fn next(&mut self) -> Option<Result<LoadStatsResponse, Status>> {
        loop {
            if self.has_ended {
                return None;
            }
            if let Some(ask) = self.ask() {
                return Some(Ok(ask));
            }
            match self.turn().await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(status) => {
                    self.has_ended = true;
                    self.proxy = None;
                    return Some(Err(status));
                }
            }
        }
    }

    /// What is to be asked now, if it is news.
    fn ask(&mut self) -> Option<LoadStatsResponse> {
        let proxy = self.proxy.as_mut()?;
        let plan = self.plans.borrow_and_update().clone()?;
        if proxy.generation != Some(plan.generation) {
            proxy.generation = Some(plan.generation);
            proxy.services = reachable(&plan, &proxy.identity);
        }
        let draining = self.shared.draining.of(&plan);
        let ask = Ask::of(&plan, &proxy.services, &draining, proxy.can_send_all);
        if proxy.asked.as_ref() == Some(&ask) {
            return None;
        }
        let response = ask.response();
        proxy.asked = Some(ask);
        proxy.silent_since = (self.shared.clock)();
        Some(response)
    }

    /// Waits for something to happen; false when the client has ended the stream.
    async fn turn(&mut self) -> Result<bool, Status> {
        let now = (self.shared.clock)();
        let patience = match &self.proxy {
            Some(proxy) => proxy.patience(now),
            None => Some(self.patience(now)),
        };
        tokio::select! {
            message = self.requests.message() => match message? {
                Some(request) => self.take(request).map(|()| true),
                None => Ok(false),
            },
            changed = self.plans.changed() => match changed {
                Ok(()) => Ok(true),
                Err(_) => Err(stopping()),
            },
            status = self.caller.ending() => Err(status),
            () = silence(patience) => Err(match self.proxy {
                Some(_) => Status::unavailable(
                    "nothing was reported while an instance drains; open another stream",
                ),
                None => Status::deadline_exceeded(
                    "the first report did not come in time (`limits.firstRequestTime`)",
                ),
            }),
        }
    }

    /// How much longer the first message may be awaited.
    fn patience(&self, now: Time) -> Duration {
        let waited = Span::between(self.opened_at, now).duration();
        let limit = self.shared.limits.first_request_time.duration();
        limit.saturating_sub(waited)
    }

    fn take(&mut self, request: LoadStatsRequest) -> Result<(), Status> {
        let checked = check_size(&request);
        if checked.is_err() {
            let refused = &self.shared.counters.exports_refused;
            refused.fetch_add(1, Ordering::Relaxed);
        }
        checked?;
        let plan = self.plans.borrow().clone();
        let now = (self.shared.clock)();
        let head = match &request.node {
            Some(node) => Some(NodeHead::decode(node.clone()).map_err(unreadable)?),
            None => None,
        };
        let Some(proxy) = &mut self.proxy else {
            let node = request.node.as_deref().unwrap_or_default();
            let identity = identify_encoded(node, self.shared.limits.node_bytes)?;
            self.caller.may_speak_for(Claim {
                node: identity.id.as_str(),
                cluster: Some(&identity.cluster),
            })?;
            let features = head.unwrap_or_default().client_features;
            let habits = Habits::of(&identity.agent);
            self.proxy = Some(Proxy {
                seat: Seat::take(&self.shared, &identity.id)?,
                identity,
                habits,
                can_send_all: features.iter().any(|it| it == ALL_CLUSTERS_FEATURE),
                ledger: Ledger::new(habits),
                totals: Totals::default(),
                opened_at_ns: u64::try_from(now.as_nanosecond()).unwrap_or(0),
                clock: ProxyClock::opened(now),
                generation: None,
                services: BTreeSet::new(),
                asked: None,
                silent_since: now,
            });
            self.count(&request.cluster_stats, plan.as_deref());
            return Ok(());
        };
        if let Some(head) = head {
            check_same_node(&proxy.seat.id, &head.id)?;
        }
        self.count(&request.cluster_stats, plan.as_deref());
        let (Some(plan), Some(proxy)) = (&plan, &mut self.proxy) else {
            return Ok(());
        };
        proxy.silent_since = now;
        let asked = proxy.asked.as_ref().map_or(SLOW, |asked| asked.interval);
        let interval = request.interval();
        let (completed, attempts) = proxy.totals.said();
        let report = LoadReport {
            source: Source::Lrs,
            read_at_ns: proxy.clock.read_at(interval, asked, asked > FAST, now),
            instances: proxy
                .ledger
                .take(&request.cluster_stats, plan, &proxy.services),
            completed,
            attempts,
            since: Some(proxy.opened_at_ns),
        };
        self.shared.tell(&proxy.seat.id, report);
        Ok(())
    }
}

impl Session {
    /// Adds what has ended to the counts of each version that the plan has. Every message is counted
    /// once, and proxies count each request once: what they have reported, they forget.
    fn count(&mut self, report: &[ClusterStats], plan: Option<&Plan>) {
        let (Some(plan), Some(proxy)) = (plan, &mut self.proxy) else {
            return;
        };
        for cluster in report {
            let Some((service, version)) = version_of(&cluster.cluster_name, plan) else {
                continue;
            };
            proxy.totals.add(cluster, service, version);
            let mut counted = Counted::default();
            for place in &cluster.upstream_locality_stats {
                let (more, failed) = (place.total_successful_requests, place.total_error_requests);
                counted.succeeded = counted.succeeded.saturating_add(more);
                counted.failed = counted.failed.saturating_add(failed);
            }
            if counted != Counted::default() {
                (self.shared.on_counted)(service, &version.name, counted);
            }
        }
        proxy.totals.retain(plan);
    }
}

impl Proxy {
    /// How much longer it may be silent.
    fn patience(&self, now: Time) -> Option<Duration> {
        let is_wanted = self.asked.as_ref().is_some_and(|ask| ask.interval == FAST);
        let silent = Span::between(self.silent_since, now).duration();
        (is_wanted && self.habits == Habits::IdleAndSilent)
            .then(|| SILENT_MAX.saturating_sub(silent))
    }
}

fn version_of<'a>(cluster: &str, plan: &'a Plan) -> Option<(&'a ServiceName, &'a VersionPlan)> {
    let (service, version) = cluster.split_once('/')?;
    let services = &plan.services;
    let found = services.binary_search_by(|it| it.name.as_str().cmp(service));
    let known = &services[found.ok()?];
    let mut versions = known.versions.iter();
    let version = versions.find(|it| it.name.as_str() == version)?;
    Some((&known.name, version))
}

fn check_size(request: &LoadStatsRequest) -> Result<(), Status> {
    let (clusters, endpoints) = (request.cluster_stats.len(), request.endpoints());
    if clusters > CLUSTERS_MAX {
        return Err(Status::resource_exhausted(format!(
            "a report names {clusters} clusters, and at most {CLUSTERS_MAX} are taken"
        )));
    }
    if endpoints > ENDPOINTS_MAX {
        return Err(Status::resource_exhausted(format!(
            "a report names {endpoints} endpoints, and at most {ENDPOINTS_MAX} are taken"
        )));
    }
    Ok(())
}

fn stopping() -> Status {
    Status::unavailable("the control plane is stopping")
}

fn unreadable(error: prost::DecodeError) -> Status {
    Status::invalid_argument(format!("the node of a report cannot be read: {error}"))
}

async fn silence(patience: Option<Duration>) {
    match patience {
        Some(patience) => tokio::time::sleep(patience).await,
        None => std::future::pending().await,
    }
}

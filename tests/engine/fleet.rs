//! A proxy as the engine meets it: it puts plans in force when it decides to, says so later, starts
//! requests by the plan that it has, and reports what is in progress by a clock of its own.

use std::collections::VecDeque;
use std::sync::Arc;

use tidegate::domain::{
    EndpointState, Generation, InstanceId, Nack, Plan, ProxyId, ServiceName, ServicePlan, Span,
    Time, VersionName, Weight,
};
use tidegate::engine::{Completed, InstanceLoad, LoadReport, ProxyEvent, Source};
use tidegate::sim::Chance;

use crate::requests::{Counted, Habit};
use crate::sample::identity;
use crate::seen::Seen;

/// How often a proxy reports.
const REPORT_EVERY: Span = Span::millis(500);
const REPORTS_PER_SECOND: u64 = 2;

/// How slow and how busy proxies are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// Plans and acknowledgements take up to this long each.
    pub(crate) lag: Span,
    /// Out of a hundred steps so many begin a request.
    pub(crate) busy: u64,
    /// The longest request.
    pub(crate) longest: Span,
}

/// A proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    id: ProxyId,
    /// Is its stream open?
    pub(crate) connected: bool,
    /// Since when that is so.
    pub(crate) since: Time,
    /// Is there a process at all?
    runs: bool,
    /// What it goes by, connected or not.
    pub(crate) in_force: Option<Arc<Plan>>,
    /// Does it refuse what it is told?
    pub(crate) refuses: bool,
    told: VecDeque<(Time, Arc<Plan>)>,
    words: VecDeque<(Time, ProxyEvent)>,
    requests: Vec<(InstanceId, Time)>,
    /// It counts so many requests a second, if it counts them at all.
    pub(crate) counts: Option<u64>,
    counted: u64,
    /// How its requests go, if they are counted in full.
    pub(crate) requests_of: Option<Habit>,
    sent: Counted,
    /// Its clock minus ours, in nanoseconds.
    clock_ahead_ns: i64,
    next_report: Time,
    reports: VecDeque<(Time, LoadReport)>,
    /// Reports are stuck on their way until then.
    pub(crate) reports_stuck_until: Time,
}

impl Proxy {
    pub(crate) fn new(id: ProxyId, chance: &mut Chance, now: Time) -> Self {
        let mut proxy = Self {
            id,
            connected: false,
            since: now,
            runs: false,
            in_force: None,
            refuses: false,
            told: VecDeque::new(),
            words: VecDeque::new(),
            requests: Vec::new(),
            counts: None,
            counted: 0,
            requests_of: None,
            sent: Counted::default(),
            clock_ahead_ns: 0,
            next_report: now,
            reports: VecDeque::new(),
            reports_stuck_until: now,
        };
        proxy.boot(chance, now);
        proxy
    }

    /// A new process with a clock of its own: nothing in force, nothing in progress.
    pub(crate) fn boot(&mut self, chance: &mut Chance, now: Time) {
        self.die();
        self.runs = true;
        self.refuses = false;
        let hours_ns = 3_600_000_000_000_i64;
        let ahead = i64::try_from(chance.below(7200)).unwrap_or(0) * 1_000_000_000;
        self.clock_ahead_ns = ahead - hours_ns;
        self.next_report = Span::millis(chance.below(500)).after(now);
    }

    /// The process ends, and every request through it.
    pub(crate) fn die(&mut self) {
        self.runs = false;
        self.in_force = None;
        self.sent = Counted::default();
        self.requests.clear();
        self.reports.clear();
        self.told.clear();
        self.words.clear();
    }

    pub(crate) fn connect(&mut self, plan: Option<&Arc<Plan>>, lag: Span, now: Time) -> ProxyEvent {
        (self.connected, self.since) = (true, now);
        self.told
            .extend(plan.map(|plan| (lag.after(now), Arc::clone(plan))));
        ProxyEvent::Connected(identity(&self.id))
    }

    /// The stream breaks: what was on its way in either direction is lost.
    pub(crate) fn disconnect(&mut self, now: Time) {
        (self.connected, self.since) = (false, now);
        self.told.clear();
        self.words.clear();
    }

    /// What was on its way to a control plane that is no more.
    pub(crate) fn lose_reports(&mut self) {
        self.reports.clear();
    }

    pub(crate) fn tell(&mut self, plan: &Arc<Plan>, lag: Span, now: Time) {
        if self.connected {
            let last = self.told.back().map_or(now, |(at, _)| *at);
            self.told
                .push_back((lag.after(now).max(last), Arc::clone(plan)));
        }
    }

    fn on(&self, instance: &InstanceId) -> usize {
        let on = self.requests.iter().filter(|(on, _)| on == instance);
        on.count()
    }

    fn takers(&self) -> Vec<InstanceId> {
        let services = self.in_force.iter().flat_map(|plan| &plan.services);
        let versions = services.flat_map(ServicePlan::routed);
        versions
            .filter(|version| version.weight > Weight::NONE)
            .flat_map(|version| &version.endpoints)
            .filter(|endpoint| endpoint.state == EndpointState::Healthy)
            .map(|endpoint| endpoint.id.clone())
            .collect()
    }

    /// Lives until `now`, and says what arrives at the control plane then.
    pub(crate) fn live(
        &mut self,
        habits: Habits,
        chance: &mut Chance,
        now: Time,
    ) -> Vec<ProxyEvent> {
        self.requests.retain(|(_, end)| *end > now);
        while self.told.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, plan)) = self.told.pop_front() {
                self.take(plan, habits, chance, now);
            }
        }
        if self.runs && chance.percent(habits.busy) {
            self.start_request(habits, chance, now);
        }
        if self.runs && self.next_report <= now {
            self.next_report = REPORT_EVERY.after(self.next_report);
            self.report(chance, now);
        }
        let mut said = due(&mut self.words, now);
        said.extend(
            due(&mut self.reports, now)
                .into_iter()
                .map(ProxyEvent::Load),
        );
        said
    }

    fn take(&mut self, plan: Arc<Plan>, habits: Habits, chance: &mut Chance, now: Time) {
        let word = if self.refuses {
            ProxyEvent::Nacked(refusal(plan.generation))
        } else {
            let generation = plan.generation;
            self.in_force = Some(plan);
            ProxyEvent::InForce(generation)
        };
        let last = self.words.back().map_or(now, |(at, _)| *at);
        let at = some(habits.lag, chance).after(now).max(last);
        self.words.push_back((at, word));
    }

    fn start_request(&mut self, habits: Habits, chance: &mut Chance, now: Time) {
        let takers = self.takers();
        let Some(taker) = chance.pick(&takers).cloned() else {
            return;
        };
        let longest = match chance.below(10) {
            0 => habits.longest,
            1 | 2 => Span::millis(2_000),
            _ => Span::millis(200),
        };
        let end = some(longest.min(habits.longest), chance).after(now);
        self.requests.push((taker, end));
    }

    /// So many requests it has sent to a version.
    pub(crate) fn sent_to(&self, version: &str) -> u64 {
        self.sent.of(version)
    }

    /// What it has counted so far; all of it is of the first version.
    fn count(&mut self) -> Vec<Completed> {
        let Some(rate) = self.counts else {
            return Vec::new();
        };
        self.counted += rate / REPORTS_PER_SECOND;
        let plan = self.in_force.iter().flat_map(|plan| &plan.services);
        let first = |service: &ServicePlan| {
            let version = service.versions.first()?.name.clone();
            Some(Completed {
                total: Some(self.counted),
                ..Completed::nothing_of(service.name.clone(), version)
            })
        };
        plan.filter_map(first).collect()
    }

    /// Reads every endpoint of its plan, zeros included; what it has read arrives later, in order.
    fn report(&mut self, chance: &mut Chance, now: Time) {
        let Some(plan) = &self.in_force else { return };
        let mut instances = Vec::new();
        for service in &plan.services {
            for version in &service.versions {
                instances.extend(version.endpoints.iter().map(|endpoint| InstanceLoad {
                    service: service.name.clone(),
                    version: version.name.clone(),
                    instance: endpoint.id.clone(),
                    in_progress: self.on(&endpoint.id) as u64,
                    healthy: Some(endpoint.state == EndpointState::Healthy),
                }));
            }
        }
        let (mut completed, mut attempts) = (self.count(), Vec::new());
        if let Some((habit, plan)) = self.requests_of.as_ref().zip(self.in_force.as_ref()) {
            self.sent.send(habit, plan, REPORTS_PER_SECOND, chance);
            (completed, attempts) = self.sent.say(habit, plan);
        }
        let read_at = now.as_nanosecond() + i128::from(self.clock_ahead_ns);
        let report = LoadReport {
            source: Source::Otlp,
            read_at_ns: u64::try_from(read_at).unwrap_or(0),
            instances,
            completed,
            attempts,
            since: None,
        };
        let last = self.reports.back().map_or(now, |(at, _)| *at);
        let arrives = some(Span::millis(400), chance).after(now);
        let arrives = arrives.max(last).max(self.reports_stuck_until);
        self.reports.push_back((arrives, report));
    }
}

impl Seen for Proxy {
    fn connected(&self) -> bool {
        self.connected
    }

    fn since(&self) -> Time {
        self.since
    }

    fn in_progress(&self, _: &ServiceName, instance: &InstanceId, _: Time) -> usize {
        self.on(instance)
    }

    fn may_start_on(&self, _: &ServiceName, instance: &InstanceId) -> bool {
        self.takers().iter().any(|taker| taker == instance)
    }

    fn routes_to(&self, service: &ServiceName, version: &VersionName) -> bool {
        let plan = self.in_force.iter().flat_map(|plan| &plan.services);
        plan.filter(|planned| planned.name == *service)
            .flat_map(ServicePlan::routed)
            .any(|planned| planned.name == *version)
    }
}

/// Something up to `most`.
pub(crate) fn some(most: Span, chance: &mut Chance) -> Span {
    let millis = u64::try_from(most.duration().as_millis()).unwrap_or(0);
    Span::millis(chance.below(millis + 1))
}

fn due<T>(queue: &mut VecDeque<(Time, T)>, now: Time) -> Vec<T> {
    let waiting = queue.iter().take_while(|(at, _)| *at <= now).count();
    queue.drain(..waiting).map(|(_, what)| what).collect()
}

fn refusal(generation: Generation) -> Nack {
    Nack {
        generation,
        kind: "route".to_owned(),
        resources: vec!["mesh/10000".to_owned()],
        message: "no such filter".to_owned(),
    }
}

//! The simulation itself: one thing after the other, each at its time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::chance::Chance;
use super::counts::Counts;
use super::deed::Deed;
use super::fault::Fault;
use super::flow::Tally;
use super::listed::is_listed;
use super::process::Process;
use super::proxy::{Key, Proxies, Proxy};
use super::queue::Queue;
use super::report::Report;
use super::setup::{Setup, SetupError};
use super::timeline::{Line, Timeline};
use super::watch::Watch;
use crate::domain::{
    Documents, Locality, Plan, ProxyId, Rps, ServiceName, Span, Time, VersionName,
};
use crate::engine::{Actor, Effect, Engine, Entry, Event, ProxyEvent, StageKind, Stand, State};

/// The engine hears that time has passed this often while things move.
pub(super) const TICK: Span = Span::millis(250);

/// And this often when nothing does.
const TICK_MAX: Span = Span::secs(15);

/// A fleet that is not at rest after this long never will be.
const AT_REST_WITHIN: Span = Span::secs(24 * 3600);

/// What can happen.
#[derive(Debug)]
pub(super) enum Happening {
    Heard(Box<Event>),
    Bring(ServiceName, VersionName, Locality),
    /// Proxies tell what they have counted; only the newest counts.
    Counts(u64),
    BringMissing(ServiceName, VersionName, Locality),
    Crash,
    Deed(Box<Deed>),
    Discover,
    Flap(Key),
    HookAnswers(String, bool),
    HookSays(String),
    Mended(ProxyId),
    /// To a proxy, on that connection.
    PlanArrives(ProxyId, u32, Arc<Plan>),
    Probe(Key),
    ProxyComes(ProxyId),
    ProxyGoes(ProxyId),
    Recover,
    Refuses(ProxyId),
    Report(ProxyId),
    Stop(Key),
    /// Time has passed; only the newest counts.
    Tick(u64),
    /// From a proxy, on that connection.
    Word(ProxyId, u32, Box<ProxyEvent>),
}

/// How a simulation ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What happened.
    pub timeline: Vec<Line>,
    /// What it came to.
    pub report: Report,
    /// When the rollouts were asked for.
    pub asked: Time,
    /// Writes to the journal since the rollouts were asked for.
    pub writes: u64,
}

/// A simulation.
pub(super) struct Sim<'a> {
    pub(super) setup: Setup,
    pub(super) watch: &'a mut dyn Watch,
    pub(super) chance: Chance,
    pub(super) now: Time,
    pub(super) queue: Queue<Happening>,
    /// `None` while there is no control plane.
    pub(super) engine: Option<Engine>,
    pub(super) published: Option<Arc<Plan>>,
    pub(super) journal: Vec<Entry>,
    /// Writes since the rollouts were asked for.
    pub(super) writes: Option<u64>,
    pub(super) proxies: Proxies,
    pub(super) processes: BTreeMap<Key, Process>,
    /// Where each process stands, or stood.
    pub(super) stood: BTreeMap<Key, Locality>,
    /// The next number of an instance of a version.
    pub(super) numbers: BTreeMap<(ServiceName, VersionName), u32>,
    /// What instances of a service say that they carry, where there were some before.
    pub(super) usual: BTreeMap<ServiceName, Option<Rps>>,
    pub(super) launched: u32,
    /// So many instances that somebody brings are on their way.
    pub(super) coming: BTreeMap<(ServiceName, VersionName), u32>,
    pub(super) brought: usize,
    /// Of which version instances are missed: since when, and when that was last so.
    pub(super) missed: BTreeMap<(ServiceName, VersionName), (Time, Time)>,
    pub(super) hooks_heard: BTreeSet<String>,
    pub(super) hooks_fail: bool,
    pub(super) tally: Tally,
    pub(super) counts: Counts,
    pub(super) timeline: Timeline,
    pub(super) very_long: BTreeMap<ServiceName, Span>,
    pub(super) bad: BTreeSet<(ServiceName, String)>,
    /// The number of the tick that counts, and when it comes.
    tick: (u64, Time),
    pub(super) gap: Span,
    /// When a rollout last came forward.
    pub(super) progress: Time,
    pub(super) trouble_began: bool,
}

/// Plays `setup` to its end, under the eyes of `watch`.
pub fn simulate(setup: Setup, watch: &mut dyn Watch) -> Result<Outcome, SetupError> {
    setup.check()?;
    let mut sim = Sim::new(setup, watch);
    match sim.setup.standing.take() {
        Some(standing) => sim.go_on_with(*standing),
        None => sim.settle_in(),
    }
    let asked = sim.now;
    sim.ask();
    while !sim.is_over(asked) && sim.happen_next() {}
    Ok(sim.outcome(asked))
}

impl<'a> Sim<'a> {
    fn new(setup: Setup, watch: &'a mut dyn Watch) -> Self {
        let now = setup.begins;
        let mut sim = Self {
            chance: Chance(setup.seed),
            now,
            queue: Queue::new(),
            engine: Some(Engine::recover(State::default(), now).0),
            published: None,
            journal: Vec::new(),
            writes: None,
            proxies: Proxies::new(),
            processes: BTreeMap::new(),
            stood: BTreeMap::new(),
            numbers: BTreeMap::new(),
            usual: BTreeMap::new(),
            launched: 0,
            coming: BTreeMap::new(),
            brought: 0,
            missed: BTreeMap::new(),
            hooks_heard: BTreeSet::new(),
            hooks_fail: false,
            tally: Tally::default(),
            counts: Counts::default(),
            timeline: Timeline::default(),
            very_long: BTreeMap::new(),
            bad: BTreeSet::new(),
            tick: (0, Time::MAX),
            gap: TICK,
            progress: now,
            trouble_began: false,
            setup,
            watch,
        };
        sim.prepare();
        sim
    }

    /// The conditions that hold from beginning to end.
    fn prepare(&mut self) {
        let documents = &self.setup.documents;
        if self.setup.faults.contains(&Fault::SlowDrain) {
            let longer = |service: &crate::domain::Service| {
                let most = service.drain.at_most.duration();
                (service.name.clone(), Span::from(most + most / 2))
            };
            self.very_long = documents.services.values().map(longer).collect();
        }
        if self.setup.faults.contains(&Fault::BadVersion) {
            let to = documents.asked_for();
            self.bad = to.map(|r| (r.service.clone(), r.to.to_string())).collect();
        }
    }

    /// Lets the fleet come to rest before anything is rolled.
    fn settle_in(&mut self) {
        let before = self.setup.documents_before();
        self.add_proxies();
        let versions = self.setup.versions_before();
        for (service, version) in versions.clone() {
            if let Some(service) = self.setup.documents.services.get(&service).cloned()
                && is_listed(&service)
            {
                self.launch_listed(&service);
                continue;
            }
            for number in 0..self.setup.instances as usize {
                let place = number % self.setup.places.len().max(1);
                let place = self.setup.places.get(place).cloned().unwrap_or_default();
                self.launch(&service, &version, place, Span::ZERO);
            }
        }
        self.apply(before);
        self.discover();
        self.tick_by(self.now);
        // Versions that a document lists besides serve only once a rollout wants them.
        let is_wanted = |(key, process): &(&Key, &Process)| {
            versions.get(&key.0) == Some(&process.instance.version)
        };
        let all = self.processes.iter().filter(is_wanted).count();
        let began = self.now;
        let serving = |sim: &Self| {
            let state = sim.engine.as_ref().map(Engine::state);
            let services = state.into_iter().flat_map(|state| state.services.values());
            let serves = |stand: &Stand| stand.stage == StageKind::Serving;
            services
                .map(|s| s.instances.count(serves) as usize)
                .sum::<usize>()
        };
        while serving(self) < all && Span::between(began, self.now) < AT_REST_WITHIN {
            if !self.happen_next() {
                break;
            }
        }
    }

    fn add_proxies(&mut self) {
        let gateways: Vec<_> = self.setup.documents.gateways.values().cloned().collect();
        let mut reach = BTreeMap::<ServiceName, u64>::new();
        for gateway in &gateways {
            for service in gateway.reachable() {
                *reach.entry(service.clone()).or_default() += u64::from(self.setup.proxies);
            }
        }
        let all = u64::from(self.setup.rps) * 1000;
        for gateway in &gateways {
            let services = gateway.reachable().into_iter();
            let rates: BTreeMap<ServiceName, u64> = services
                .map(|service| (service.clone(), all / reach[service].max(1)))
                .collect();
            for number in 0..self.setup.proxies {
                let Some(identity) = Setup::identity(gateway, number) else {
                    continue;
                };
                let id = identity.id.clone();
                let proxy = Proxy::new(identity, rates.clone(), &mut self.chance, self.now);
                self.proxies.insert(id.clone(), proxy);
                self.proxy_comes(id);
            }
        }
    }

    /// The rollouts are asked for; from here on everything counts.
    fn ask(&mut self) {
        for proxy in self.proxies.values_mut() {
            proxy.settle(&mut self.tally, self.now);
        }
        self.tally.clear();
        self.timeline.begin(self.now);
        self.writes = Some(0);
        self.progress = self.now;
        self.apply(self.setup.documents.clone());
        self.tick_by(self.now);
        self.counts_change();
    }

    pub(super) fn apply_again(&mut self) {
        if self.writes.is_some() {
            self.apply(self.setup.documents.clone());
        }
    }

    fn apply(&mut self, documents: Documents) {
        self.event(Event::Documents {
            documents: Box::new(documents),
            by: Actor(super::outside::OPERATOR.to_owned()),
        });
    }

    // --- time

    pub(super) fn soon(&mut self, after: Span, what: Happening) {
        self.queue.at(after.after(self.now), what);
    }

    /// The engine hears of the time by then at the latest.
    pub(super) fn tick_by(&mut self, at: Time) {
        let at = at.max(self.now);
        if at < self.tick.1 {
            self.tick = (self.tick.0 + 1, at);
            self.queue.at(at, Happening::Tick(self.tick.0));
        }
    }

    /// False when nothing will ever happen again.
    pub(super) fn happen_next(&mut self) -> bool {
        let Some((at, what)) = self.queue.next() else {
            return false;
        };
        self.now = at;
        match what {
            Happening::Heard(event) => self.event(*event),
            Happening::Bring(service, version, place) => self.bring(&service, &version, place),
            Happening::BringMissing(service, version, place) => {
                let coming = self.coming.entry((service.clone(), version.clone()));
                *coming.or_default() -= 1;
                self.bring(&service, &version, place);
            }
            Happening::Counts(number) => self.tell_counts(number),
            Happening::Crash => self.crash(),
            Happening::Deed(deed) => self.does(*deed),
            Happening::Discover => self.discover(),
            Happening::Flap(key) => self.flap(key),
            Happening::HookAnswers(key, worked) => self.hook_answers(key, worked),
            Happening::HookSays(key) => self.hook_says(key),
            Happening::Mended(id) => self.proxy_is_mended(id),
            Happening::PlanArrives(id, session, plan) => self.plan_arrives(id, session, plan),
            Happening::Probe(key) => self.probe(&key),
            Happening::ProxyComes(id) => self.proxy_comes(id),
            Happening::ProxyGoes(id) => self.proxy_goes(id),
            Happening::Recover => self.recover(),
            Happening::Refuses(id) => self.proxy_refuses(id),
            Happening::Report(id) => self.report(id),
            Happening::Stop(key) => self.stop(&key),
            Happening::Tick(number) if number == self.tick.0 => self.tick(),
            Happening::Tick(_) => {}
            Happening::Word(id, session, event) => {
                let now = self.proxies.get(&id).map(|proxy| proxy.session);
                if now == Some(session) {
                    self.event(Event::Proxy { id, event: *event });
                }
            }
        }
        true
    }

    fn tick(&mut self) {
        self.tick.1 = Time::MAX;
        self.hear_time();
        self.help();
        self.gap = Span::from(self.gap.duration() * 2).min(TICK_MAX);
        let mut next = self.gap.after(self.now);
        if let Some(engine) = &self.engine {
            let state = engine.state();
            let rollouts = state.rollouts.values().filter(|r| !r.over());
            let ends = rollouts.flat_map(|r| engine.blockers(&r.spec.name));
            let ends = ends.filter_map(|blocker| blocker.until);
            let kept = state.services.values().filter_map(|s| s.kept.as_ref());
            let soonest = ends.chain(kept.map(|kept| kept.until)).min();
            next = soonest.map_or(next, |at| at.max(TICK.after(self.now)).min(next));
        }
        self.tick_by(next);
    }

    // --- the engine

    pub(super) fn event(&mut self, event: Event) {
        let now = self.now;
        if let Some(engine) = &mut self.engine {
            let effects = engine.handle(event, now);
            self.carry_out(effects);
        }
    }

    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) {
        let records = effects.iter().filter_map(|effect| match effect {
            Effect::Record(entry) => Some(entry.clone()),
            _ => None,
        });
        let records: Vec<Entry> = records.collect();
        if !records.is_empty() && !self.write(records) {
            return self.crash();
        }
        for effect in effects {
            match effect {
                Effect::Record(_) => {}
                Effect::Publish(plan) => self.publish(&plan),
                Effect::Resend => self.resend(),
                Effect::Ask { url } => self.asked(url),
                Effect::Call { call, .. } => self.called(call),
                Effect::Consult { ask, .. } => self.consulted(ask.key),
                Effect::Inquire(inquiry) => self.inquired(inquiry),
            }
        }
        if let Some(engine) = &self.engine {
            self.watch.turned(engine.state());
        }
    }

    fn hear_time(&mut self) {
        let now = self.now;
        let Some(engine) = &mut self.engine else {
            return;
        };
        let effects = engine.handle(Event::Tick, now);
        if effects.is_empty() {
            self.watch.quiet(engine, now);
        }
        self.carry_out(effects);
    }
}

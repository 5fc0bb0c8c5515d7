//! A small fleet in virtual time around the engine: proxies, instances, an orchestrator that answers
//! hooks, operators, and a control plane that may crash.
//!
//! Time goes in steps. Whatever the engine decides is carried out at once and held against the
//! truth; whatever follows from it takes its time, as long as the world's mood wants.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidegate::domain::{
    Documents, Instance, InstanceId, Locality, Plan, ProxyId, Rps, Service, Span, Time, VersionName,
};
use tidegate::engine::{
    Answer, Command, Effect, Engine, Event, HookAction, HookAnswer, HookAsk, HookCall, Inquiry,
    ProxyEvent, Reading, Refusal, RolloutVerb, Said, State, Verb, Wait, plan,
};
use tidegate::sim::Chance;

use crate::fleet::{Habits, Proxy, some};
use crate::sample::{actor, instance, name};
use crate::seen::may_stop;
use crate::truth::Truth;

const STEP: Span = Span::millis(100);

/// No moment of the world is a round number.
const ODD: Duration = Duration::from_nanos(123_456_789);

/// The engine hears that time has passed every so many steps.
const TICK_EVERY: u64 = 2;

/// Whoever calls hooks gives up after this long.
const HOOK_TIMEOUT: Span = Span::secs(60);

/// How hooks are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hooks {
    Work,
    Fail,
    Silent,
}

/// A process, known to the engine or not.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) instance: Instance,
    pub(crate) healthy: bool,
    /// What the prober has said of it.
    said: Option<bool>,
}

#[derive(Debug)]
enum Later {
    Answer(String),
    /// A version, the id that it takes over if that is free, and where it stands.
    Appear(VersionName, Option<InstanceId>, Option<Locality>),
    Discover,
    Measure(Box<Inquiry>),
    Hook(String, Result<String, String>),
    Probe(InstanceId),
    /// What a hook of this name says to this key.
    Say(String, String),
    Stop(InstanceId, VersionName),
}

/// Everything.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) now: Time,
    pub(crate) engine: Engine,
    pub(crate) documents: Documents,
    pub(crate) proxies: BTreeMap<ProxyId, Proxy>,
    pub(crate) instances: BTreeMap<InstanceId, Process>,
    pub(crate) truth: Truth,
    pub(crate) habits: Habits,
    pub(crate) hooks: Hooks,
    /// The groups of who gives commands.
    pub(crate) groups: Vec<String>,
    /// What hooks that have a say answer, by name, or that they say nothing; unless it is here, they let it pass.
    pub(crate) says: BTreeMap<String, Option<HookAnswer>>,
    /// The keys by which they were asked, and the how manieth try it was.
    pub(crate) consulted: Vec<(String, u32)>,
    /// What addresses answer; those that are not here say nothing.
    pub(crate) answers: BTreeMap<String, Result<bool, String>>,
    /// What is said to the checks of gates, by their number from 0; unless it is here, all is good.
    pub(crate) measured: BTreeMap<usize, Said>,
    /// What was asked for them.
    pub(crate) inquiries: Vec<Inquiry>,
    /// Do instances that are missed appear, and released ones go, without a hook?
    pub(crate) helpful: bool,
    /// Does a new instance take over the id of the one in whose place it is started, where that is free?
    pub(crate) same_ids: bool,
    /// How long ended rollouts stay listed.
    ended_kept: Span,
    /// Is a new instance of this version sick?
    pub(crate) sick: BTreeSet<VersionName>,
    /// What each instance says that it carries; one of these by chance.
    pub(crate) capacities: Vec<Option<Rps>>,
    /// Where instances stand, in turn.
    pub(crate) localities: Vec<Locality>,
    /// Where the last instance of each id stood.
    places: BTreeMap<InstanceId, Locality>,
    steps: u64,
    later: Vec<(Time, Later)>,
    discovery_spoke: bool,
    hooks_heard: BTreeSet<String>,
    next_port: u16,
}

impl World {
    /// A control plane that has just started for the first time, and nobody else yet.
    pub(crate) fn new(seed: u64, calm: bool) -> Self {
        let now = Span::secs(1_000_000_000).after(Time::UNIX_EPOCH) + ODD;
        let (engine, effects) = Engine::recover(State::default(), now);
        assert_eq!(effects, []);
        Self {
            chance: Chance(seed),
            now,
            engine,
            documents: Documents::default(),
            proxies: BTreeMap::new(),
            instances: BTreeMap::new(),
            truth: Truth::new(calm, now),
            habits: Habits {
                lag: Span::millis(200),
                busy: 50,
                longest: Span::millis(3_000),
            },
            hooks: Hooks::Work,
            groups: Vec::new(),
            says: BTreeMap::new(),
            consulted: Vec::new(),
            answers: BTreeMap::new(),
            measured: BTreeMap::new(),
            inquiries: Vec::new(),
            helpful: true,
            same_ids: false,
            ended_kept: Span::MAX,
            sick: BTreeSet::new(),
            capacities: vec![None],
            localities: vec![Locality::default()],
            places: BTreeMap::new(),
            steps: 0,
            later: Vec::new(),
            discovery_spoke: false,
            hooks_heard: BTreeSet::new(),
            next_port: 20_000,
        }
    }

    /// From now on ended rollouts leave the state after this long.
    pub(crate) fn keep_ended(&mut self, span: Span) {
        self.ended_kept = span;
        self.engine.keep_ended(span);
    }

    /// A fleet at rest: `instances` of v1 serve, and every proxy knows them.
    pub(crate) fn at_rest(
        seed: u64,
        calm: bool,
        service: Service,
        instances: u32,
        proxies: u32,
    ) -> Self {
        let mut world = Self::new(seed, calm);
        world.settle_in(service, instances, proxies);
        world
    }

    pub(crate) fn settle_in(&mut self, service: Service, instances: u32, proxies: u32) {
        for _ in 0..instances {
            self.appear("v1");
        }
        for number in 0..proxies {
            self.add_proxy(&format!("edge-{number}"));
        }
        self.apply(crate::sample::documents(service));
        self.discover();
        let all_serve = |world: &Self| world.serving("v1") == instances;
        self.until("the fleet is at rest", 60, all_serve);
        self.run(1);
    }

    // --- time

    /// Lets so many seconds pass.
    pub(crate) fn run(&mut self, seconds: u64) {
        for _ in 0..seconds * 10 {
            self.step();
        }
    }

    /// Lets time pass until something holds, or panics.
    pub(crate) fn until(&mut self, what: &str, seconds: u64, holds: impl Fn(&Self) -> bool) {
        for _ in 0..seconds * 10 {
            if holds(self) {
                return;
            }
            self.step();
        }
        let state = self.engine.state();
        let stages = state.services.values().flat_map(|s| &s.instances);
        let stages: Vec<String> = stages.map(|(id, k)| format!("{id} {}", k.stage)).collect();
        let open = state.rollouts.values().filter(|rollout| !rollout.over());
        let why: Vec<String> = open.map(|r| self.why(r.spec.name.as_str())).collect();
        panic!("{what} does not come in {seconds}s: {stages:?}, waiting for {why:?}");
    }

    pub(crate) fn step(&mut self) {
        let stray = Duration::from_nanos(self.chance.below(1_000));
        self.now = STEP.after(self.now) + stray;
        self.steps += 1;
        let (due, later) = std::mem::take(&mut self.later)
            .into_iter()
            .partition(|(at, _)| *at <= self.now);
        self.later = later;
        let due: Vec<(Time, Later)> = due;
        for (_, what) in due {
            self.happen(what);
        }
        let ids: Vec<ProxyId> = self.proxies.keys().cloned().collect();
        for id in ids {
            let Some(proxy) = self.proxies.get_mut(&id) else {
                continue;
            };
            for event in proxy.live(self.habits, &mut self.chance, self.now) {
                let id = id.clone();
                self.event(Event::Proxy { id, event });
            }
        }
        if self.steps.is_multiple_of(TICK_EVERY) {
            let effects = self.engine.handle(Event::Tick, self.now);
            let quiet = effects.is_empty();
            self.carry_out(effects);
            if quiet {
                self.nobody_waits_in_silence();
            }
            if self.helpful && self.steps.is_multiple_of(10) {
                self.help();
            }
        }
    }

    fn happen(&mut self, what: Later) {
        match what {
            Later::Measure(inquiry) => {
                let said = self.measured.get(&inquiry.of.check).cloned();
                let (of, number) = (inquiry.of.clone(), inquiry.number);
                self.inquiries.push(*inquiry);
                let said = said.unwrap_or(Said::Verdict(Reading::Good));
                self.event(Event::Measured { of, number, said });
            }
            Later::Answer(url) => {
                if let Some(answer) = self.answers.get(&url).cloned() {
                    self.event(Event::Answered { url, answer });
                }
            }
            Later::Appear(version, place, locality) => {
                let id = self.appear(version.as_str());
                if let Some((process, there)) = self.instances.get_mut(&id).zip(locality) {
                    process.instance.locality = there.clone();
                    self.places.insert(id.clone(), there);
                }
                if let Some(place) = place.filter(|place| !self.instances.contains_key(place)) {
                    self.rename(&id, place);
                }
                self.discover();
            }
            Later::Discover => self.discover(),
            Later::Hook(key, result) => self.event(Event::HookDone { key, result }),
            Later::Probe(id) => self.probe(&id),
            Later::Say(hook, key) => {
                let passes = Some(HookAnswer::Passes(String::new()));
                if let Some(answer) = self.says.get(&hook).cloned().unwrap_or(passes) {
                    self.event(Event::HookSaid { key, answer });
                }
            }
            Later::Stop(id, version) => {
                let there = self.instances.get(&id);
                if there.is_some_and(|process| process.instance.version == version) {
                    self.vanish(&id);
                }
            }
        }
    }

    fn soon(&mut self, most: Span, what: Later) {
        let at = some(most, &mut self.chance).after(self.now);
        self.later.push((at, what));
    }

    // --- the engine

    pub(crate) fn event(&mut self, event: Event) {
        let effects = self.engine.handle(event, self.now);
        self.carry_out(effects);
    }

    pub(crate) fn command(&mut self, verb: Verb) -> Result<Answer, Refusal> {
        let command = Command {
            verb,
            by: actor(),
            groups: self.groups.clone(),
            reason: None,
            key: None,
        };
        let (effects, answer) = self.engine.command(command, self.now);
        self.carry_out(effects);
        answer
    }

    /// Sends something that is known by a key when it comes again.
    pub(crate) fn keyed(&mut self, verb: Verb, key: &str) -> Result<Answer, Refusal> {
        let command = Command {
            verb,
            by: actor(),
            groups: self.groups.clone(),
            reason: Some("a reason".to_owned()),
            key: Some(name(key)),
        };
        let (effects, answer) = self.engine.command(command, self.now);
        self.carry_out(effects);
        answer
    }

    pub(crate) fn override_rules(&mut self, rollout: &str, why: &str) {
        let overridden = self.rollout_verb_because(rollout, RolloutVerb::Override, Some(why));
        overridden.expect("it may be overridden");
    }

    pub(crate) fn rollout_verb(
        &mut self,
        rollout: &str,
        verb: RolloutVerb,
    ) -> Result<Answer, Refusal> {
        self.rollout_verb_because(rollout, verb, None)
    }

    pub(crate) fn rollout_verb_because(
        &mut self,
        rollout: &str,
        verb: RolloutVerb,
        why: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let name = name(rollout);
        let command = Command {
            verb: Verb::Rollout { name, verb },
            by: actor(),
            groups: self.groups.clone(),
            reason: why.map(str::to_owned),
            key: None,
        };
        let (effects, answer) = self.engine.command(command, self.now);
        self.carry_out(effects);
        answer
    }

    pub(crate) fn apply(&mut self, documents: Documents) {
        self.documents = documents.clone();
        let (documents, by) = (Box::new(documents), actor());
        self.event(Event::Documents { documents, by });
    }

    pub(crate) fn edit(&mut self, edit: impl FnOnce(&mut Documents)) {
        let mut documents = self.documents.clone();
        edit(&mut documents);
        self.apply(documents);
    }

    pub(crate) fn roll(&mut self, rollout: tidegate::domain::Rollout) {
        self.edit(|documents| {
            documents.rollouts.insert(rollout.name.clone(), rollout);
        });
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in &effects {
            if let Effect::Record(entry) = effect {
                self.truth.hear(entry, &self.proxies);
            }
        }
        for effect in effects {
            match effect {
                // What these proxies refuse they refuse again.
                Effect::Record(_) | Effect::Resend => {}
                Effect::Ask { url } => self.soon(Span::millis(500), Later::Answer(url)),
                Effect::Inquire(inquiry) => {
                    self.soon(Span::millis(500), Later::Measure(Box::new(inquiry)));
                }
                Effect::Publish(plan) => self.publish(&plan),
                Effect::Call { call, .. } => self.called(call),
                Effect::Consult { ask, attempt, .. } => self.consult(ask, attempt),
            }
        }
        self.truth.settle(self.engine.state());
    }

    fn publish(&mut self, plan: &Arc<Plan>) {
        let state = self.engine.state();
        self.truth.see(plan, state, &self.proxies, self.now);
        for proxy in self.proxies.values_mut() {
            let lag = some(self.habits.lag, &mut self.chance);
            proxy.tell(plan, lag, self.now);
        }
    }

    /// The control plane ends; another one goes on where the journal ends.
    pub(crate) fn crash(&mut self) {
        for proxy in self.proxies.values_mut() {
            proxy.disconnect(self.now);
            proxy.lose_reports();
        }
        self.later
            .retain(|(_, what)| matches!(what, Later::Appear(..) | Later::Stop(..)));
        let state = self.truth.replay();
        assert_eq!(state, *self.engine.state(), "7: the journal is the state");
        if let Some(published) = &self.truth.published {
            let again = plan(&state, state.generation);
            assert_eq!(again, **published, "7: the plan after a restart");
        }
        let (engine, effects) = Engine::recover(state, self.now);
        self.engine = engine;
        self.engine.keep_ended(self.ended_kept);
        self.truth.started = self.now;
        for effect in effects {
            match effect {
                Effect::Publish(plan) => assert_eq!(Some(&plan), self.truth.published.as_ref()),
                Effect::Call { call, .. } => self.called(call),
                Effect::Consult { ask, attempt, .. } => self.consult(ask, attempt),
                Effect::Record(_) | Effect::Resend | Effect::Ask { .. } | Effect::Inquire(_) => {
                    panic!("a start decides nothing: {effect:?}")
                }
            }
        }
        self.discovery_spoke = false;
        self.instances.values_mut().for_each(|p| p.said = None);
        self.soon(Span::secs(3), Later::Discover);
    }

    // --- proxies

    pub(crate) fn add_proxy(&mut self, id: &str) {
        let id: ProxyId = name(id);
        let proxy = Proxy::new(id.clone(), &mut self.chance, self.now);
        self.proxies.insert(id.clone(), proxy);
        self.connect(&id);
    }

    pub(crate) fn connect(&mut self, id: &ProxyId) {
        let published = self.truth.published.clone();
        let lag = some(self.habits.lag, &mut self.chance);
        if let Some(proxy) = self.proxies.get_mut(id).filter(|p| !p.connected) {
            let event = proxy.connect(published.as_ref(), lag, self.now);
            let id = id.clone();
            self.event(Event::Proxy { id, event });
        }
    }

    pub(crate) fn disconnect(&mut self, id: &ProxyId) {
        if let Some(proxy) = self.proxies.get_mut(id).filter(|p| p.connected) {
            proxy.disconnect(self.now);
            let (id, event) = (id.clone(), ProxyEvent::Disconnected);
            self.event(Event::Proxy { id, event });
        }
    }

    /// The proxy's process ends; another one comes in its place, if `again`.
    pub(crate) fn restart(&mut self, id: &ProxyId, again: bool) {
        self.disconnect(id);
        let Some(proxy) = self.proxies.get_mut(id) else {
            return;
        };
        if again {
            proxy.boot(&mut self.chance, self.now);
            self.connect(id);
        } else {
            proxy.die();
        }
    }

    // --- instances

    pub(crate) fn appear(&mut self, version: &str) -> InstanceId {
        self.next_port += 1;
        let known = self.instances.keys().map(|id| id.as_str().to_owned());
        let known: BTreeSet<String> = known.collect();
        let free = (0..).map(|number| format!("{version}-{number}"));
        let id = free.into_iter().find(|id| !known.contains(id));
        let id = id.expect("numbers do not end");
        let capacity = self.chance.pick(&self.capacities).copied().flatten();
        let mut instance = instance(&id, version, self.next_port, capacity);
        let place = usize::from(self.next_port) % self.localities.len();
        instance.locality = self.localities[place].clone();
        let id = instance.id.clone();
        self.places.insert(id.clone(), instance.locality.clone());
        let healthy = !self.sick.contains(&instance.version);
        let process = Process {
            instance,
            healthy,
            said: None,
        };
        self.instances.insert(id.clone(), process);
        id
    }

    fn rename(&mut self, id: &InstanceId, new: InstanceId) {
        if let Some(mut process) = self.instances.remove(id) {
            process.instance.id = new.clone();
            self.instances.insert(new, process);
        }
    }

    pub(crate) fn vanish(&mut self, id: &InstanceId) {
        self.instances.remove(id);
        self.discover();
    }

    /// Another process under the same id.
    pub(crate) fn replace_process(&mut self, id: &InstanceId) {
        self.next_port += 1;
        if let Some(process) = self.instances.get_mut(id) {
            let another = SocketAddr::from(([127, 0, 0, 1], self.next_port));
            process.instance.address = another.into();
            process.said = None;
            self.discover();
        }
    }

    pub(crate) fn set_health(&mut self, id: &InstanceId, healthy: bool) {
        if let Some(process) = self.instances.get_mut(id) {
            process.healthy = healthy;
            self.soon(Span::millis(500), Later::Probe(id.clone()));
        }
    }

    /// Discovery tells the whole set, and the prober begins with what is new.
    pub(crate) fn discover(&mut self) {
        self.discovery_spoke = true;
        let all = self.instances.values().map(|p| p.instance.clone());
        let instances: Vec<Instance> = all.collect();
        let service = name("cart");
        self.event(Event::Discovered { service, instances });
        let new = self.instances.iter().filter(|(_, p)| p.said.is_none());
        let new: Vec<InstanceId> = new.map(|(id, _)| id.clone()).collect();
        for id in new {
            self.soon(Span::millis(500), Later::Probe(id));
        }
    }

    fn probe(&mut self, id: &InstanceId) {
        let Some(process) = self.instances.get_mut(id).filter(|_| self.discovery_spoke) else {
            return;
        };
        let healthy = process.healthy;
        if process.said == Some(healthy) {
            return;
        }
        process.said = Some(healthy);
        let address = process.instance.address.clone();
        self.truth.probe(id, &address, healthy);
        self.event(Event::Health {
            service: name("cart"),
            instance: id.clone(),
            healthy,
            detail: if healthy { "200" } else { "503" }.to_owned(),
        });
    }

    // --- who has a say

    fn consult(&mut self, ask: HookAsk, attempt: u32) {
        let asked = &self.engine.state().rollouts[&ask.rollout].asks;
        assert!(
            asked.get(&ask.key).is_some(),
            "7: {} is not written down",
            ask.key
        );
        self.consulted.push((ask.key.clone(), attempt));
        self.soon(Span::millis(500), Later::Say(ask.hook, ask.key));
    }

    // --- the orchestrator

    fn called(&mut self, call: HookCall) {
        let state = self.engine.state();
        may_stop(&call, &self.proxies, state, self.now);
        self.truth.call(&call);
        let result = match self.hooks {
            Hooks::Silent => {
                let at = HOOK_TIMEOUT.after(self.now);
                let said = Err(format!("no answer within {HOOK_TIMEOUT}"));
                return self.later.push((at, Later::Hook(call.key, said)));
            }
            Hooks::Fail => Err("no room".to_owned()),
            Hooks::Work => Ok(()),
        };
        if result.is_ok() && self.hooks_heard.insert(call.key.clone()) {
            let what = match call.action {
                HookAction::Start => {
                    let locality = self.places.get(&call.instance).cloned();
                    let place = self.same_ids.then_some(call.instance);
                    Later::Appear(call.version, place, locality)
                }
                HookAction::Stop => Later::Stop(call.instance, call.version),
            };
            // Where a new process takes over the id, the old one has ended when the hook says so.
            let lag = if self.same_ids && call.action == HookAction::Stop {
                Span::ZERO
            } else {
                Span::millis(800)
            };
            self.soon(lag, what);
        }
        self.soon(
            Span::millis(500),
            Later::Hook(call.key, result.map(|()| String::new())),
        );
    }

    /// Somebody brings what rollouts miss, and stops what is released.
    fn help(&mut self) {
        let view = self.engine.view(self.now);
        let mut missed = view.rollouts.iter().flat_map(|r| &r.blockers);
        let missed = missed.find_map(|blocker| match &blocker.on {
            Wait::Instances { version, .. } if Span::between(blocker.since, self.now) > STEP => {
                Some(version.clone())
            }
            _ => None,
        });
        let state = self.engine.state();
        let cart = state.services.values().flat_map(|s| &s.instances);
        let released = cart.filter(|(_, k)| k.stage.to_string() == "released");
        let released = released.map(|(id, k)| (id.clone(), k.instance.version.clone()));
        let released: Vec<_> = released.collect();
        let hooked = |r: &tidegate::engine::RolloutState| r.runs() && r.spec.replace.is_some();
        let by_hook = self.hooks != Hooks::Silent && state.rollouts.values().any(hooked);
        for (id, version) in released.into_iter().filter(|_| !by_hook) {
            self.soon(Span::secs(1), Later::Stop(id, version));
        }
        let coming = |(_, what): &(Time, Later)| matches!(what, Later::Appear(..));
        let hooks_will = by_hook && self.truth.calm;
        if let Some(version) = missed.filter(|_| !hooks_will && !self.later.iter().any(coming)) {
            self.soon(Span::secs(1), Later::Appear(version, None, None));
        }
    }
}

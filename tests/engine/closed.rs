//! A world so small that all that can happen in it can be tried: the engine itself, two proxies, a few
//! instances, and somebody who starts and stops processes when a hook asks.
//!
//! A [`Step`] is one thing that happens: a proxy puts a plan in force, its word arrives, a reading arrives, a stream
//! breaks, the control plane ends. Time passes with each step, and no span is ever over, so only the order of
//! things counts and worlds are alike whatever the clock says (`closed/essence.rs`). What is checked of each turn, and
//! of each world, is in `closed/promises.rs`.

#[path = "closed/edge.rs"]
mod edge;
#[path = "closed/essence.rs"]
mod essence;
#[path = "closed/promises.rs"]
mod promises;
#[path = "closed/step.rs"]
mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tidegate::domain::{
    Documents, Generation, Instance, InstanceId, Nack, RolloutName, ServiceName, Span, Time,
};
use tidegate::engine::{
    Command, Effect, Engine, Event, HookAction, HookCall, ProxyEvent, RolloutState, RolloutVerb,
    StageKind, State, Turned, Verb, plan,
};

use crate::sample::{actor, documents, identity, instance, name, rolling, rollout, service};
use edge::{Edge, Told, Word};
pub(crate) use promises::Ends;
pub(crate) use step::{Step, Trouble};

/// The world.
#[derive(Clone, Debug)]
pub(crate) struct Closed {
    engine: Engine,
    now: Time,
    published: Option<Told>,
    edges: Vec<Edge>,
    /// The processes that run.
    instances: BTreeMap<InstanceId, Instance>,
    launched: u16,
    /// Hook calls that are made and not answered.
    calls: BTreeMap<String, HookCall>,
    /// Those that have been carried out.
    heard: BTreeSet<String>,
    /// Have sources and probers spoken to this control plane?
    looked: bool,
    trouble: Trouble,
    /// The promise that the last step has broken.
    pub(crate) broken: Option<String>,
    /// Worlds that go on alike have the same.
    pub(crate) essence: u64,
}

/// The only service.
fn cart() -> ServiceName {
    name("cart")
}

/// The only rollout.
fn next() -> RolloutName {
    name("next")
}

/// Time passes with each step; so little that no span is over within a story.
const STEP: Span = Span::millis(1);

/// So many rounds it takes until all is at rest at first.
const ROUNDS_MAX: usize = 100;

impl Closed {
    /// Instances at rest behind two proxies, and a rollout that is about to begin.
    pub(crate) fn at_rest(fleet: u32, trouble: Trouble) -> Self {
        let now = Span::secs(1_000_000_000).after(Time::UNIX_EPOCH);
        let (engine, _) = Engine::recover(State::default(), now);
        let mut world = Self {
            engine,
            now,
            published: None,
            edges: ["edge-0", "edge-1"]
                .map(|id| Edge::new(name(id), now))
                .into(),
            instances: BTreeMap::new(),
            launched: 0,
            calls: BTreeMap::new(),
            heard: BTreeSet::new(),
            looked: false,
            trouble: Trouble::default(),
            broken: None,
            essence: 0,
        };
        (0..fleet).for_each(|_| world.launch("v1"));
        let mut service = service();
        service.min_ready = Span::ZERO;
        service.drain.lost_proxies.wait = Span::secs(3600);
        let mut documents = documents(service);
        world.apply(documents.clone());
        for _ in 0..ROUNDS_MAX {
            for step in world.calm_steps() {
                world.take(&step);
            }
        }
        assert_eq!(world.count(StageKind::Serving), fleet, "it comes to rest");
        let mut next = rollout("next", "v2");
        next.strategy = rolling(1, 1, 0);
        documents.rollouts.insert(next.name.clone(), next);
        world.apply(documents);
        world.trouble = trouble;
        world.essence = world.fingerprint();
        world
    }

    fn apply(&mut self, documents: Documents) {
        let (documents, by) = (Box::new(documents), actor());
        self.event(Event::Documents { documents, by }, true);
        self.event(Event::Tick, true);
    }

    fn count(&self, kind: StageKind) -> u32 {
        let known = self.engine.state().services.get(&cart());
        known.map_or(0, |known| {
            known.instances.count(|stand| stand.stage == kind)
        })
    }

    fn rollout(&self) -> Option<&RolloutState> {
        self.engine.state().rollouts.get(&next())
    }

    // --- what comes of a step

    /// The world after a step; a broken promise is kept in it.
    pub(crate) fn after(&self, step: &Step) -> Self {
        let mut after = self.clone();
        let played = catch_unwind(AssertUnwindSafe(|| {
            after.take(step);
            after.hold();
            after.essence = after.fingerprint();
        }));
        if let Err(panic) = played {
            after.broken = Some(promises::said(&*panic));
            after.essence = self.essence.wrapping_add(1);
        }
        after
    }

    fn take(&mut self, step: &Step) {
        self.now = STEP.after(self.now);
        match step {
            Step::Crash => {
                self.trouble.crashes -= 1;
                self.crash();
            }
            Step::CrashIn(step) => {
                self.trouble.crashes -= 1;
                self.happen(step, false);
                self.crash();
            }
            step => {
                self.happen(step, true);
                if step.turns() {
                    self.event(Event::Tick, true);
                }
            }
        }
    }

    fn happen(&mut self, step: &Step, lives: bool) {
        match step {
            Step::Abort(turned) => {
                match turned {
                    Turned::AtOnce => self.trouble.emergencies -= 1,
                    _ => self.trouble.aborts -= 1,
                }
                self.ask(RolloutVerb::Abort(*turned), lives);
            }
            Step::Answer(key) => {
                self.calls.remove(key);
                let (key, result) = (key.clone(), Ok(String::new()));
                self.event(Event::HookDone { key, result }, lives);
            }
            Step::Back(number) => {
                let published = self.published.clone();
                self.edges[*number].connect(published, self.now);
                let who = identity(&self.edges[*number].id);
                self.hear(*number, ProxyEvent::Connected(who), lives);
            }
            Step::Crash | Step::CrashIn(_) => {}
            Step::End => self.edges.iter_mut().for_each(|edge| edge.request = None),
            Step::Hook(key) => self.hook(key, lives),
            Step::Look => self.look(lives),
            Step::Lose(number) => {
                self.trouble.losses -= 1;
                self.edges[*number].lose(self.now);
                self.hear(*number, ProxyEvent::Disconnected, lives);
            }
            Step::Refuse(number) => {
                self.trouble.nacks -= 1;
                self.edges[*number].refuse();
            }
            Step::Report(number) => {
                let report = self.edges[*number].report(self.now);
                self.hear(*number, ProxyEvent::Load(report), lives);
            }
            Step::Retry => self.retry(lives),
            Step::Start(number, taker) => {
                self.trouble.requests -= 1;
                self.edges[*number].request = Some(taker.clone());
            }
            Step::Take(number) => self.edges[*number].take(),
            Step::Word(number) => {
                let edge = &mut self.edges[*number];
                let event = match edge.word.take() {
                    Some(Word::Accepts(generation)) => {
                        edge.refused = false;
                        ProxyEvent::InForce(generation)
                    }
                    Some(Word::Refuses(generation)) => {
                        edge.refused = true;
                        ProxyEvent::Nacked(refusal(generation))
                    }
                    None => return,
                };
                self.hear(*number, event, lives);
            }
        }
    }

    fn hook(&mut self, key: &str, lives: bool) {
        let call = self.calls[key].clone();
        self.heard.insert(key.to_owned());
        match call.action {
            HookAction::Start => self.launch(call.version.as_str()),
            HookAction::Stop => drop(self.instances.remove(&call.instance)),
        }
        if self.looked {
            self.look(lives);
        }
    }

    fn launch(&mut self, version: &str) {
        let id = format!("{version}-{}", self.launched);
        let process = instance(&id, version, 20_000 + self.launched, None);
        self.launched += 1;
        self.instances.insert(process.id.clone(), process);
    }

    /// All that is there, and healthy.
    fn look(&mut self, lives: bool) {
        self.looked = true;
        let instances: Vec<Instance> = self.instances.values().cloned().collect();
        let ids: Vec<InstanceId> = self.instances.keys().cloned().collect();
        let service = cart();
        self.event(Event::Discovered { service, instances }, lives);
        for instance in ids {
            let event = Event::Health {
                service: cart(),
                instance,
                healthy: true,
                detail: "200".to_owned(),
            };
            self.event(event, lives);
        }
    }

    /// Somebody has what was refused sent again, or mends the proxy when there is nothing to retry any more.
    fn retry(&mut self, lives: bool) {
        if self.rollout().is_some_and(|rollout| !rollout.over()) {
            self.ask(RolloutVerb::Retry, lives);
        }
        let refused = self.edges.iter_mut();
        for edge in refused.filter(|edge| edge.refused && edge.connected) {
            edge.told.clone_from(&self.published);
            edge.refused = false;
        }
    }

    fn ask(&mut self, verb: RolloutVerb, lives: bool) {
        let before = self.engine.state().clone();
        let over = self.rollout().is_none_or(RolloutState::over);
        let (effects, answer) = self.engine.command(command(verb), self.now);
        assert!(over || answer.is_ok(), "9: it refuses {verb:?}: {answer:?}");
        self.carry_out(before, effects, lives);
    }

    fn hear(&mut self, number: usize, event: ProxyEvent, lives: bool) {
        let id = self.edges[number].id.clone();
        self.event(Event::Proxy { id, event }, lives);
    }

    fn event(&mut self, event: Event, lives: bool) {
        let before = self.engine.state().clone();
        let effects = self.engine.handle(event, self.now);
        self.carry_out(before, effects, lives);
    }

    /// Judges what is decided, and does it, unless the control plane ends before.
    fn carry_out(&mut self, before: State, effects: Vec<Effect>, lives: bool) {
        let proxies = self.proxies();
        self.judge_records(before, &effects, &proxies);
        for effect in effects.into_iter().filter(|_| lives) {
            match effect {
                Effect::Record(_)
                | Effect::Ask { .. }
                | Effect::Consult { .. }
                | Effect::Inquire(_) => {}
                Effect::Publish(plan) => {
                    self.judge_plan(&plan, &proxies);
                    self.tell(Told::new(plan));
                }
                Effect::Call { call, .. } => {
                    self.judge_call(&call, &proxies);
                    self.calls.insert(call.key.clone(), call);
                }
                Effect::Resend => {
                    let refused = self.edges.iter_mut();
                    for edge in refused.filter(|edge| edge.refused && edge.connected) {
                        edge.told.clone_from(&self.published);
                    }
                }
            }
        }
    }

    fn tell(&mut self, told: Told) {
        for edge in self.edges.iter_mut().filter(|edge| edge.connected) {
            edge.told = Some(told.clone());
        }
        self.published = Some(told);
    }

    /// The control plane ends with all that is on its way to it, and another one goes on from the journal.
    fn crash(&mut self) {
        for edge in &mut self.edges {
            edge.lose(self.now);
        }
        let state = self.engine.state().clone();
        let written = plan(&state, state.generation);
        let (engine, effects) = Engine::recover(state, self.now);
        (self.engine, self.looked) = (engine, false);
        self.calls.clear();
        let proxies = self.proxies();
        for effect in effects {
            match effect {
                Effect::Publish(plan) => {
                    assert_eq!(*plan, written, "7: the plan after a restart");
                    self.judge_shares(&plan, &proxies);
                    self.tell(Told::new(plan));
                }
                Effect::Call { call, .. } => {
                    self.judge_call(&call, &proxies);
                    self.calls.insert(call.key.clone(), call);
                }
                _ => panic!("7: a start decides nothing"),
            }
        }
    }
}

fn command(verb: RolloutVerb) -> Command {
    Command {
        verb: Verb::Rollout { name: next(), verb },
        by: actor(),
        groups: Vec::new(),
        reason: None,
        key: None,
    }
}

fn refusal(generation: Generation) -> Nack {
    Nack {
        generation,
        kind: "route".to_owned(),
        resources: vec!["mesh/10000".to_owned()],
        message: "no such filter".to_owned(),
    }
}

//! The rollout engine: facts and verbs in, records and plans out.
//!
//! ```text
//! Event, Command ──▶ turn: facts change → each service is looked at until nothing more can be
//!                          decided → one new generation for all that proxies must be told
//!                ──▶ Effects: Record …, Publish, Call          (carried out by `runtime`, in order)
//! ```
//!
//! * The **state** ([`State`]) is a fold over the journal; the plan is a function of it alone.
//! * The **facts** are what is only observed. They are empty at a start and fill again.
//! * The engine plans from both each turn; there is no script that a changed world could break.
//! * It learns that a plan is in force from acknowledgements only, never from having sent it.
//!
//! Knows no clock (`now` comes in), no randomness, no I/O, no Envoy.

mod barrier;
mod blocker;
mod budget;
mod capacity;
mod command;
mod course;
mod documents;
mod effect;
mod ended;
mod event;
mod facts;
mod hooks;
mod instances;
mod invariants;
mod judging;
mod measuring;
mod moments;
mod operate;
mod planning;
mod proxies;
mod record;
mod rolling;
mod rules;
mod services;
mod shift;
mod stage;
mod state;
mod turn;
mod view;
mod viewing;
mod waits;
mod wanted;
mod waves;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use blocker::{Blocker, Wait};
pub use capacity::HEADROOM_PERCENT;
pub use command::{Answer, Command, Refusal, RolloutVerb, Stands, Verb};
pub use effect::Effect;
pub use event::{
    Actor, Attempts, Completed, Event, InstanceLoad, LoadReport, Mishaps, ProxyEvent, Source, Times,
};
pub use facts::tally::{Answers, Heard, Reporter, Taken, Tally, Tried};
pub use invariants::{Violation, check_plan, check_record};
pub use judging::{
    BoxEvidence, CheckEvidence, Decision, Evidence, Follows, GateTrial, GateView, OverTime, Point,
    SlowEvidence, Verdict,
};
pub use measuring::{Asked, Candidate, CheckId, Inquiry, Reading, Said};
pub use moments::Standing;
pub use planning::plan;
pub use record::{
    Entry, HookAction, HookAnswer, HookAsk, HookCall, Moment, Origin, Outcome, Portion, Record,
    Request, Ruling, Split, Turned,
};
pub use rules::Rule;
pub use stage::{Cause, Proof, Stage, StageKind};
pub use state::{
    AskState, AskStatus, Asks, Bake, Batch, GateState, HookState, HookStatus, Hooks, IllegalRecord,
    InstanceState, Kept, Lane, Pause, Report, Requests, RolloutState, Roster, ServiceState, Stand,
    Started, State, VersionState,
};
pub use view::{
    BlockerView, DrainView, FrozenView, InstanceView, Part, PartView, Phase, ProxyView, ReportView,
    RolloutView, ServiceView, VersionView, View,
};

use facts::Facts;
use turn::{Subject, Turn};
use waits::Waits;

use crate::domain::{Plan, RolloutName, ServiceName, Span, Time};

/// On the very first start proxies are answered once every service has a ready instance, or after
/// this long. An answer before that would tell a running fleet that nothing exists.
const FIRST_ANSWER_AFTER: Span = Span::secs(10);

/// Generations whose acknowledgement is timed; while nobody is connected, the oldest are let go.
const UNACKNOWLEDGED_MAX: usize = 1024;

/// Passes over a service within one turn; each pass decides at least one thing or is the last.
const PASSES_MAX: usize = 16;

/// The engine.
#[derive(Debug, Clone)]
pub struct Engine {
    state: State,
    facts: Facts,
    waits: Waits,
    started: Time,
    /// The last published plan.
    published: Option<Arc<Plan>>,
    /// Services with changes that are not published yet.
    touched: BTreeSet<ServiceName>,
    /// How long ended rollouts stay in the state.
    ended_kept: Span,
}

impl Engine {
    /// An engine that goes on where the journal ends. The effects publish the same plan as before
    /// and make hook calls again that had no answer.
    pub fn recover(state: State, now: Time) -> (Self, Vec<Effect>) {
        let mut facts = Facts::at_start(&state, now);
        judging::resume(&mut facts, &state.rollouts, now);
        let waits = Waits::default();
        let touched = BTreeSet::new();
        let mut engine = Self {
            state,
            facts,
            waits,
            started: now,
            published: None,
            touched,
            ended_kept: Span::MAX,
        };
        let mut effects = Vec::new();
        if engine.state.generation > crate::domain::Generation::default() {
            let plan = Arc::new(plan(&engine.state, engine.state.generation));
            engine.published = Some(Arc::clone(&plan));
            effects.push(Effect::Publish(plan));
        }
        // One that is over may still have what it kept for an undo stopped.
        for rollout in engine.state.rollouts.values() {
            if rollout.runs() {
                effects.extend(moments::unanswered(rollout, now));
            }
            let Some(hook) = &rollout.spec.replace else {
                continue;
            };
            let open = rollout.hooks.open();
            let open = open.filter(|state| state.status == HookStatus::Called);
            effects.extend(open.map(|state| Effect::Call {
                hook: hook.clone(),
                call: state.call.clone(),
            }));
        }
        (engine, effects)
    }

    /// Lets rollouts leave the state this long after their end; until this is said they all stay.
    pub fn keep_ended(&mut self, span: Span) {
        self.ended_kept = span;
    }

    /// Takes in an event and decides what follows.
    pub fn handle(&mut self, event: Event, now: Time) -> Vec<Effect> {
        let (effects, ()) = self.turn(now, |turn| absorb(turn, event));
        effects
    }

    /// Takes in a burst of what was observed, in its order, and decides once what follows: a fleet's
    /// ACKs of one plan need one decision, not one each. Only for events of which
    /// [`Event::is_observation`] is true.
    pub fn observe(&mut self, events: impl IntoIterator<Item = Event>, now: Time) -> Vec<Effect> {
        let (effects, ()) = self.turn(now, |turn| {
            for event in events {
                absorb(turn, event);
            }
        });
        effects
    }

    /// Judges a command and carries it out, or refuses and changes nothing.
    pub fn command(
        &mut self,
        command: Command,
        now: Time,
    ) -> (Vec<Effect>, Result<Answer, Refusal>) {
        let about = match &command.verb {
            Verb::Rollout { name, verb } => Some((name.clone(), *verb)),
            _ => None,
        };
        let (effects, answer) = self.turn(now, |turn| operate::operate(turn, &command));
        let Some((name, verb)) = about else {
            return (effects, answer);
        };
        let answer = match answer {
            Ok(answer) => {
                let undone = (verb == RolloutVerb::Undo).then(|| operate::undo_of(&name));
                let name = undone.and_then(Result::ok).unwrap_or(name);
                let now = self.seen(now).stands(&name);
                Ok(Answer { now, ..answer })
            }
            Err(refusal) => Err(match self.seen(now).stands(&name) {
                Some(stands) => refusal.of(&stands),
                None => refusal,
            }),
        };
        (effects, answer)
    }

    /// The durable state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What `rollout` waits for, as of the last turn.
    pub fn blockers(&self, rollout: &RolloutName) -> &[Blocker] {
        self.waits.of(&Subject::Rollout(rollout.clone()))
    }

    /// What is only observed, as text and without when. With the state it is all that decides, as long as no
    /// span is over. For whoever compares worlds; no interface, for it changes with what is observed.
    pub fn observed(&self) -> String {
        self.facts.timeless(&self.state)
    }

    /// Everything, for people and programs.
    pub fn view(&self, now: Time) -> View {
        self.seen(now).view()
    }

    fn seen(&self, now: Time) -> viewing::Seen<'_> {
        let not_ready = self.not_ready(now);
        let (state, facts, waits) = (&self.state, &self.facts, &self.waits);
        viewing::Seen {
            state,
            facts,
            waits,
            not_ready,
            now,
        }
    }

    fn turn<T>(&mut self, now: Time, begin: impl FnOnce(&mut Turn<'_>) -> T) -> (Vec<Effect>, T) {
        if self.published.is_none() && self.state.documents.gateways.is_empty() {
            // The wait for a first instance begins when there is somebody to be told of it.
            self.started = now;
        }
        let mut turn = Turn::new(&mut self.state, &mut self.facts, now);
        turn.touched = std::mem::take(&mut self.touched);
        let answer = begin(&mut turn);
        settle(&mut turn);
        ended::forget_long_ended(&mut turn, self.ended_kept);
        let (touched, waits) = (turn.touched, turn.waits);
        let mut effects = turn.effects;
        self.touched = touched;
        self.waits.update(&self.state, waits, now);
        self.publish(now, &mut effects);
        (effects, answer)
    }

    /// Makes one new generation of everything that changed in this turn.
    fn publish(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let first = self.published.is_none();
        if self.not_ready(now).is_some() || (self.touched.is_empty() && !first) {
            return;
        }
        let generation = self.state.generation.next();
        let plan = Arc::new(plan(&self.state, generation));
        if let Err(violation) = check_plan(&plan) {
            panic!("{violation}");
        }
        let services = std::mem::take(&mut self.touched).into_iter().collect();
        let published = Record::Published {
            generation,
            services,
        };
        let entry = Entry::new(now, published);
        if let Err(illegal) = self.state.apply(&entry) {
            panic!("{illegal}");
        }
        self.facts.unacknowledged.insert(generation, now);
        while self.facts.unacknowledged.len() > UNACKNOWLEDGED_MAX {
            self.facts.unacknowledged.pop_first();
        }
        self.published = Some(Arc::clone(&plan));
        effects.push(Effect::Record(entry));
        effects.push(Effect::Publish(plan));
    }

    /// Why proxies are not answered yet, if they are not.
    fn not_ready(&self, now: Time) -> Option<String> {
        if self.published.is_some() {
            return None;
        }
        if self.state.documents.gateways.is_empty() {
            return Some("no gateway is declared yet".to_owned());
        }
        if Span::between(self.started, now) >= FIRST_ANSWER_AFTER {
            return None;
        }
        let has_stable = |name: &ServiceName| {
            self.state
                .services
                .get(name)
                .is_some_and(|state| state.stable.is_some())
        };
        let waiting = self
            .state
            .documents
            .services
            .keys()
            .find(|name| !has_stable(name))?;
        Some(format!("no instance of {waiting} is ready yet"))
    }
}

/// Takes an event into the facts; what must outlive a restart is recorded.
fn absorb(turn: &mut Turn<'_>, event: Event) {
    match event {
        Event::Tick => {
            turn.facts.traffic.forget_silent(turn.now);
            let is_known =
                |service: &_, version: &_| proxies::is_known(turn.state, service, version);
            turn.facts.tally.tidy(turn.now, is_known);
        }
        Event::Documents { documents, by } => documents::apply(turn, *documents, &by),
        Event::Answered { url, answer } => {
            let now = turn.now;
            if let Some(asked) = turn.facts.questions.get_mut(&url) {
                asked.hear(answer, now);
            }
        }
        Event::Appeared { service, instance } => instances::appear(turn, &service, *instance),
        Event::Discovered { service, instances } => instances::discover(turn, &service, instances),
        Event::Vanished { service, instance } => instances::vanish(turn, &service, instance),
        Event::Health {
            service,
            instance,
            healthy,
            detail,
        } => {
            let now = turn.now;
            turn.facts
                .hear_health(&service, &instance, healthy, detail, now);
        }
        Event::HookDone { key, result } => hooks::done(turn, key, result),
        Event::HookSaid { key, answer } => moments::hear(turn, &key, answer),
        Event::Measured { of, number, said } => measuring::hear(turn, &of, number, said),
        Event::Proxy { id, event } => proxies::hear(turn, id, event),
    }
}

/// Looks at each service until nothing more can be decided.
fn settle(turn: &mut Turn<'_>) {
    judging::weigh(turn);
    turn.everywhere = barrier::everywhere(turn.state, turn.facts);
    let services = rules::in_turn(turn);
    for _ in 0..PASSES_MAX {
        let decided = turn.effects.len();
        turn.waits.clear();
        for service in &services {
            services::pass(turn, service);
        }
        if turn.effects.len() == decided {
            break;
        }
    }
    let orphans: Vec<_> = turn
        .state
        .rollouts
        .values()
        .filter(|rollout| !rollout.over() && turn.state.service(&rollout.spec.service).is_none())
        .map(|rollout| Subject::Rollout(rollout.spec.name.clone()))
        .collect();
    for subject in orphans {
        turn.wait(subject, Wait::DocumentDeleted);
    }
    rules::ask(turn);
    measuring::ask(turn);
    moments::forget_past(turn);
    proxies::note_in_force(turn);
    proxies::forget_long_gone(turn);
}

//! The loop around the engine: everything that happens goes through here, one thing after the other.
//!
//! ```text
//! events, requests, tick ──▶ engine ──▶ records ──▶ store (durable) ──▶ plan → snapshot → streams
//!                                                                  └──▶ hooks, answers, view
//! ```
//!
//! A burst is taken in as one: what is observed is decided on once, its records are persisted
//! together and only its last plan is published. Secrets are no decision: those that change are
//! published with the plan that stands. Nothing of a turn takes effect before its records are durable;
//! if they cannot be written the loop ends, and with it the process: going on would break that promise.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::causes::chain;
use super::compaction::Written;
use super::control::Numbered;
use super::hooks::Hooks;
use super::journal;
use super::measuring::Measuring;
use super::questions::Questions;
use crate::domain::{Plan, Span, Time};
use crate::engine::{Answer, Command, Effect, Engine, Entry, Event, Refusal, View};
use crate::process::clock;
use crate::snapshot::{ByName, Compiler, SecretUsers, Snapshot};
use crate::store::Store;

/// Time passes for the engine at least this often.
const TICK: Duration = Duration::from_millis(100);

/// Events taken in as one burst.
const BURST_MAX: usize = 4096;

/// A view costs as much as there is to see. Unless somebody waits for an answer, none is made for so
/// many times as long as the last one took.
const VIEW_REST: u32 = 9;

/// Somebody who wants to know how long writes to the journal take.
pub type OnAppend = Arc<dyn Fn(Duration) + Send + Sync>;

/// Something that wants an answer once it is durable.
#[derive(Debug)]
pub(super) enum Request {
    /// A verb.
    Command(Box<Command>, oneshot::Sender<Judged>),
    /// An event whose sender wants to know that it is taken in.
    Event(Box<Event>, oneshot::Sender<()>),
}

/// What the loop works on.
pub(super) struct Mailbox {
    pub(super) engine: Engine,
    pub(super) compiler: Compiler,
    pub(super) store: Arc<dyn Store>,
    pub(super) last_seq: u64,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) requests: mpsc::Receiver<Request>,
    /// What there is for proxies that ask for secrets.
    pub(super) secrets: watch::Receiver<Arc<ByName>>,
    /// Who asks for which.
    pub(super) secret_users: watch::Sender<Arc<SecretUsers>>,
    pub(super) snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    /// The plans of those snapshots.
    pub(super) plans: watch::Sender<Option<Arc<Plan>>>,
    pub(super) views: watch::Sender<Arc<View>>,
    pub(super) entries: broadcast::Sender<Arc<Numbered>>,
    pub(super) hooks: Hooks,
    pub(super) measuring: Measuring,
    pub(super) questions: Questions,
    pub(super) on_append: OnAppend,
    /// How much is written, for whoever compacts.
    pub(super) written: watch::Sender<Written>,
    /// Where the reason is left when the journal cannot be written.
    pub(super) failed: Arc<OnceLock<String>>,
    /// Why the newest plan could not be told to anybody.
    pub(super) unsaid: Option<String>,
    pub(super) seen: Seen,
    pub(super) stop: CancellationToken,
}

/// How the view is.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// It lacks something that happened.
    is_stale: bool,
    /// The next one is made then, or later.
    due: Time,
}

/// How a verb was judged.
type Judged = Result<Answer, Refusal>;

/// What one burst led to.
#[derive(Default)]
struct Outcome {
    records: Vec<Entry>,
    plan: Option<Arc<Plan>>,
    resend: bool,
    calls: Vec<Effect>,
    answers: Vec<(oneshot::Sender<Judged>, Judged)>,
    taken: Vec<oneshot::Sender<()>>,
    /// What was observed and is not decided on yet.
    observed: Vec<Event>,
    /// Something happened beside what proxies say, or followed from it. What they say alone is seen
    /// with the next tick.
    is_news: bool,
}

impl Mailbox {
    /// Runs until the stop, or until the journal cannot be written.
    pub(super) async fn run(mut self, first: Vec<Effect>) {
        let mut outcome = Outcome {
            is_news: true,
            ..Outcome::default()
        };
        outcome.add(first);
        self.publish_secrets();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if let Err(error) = self.carry_out(outcome).await {
                tracing::error!(error, "The journal cannot be written; stopping");
                // The loop ends here, so nobody has been before.
                let _ = self.failed.set(error);
                return;
            }
            outcome = Outcome::default();
            tokio::select! {
                () = self.stop.cancelled() => return,
                Some(request) = self.requests.recv() => self.take_request(request, &mut outcome),
                Some(event) = self.events.recv() => {
                    self.take_event(event, &mut outcome);
                    // Whoever else has something to say may do so first: a fleet's ACKs come
                    // together, and otherwise this task would run after each of them.
                    tokio::task::yield_now().await;
                }
                Ok(()) = self.secrets.changed() => self.publish_secrets(),
                _ = tick.tick() => self.take_event(Event::Tick, &mut outcome),
            }
            for _ in 0..BURST_MAX {
                if let Ok(request) = self.requests.try_recv() {
                    self.take_request(request, &mut outcome);
                } else if let Ok(event) = self.events.try_recv() {
                    self.take_event(event, &mut outcome);
                } else {
                    break;
                }
            }
            self.observe(&mut outcome);
        }
    }

    fn take_event(&mut self, event: Event, outcome: &mut Outcome) {
        outcome.is_news |= !matches!(event, Event::Proxy { .. });
        if event.is_observation() {
            outcome.observed.push(event);
            return;
        }
        self.observe(outcome);
        outcome.add(self.engine.handle(event, clock::now()));
    }

    /// Decides on what was observed up to here.
    fn observe(&mut self, outcome: &mut Outcome) {
        if !outcome.observed.is_empty() {
            let observed = std::mem::take(&mut outcome.observed);
            let effects = self.engine.observe(observed, clock::now());
            outcome.is_news |= !effects.is_empty();
            outcome.add(effects);
        }
    }

    fn take_request(&mut self, request: Request, outcome: &mut Outcome) {
        self.observe(outcome);
        outcome.is_news = true;
        match request {
            Request::Command(command, reply) => {
                let (effects, answer) = self.engine.command(*command, clock::now());
                outcome.add(effects);
                outcome.answers.push((reply, answer));
            }
            Request::Event(event, reply) => {
                self.take_event(*event, outcome);
                outcome.taken.push(reply);
            }
        }
    }

    async fn carry_out(&mut self, outcome: Outcome) -> Result<(), String> {
        let numbered = self.persist(outcome.records).await?;
        if let Some(plan) = outcome.plan {
            self.publish(&plan);
        } else if outcome.resend {
            self.snapshots.send_modify(|published| {
                *published = published
                    .as_ref()
                    .map(|snapshot| Arc::new(snapshot.again()));
            });
        }
        for effect in outcome.calls {
            match effect {
                Effect::Ask { url } => self.questions.ask(url),
                Effect::Call { hook, call } => self.hooks.call(hook, call),
                Effect::Consult { hook, ask, attempt } => self.hooks.consult(hook, ask, attempt),
                Effect::Inquire(inquiry) => self.measuring.ask(inquiry),
                Effect::Publish(_) | Effect::Record(_) | Effect::Resend => {}
            }
        }
        self.seen.is_stale |= outcome.is_news;
        let is_awaited = !outcome.answers.is_empty() || !outcome.taken.is_empty();
        if is_awaited || (self.seen.is_stale && clock::now() >= self.seen.due) {
            self.show();
        }
        for entry in numbered {
            // Nobody may be listening, which is fine.
            let _ = self.entries.send(entry);
        }
        for (reply, answer) in outcome.answers {
            let _ = reply.send(answer);
        }
        for reply in outcome.taken {
            let _ = reply.send(());
        }
        Ok(())
    }

    /// Makes a new view.
    fn show(&mut self) {
        let begun = clock::now();
        let mut view = self.engine.view(begun);
        if self.unsaid.is_some() {
            (view.ready, view.not_ready) = (false, self.unsaid.clone());
        }
        self.views.send_replace(Arc::new(view));
        let ended = clock::now();
        let took = Span::between(begun, ended).duration();
        let rest = Span::from(took * VIEW_REST);
        self.seen = Seen {
            is_stale: false,
            due: rest.after(ended),
        };
    }

    async fn persist(&mut self, records: Vec<Entry>) -> Result<Vec<Arc<Numbered>>, String> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let encoded: Result<Vec<_>, _> = records.iter().map(journal::encode).collect();
        let encoded = encoded.map_err(|error| error.to_string())?;
        let bytes: usize = encoded.iter().map(Vec::len).sum();
        let (store, begun) = (Arc::clone(&self.store), clock::now());
        let appended = tokio::task::spawn_blocking(move || store.append(&encoded)).await;
        let last = appended
            .map_err(|e| e.to_string())?
            .map_err(|e| chain(&e))?;
        (self.on_append)(Span::between(begun, clock::now()).duration());
        let first = self.last_seq + 1;
        self.last_seq = last;
        self.written.send_modify(|written| {
            written.last = last;
            written.bytes += bytes as u64;
        });
        let numbered = (first..).zip(records);
        Ok(numbered
            .map(|(seq, entry)| Arc::new(Numbered { seq, entry }))
            .collect())
    }

    fn publish_secrets(&mut self) {
        let secrets = Arc::clone(&self.secrets.borrow_and_update());
        let mut snapshot = self.compiler.with_secrets(secrets);
        self.snapshots.send_if_modified(|published| {
            let Some(before) = published else {
                return false;
            };
            // Whoever has not seen yet that an operator asked to try again is to see it now.
            snapshot.attempt = before.attempt;
            *published = Some(Arc::new(snapshot));
            true
        });
    }

    fn publish(&mut self, plan: &Arc<Plan>) {
        self.unsaid = None;
        match self.compiler.compile(plan) {
            Ok(snapshot) => {
                self.snapshots.send_replace(Some(Arc::new(snapshot)));
                self.plans.send_replace(Some(Arc::clone(plan)));
                let users = Arc::new(self.compiler.secret_users());
                self.secret_users.send_if_modified(|known| {
                    let is_news = *known != users;
                    *known = users;
                    is_news
                });
            }
            // The engine checks its plans and `spec` its documents, so this is a bug; proxies keep
            // what they have, and the generation shows as not acknowledged.
            Err(error) => {
                let generation = plan.generation;
                tracing::error!(%generation, %error, "The plan cannot be expressed for Envoy");
                let said =
                    format!("generation {generation} cannot be expressed for Envoy: {error}");
                self.unsaid = Some(said);
            }
        }
    }
}

impl Outcome {
    fn add(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Record(entry) => {
                    tracing::debug!(record = ?entry.record, "Decided");
                    self.records.push(entry);
                }
                Effect::Publish(plan) => self.plan = Some(plan),
                Effect::Resend => self.resend = true,
                call @ (Effect::Ask { .. }
                | Effect::Call { .. }
                | Effect::Consult { .. }
                | Effect::Inquire(_)) => {
                    self.calls.push(call);
                }
            }
        }
    }
}

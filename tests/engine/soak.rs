//! Whole simulations by the hundred, drawn from seeds, under the eyes of the truth.
//!
//! `SEED=n` plays one of them and prints its story, `SEEDS=n` plays so many. A failure prints its seed, its
//! setup and its story.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate::domain::{Address, Documents, InstanceId, Plan, RolloutName, Span, Strategy, Time};
use tidegate::engine::{
    Answer, Engine, Entry, HookCall, Refusal, RolloutState, RolloutVerb, State, Turned, Verb, Wait,
    plan,
};
use tidegate::sim::{Outcome, Proxies, Setup, Watch, simulate};

use crate::drawn::{BUSY, is_calm, may_cost_requests, setup};
use crate::seen::may_stop;
use crate::truth::Truth;

/// So many in each `cargo test`.
const SEEDS: u64 = 500;

/// The last so many entries of a journal are printed when a promise breaks.
const ENTRIES_SHOWN: usize = 60;

/// Whatever lasts longer than this never ends.
const FOR_EVER: Span = Span::secs(12 * 3600);

/// Holds what happens against the truth.
pub(crate) struct Eyes {
    pub(crate) truth: Truth,
    /// What rollouts that have not ended wait for.
    waits: BTreeMap<RolloutName, Vec<Wait>>,
    /// Those that a zone's floor has held: only a person gives way there, and an instance that flaps may hide it at the end.
    held_by_zone: BTreeSet<RolloutName>,
}

impl Eyes {
    fn new(calm: bool) -> Self {
        Self {
            truth: Truth::new(calm, Time::UNIX_EPOCH),
            waits: BTreeMap::new(),
            held_by_zone: BTreeSet::new(),
        }
    }

    fn ends(&self, now: Time) {
        let began = self.truth.journal.first().map_or(now, |entry| entry.at);
        let lasts = Span::between(began, now);
        assert!(lasts < FOR_EVER, "10: after {lasts} it is not over");
    }

    /// What happened last, in the journal's sentences.
    fn story(&self) -> String {
        let journal = &self.truth.journal;
        let last = journal.iter();
        let shown = number("SEED").map_or(ENTRIES_SHOWN, |_| usize::MAX);
        let last = last.skip(journal.len().saturating_sub(shown));
        let lines: Vec<String> = last.map(|e| format!("{:.3} {}", e.at, e.record)).collect();
        lines.join("\n")
    }
}

impl Watch for Eyes {
    fn recorded(&mut self, entry: &Entry, proxies: &Proxies) {
        self.ends(entry.at);
        self.truth.hear(entry, proxies);
    }

    fn published(&mut self, plan: &Arc<Plan>, state: &State, proxies: &Proxies, now: Time) {
        self.truth.see(plan, state, proxies, now);
    }

    fn called(&mut self, call: &HookCall, state: &State, proxies: &Proxies, now: Time) {
        may_stop(call, proxies, state, now);
        self.truth.call(call);
    }

    /// Invariant 9: whatever a rollout is at, it can be paused and turned round.
    fn answered(&mut self, verb: &Verb, answer: &Result<Answer, Refusal>) {
        let Verb::Rollout { name, verb } = verb else {
            return;
        };
        let always = matches!(
            verb,
            RolloutVerb::Pause | RolloutVerb::Abort(Turned::Back | Turned::AtOnce)
        );
        let rollout = self.truth.state().rollouts.get(name);
        let goes_on = rollout.is_some_and(|rollout| !rollout.over());
        if let Err(refusal) = answer {
            assert!(!always || !goes_on, "9: {name} refuses {verb:?}: {refusal}");
        }
    }

    /// Invariant 10: what does not end names what it waits for.
    fn quiet(&mut self, engine: &Engine, now: Time) {
        self.ends(now);
        self.waits.clear();
        let rollouts = engine.state().rollouts.values();
        for rollout in rollouts.filter(|rollout| !rollout.over()) {
            let name = rollout.spec.name.clone();
            let blockers = engine.blockers(&name).iter();
            let waits: Vec<Wait> = blockers.map(|blocker| blocker.on.clone()).collect();
            assert!(!waits.is_empty(), "10: {name} waits in silence");
            let is_zone = |wait: &Wait| matches!(wait, Wait::Ready { zone: Some(_), .. });
            if waits.iter().any(is_zone) {
                self.held_by_zone.insert(name.clone());
            }
            self.waits.insert(name, waits);
        }
    }

    fn turned(&mut self, state: &State) {
        self.truth.settle(state);
    }

    fn probed(&mut self, instance: &InstanceId, address: &Address, healthy: bool) {
        self.truth.probe(instance, address, healthy);
    }

    fn recovered(&mut self, state: &State, proxies: &Proxies, now: Time) {
        assert_eq!(self.truth.replay(), *state, "7: the journal is the state");
        self.truth.started = now;
        let Some(published) = self.truth.published.clone() else {
            return;
        };
        let again = plan(state, state.generation);
        if published.generation == again.generation {
            assert_eq!(*published, again, "7: the plan after a restart");
        } else {
            // It was written down, and nobody was told of it.
            self.truth.see(&Arc::new(again), state, proxies, now);
        }
    }
}

/// Plays a simulation to its end, and judges it.
pub(crate) fn play(setup: &Setup) -> (Outcome, Eyes) {
    let mut rollouts = setup.documents.rollouts.values();
    // The budget of waves is one for each place.
    let whole = rollouts.all(|rollout| matches!(rollout.strategy, Strategy::Rolling(_)));
    let mut eyes = Eyes::new(is_calm(setup) && whole);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let outcome = simulate(setup.clone(), &mut eyes).expect("it can be played");
        judge(setup, &outcome, &eyes);
        outcome
    }));
    match ended {
        Ok(outcome) => (outcome, eyes),
        Err(panic) => {
            complain(setup, &eyes);
            resume_unwind(panic)
        }
    }
}

#[expect(clippy::print_stdout, reason = "it is what a failed test says")]
fn complain(setup: &Setup, eyes: &Eyes) {
    let (told, story, seed) = (told(setup), eyes.story(), setup.seed);
    println!("{told}\n{story}\nSEED={seed} cargo test --test engine seeds_of -- --nocapture");
}

/// A setup in a few lines.
fn told(setup: &Setup) -> String {
    let mut text = String::new();
    for rollout in setup.documents.rollouts.values() {
        let (name, to, strategy) = (&rollout.name, &rollout.to, &rollout.strategy);
        let hook = if rollout.replace.is_some() {
            ""
        } else {
            ", no hook"
        };
        let _ = writeln!(
            text,
            "{name} to {to}: {strategy:?}{hook}, {:?}",
            rollout.bake
        );
    }
    for (after, deed) in setup.deeds.iter().filter(|(after, _)| *after <= BUSY) {
        let deed = match deed {
            tidegate::sim::Deed::Edit(documents) => {
                format!("Edit {:?}", documents.rollouts.keys())
            }
            other => format!("{other:?}"),
        };
        let _ = writeln!(text, "after {after}: {deed}");
    }
    let rest = Setup {
        documents: Documents::default(),
        deeds: Vec::new(),
        labels: Vec::new(),
        ..setup.clone()
    };
    let _ = write!(text, "{rest:?}");
    text
}

/// Invariant 10: every rollout ends, but where only a person can decide. And nothing is lost without a word.
fn judge(setup: &Setup, outcome: &Outcome, eyes: &Eyes) {
    let rollouts = eyes.truth.state().rollouts.values();
    let open = rollouts.filter(|rollout| !rollout.over());
    for name in open.map(|rollout: &RolloutState| &rollout.spec.name) {
        let waits = eyes.waits.get(name).map_or(&[][..], Vec::as_slice);
        let decides = |wait: &Wait| {
            matches!(
                wait,
                Wait::Capacity { .. }
                    | Wait::NoStable
                    | Wait::OtherRollout { .. }
                    | Wait::Rule { .. }
                    | Wait::WrongStart { .. }
            )
        };
        let decides = waits.iter().any(decides) || eyes.held_by_zone.contains(name);
        assert!(decides, "10: {name} does not end: {waits:?}");
    }
    let report = &outcome.report;
    // A budget may allow that nobody serves; that it is kept is judged with each instance that goes.
    let allowed = report.rollouts.iter().any(|r| r.min_ready == Some(0));
    let may_fail = may_cost_requests(setup) || report.released_unproven > 0 || allowed;
    let failed = &report.failed_by;
    assert!(
        may_fail || report.failed == 0,
        "3: all is proven, and {failed:?}"
    );
}

fn number(variable: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "which stories are told is asked for so"
    )]
    let said = std::env::var(variable).ok()?;
    Some(said.parse().expect("a number"))
}

#[test]
fn seeds_of_simulations_in_which_every_promise_holds() {
    if let Some(seed) = number("SEED") {
        let setup = setup(seed);
        println!("{}", told(&setup));
        for line in play(&setup).0.timeline {
            println!("{:>10} {}", line.at.to_string(), line.what);
        }
        return;
    }
    let (next, seeds) = (AtomicU64::new(0), number("SEEDS").unwrap_or(SEEDS));
    let failed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    if catch_unwind(|| play(&setup(seed))).is_err() {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    assert_eq!(failed, 0, "so many of {seeds} seeds broke a promise");
    println!("{seeds} seeds");
}

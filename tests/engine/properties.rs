//! Whatever happens, in whatever order: the promises hold.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use tidegate::domain::{Amount, Bake, Rolling, Share, Span, ThenDo};
use tidegate::engine::{HookAnswer, Outcome, RolloutVerb, Turned, Verb, Wait};

use crate::fleet::Habits;
use crate::sample::{hook, name, rollout, service};
use crate::world::{Hooks, World};

const CALM_CASES: u32 = 150;
const STORM_CASES: u32 = 200;

/// No rollout of these sizes takes longer than this when nothing fails.
const ENDS_WITHIN_SECS: u64 = 900;

/// The same storms each time, so that a change is to blame for what it breaks. Others are drawn with
/// `PROPTEST_RNG_SEED=<number>`; a failure prints its story, which becomes a test of its own.
fn settings(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let rng_seed = match default.rng_seed {
        RngSeed::Random => RngSeed::Fixed(SEED),
        chosen @ RngSeed::Fixed(_) => chosen,
    };
    ProptestConfig {
        cases,
        max_shrink_iters: 400,
        failure_persistence: None,
        rng_seed,
        ..default
    }
}

const SEED: u64 = 118;

/// How a rollout is set up.
#[derive(Clone, Debug)]
struct Setup {
    seed: u64,
    instances: u32,
    proxies: u32,
    rolling: Rolling,
    bake: Bake,
    hooks: bool,
    mixed: bool,
    ignore_lost: bool,
    same_ids: bool,
    at_most: Span,
}

fn amount(most: u32) -> impl Strategy<Value = Amount> {
    prop_oneof![
        (0..=most).prop_map(Amount::Count),
        (0_u32..=1_000_000).prop_map(|parts| Amount::Percent(Share::per_million(parts))),
    ]
}

fn setup() -> impl Strategy<Value = Setup> {
    let sizes = (any::<u64>(), 1_u32..6, 1_u32..4);
    let rolling = (amount(3), amount(3), amount(2));
    let bake = (0_u64..4, 0_u32..3);
    let kinds = any::<(bool, bool, bool, bool, bool)>();
    (sizes, rolling, bake, kinds).prop_map(|(sizes, rolling, bake, kinds)| Setup {
        seed: sizes.0,
        instances: sizes.1,
        proxies: sizes.2,
        rolling: Rolling::new(rolling.0, rolling.1, rolling.2),
        bake: Bake {
            span: Span::secs(bake.0),
            holdback: bake.1,
        },
        hooks: kinds.0,
        mixed: kinds.1,
        ignore_lost: kinds.2,
        same_ids: kinds.4,
        at_most: Span::secs(if kinds.3 { 15 } else { 600 }),
    })
}

impl Setup {
    fn world(&self, calm: bool) -> World {
        let mut service = service();
        service.drain.at_most = if calm { Span::secs(600) } else { self.at_most };
        service.drain.lost_proxies.wait = Span::secs(5);
        if self.ignore_lost {
            service.drain.lost_proxies.then = ThenDo::Ignore;
        }
        let mut world = World::new(self.seed, calm);
        world.same_ids = self.same_ids;
        if self.mixed {
            world.capacities = vec![None, Some(name("3rps")), Some(name("10rps"))];
        }
        if !calm {
            world.habits = Habits {
                lag: Span::millis(500),
                busy: 60,
                longest: Span::secs(12),
            };
        }
        world.settle_in(service, self.instances, self.proxies);
        if !calm && self.seed.is_multiple_of(2) {
            world.keep_ended(Span::secs(5));
        }
        world
    }

    fn rollout(&self) -> tidegate::domain::Rollout {
        let mut rollout = rollout("next", "v2");
        rollout.strategy = tidegate::domain::Strategy::Rolling(self.rolling.clone());
        rollout.bake = self.bake;
        rollout.replace = self.hooks.then(hook);
        if self.seed.is_multiple_of(3) {
            rollout.hooks = crate::moments::some_of_all(self.seed / 3);
        }
        rollout
    }
}

/// What may happen to a world; numbers choose among those that are there.
#[derive(Clone, Debug)]
enum Happening {
    Abort,
    Appear(bool),
    BudgetEdited(u32, u32, u32),
    Crash,
    Disconnect(u64),
    DocumentDeleted,
    DocumentRestored,
    Drain(u64),
    Forget(u64),
    HooksAre(Hooks),
    NewProxy(u64),
    Pause,
    ProxyRestart(u64, bool),
    Reconnect(u64),
    Refuse(u64),
    Replaced(u64),
    ReportsStuck(u64, u64),
    Resume,
    Retry,
    RollOn(bool),
    Say(u64),
    Sick(u64),
    Skip,
    TargetEdited,
    Undo,
    Undrain(u64),
    Vanish(u64),
    VanishAll,
    Well(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening as H;
    let which = || 0_u64..8;
    prop_oneof![
        1 => Just(H::Abort),
        2 => any::<bool>().prop_map(H::Appear),
        1 => (0_u32..4, 0_u32..3, 0_u32..3).prop_map(|(b, s, u)| H::BudgetEdited(b, s, u)),
        2 => Just(H::Crash),
        3 => which().prop_map(H::Disconnect),
        1 => Just(H::DocumentDeleted),
        1 => Just(H::DocumentRestored),
        3 => which().prop_map(H::Drain),
        1 => which().prop_map(H::Forget),
        2 => prop_oneof![Just(Hooks::Work), Just(Hooks::Fail), Just(Hooks::Silent)]
            .prop_map(H::HooksAre),
        1 => which().prop_map(H::NewProxy),
        1 => Just(H::Pause),
        2 => (which(), any::<bool>()).prop_map(|(p, again)| H::ProxyRestart(p, again)),
        3 => which().prop_map(H::Reconnect),
        1 => which().prop_map(H::Refuse),
        2 => which().prop_map(H::Replaced),
        2 => (which(), 1_u64..6).prop_map(|(p, secs)| H::ReportsStuck(p, secs)),
        1 => Just(H::Resume),
        1 => Just(H::Retry),
        2 => any::<bool>().prop_map(H::RollOn),
        3 => which().prop_map(H::Say),
        3 => which().prop_map(H::Sick),
        2 => Just(H::Skip),
        1 => Just(H::TargetEdited),
        1 => Just(H::Undo),
        3 => which().prop_map(H::Undrain),
        2 => which().prop_map(H::Vanish),
        1 => Just(H::VanishAll),
        3 => which().prop_map(H::Well),
    ]
}

fn pick<K: Clone>(keys: impl Iterator<Item = K>, which: u64) -> Option<K> {
    let keys: Vec<K> = keys.collect();
    let at = which.checked_rem(keys.len() as u64)?;
    keys.get(usize::try_from(at).unwrap_or(0)).cloned()
}

impl Happening {
    fn happen(&self, world: &mut World, setup: &Setup) {
        let proxy = |world: &World, which| pick(world.proxies.keys().cloned(), which);
        let instance = |world: &World, which| pick(world.instances.keys().cloned(), which);
        match self {
            Self::Abort => must(world, RolloutVerb::Abort(Turned::Back)),
            Self::Appear(new) => {
                world.appear(if *new { "v2" } else { "v1" });
                world.discover();
            }
            Self::BudgetEdited(batch, surge, unavailable) => world.edit(|documents| {
                if let Some(rollout) = documents.rollouts.get_mut(&name("next")) {
                    rollout.strategy = crate::sample::rolling(*batch, *surge, *unavailable);
                }
            }),
            Self::Crash => world.crash(),
            Self::Disconnect(which) => {
                if let Some(id) = proxy(world, *which) {
                    world.disconnect(&id);
                }
            }
            Self::DocumentDeleted => world.edit(|documents| documents.rollouts.clear()),
            Self::DocumentRestored => world.roll(setup.rollout()),
            Self::Drain(which) => drain(world, instance(world, *which)),
            Self::Forget(which) => forget(world, proxy(world, *which)),
            Self::HooksAre(hooks) => world.hooks = *hooks,
            Self::NewProxy(which) => {
                let called = format!("new-{which}");
                if !world.proxies.contains_key(&name(&called)) {
                    world.add_proxy(&called);
                }
            }
            Self::Pause => must(world, RolloutVerb::Pause),
            Self::ProxyRestart(which, again) => {
                if let Some(id) = proxy(world, *which) {
                    world.restart(&id, *again);
                }
            }
            Self::Reconnect(which) => {
                if let Some(id) = proxy(world, *which) {
                    world.connect(&id);
                }
            }
            Self::Refuse(which) => {
                if let Some(id) = proxy(world, *which)
                    && let Some(proxy) = world.proxies.get_mut(&id)
                {
                    proxy.refuses = true;
                }
            }
            Self::Replaced(which) => {
                if let Some(id) = instance(world, *which) {
                    world.replace_process(&id);
                }
            }
            Self::ReportsStuck(which, seconds) => {
                let until = Span::secs(*seconds).after(world.now);
                if let Some(id) = proxy(world, *which)
                    && let Some(proxy) = world.proxies.get_mut(&id)
                {
                    proxy.reports_stuck_until = until;
                }
            }
            Self::Resume => verb(world, RolloutVerb::Resume),
            Self::Retry => verb(world, RolloutVerb::Retry),
            Self::RollOn(back) => {
                let mut on = setup.rollout();
                on.name = name("other");
                on.to = name(if *back { "v1" } else { "v3" });
                world.roll(on);
            }
            Self::Say(which) => {
                let words = || format!("word {which}");
                let said = match which % 4 {
                    0 => Some(HookAnswer::Passes(words())),
                    1 => Some(HookAnswer::Holds(words())),
                    2 => Some(HookAnswer::Fails(words())),
                    _ => Some(HookAnswer::Silent(words())),
                };
                world.says.insert("ci".to_owned(), said);
            }
            Self::Sick(which) => {
                if let Some(id) = instance(world, *which) {
                    world.set_health(&id, false);
                }
            }
            Self::Skip => verb(world, RolloutVerb::Skip { step: None }),
            Self::TargetEdited => world.edit(|documents| {
                if let Some(rollout) = documents.rollouts.get_mut(&name("next")) {
                    rollout.to = name("v3");
                }
            }),
            Self::Undo => verb(world, RolloutVerb::Undo),
            Self::Undrain(which) => undrain(world, instance(world, *which)),
            Self::Vanish(which) => {
                if let Some(id) = instance(world, *which) {
                    world.vanish(&id);
                }
            }
            Self::VanishAll => {
                world.instances.clear();
                world.discover();
            }
            Self::Well(which) => {
                if let Some(id) = instance(world, *which) {
                    world.set_health(&id, true);
                }
            }
        }
    }
}

fn drain(world: &mut World, instance: Option<tidegate::domain::InstanceId>) {
    let service = None;
    if let Some(instance) = instance {
        let _ = world.command(Verb::Drain { instance, service });
    }
}

fn undrain(world: &mut World, instance: Option<tidegate::domain::InstanceId>) {
    let service = None;
    if let Some(instance) = instance {
        let _ = world.command(Verb::Undrain { instance, service });
    }
}

/// Only who is gone may be forgotten; a proxy whose process runs on would be an operator's mistake.
fn forget(world: &mut World, proxy: Option<tidegate::domain::ProxyId>) {
    let Some(proxy) = proxy else { return };
    world.restart(&proxy, false);
    let _ = world.command(Verb::ForgetProxy { proxy });
}

fn running(world: &World) -> Vec<String> {
    let rollouts = world.engine.state().rollouts.values();
    let running = rollouts.filter(|rollout| !rollout.over());
    running.map(|r| r.spec.name.to_string()).collect()
}

fn verb(world: &mut World, verb: RolloutVerb) {
    let all: Vec<String> = world
        .engine
        .state()
        .rollouts
        .keys()
        .map(ToString::to_string)
        .collect();
    for rollout in all {
        let _ = world.rollout_verb(&rollout, verb);
    }
}

/// Invariant 9: these are accepted whatever a rollout is at.
fn must(world: &mut World, verb: RolloutVerb) {
    for rollout in running(world) {
        if let Err(refusal) = world.rollout_verb(&rollout, verb) {
            panic!("9: {rollout} refuses {verb:?}: {refusal}");
        }
    }
}

/// All is well again: whoever was away is back or forgotten, and operators clear the way.
fn heal(world: &mut World, setup: &Setup) {
    world.hooks = Hooks::Work;
    world.says.clear();
    world.habits.longest = Span::secs(3);
    let proxies: Vec<_> = world.proxies.keys().cloned().collect();
    for (number, id) in proxies.into_iter().enumerate() {
        if number > 0 && !world.proxies[&id].connected {
            forget(world, Some(id));
        } else {
            world.restart(&id, true);
        }
    }
    world.edit(|documents| {
        documents.rollouts.clear();
        let mine = setup.rollout();
        documents.rollouts.insert(mine.name.clone(), mine);
    });
    let instances: Vec<_> = world.instances.keys().cloned().collect();
    for id in &instances {
        world.set_health(id, true);
    }
    if world.instances.is_empty() {
        world.appear("v1");
    }
    world.discover();
    for _ in 0..120 {
        verb(world, RolloutVerb::Resume);
        verb(world, RolloutVerb::Retry);
        for rollout in running(world) {
            let waits = world.rollout(&rollout).blockers;
            let differs =
                |wait: &Wait| matches!(wait, Wait::DocumentDeleted | Wait::DocumentDiffers { .. });
            if waits.iter().any(|blocker| differs(&blocker.on)) {
                let _ = world.rollout_verb(&rollout, RolloutVerb::Abort(Turned::Back));
            }
        }
        world.run(2);
        if running(world).is_empty() {
            return;
        }
    }
    // What is left waits for a decision that only a person can take.
    for rollout in running(world) {
        let waits = world.rollout(&rollout).blockers;
        let decides = |wait: &Wait| {
            matches!(
                wait,
                Wait::NoStable | Wait::OtherRollout { .. } | Wait::WrongStart { .. }
            )
        };
        let decides = waits.iter().any(|blocker| decides(&blocker.on));
        assert!(
            decides,
            "10: {rollout} does not end: {}",
            world.why(&rollout)
        );
    }
}

/// A rollout in which nothing fails, turned round after so many steps, ends as it should.
fn ends_calmly(setup: &Setup, abort_at: Option<u64>) {
    let mut world = setup.world(true);
    world.roll(setup.rollout());
    if let Some(steps) = abort_at {
        (0..steps).for_each(|_| world.step());
        if !running(&world).is_empty() {
            must(&mut world, RolloutVerb::Abort(Turned::Back));
        }
    }
    world.until("the end", ENDS_WITHIN_SECS, |world| {
        running(world).is_empty()
    });
    let outcome = world.rollout("next").outcome;
    let (stays, goes) = match outcome {
        Some(Outcome::Done) => ("v2", "v1"),
        _ => ("v1", "v2"),
    };
    assert!(abort_at.is_some() || outcome == Some(Outcome::Done));
    assert_eq!(world.serving(stays), setup.instances);
    assert_eq!(world.serving(goes), 0);
    world.until("one version is left", 60, |world| {
        world.weights() == format!("{stays}:100%")
    });
}

/// One that was: a new instance under the old one's id had taken the place that was to be filled.
#[test]
fn a_roll_in_place_may_be_turned_round_at_any_moment() {
    for steps in (0..240).step_by(8) {
        let setup = Setup {
            seed: 5_734_366_698_615_324_708,
            instances: 5,
            proxies: 2,
            rolling: Rolling::new(Amount::Count(0), Amount::Count(0), Amount::Count(0)),
            bake: Bake {
                span: Span::ZERO,
                holdback: 0,
            },
            hooks: true,
            mixed: false,
            ignore_lost: false,
            same_ids: true,
            at_most: Span::secs(600),
        };
        ends_calmly(&setup, Some(steps));
    }
}

proptest! {
    #![proptest_config(settings(CALM_CASES))]

    #[test]
    fn when_nothing_fails_every_rollout_ends_within_its_budgets(
        setup in setup(),
        abort_at in proptest::option::of(0_u64..300),
    ) {
        ends_calmly(&setup, abort_at);
    }
}

proptest! {
    #![proptest_config(settings(STORM_CASES))]

    #[test]
    fn in_a_storm_every_promise_holds_and_after_it_every_rollout_ends_or_says_why(
        setup in setup(),
        happenings in prop::collection::vec((happening(), 0_u64..25), 1..40),
    ) {
        let mut world = setup.world(false);
        world.roll(setup.rollout());
        for (happening, steps) in &happenings {
            (0..*steps).for_each(|_| world.step());
            happening.happen(&mut world, &setup);
        }
        heal(&mut world, &setup);
        world.crash();
    }
}

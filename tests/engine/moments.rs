//! Hooks that have a say before and after the parts of a rollout.

use tidegate::domain::{Each, Hook, OnFail, Rollout, RolloutHook, Span, StepAction, Weight, When};
use tidegate::engine::{
    HookAnswer, Origin, Outcome, Phase, Record, RolloutVerb, StageKind, Turned,
};

use crate::sample::{name, rollout};
use crate::stories::{ended, finish, fleet};
use crate::ways::{by_steps, in_waves, step, two_regions, wave};
use crate::world::World;

/// Somebody called `ci` who has a say.
pub(crate) fn hook(when: When, each: Each, on_fail: OnFail) -> RolloutHook {
    RolloutHook {
        name: "ci".to_owned(),
        when,
        each,
        call: Hook::Exec {
            argv: vec!["ci".to_owned()],
            timeout: Span::secs(60),
        },
        tries: 3,
        every: Span::secs(15),
        on_fail,
    }
}

/// Hooks at several moments; the number says which, and what their failure leads to.
pub(crate) fn some_of_all(number: u64) -> Vec<RolloutHook> {
    let all = [
        (When::Before, Each::Rollout),
        (When::Before, Each::Batch),
        (When::Before, Each::Instance),
        (When::After, Each::Instance),
        (When::After, Each::Batch),
        (When::After, Each::Rollout),
    ];
    let on_fail = [OnFail::Hold, OnFail::Ignore, OnFail::Rollback];
    let some = (0_u64..).zip(all).filter(|(at, _)| number >> at & 1 == 1);
    some.map(|(at, (when, each))| {
        let on_fail = on_fail[usize::try_from((number + at) % 3).unwrap_or(0)];
        hook(when, each, on_fail)
    })
    .collect()
}

/// One by one, with hooks that take the rollout back when they fail.
fn with(hooks: &[(When, Each)]) -> Rollout {
    let hooks = hooks.iter();
    Rollout {
        hooks: hooks
            .map(|(when, each)| hook(*when, *each, OnFail::Rollback))
            .collect(),
        ..rollout("next", "v2")
    }
}

fn says(world: &mut World, answer: Option<HookAnswer>) {
    world.says.insert("ci".to_owned(), answer);
}

/// At which moments hooks were asked, in order; each once, however many times.
fn moments(world: &World) -> Vec<String> {
    let mut moments = Vec::new();
    for entry in &world.truth.journal {
        if let Record::HookAsked { ask, .. } = &entry.record {
            moments.push(ask.moment.to_string());
        }
    }
    moments.dedup();
    moments
}

/// The control plane ends, another one goes on, and the proxies find it.
fn restart(world: &mut World) {
    world.crash();
    world.connect(&name("edge-0"));
}

fn count(world: &World, wanted: impl Fn(&Record) -> bool) -> usize {
    let journal = world.truth.journal.iter();
    journal.filter(|entry| wanted(&entry.record)).count()
}

fn batches(world: &World) -> usize {
    count(world, |record| matches!(record, Record::BatchBegan { .. }))
}

fn weight(percent: u64) -> StepAction {
    StepAction::Weight(Weight::parts(percent * 100))
}

// --- what they say

#[test]
fn each_batch_waits_until_its_hook_lets_it_pass() {
    let mut world = fleet(3, 1);
    says(
        &mut world,
        Some(HookAnswer::Holds("not before noon".into())),
    );
    world.roll(with(&[(When::Before, Each::Batch)]));
    world.until("it is held", 60, |w| w.phase("next") == Phase::Held);
    assert_eq!(
        world.why("next"),
        "before batch 1: ci holds: not before noon"
    );
    let asked = world.rollout("next").blockers[0].clone();
    assert!(asked.until.is_some(), "{asked:?}");
    world.run(100);
    assert_eq!(batches(&world), 0);
    assert!(world.consulted.len() >= 6, "{:?}", world.consulted);
    let first = world.consulted[0].clone();
    assert!(world.consulted.iter().all(|asked| *asked == first));
    // What it says again and again is written down once.
    let answered = |record: &Record| matches!(record, Record::HookAnswered { .. });
    let asked = |record: &Record| matches!(record, Record::HookAsked { .. });
    assert_eq!((count(&world, asked), count(&world, answered)), (1, 1));
    says(&mut world, Some(HookAnswer::Holds("soon".into())));
    world.until("it says something else", 60, |w| {
        w.why("next").ends_with("soon")
    });

    says(&mut world, Some(HookAnswer::Passes("go".into())));
    world.until("the second batch", 60, |w| batches(w) == 2);
    finish(&mut world);
    assert_eq!(
        moments(&world),
        ["before batch 1", "before batch 2", "before batch 3"]
    );
    let state = &world.engine.state().rollouts[&name("next")];
    assert!(state.asks.is_empty(), "what is over is forgotten");
}

#[test]
fn one_that_fails_takes_the_rollout_back() {
    let mut world = fleet(3, 1);
    world.roll(with(&[
        (When::After, Each::Batch),
        (When::After, Each::Rollout),
    ]));
    world.until("the first batch", 60, |w| batches(w) == 1);
    says(&mut world, Some(HookAnswer::Fails("2 of 9".into())));
    finish(&mut world);
    assert_eq!(world.rollout("next").outcome, Some(Outcome::RolledBack));
    assert_eq!((world.serving("v1"), world.serving("v2")), (3, 0));
    let aborted = world.truth.journal.iter().find_map(|entry| {
        let aborted = matches!(entry.record, Record::RolloutAborted { .. });
        aborted.then(|| entry.record.to_string())
    });
    assert_eq!(
        aborted.unwrap(),
        "next: aborted by tidegate: after batch 1: ci failed: 2 of 9"
    );
    // On the way back nobody is asked, and what is said of the end changes nothing.
    assert_eq!(moments(&world), ["after batch 1", "after the rollout"]);
}

#[test]
fn silence_is_tried_again_and_then_somebody_must_look() {
    let mut world = fleet(2, 1);
    let mut next = with(&[]);
    next.hooks = vec![hook(When::Before, Each::Batch, OnFail::Hold)];
    says(&mut world, Some(HookAnswer::Silent("refused".into())));
    world.roll(next);
    world.until("it is tried again", 60, |w| {
        w.why("next") == "before batch 1: ci gave no answer to try 2 of 3: refused"
    });
    assert_eq!(world.phase("next"), Phase::Progressing);
    world.until("it gives up", 60, |w| w.phase("next") == Phase::Held);
    assert_eq!(world.why("next"), "before batch 1: ci failed: refused");
    let attempts: Vec<u32> = world
        .consulted
        .iter()
        .map(|(_, attempt)| *attempt)
        .collect();
    assert_eq!(attempts, [1, 2, 3]);
    world.run(100);
    assert_eq!(world.consulted.len(), 3);

    let answer = world.rollout_verb("next", RolloutVerb::Retry).unwrap();
    assert_eq!(answer.message, "next tries on: 1 hook called again");
    assert_eq!(world.consulted[3], (world.consulted[0].0.clone(), 1));
    world.until("it fails again", 60, |w| w.phase("next") == Phase::Held);
    let answer = world
        .rollout_verb("next", RolloutVerb::Skip { step: None })
        .unwrap();
    assert_eq!(answer.message, "next goes on without ci before batch 1");
    world.until("the first batch", 60, |w| batches(w) == 1);
    says(&mut world, Some(HookAnswer::Passes(String::new())));
    finish(&mut world);
}

#[test]
fn one_that_may_be_ignored_holds_nothing() {
    let mut world = fleet(2, 1);
    let mut next = with(&[]);
    next.hooks = vec![hook(When::Before, Each::Batch, OnFail::Ignore)];
    says(&mut world, Some(HookAnswer::Fails("no".into())));
    world.roll(next);
    finish(&mut world);
    assert_eq!(world.rollout("next").outcome, Some(Outcome::Done));
    let ignored =
        world.truth.journal.iter().any(|entry| {
            entry.record.to_string() == "next: before batch 2: ci passes: ignored: no"
        });
    assert!(ignored);
}

// --- whatever happens meanwhile

#[test]
fn a_restart_asks_again_with_the_same_key_and_does_nothing_twice() {
    let mut world = fleet(3, 1);
    says(&mut world, None);
    world.roll(with(&[
        (When::Before, Each::Batch),
        (When::After, Each::Instance),
    ]));
    for batch in 1..=3 {
        for each in 0..2 {
            world.until("a hook is asked", 300, |w| {
                w.consulted.len() % 4 == 1 + 2 * each
            });
            world.run(5);
            restart(&mut world);
            assert_eq!(world.consulted.len() % 4, (2 + 2 * each) % 4, "asked again");
            let last = world.consulted.len() - 1;
            assert_eq!(world.consulted[last], world.consulted[last - 1]);
            let key = world.consulted[last].0.clone();
            let answer = HookAnswer::Passes(String::new());
            world.event(tidegate::engine::Event::HookSaid { key, answer });
        }
        assert_eq!(batches(&world), batch);
    }
    finish(&mut world);
    let mut keys: Vec<_> = world.consulted.iter().map(|(key, _)| key).collect();
    keys.dedup();
    assert_eq!(keys.len(), 6, "{keys:?}");
    // An answer that comes twice, or too late, is no news.
    let (key, answer) = (keys[0].clone(), HookAnswer::Fails("late".to_owned()));
    world.event(tidegate::engine::Event::HookSaid { key, answer });
    assert_eq!(world.rollout("next").outcome, Some(Outcome::Done));
}

#[test]
fn an_abort_goes_at_once_while_a_hook_holds() {
    let mut world = fleet(3, 1);
    world.roll(with(&[
        (When::Before, Each::Batch),
        (When::After, Each::Rollout),
    ]));
    world.until("the second batch", 60, |w| batches(w) == 2);
    says(&mut world, Some(HookAnswer::Holds("wait".into())));
    world.until("it is held", 60, |w| w.phase("next") == Phase::Held);
    world
        .rollout_verb("next", RolloutVerb::Abort(Turned::Back))
        .unwrap();
    assert_eq!(world.phase("next"), Phase::RollingBack);
    finish(&mut world);
    assert_eq!((world.serving("v1"), world.serving("v2")), (3, 0));
    let told = world
        .truth
        .journal
        .iter()
        .find_map(|entry| match &entry.record {
            Record::HookAsked { ask, .. } if ask.moment.is_end() => Some(ask.key.clone()),
            _ => None,
        });
    assert!(told.unwrap().ends_with("after/rollout/rolledBack/2"));
}

#[test]
fn an_undo_waits_for_nobody() {
    let mut world = fleet(2, 1);
    world.roll(with(&[
        (When::Before, Each::Batch),
        (When::Before, Each::Rollout),
    ]));
    finish(&mut world);
    let asked = moments(&world).len();
    says(&mut world, Some(HookAnswer::Holds("wait".into())));
    world.rollout_verb("next", RolloutVerb::Undo).unwrap();
    world.until("it is undone", 300, |w| ended(w, "next-undo"));
    let undo = &world.engine.state().rollouts[&name("next-undo")];
    assert_eq!((undo.origin, moments(&world).len()), (Origin::Undo, asked));
}

#[test]
fn a_document_without_the_hook_lets_it_go_on() {
    let mut world = fleet(2, 1);
    says(&mut world, Some(HookAnswer::Holds("wait".into())));
    world.roll(with(&[(When::Before, Each::Rollout)]));
    world.until("it is held", 60, |w| w.phase("next") == Phase::Held);
    assert_eq!(world.why("next"), "before the rollout: ci holds: wait");
    world.run(5);
    assert_eq!((batches(&world), world.serving("v2")), (0, 0));
    world.roll(with(&[]));
    finish(&mut world);
}

#[test]
fn a_paused_rollout_asks_nobody() {
    let mut world = fleet(2, 1);
    world.roll(with(&[(When::Before, Each::Batch)]));
    world.until("the first batch", 60, |w| batches(w) == 1);
    world.rollout_verb("next", RolloutVerb::Pause).unwrap();
    world.run(60);
    assert_eq!(world.consulted.len(), 1);
    world.rollout_verb("next", RolloutVerb::Resume).unwrap();
    finish(&mut world);
}

// --- at which moments

#[test]
fn an_instance_is_asked_for_before_it_leaves_and_after_it_is_released() {
    let mut world = fleet(2, 1);
    world.roll(with(&[
        (When::Before, Each::Instance),
        (When::After, Each::Instance),
    ]));
    finish(&mut world);
    let mut story = Vec::new();
    for entry in &world.truth.journal {
        match &entry.record {
            Record::HookAnswered { moment, .. } => story.push(moment.to_string()),
            Record::InstanceMoved { instance, to, .. } if instance.as_str().starts_with("v1") => {
                let kind = to.kind();
                if matches!(kind, StageKind::Leaving | StageKind::Released) {
                    story.push(format!("{instance} {to}"));
                }
            }
            _ => {}
        }
    }
    let wanted = |id: &str| {
        [
            format!("before instance {id}"),
            format!("{id} leaving"),
            format!("{id} released"),
            format!("after instance {id}"),
        ]
    };
    assert_eq!(story, [wanted("v1-0"), wanted("v1-1")].concat());
}

#[test]
fn steps_are_asked_for_on_both_sides() {
    let mut world = fleet(4, 1);
    let hooks = with(&[
        (When::Before, Each::Rollout),
        (When::Before, Each::Step),
        (When::After, Each::Step),
        (When::After, Each::Rollout),
    ]);
    let steps = by_steps(vec![step(weight(25), 5), step(weight(50), 5)]);
    says(&mut world, None);
    world.roll(Rollout {
        hooks: hooks.hooks,
        ..steps
    });
    world.until("it asks", 60, |w| moments(w) == ["before the rollout"]);
    says(&mut world, Some(HookAnswer::Passes(String::new())));
    restart(&mut world);
    world.until("the first share", 120, |w| w.weights() == "v1:75% v2:25%");
    finish(&mut world);
    assert_eq!(
        moments(&world),
        [
            "before the rollout",
            "before step 1 (25%)",
            "after step 1 (25%)",
            "before step 2 (50%)",
            "after step 2 (50%)",
            "before step 3 (100%)",
            "after step 3 (100%)",
            "after the rollout",
        ]
    );
}

#[test]
fn waves_and_their_batches_are_asked_for_and_anew_when_a_wave_begins_anew() {
    let mut world = two_regions();
    let hooks = with(&[
        (When::Before, Each::Wave),
        (When::Before, Each::Batch),
        (When::After, Each::Wave),
    ]);
    world.roll(Rollout {
        hooks: hooks.hooks,
        ..in_waves(vec![
            wave("one", "1 of eu", 1, false),
            wave("rest", "the rest", 1, false),
        ])
    });
    world.until("the second wave", 600, |w| {
        moments(w)
            .last()
            .is_some_and(|last| last == "before batch 2 in eu")
    });
    let before = moments(&world);
    assert_eq!(
        before,
        [
            "before wave one",
            "before batch 1 in eu",
            "after wave one",
            "before wave rest",
            "before batch 1 in eu",
            "before batch 2 in eu",
        ]
    );
    world
        .rollout_verb("next", RolloutVerb::Abort(Turned::ThisWave))
        .unwrap();
    world.until("it pauses", 300, |w| w.phase("next") == Phase::Paused);
    assert_eq!(moments(&world), before, "on the way back nobody is asked");
    world.rollout_verb("next", RolloutVerb::Resume).unwrap();
    finish(&mut world);
    let keys: Vec<_> = world.consulted.iter().map(|(key, _)| key).collect();
    let mut each: Vec<_> = keys.clone();
    each.sort();
    each.dedup();
    assert_eq!(
        each.len(),
        keys.len(),
        "each moment has its own key: {keys:?}"
    );
    assert_eq!(moments(&world).last().unwrap(), "after wave rest");
}

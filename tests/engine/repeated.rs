//! Requests that come twice, since an answer was lost or somebody was not sure: they act once.

use tidegate::domain::{
    Approval, RolloutStep, Span, Stay, StepAction, Strategy, Wave, Waves, Weight,
};
use tidegate::engine::{Answer, Refusal, RolloutVerb, Verb};

use crate::drawn::place;
use crate::sample::{name, rollout};
use crate::stories::{ended, finish, fleet};
use crate::verbs::{SITUATIONS, VERBS};
use crate::ways::by_steps;
use crate::world::World;

const PROMOTE: RolloutVerb = at(None);

const fn at(step: Option<u32>) -> RolloutVerb {
    RolloutVerb::Promote { all: false, step }
}

fn about_next(verb: RolloutVerb) -> Verb {
    let name = name("next");
    Verb::Rollout { name, verb }
}

/// Shares that stay for long: 10 %, 20 %, 30 %.
fn by_three_steps() -> World {
    let step = |percent: u64| RolloutStep {
        action: StepAction::Weight(Weight::parts(percent * 100)),
        stay: Stay {
            at_least: Span::secs(600),
            until_proven: None,
        },
    };
    let mut world = fleet(4, 1);
    world.roll(by_steps([10, 20, 30].map(step).to_vec()));
    let stays = |w: &World| w.why("next").contains("stays for");
    world.until("the first share", 60, stays);
    world
}

fn steps_done(world: &World) -> u32 {
    world.engine.state().rollouts[&name("next")].steps_done
}

fn message(answered: Result<Answer, Refusal>) -> String {
    match answered {
        Ok(answer) => answer.message,
        Err(refusal) => format!("{refusal}! {}", refusal.hint()),
    }
}

#[test]
fn whatever_is_asked_twice_by_one_key_is_done_once() {
    for (situation, begin) in SITUATIONS {
        for (word, verb) in VERBS {
            let mut world = begin();
            if world.keyed(about_next(verb), "k").is_err() {
                continue;
            }
            let done = world.truth.journal.len();
            let again = world.keyed(about_next(verb), "k").unwrap();
            assert!(again.now.is_some(), "{situation}: {word}: {again:?}");
            let more = &world.truth.journal[done..];
            assert_eq!(more, [], "{situation}: {word}");
        }
    }
}

#[test]
fn a_promote_that_comes_again_after_a_restart_or_much_later_does_nothing() {
    let mut world = by_three_steps();
    world.keyed(about_next(PROMOTE), "first").unwrap();
    assert_eq!(steps_done(&world), 1);
    world.crash();
    let again = message(world.keyed(about_next(PROMOTE), "first"));
    assert!(
        again.starts_with("`tidegate rollout promote next` was carried out by this request before"),
        "{again}"
    );
    assert_eq!(steps_done(&world), 1);
    world.keyed(about_next(PROMOTE), "second").unwrap();
    assert_eq!(steps_done(&world), 2);
    world.connect(&name("edge-0"));
    let all = RolloutVerb::Promote {
        all: true,
        step: None,
    };
    world.keyed(about_next(all), "third").unwrap();
    finish(&mut world);
    let again = world.keyed(about_next(PROMOTE), "second").unwrap();
    assert_eq!(again.now.unwrap().to_string(), "Done");
}

#[test]
fn a_key_is_that_of_one_request() {
    let mut world = by_three_steps();
    world.keyed(about_next(PROMOTE), "k").unwrap();
    let other = message(world.keyed(about_next(RolloutVerb::Pause), "k"));
    assert!(
        other.starts_with(
            "the key `k` was that of another request, `tidegate rollout promote next`"
        ),
        "{other}"
    );
}

#[test]
fn requests_with_keys_are_remembered_up_to_a_limit() {
    let mut world = by_three_steps();
    for turn in 0..300 {
        let verb = if turn % 2 == 0 {
            Verb::Freeze
        } else {
            Verb::Unfreeze
        };
        world.keyed(verb, &format!("k{turn}")).unwrap();
    }
    let before = message(world.keyed(Verb::Unfreeze, "k299"));
    assert!(before.contains("before"), "{before}");
    let long_ago = message(world.keyed(Verb::Freeze, "k0"));
    assert!(long_ago.starts_with("everything is frozen"), "{long_ago}");
}

#[test]
fn whoever_names_a_step_means_that_one() {
    let mut world = by_three_steps();
    let mut ask = |verb| message(world.rollout_verb("next", verb));
    assert_eq!(ask(at(Some(1))), "next goes on with step 2 of 4");
    assert_eq!(ask(at(Some(1))), "next is past step 1 already");
    let skip = |step| RolloutVerb::Skip { step };
    assert_eq!(ask(skip(Some(1))), "next is past step 1 already");
    let early = ask(skip(Some(3)));
    assert!(
        early.starts_with("next is not at step 3 yet, but at step 2; it is"),
        "{early}"
    );
    let none = ask(at(Some(5)));
    assert!(
        none.starts_with("next has steps 1 to 4, and no step 5; it is"),
        "{none}"
    );
    assert_eq!(ask(skip(Some(2))), "next passes over step 2");
    assert_eq!(ask(at(Some(3))), "next goes on with step 4 of 4");
    finish(&mut world);
    let late = message(world.rollout_verb("next", at(Some(3))));
    assert_eq!(late, "next is past step 3 already");
}

#[test]
fn a_rollout_without_steps_says_so() {
    let mut world = fleet(2, 1);
    world.roll(rollout("next", "v2"));
    let refused = message(world.rollout_verb("next", at(Some(1))));
    assert!(
        refused.starts_with("next is at no step; it is"),
        "{refused}"
    );
}

/// The second word must not end the bake of the wave for which the first was given.
#[test]
fn the_word_for_a_wave_is_given_once() {
    let mut world = World::new(7, false);
    world.localities = vec![place("a"), place("b")];
    world.settle_in(crate::sample::service(), 4, 1);
    let wave = |called: &str, approve| Wave {
        name: called.to_owned(),
        pick: called.parse().unwrap(),
        parallel: 1,
        bake: Span::secs(60),
        approve,
    };
    let mut next = rollout("next", "v2");
    let in_each = next.strategy.rolling().unwrap().clone();
    let waves = vec![wave("a", None), wave("b", Some(Approval::default()))];
    next.strategy = Strategy::Waves(Waves { waves, in_each });
    world.roll(next);
    world.until("it asks", 200, |w| {
        w.rollout("next").phase.to_string() == "Paused"
    });
    let first = message(world.rollout_verb("next", at(Some(2))));
    assert_eq!(first, "next goes on");
    let baking = |w: &World| w.phase("next").to_string() == "Baking";
    world.until("it bakes", 120, baking);
    let again = message(world.rollout_verb("next", at(Some(2))));
    assert_eq!(again, "next has its word for wave 2 already");
    assert!(baking(&world));
    assert!(!ended(&world, "next"));
}

#[test]
fn a_refusal_about_a_superseded_rollout_names_the_one_that_runs() {
    let mut world = fleet(2, 1);
    world.roll(rollout("next", "v2"));
    world.until("it is under way", 60, |w| w.serving("v2") == 1);
    world.roll(rollout("newer", "v3"));
    world.run(1);
    world.roll(rollout("newest", "v4"));
    world.until("it takes over", 60, |w| {
        w.rollout("newest").started.is_some()
    });
    let said = message(world.rollout_verb("next", RolloutVerb::Pause));
    assert_eq!(
        said,
        "next was superseded by newest: there is nothing to pause! \
         `tidegate rollout pause newest` is about the one that runs"
    );
    let said = message(world.rollout_verb("newer", RolloutVerb::Undo));
    assert!(
        said.ends_with("! `tidegate rollout abort newest` turns that one round"),
        "{said}"
    );
    world.until("the end", 600, |w| ended(w, "newest"));
    let said = message(world.rollout_verb("next", RolloutVerb::Undo));
    assert!(
        said.ends_with("! that is done: `tidegate rollout undo newest` goes back after the end"),
        "{said}"
    );
}

//! Every verb at everything that a rollout may be at: it is carried out, or says why not and what helps.

use std::fmt::Write as _;

use tidegate::domain::{Approval, Each, OnFail, RolloutStep, Span, Stay, StepAction, Weight, When};
use tidegate::engine::{Answer, HookAnswer, Phase, Refusal, RolloutVerb, Turned, Verb};

use crate::moments::hook;
use crate::sample::rollout;
use crate::stories::{finish, fleet, in_place};
use crate::ways::by_steps;
use crate::world::{Hooks, World};

/// What `next` is at, and how it gets there.
type Situation = (&'static str, fn() -> World);

pub(crate) const SITUATIONS: [Situation; 15] = [
    ("Waiting: frozen before it begins", || {
        let mut world = fleet(2, 1);
        world.command(Verb::Freeze).expect("it may");
        world.roll(rollout("next", "v2"));
        at(world, Phase::Waiting)
    }),
    ("Progressing: instances must come", || {
        let mut world = fleet(2, 1);
        world.helpful = false;
        let mut next = rollout("next", "v2");
        next.replace = None;
        world.roll(next);
        world.until("they are missed", 60, |w| {
            w.why("next").contains("must appear")
        });
        at(world, Phase::Progressing)
    }),
    ("Progressing: a hook that starts instances failed", || {
        let mut world = fleet(2, 1);
        world.helpful = false;
        world.hooks = Hooks::Fail;
        world.roll(rollout("next", "v2"));
        world.until("it fails", 60, |w| w.why("next").contains("failed"));
        world
    }),
    ("Progressing: a step stays", || {
        let mut world = fleet(2, 1);
        let action = StepAction::Weight(Weight::parts(2_500));
        let (at_least, until_proven) = (Span::secs(600), None);
        let stay = Stay {
            at_least,
            until_proven,
        };
        world.roll(by_steps(vec![RolloutStep { action, stay }]));
        world.until("it stays", 60, |w| w.why("next").contains("stays for"));
        world
    }),
    ("Draining", || {
        let mut world = fleet(2, 1);
        world.roll(rollout("next", "v2"));
        world.habits.longest = Span::secs(300);
        world.until("it drains", 60, |w| w.phase("next") == Phase::Draining);
        world
    }),
    ("Baking", || {
        let mut world = fleet(2, 1);
        let mut next = rollout("next", "v2");
        next.bake.span = Span::secs(600);
        world.roll(next);
        world.until("it bakes", 120, |w| w.phase("next") == Phase::Baking);
        world
    }),
    ("Held: frozen on its way", || {
        let mut world = fleet(2, 1);
        world.roll(rollout("next", "v2"));
        world.until("it is under way", 60, |w| w.serving("v2") == 1);
        world.command(Verb::Freeze).expect("it may");
        world.until("it is held", 60, |w| w.phase("next") == Phase::Held);
        world.run(5);
        world
    }),
    ("Held: a hook with a say holds", || {
        let mut world = fleet(2, 1);
        let mut next = rollout("next", "v2");
        next.hooks = vec![hook(When::Before, Each::Batch, OnFail::Rollback)];
        let answer = HookAnswer::Holds("not before noon".to_owned());
        world.says.insert("ci".to_owned(), Some(answer));
        world.roll(next);
        world.until("it is held", 60, |w| w.phase("next") == Phase::Held);
        world
    }),
    ("Paused by a verb", || {
        let mut world = fleet(2, 1);
        world.roll(rollout("next", "v2"));
        world.until("it has begun", 60, |w| w.rollout("next").started.is_some());
        world
            .rollout_verb("next", RolloutVerb::Pause)
            .expect("it may");
        world.run(20);
        world
    }),
    ("Paused: somebody must say so", || {
        let mut world = fleet(2, 1);
        let (action, stay) = (StepAction::Pause(Approval::default()), Stay::default());
        world.roll(by_steps(vec![RolloutStep { action, stay }]));
        at(world, Phase::Paused)
    }),
    ("RollingBack", || {
        let mut world = fleet(3, 1);
        world.roll(rollout("next", "v2"));
        world.until("it is under way", 60, |w| w.serving("v2") == 1);
        let back = RolloutVerb::Abort(Turned::Back);
        world.rollout_verb("next", back).expect("it may");
        world
    }),
    ("Stuck", || {
        let mut world = fleet(2, 1);
        world.helpful = false;
        let mut next = rollout("next", "v2");
        (next.replace, next.deadline) = (None, Span::secs(10));
        world.roll(next);
        at(world, Phase::Stuck)
    }),
    ("Done", || {
        let mut world = fleet(2, 1);
        world.roll(rollout("next", "v2"));
        finish(&mut world);
        world
    }),
    ("RolledBack", || {
        let mut world = fleet(2, 1);
        world.roll(in_place());
        let back = RolloutVerb::Abort(Turned::Back);
        world.rollout_verb("next", back).expect("it may");
        finish(&mut world);
        world
    }),
    ("Superseded", || {
        let mut world = fleet(2, 1);
        world.roll(rollout("next", "v2"));
        world.until("it is under way", 60, |w| w.serving("v2") == 1);
        world.roll(rollout("newer", "v3"));
        finish(&mut world);
        world
    }),
];

pub(crate) const VERBS: [(&str, RolloutVerb); 11] = [
    ("abort", RolloutVerb::Abort(Turned::Back)),
    ("abort --emergency", RolloutVerb::Abort(Turned::AtOnce)),
    ("abort --wave", RolloutVerb::Abort(Turned::ThisWave)),
    ("override", RolloutVerb::Override),
    ("pause", RolloutVerb::Pause),
    (
        "promote",
        RolloutVerb::Promote {
            all: false,
            step: None,
        },
    ),
    (
        "promote --all",
        RolloutVerb::Promote {
            all: true,
            step: None,
        },
    ),
    ("resume", RolloutVerb::Resume),
    ("retry", RolloutVerb::Retry),
    ("skip", RolloutVerb::Skip { step: None }),
    ("undo", RolloutVerb::Undo),
];

fn at(mut world: World, phase: Phase) -> World {
    world.until("the phase", 120, |w| w.phase("next") == phase);
    world
}

/// Whoever is refused hears how the rollout stands, and which command helps.
fn is_helpful(answer: &Result<Answer, Refusal>, phase: Phase) {
    match answer {
        Ok(answer) => assert!(answer.now.is_some(), "{answer:?}"),
        Err(refusal) => {
            let (what, hint) = (refusal.to_string(), refusal.hint());
            let stands = match phase {
                Phase::Done => "is done".to_owned(),
                Phase::RolledBack => "is rolled back".to_owned(),
                Phase::Superseded => "was superseded".to_owned(),
                phase => format!("it is {phase}"),
            };
            assert!(what.contains(&stands), "{phase}: {what}");
            assert!(hint.contains("`tidegate "), "{phase}: {what}: {hint}");
        }
    }
}

#[test]
fn every_verb_is_carried_out_or_says_why_not_and_what_helps() {
    let mut table = String::new();
    for (situation, begin) in SITUATIONS {
        let _ = writeln!(table, "# {situation}");
        for (word, verb) in VERBS {
            let mut world = begin();
            let phase = world.phase("next");
            let answer = world.rollout_verb_because("next", verb, Some("a reason"));
            is_helpful(&answer, phase);
            let _ = match answer {
                Ok(Answer { message, now }) => {
                    let now = now.map(|now| now.to_string()).unwrap_or_default();
                    writeln!(table, "{word}: {message}\n    {now}")
                }
                Err(refusal) => {
                    writeln!(table, "{word}! {refusal}\n    hint: {}", refusal.hint())
                }
            };
            // Asked twice, what may be asked at any time is answered as before.
            if matches!(
                verb,
                RolloutVerb::Pause | RolloutVerb::Resume | RolloutVerb::Override
            ) {
                let again = world.rollout_verb_because("next", verb, Some("a reason"));
                is_helpful(&again, world.phase("next"));
            }
        }
    }
    insta::assert_snapshot!("verbs", table);
}

#[test]
fn a_verb_that_changes_the_course_leaves_its_reason() {
    for (situation, begin) in SITUATIONS.into_iter().filter(|(s, _)| s.starts_with("Pro")) {
        let mut world = begin();
        let before = world.truth.journal.len();
        let verb = RolloutVerb::Promote {
            all: false,
            step: None,
        };
        if world
            .rollout_verb_because("next", verb, Some("tests pass"))
            .is_err()
        {
            continue;
        }
        let said: Vec<String> = world.truth.journal[before..]
            .iter()
            .map(|entry| entry.record.to_string())
            .collect();
        let has_reason = said.iter().any(|line| line.ends_with("by ada: tests pass"));
        assert!(has_reason, "{situation}: {said:?}");
    }
}

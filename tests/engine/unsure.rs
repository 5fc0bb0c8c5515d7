//! Gates that cannot tell: too few requests, none at all, or nobody who says how long answers take.

use tidegate::domain::{Bake, OnUnsure, Rollout, Span};
use tidegate::engine::{Follows, Outcome, Phase, RolloutVerb, Verdict};

use crate::gates::{busy, change, decisions, gate, until_proven};
use crate::sample::{name, rolling, rollout, service};
use crate::stories::{ended, finish};
use crate::ways::{by_steps, step, weight};
use crate::world::World;

#[test]
fn a_step_ends_when_it_is_proven() {
    let mut world = busy(10, 400);
    let next = by_steps(vec![until_proven(25, 3_000), step(weight(50), 1)]);
    world.roll(Rollout {
        gates: vec![name("no-worse")],
        ..next
    });
    world.until("it waits for a proof", 60, |w| {
        w.why("next").contains("stays until it is proven")
    });
    world.until("it is proven", 1_500, |w| w.weights().contains("v2:50%"));
    let journal = world.history();
    assert!(
        journal.iter().any(|line| line.contains("proven: errors ")),
        "{journal:?}"
    );
    finish(&mut world);
}

#[test]
fn without_requests_a_gate_cannot_tell_and_says_so() {
    for (if_unsure, outcome) in [
        (OnUnsure::Pause, None),
        (OnUnsure::Proceed, Some(Outcome::Done)),
        (OnUnsure::Rollback, Some(Outcome::RolledBack)),
    ] {
        let mut world = busy(4, 4);
        change(&mut world, |habit| habit.rps = 0);
        gate(&mut world, |gate| gate.if_unsure = if_unsure);
        let next = by_steps(vec![until_proven(25, 60)]);
        world.roll(Rollout {
            gates: vec![name("strict")],
            ..next
        });
        world.until("it has waited", 200, |w| {
            !decisions(&w.rollout("next")).is_empty()
        });
        let view = world.rollout("next");
        assert_eq!(view.gates[0].decisions[0].verdict, Verdict::Unsure);
        if outcome.is_none() {
            let why = world.why("next");
            assert!(why.contains("it cannot tell: no requests"), "{why}");
            world.rollout_verb("next", RolloutVerb::Resume).unwrap();
        }
        finish(&mut world);
        let ended = world.rollout("next").outcome;
        assert_eq!(ended, outcome.or(Some(Outcome::Done)));
    }
}

#[test]
fn at_low_traffic_nothing_is_rolled_back_for_lack_of_data() {
    for rps in [2, 20] {
        let mut world = busy(4, rps);
        world.roll(Rollout {
            strategy: rolling(1, 0, 1),
            bake: Bake {
                span: Span::secs(120),
                holdback: 1,
            },
            ..rollout("next", "v2")
        });
        world.until("the end", 3_000, |world| ended(world, "next"));
        assert_eq!(world.rollout("next").outcome, Some(Outcome::Done), "{rps}");
    }
}

/// Two proxies that count nothing.
fn uncounted() -> World {
    let mut world = World::new(7, false);
    world.settle_in(service(), 4, 2);
    world
}

#[test]
fn where_nothing_is_counted_a_declared_gate_asks_once() {
    let mut world = uncounted();
    gate(&mut world, |gate| gate.if_unsure = OnUnsure::Pause);
    world.roll(Rollout {
        gates: vec![name("strict")],
        ..by_steps(vec![until_proven(25, 60)])
    });
    world.until("it holds", 200, |w| w.phase("next") == Phase::Paused);
    world.rollout_verb("next", RolloutVerb::Resume).unwrap();
    finish(&mut world);
    let view = world.rollout("next");
    assert_eq!(decisions(&view), [(Verdict::Unsure, Follows::Holds)]);
    assert_eq!(view.outcome, Some(Outcome::Done));
}

#[test]
fn where_nothing_is_counted_the_built_in_gate_says_that_it_cannot_tell() {
    let mut world = uncounted();
    world.roll(Rollout {
        gates: vec![name("no-worse")],
        ..by_steps(vec![until_proven(25, 60)])
    });
    finish(&mut world);
    let view = world.rollout("next");
    assert_eq!(decisions(&view), [(Verdict::Unsure, Follows::GoesOn)]);
    assert_eq!(view.outcome, Some(Outcome::Done));
}

#[test]
fn where_no_proxy_tells_times_errors_alone_prove_it() {
    let mut world = busy(10, 400);
    change(&mut world, |habit| habit.untimed = true);
    // Until nothing is known of how fast the stable version was.
    world.run(900);
    world.roll(Rollout {
        gates: vec![name("no-worse")],
        ..by_steps(vec![until_proven(25, 3_000)])
    });
    finish(&mut world);
    let view = world.rollout("next");
    assert_eq!(
        (decisions(&view), view.outcome),
        (vec![], Some(Outcome::Done))
    );
    let journal = world.history();
    assert!(
        journal.iter().any(|line| line.contains("proven: errors ")),
        "{journal:?}"
    );
}

#[test]
fn a_proof_goes_on_when_another_process_does() {
    let mut world = busy(10, 200);
    world.roll(Rollout {
        gates: vec![name("no-worse")],
        ..by_steps(vec![until_proven(25, 3_000), step(weight(50), 600)])
    });
    world.until("it waits for a proof", 60, |w| {
        w.why("next").contains("stays until it is proven")
    });
    let proven = |w: &World| w.weights().contains("v2:50%");
    for _ in 0..40 {
        world.run(20);
        if proven(&world) {
            break;
        }
        world.crash();
        let proxies: Vec<_> = world.proxies.keys().cloned().collect();
        for proxy in &proxies {
            world.connect(proxy);
        }
    }
    assert!(proven(&world), "{}", world.why("next"));
    finish(&mut world);
}

//! Gates: what the proxies count of a new version, and what a rollout makes of it.

use tidegate::domain::{
    Bake, Check, Codes, Gate, OnOneBadBox, OnUnsure, OnWorse, Rollout, RolloutStep, Span, Stay,
};
use tidegate::engine::{Follows, Outcome, Phase, RolloutVerb, RolloutView, Verdict};

use crate::requests::Habit;
use crate::sample::{name, rolling, rollout, service};
use crate::stories::{ended, finish};
use crate::ways::{by_steps, step, weight};
use crate::world::World;

/// `instances` of v1 behind two proxies, with so many requests a second of which one in a thousand fails,
/// for an hour by now.
fn busy(instances: u32, rps: u64) -> World {
    let mut world = World::new(7, false);
    world.settle_in(service(), instances, 2);
    let habit = Habit {
        rps: rps / 2,
        fails: 1_000,
        ..Habit::default()
    };
    let all = world.proxies.values_mut();
    all.for_each(|proxy| proxy.requests_of = Some(habit.clone()));
    world.run(600);
    world
}

/// From now on so many more of a million fail on v2.
fn v2_fails(world: &mut World, more: u64) {
    change(world, |habit| {
        habit.version_fails.insert("v2".to_owned(), more);
    });
}

fn change(world: &mut World, change: impl Fn(&mut Habit)) {
    let habits = world
        .proxies
        .values_mut()
        .filter_map(|proxy| proxy.requests_of.as_mut());
    habits.for_each(change);
}

fn gate(world: &mut World, change: impl FnOnce(&mut Gate)) {
    let mut gate = Gate::built_in(name("strict"));
    change(&mut gate);
    world.edit(|documents| {
        documents.gates = [(name("strict"), gate)].into();
    });
}

/// A tenth at first, and a minute at each step.
fn shares() -> Rollout {
    Rollout {
        gates: vec![name("no-worse")],
        ..by_steps(vec![step(weight(10), 600), step(weight(50), 600)])
    }
}

fn until_proven(share: u64, at_most: u64) -> RolloutStep {
    RolloutStep {
        action: weight(share),
        stay: Stay {
            at_least: Span::secs(5),
            until_proven: Some(Span::secs(at_most)),
        },
    }
}

fn decisions(view: &RolloutView) -> Vec<(Verdict, Follows)> {
    let all = view.gates.iter().flat_map(|gate| &gate.decisions);
    all.map(|it| (it.verdict.clone(), it.follows)).collect()
}

#[test]
fn a_version_with_more_errors_goes_back_and_says_why() {
    let mut world = busy(10, 200);
    v2_fails(&mut world, 20_000);
    world.roll(shares());
    world.until("it gets its share", 60, |w| w.weights().contains("v2:10%"));
    world.until("it goes back", 120, |w| {
        w.phase("next") == Phase::RollingBack
    });
    finish(&mut world);
    let view = world.rollout("next");
    assert_eq!(view.outcome, Some(Outcome::RolledBack));
    assert_eq!(decisions(&view), [(Verdict::Worse, Follows::GoesBack)]);
    let decision = &view.gates[0].decisions[0];
    assert!(decision.evidence.decades >= 2.0, "{decision:?}");
    assert!(decision.says.starts_with("errors "), "{}", decision.says);
    let counts = decision.evidence.checks[0].new.unwrap();
    assert!(counts.bad >= 3 && counts.requests < 3_000, "{counts:?}");
    assert!(!decision.evidence.instances.is_empty() && decision.evidence.over_time.len() > 3);
    let journal = world.history();
    assert!(
        journal
            .iter()
            .any(|line| line.contains("gate no-worse: worse (errors ")),
        "{journal:?}"
    );
}

#[test]
fn a_slower_version_goes_back() {
    let mut world = busy(10, 200);
    change(&mut world, |habit| habit.slow = vec!["v2".to_owned()]);
    world.roll(shares());
    world.until("it goes back", 180, |w| {
        w.phase("next") == Phase::RollingBack
    });
    finish(&mut world);
    let view = world.rollout("next");
    assert!(view.gates[0].decisions[0].says.contains(" vs "), "{view:?}");
    assert_eq!(decisions(&view), [(Verdict::Worse, Follows::GoesBack)]);
}

#[test]
fn a_good_version_passes_although_both_have_an_outage() {
    let mut world = busy(10, 200);
    let mut next = shares();
    next.bake = Bake {
        span: Span::secs(60),
        holdback: 0,
    };
    world.roll(next);
    world.until("it gets its share", 60, |w| w.weights().contains("v2:10%"));
    change(&mut world, |habit| habit.fails = 200_000);
    world.run(180);
    change(&mut world, |habit| habit.fails = 1_000);
    world.until("the end", 3_000, |world| ended(world, "next"));
    let view = world.rollout("next");
    assert_eq!(
        (view.outcome, decisions(&view)),
        (Some(Outcome::Done), vec![])
    );
}

#[test]
fn a_fix_passes_while_what_it_mends_goes_on() {
    let mut world = busy(10, 200);
    change(&mut world, |habit| {
        habit.version_fails.insert("v1".to_owned(), 300_000);
    });
    world.roll(rollout("next", "v2"));
    finish(&mut world);
    assert_eq!(world.rollout("next").outcome, Some(Outcome::Done));
}

#[test]
fn one_sick_instance_is_taken_out_and_another_takes_its_place() {
    let mut world = busy(10, 400);
    let mut next = shares();
    next.strategy = by_steps(vec![step(weight(40), 900)]).strategy;
    world.roll(next);
    world.until("it gets its share", 60, |w| w.weights().contains("v2:40%"));
    let sick = world.serving_ids("v2")[0].clone();
    let id = sick.to_string();
    change(&mut world, |habit| {
        habit.instance_fails.insert(id.clone(), 100_000);
    });
    world.until("it is found", 120, |w| {
        !decisions(&w.rollout("next")).is_empty()
    });
    let found = Verdict::OneBox {
        instance: sick.clone(),
    };
    assert_eq!(
        decisions(&world.rollout("next")),
        [(found, Follows::TakenOut)]
    );
    world.until("it takes nothing", 60, |w| {
        !w.serving_ids("v2").contains(&sick)
    });
    world.until("the end", 3_000, |world| ended(world, "next"));
    assert_eq!(world.rollout("next").outcome, Some(Outcome::Done));
    assert_eq!(decisions(&world.rollout("next")).len(), 1);
}

#[test]
fn what_follows_is_as_the_gate_says() {
    for (on_worse, follows) in [
        (OnWorse::Pause, Follows::Holds),
        (OnWorse::Report, Follows::GoesOn),
    ] {
        let mut world = busy(10, 200);
        gate(&mut world, |gate| gate.on_worse = on_worse);
        v2_fails(&mut world, 30_000);
        world.roll(Rollout {
            gates: vec![name("strict")],
            ..by_steps(vec![step(weight(10), 120)])
        });
        world.until("it is found", 120, |w| {
            !decisions(&w.rollout("next")).is_empty()
        });
        assert_eq!(
            decisions(&world.rollout("next")),
            [(Verdict::Worse, follows)]
        );
        if on_worse == OnWorse::Pause {
            assert_eq!(world.phase("next"), Phase::Paused);
            let why = world.why("next");
            assert!(why.contains("paused by gate strict: errors "), "{why}");
            world.run(300);
            assert_eq!(world.weights(), "v1:90% v2:10%");
            world.rollout_verb("next", RolloutVerb::Resume).unwrap();
        }
        finish(&mut world);
        assert_eq!(world.rollout("next").outcome, Some(Outcome::Done));
        assert_eq!(
            decisions(&world.rollout("next")).len(),
            1,
            "it said so once"
        );
    }
}

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

#[test]
fn a_new_leader_goes_on_with_the_same_evidence() {
    let mut world = busy(10, 200);
    v2_fails(&mut world, 12_000);
    world.roll(shares());
    world.until("it gets its share", 60, |w| w.weights().contains("v2:10%"));
    let evidence = |world: &World| {
        let view = world.rollout("next");
        let evidence = view.gates[0].evidence.clone();
        evidence.map(|it| it.checks[0].new.unwrap_or_default().requests)
    };
    world.until("there is some", 60, |w| {
        evidence(w).is_some_and(|requests| requests > 100)
    });
    world.crash();
    let proxies: Vec<_> = world.proxies.keys().cloned().collect();
    for proxy in &proxies {
        world.connect(proxy);
    }
    world.until("it goes on", 30, |w| {
        evidence(w).is_some_and(|requests| requests > 100)
    });
    let sent: u64 = world
        .proxies
        .values()
        .map(|proxy| proxy.sent_to("v2"))
        .sum();
    let counted = evidence(&world).unwrap();
    assert!(counted <= sent, "{counted} of {sent}");
    world.until("it goes back", 120, |w| {
        w.phase("next") == Phase::RollingBack
    });
    finish(&mut world);
}

#[test]
fn what_instances_answer_while_they_warm_up_does_not_count() {
    let mut world = World::new(7, false);
    let warms = tidegate::domain::Service {
        warm_up: Span::secs(40),
        ..service()
    };
    world.settle_in(warms, 10, 2);
    let habit = Habit {
        rps: 100,
        fails: 1_000,
        ..Habit::default()
    };
    world
        .proxies
        .values_mut()
        .for_each(|proxy| proxy.requests_of = Some(habit.clone()));
    world.run(300);
    v2_fails(&mut world, 100_000);
    world.roll(shares());
    world.until("it gets its share", 120, |w| w.weights().contains("v2:10%"));
    world.run(30);
    v2_fails(&mut world, 0);
    world.run(120);
    assert_eq!(decisions(&world.rollout("next")), []);
}

#[test]
fn an_objective_holds_when_only_the_new_version_misses_it() {
    let slo = Check::Slo {
        availability: Some(tidegate::domain::Share::per_million(999_000)),
        codes: Codes::default(),
        latency: None,
        burn: vec!["14.4x over 1h and 5m".parse().unwrap()],
    };
    for (who, rate, decided) in [("v2", 50_000, 1), ("both", 50_000, 0)] {
        let mut world = busy(10, 200);
        let slo = slo.clone();
        gate(&mut world, |gate| {
            gate.checks = vec![slo];
            gate.on_worse = OnWorse::Pause;
        });
        if who == "v2" {
            v2_fails(&mut world, rate);
        } else {
            change(&mut world, |habit| habit.fails = rate);
        }
        world.roll(Rollout {
            gates: vec![name("strict")],
            ..shares()
        });
        world.until("it gets its share", 60, |w| w.weights().contains("v2:10%"));
        world.run(300);
        let view = world.rollout("next");
        assert_eq!(decisions(&view).len(), decided, "{who}: {view:?}");
    }
}

#[test]
fn one_box_may_be_left_to_a_person() {
    let mut world = busy(10, 400);
    gate(&mut world, |gate| gate.on_one_bad_box = OnOneBadBox::Pause);
    let next = by_steps(vec![step(weight(40), 900)]);
    world.roll(Rollout {
        gates: vec![name("strict")],
        ..next
    });
    world.until("it gets its share", 60, |w| w.weights().contains("v2:40%"));
    let sick = world.serving_ids("v2")[0].to_string();
    change(&mut world, |habit| {
        habit.instance_fails.insert(sick.clone(), 100_000);
    });
    world.until("it is found", 120, |w| w.phase("next") == Phase::Paused);
    assert_eq!(decisions(&world.rollout("next")).len(), 1);
}

//! Gates: what the proxies count of a new version, and what a rollout makes of it.

use tidegate::domain::{
    Bake, Check, Codes, Gate, InstanceId, OnOneBadBox, OnWorse, Rollout, RolloutStep, Span, Stay,
};
use tidegate::engine::{Follows, Outcome, Phase, RolloutVerb, RolloutView, Verdict};

use crate::requests::Habit;
use crate::sample::{name, rollout, service};
use crate::stories::{ended, finish};
use crate::ways::{by_steps, step, weight};
use crate::world::World;

/// `instances` of v1 behind two proxies, with so many requests a second of which one in a thousand fails,
/// for an hour by now.
pub(crate) fn busy(instances: u32, rps: u64) -> World {
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
pub(crate) fn v2_fails(world: &mut World, more: u64) {
    change(world, |habit| {
        habit.version_fails.insert("v2".to_owned(), more);
    });
}

/// From now on so many more of a million fail on an instance.
fn fails(world: &mut World, instance: &InstanceId, more: u64) {
    change(world, |habit| {
        habit.instance_fails.insert(instance.to_string(), more);
    });
}

/// When v2 has its 40 %, a tenth fails on one of its instances.
fn one_fails(world: &mut World) -> InstanceId {
    world.until("it gets its share", 60, |w| w.weights().contains("v2:40%"));
    let sick = world.serving_ids("v2")[0].clone();
    fails(world, &sick, 100_000);
    sick
}

pub(crate) fn change(world: &mut World, change: impl Fn(&mut Habit)) {
    let habits = world
        .proxies
        .values_mut()
        .filter_map(|proxy| proxy.requests_of.as_mut());
    habits.for_each(change);
}

pub(crate) fn gate(world: &mut World, change: impl FnOnce(&mut Gate)) {
    let mut gate = Gate::built_in(name("strict"));
    change(&mut gate);
    world.edit(|documents| {
        documents.gates = [(name("strict"), gate)].into();
    });
}

/// A tenth at first, and a minute at each step.
pub(crate) fn shares() -> Rollout {
    Rollout {
        gates: vec![name("no-worse")],
        ..by_steps(vec![step(weight(10), 600), step(weight(50), 600)])
    }
}

pub(crate) fn until_proven(share: u64, at_most: u64) -> RolloutStep {
    RolloutStep {
        action: weight(share),
        stay: Stay {
            at_least: Span::secs(5),
            until_proven: Some(Span::secs(at_most)),
        },
    }
}

pub(crate) fn decisions(view: &RolloutView) -> Vec<(Verdict, Follows)> {
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
    let sick = one_fails(&mut world);
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
    let view = world.rollout("next");
    assert_eq!(decisions(&view), []);
    let evidence = view.gates[0].evidence.as_ref().unwrap();
    let (left_out, counted) = (evidence.left_out, evidence.checks[0].new.unwrap());
    assert!(left_out.bad > 10 && left_out.requests > 100, "{left_out:?}");
    assert!(counted.rate() < 0.05, "{counted:?}");
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
    one_fails(&mut world);
    world.until("it is found", 120, |w| w.phase("next") == Phase::Paused);
    assert_eq!(decisions(&world.rollout("next")).len(), 1);
}

#[test]
fn an_instance_that_comes_back_under_its_old_id_is_judged_again() {
    let mut world = busy(10, 400);
    let mut next = shares();
    next.strategy = by_steps(vec![step(weight(40), 900)]).strategy;
    world.roll(next);
    let sick = one_fails(&mut world);
    world.until("it is taken out", 120, |w| {
        !w.serving_ids("v2").contains(&sick)
    });
    fails(&mut world, &sick, 0);
    world.until("it is drained", 300, |w| {
        w.stage(sick.as_str()) == "released"
    });
    // Somebody else is lost, too, and what comes takes the free id.
    world.vanish(&sick);
    let other = world.serving_ids("v2")[0].clone();
    world.vanish(&other);
    world.until("it is back", 300, |w| w.serving_ids("v2").contains(&sick));
    world.run(30);
    let view = world.rollout("next");
    let evidence = view.gates[0].evidence.as_ref().unwrap();
    let of_it = evidence.instances.iter().find(|it| it.instance == sick);
    let of_it = of_it.unwrap();
    assert!(!of_it.taken_out && of_it.attempts.bad < 10, "{of_it:?}");
    assert!(of_it.attempts.requests > 100, "{of_it:?}");
    // It is sick still: the second time it is the version's fault.
    fails(&mut world, &sick, 100_000);
    world.until("it goes back", 300, |w| {
        w.phase("next") == Phase::RollingBack
    });
}

#[test]
fn two_gates_take_the_same_instance_out_once() {
    let mut world = busy(10, 400);
    gate(&mut world, |_| {});
    world.roll(Rollout {
        gates: vec![name("no-worse"), name("strict")],
        ..by_steps(vec![step(weight(40), 900)])
    });
    let sick = one_fails(&mut world);
    world.until("it is taken out", 120, |w| {
        !w.serving_ids("v2").contains(&sick)
    });
    world.run(60);
    let found = (Verdict::OneBox { instance: sick }, Follows::TakenOut);
    assert_eq!(decisions(&world.rollout("next")), [found]);
}

//! The ways of a rollout besides one by one: shares, whole fleets, waves, and what comes in between.

use tidegate::domain::{
    Amount, Approval, BlueGreen, InstanceId, Locality, Order, Rolling, Rollout, RolloutStep, Span,
    Spread, Stay, StepAction, Steps, Strategy, Wave, Waves, Weight,
};
use tidegate::engine::{Outcome, Phase, RolloutVerb, Turned};

use crate::sample::{name, rollout, service};
use crate::stories::{ended, finish, fleet};
use crate::world::World;

pub(crate) fn weight(percent: u64) -> StepAction {
    StepAction::Weight(Weight::parts(percent * 100))
}

pub(crate) fn step(action: StepAction, stay: u64) -> RolloutStep {
    RolloutStep {
        action,
        stay: Stay {
            at_least: Span::secs(stay),
            until_proven: None,
        },
    }
}

pub(crate) fn pause() -> RolloutStep {
    let approval = Approval {
        note: Some("check invoices".to_owned()),
        by: None,
        give_up: Some(Span::secs(600)),
    };
    step(StepAction::Pause(approval), 0)
}

pub(crate) fn by_steps(steps: Vec<RolloutStep>) -> Rollout {
    Rollout {
        strategy: Strategy::Steps(Steps {
            steps,
            warm_percent: 100,
        }),
        keep_old: Span::secs(60),
        ..rollout("next", "v2")
    }
}

fn blue_green(by_zone: bool) -> Rollout {
    Rollout {
        strategy: Strategy::BlueGreen(BlueGreen {
            by_zone,
            approve: None,
        }),
        keep_old: Span::secs(60),
        ..rollout("next", "v2")
    }
}

fn place(region: &str, zone: &str) -> Locality {
    Locality {
        region: region.to_owned(),
        zone: zone.to_owned(),
    }
}

/// Eight of v1, two in each of four zones of two regions.
pub(crate) fn two_regions() -> World {
    let mut world = World::new(7, false);
    world.localities = vec![
        place("eu", "eu-1"),
        place("eu", "eu-2"),
        place("us", "us-1"),
        place("us", "us-2"),
    ];
    world.settle_in(service(), 8, 2);
    world
}

pub(crate) fn wave(called: &str, pick: &str, parallel: u32, approve: bool) -> Wave {
    Wave {
        name: called.to_owned(),
        pick: pick.parse().expect("a pick"),
        parallel,
        bake: Span::secs(20),
        approve: approve.then(Approval::default),
    }
}

pub(crate) fn in_waves(waves: Vec<Wave>) -> Rollout {
    let one = Amount::Count(1);
    Rollout {
        strategy: Strategy::Waves(Waves {
            waves,
            in_each: Rolling::new(one, one, Amount::Count(0)),
        }),
        ..rollout("next", "v2")
    }
}

/// So many of v2 serve in a region.
fn new_in(world: &World, region: &str) -> u32 {
    let cart = &world.engine.state().services[&name("cart")];
    let is_new = |s: &tidegate::engine::Stand| s.version.as_str() == "v2" && s.stage.stays();
    cart.instances
        .count(|stand| is_new(stand) && stand.locality.region == region)
}

fn promote(world: &mut World) -> String {
    let all = false;
    let answer = world.rollout_verb("next", RolloutVerb::Promote { all, step: None });
    answer.expect("it may be promoted").message
}

// --- steps

#[test]
fn shares_go_up_step_by_step_and_old_instances_stay_for_an_undo() {
    let mut world = fleet(4, 2);
    let quarter = step(weight(25), 30);
    world.roll(by_steps(vec![quarter, pause(), step(weight(50), 10)]));
    world.until("the first share", 120, |w| w.weights() == "v1:75% v2:25%");
    world.until("it stays", 10, |w| {
        w.why("next") == "step 1 of 4 stays for 30s"
    });
    world.run(25);
    assert_eq!(world.weights(), "v1:75% v2:25%");
    world.until("somebody is asked", 30, |w| {
        w.why("next") == "it goes on when somebody says so: check invoices"
    });
    assert_eq!(promote(&mut world), "next goes on");
    world.until("half", 60, |w| w.weights() == "v1:50% v2:50%");
    finish(&mut world);
    assert_eq!(world.weights(), "v1:0% v2:100%");
    world.run(40);
    assert_eq!(world.serving("v1"), 4, "they are kept");
    world.until("they go", 120, |w| w.weights() == "v2:100%");
    world.until("their processes end", 60, |w| w.serving("v1") == 0);
}

#[test]
fn an_undo_while_the_old_instances_are_there_is_one_step() {
    let mut world = fleet(3, 2);
    world.roll(by_steps(vec![step(weight(10), 5)]));
    finish(&mut world);
    world.rollout_verb("next", RolloutVerb::Undo).unwrap();
    world.until("all is back", 10, |w| w.weights() == "v1:100% v2:0%");
    world.until("it ends", 30, |w| ended(w, "next-undo"));
    assert_eq!(world.rollout("next-undo").outcome, Some(Outcome::Done));
}

#[test]
fn a_share_that_the_new_instances_cannot_carry_waits_for_more_of_them() {
    let mut world = fleet(10, 1);
    let mut next = by_steps(vec![step(weight(50), 5)]);
    next.replace = None;
    (world.helpful, next.bake.span) = (false, Span::ZERO);
    world.appear("v2");
    world.discover();
    world.roll(next);
    world.run(30);
    assert_eq!(world.weights(), "v1:100% v2:0%");
    let why = world.why("next");
    assert!(why.contains("3 more instances of v2 must appear"), "{why}");
    for _ in 0..3 {
        world.appear("v2");
    }
    world.discover();
    world.until("half", 60, |w| w.weights() == "v1:50% v2:50%");
}

#[test]
fn an_abort_of_a_shift_gives_all_back_and_takes_the_new_ones_down() {
    let mut world = fleet(4, 2);
    world.roll(by_steps(vec![step(weight(50), 600)]));
    world.until("half", 120, |w| w.weights() == "v1:50% v2:50%");
    world
        .rollout_verb("next", RolloutVerb::Abort(Turned::Back))
        .unwrap();
    world.until("all is back", 10, |w| w.weights() == "v1:100% v2:0%");
    finish(&mut world);
    assert_eq!(world.rollout("next").outcome, Some(Outcome::RolledBack));
    world.until("v2 is gone", 60, |w| {
        w.weights() == "v1:100%" && w.serving("v2") == 0
    });
}

#[test]
fn nobody_who_approves_within_its_time_turns_it_round() {
    let mut world = fleet(2, 1);
    world.roll(by_steps(vec![step(weight(50), 0), pause()]));
    world.until("it gives up", 900, |w| w.phase("next") == Phase::RolledBack);
}

// --- blue-green

#[test]
fn a_whole_new_fleet_is_ready_before_all_traffic_moves_at_once() {
    let mut world = fleet(5, 2);
    world.roll(blue_green(false));
    world.until("the switch", 120, |w| w.weights() == "v1:0% v2:100%");
    assert_eq!((world.serving("v1"), world.serving("v2")), (5, 5));
    world.until("v1 is gone", 300, |w| {
        w.weights() == "v2:100%" && w.serving("v1") == 0
    });
}

#[test]
fn zone_by_zone_the_traffic_moves_by_each_zones_share() {
    let mut world = two_regions();
    world.roll(blue_green(true));
    for share in [
        "v1:75% v2:25%",
        "v1:50% v2:50%",
        "v1:25% v2:75%",
        "v1:0% v2:100%",
    ] {
        world.until(share, 200, |w| w.weights() == share);
    }
}

// --- waves

#[test]
fn waves_go_one_after_the_other_and_wait_for_their_words() {
    let mut world = two_regions();
    world.roll(in_waves(vec![
        wave("one-box", "1 of us", 1, false),
        wave("eu", "eu", 1, true),
        wave("rest", "the rest", 2, false),
    ]));
    world.until("one box", 120, |w| new_in(w, "us") == 1);
    world.until("it asks", 120, |w| {
        w.why("next") == "wave eu begins when somebody says so"
    });
    assert_eq!((new_in(&world, "us"), new_in(&world, "eu")), (1, 0));
    promote(&mut world);
    world.until("eu", 300, |w| new_in(w, "eu") == 4);
    assert_eq!(new_in(&world, "us"), 1, "us waits for eu's bake");
    finish(&mut world);
    assert_eq!((new_in(&world, "us"), world.serving("v1")), (4, 0));
    assert!(world.rollout("next").report.min_ready >= Some(8));
}

#[test]
fn a_wave_goes_back_alone_and_the_rollout_pauses() {
    let mut world = two_regions();
    world.roll(in_waves(vec![
        wave("eu", "eu", 1, false),
        wave("rest", "the rest", 1, false),
    ]));
    world.until("us is under way", 600, |w| new_in(w, "us") == 2);
    world
        .rollout_verb("next", RolloutVerb::Abort(Turned::ThisWave))
        .unwrap();
    world.until("it pauses", 300, |w| w.phase("next") == Phase::Paused);
    assert_eq!((new_in(&world, "eu"), new_in(&world, "us")), (4, 0));
    world.rollout_verb("next", RolloutVerb::Resume).unwrap();
    finish(&mut world);
    assert_eq!((new_in(&world, "eu"), new_in(&world, "us")), (4, 4));
}

// --- which goes next

#[test]
fn zones_take_turns_and_leaders_go_last() {
    let mut world = two_regions();
    let leader: InstanceId = name("v1-0");
    let process = world.instances.get_mut(&leader).unwrap();
    process
        .instance
        .labels
        .insert("role".into(), "leader".into());
    world.discover();
    let mut next = rollout("next", "v2");
    let one = Amount::Count(1);
    next.strategy = Strategy::Rolling(Rolling {
        spread: Some(Spread::Zone),
        order: Order {
            last: [("role".to_owned(), "leader".to_owned())].into(),
            ..Order::default()
        },
        ..Rolling::new(one, one, Amount::Count(0))
    });
    world.roll(next);
    let zones: std::collections::BTreeMap<_, _> = world
        .instances
        .iter()
        .map(|(id, process)| (id.clone(), process.instance.locality.zone.clone()))
        .collect();
    finish(&mut world);
    let drained = world.rollout("next").report.drained;
    assert_eq!(drained.last().unwrap().instance, leader);
    let order: Vec<_> = drained.iter().map(|d| &zones[&d.instance]).collect();
    assert!(order.windows(2).all(|two| two[0] != two[1]), "{order:?}");
}

// --- one after the other

#[test]
fn a_third_version_takes_over_half_way_and_the_second_goes() {
    for tenths in [1, 5, 9] {
        let mut world = fleet(10, 2);
        world.roll(rollout("next", "v2"));
        world.until("some are new", 900, |w| w.serving("v2") == tenths);
        let mut third = rollout("third", "v3");
        third.name = name("third");
        world.roll(third);
        world.until("it takes over", 30, |w| {
            w.phase("next") == Phase::Superseded
        });
        world.until("it ends", 900, |w| ended(w, "third"));
        world.run(5);
        assert_eq!(world.weights(), "v3:100%");
        assert_eq!(world.rollout("third").report.min_ready, Some(10));
    }
}

#[test]
fn an_abort_of_what_took_over_goes_back_to_the_last_good_version() {
    let mut world = fleet(6, 2);
    world.roll(rollout("next", "v2"));
    world.until("half is new", 300, |w| w.serving("v2") == 3);
    world.roll(rollout("third", "v3"));
    world.until("some of the third", 300, |w| w.serving("v3") == 2);
    world
        .rollout_verb("third", RolloutVerb::Abort(Turned::Back))
        .unwrap();
    world.until("it ends", 900, |w| ended(w, "third"));
    world.run(5);
    assert_eq!(
        (world.weights().as_str(), world.serving("v1")),
        ("v1:100%", 6)
    );
}

#[test]
fn a_rolling_one_after_a_shift_brings_its_split_back_first() {
    let mut world = fleet(4, 2);
    world.roll(by_steps(vec![step(weight(25), 600)]));
    world.until("a quarter", 120, |w| w.weights() == "v1:75% v2:25%");
    world.roll(rollout("third", "v3"));
    world.until("it ends", 900, |w| ended(w, "third"));
    world.run(5);
    assert_eq!(world.weights(), "v3:100%");
}

#[test]
fn a_revert_by_steps_takes_nothing_from_the_version_that_it_goes_back_to() {
    let mut world = fleet(4, 2);
    world.roll(by_steps(vec![step(weight(25), 600)]));
    world.until("a quarter", 120, |w| w.weights() == "v1:75% v2:25%");
    let mut back = by_steps(vec![step(weight(5), 10), step(weight(90), 10)]);
    (back.name, back.to) = (name("back"), name("v1"));
    world.roll(back);
    world.run(8);
    assert_eq!(world.weights(), "v1:75% v2:25%");
    world.until("it ends", 300, |w| ended(w, "back"));
    assert_eq!(world.weights(), "v1:100% v2:0%");
    world.until("v2 goes when it is kept no longer", 120, |w| {
        w.weights() == "v1:100%"
    });
}

#[test]
fn a_long_step_is_not_stuck_and_a_pause_is_paused() {
    let mut world = fleet(2, 1);
    world.roll(by_steps(vec![step(weight(50), 1_000), pause()]));
    world.until("half", 120, |w| w.weights() == "v1:50% v2:50%");
    world.run(700);
    assert_eq!(world.phase("next"), Phase::Progressing);
    world.until("somebody is asked", 400, |w| {
        w.phase("next") == Phase::Paused
    });
}

#[test]
fn an_emergency_moves_all_traffic_at_once() {
    let mut world = fleet(6, 2);
    world.roll(rollout("next", "v2"));
    world.until("most is new", 600, |w| w.serving("v2") == 4);
    let said = world
        .rollout_verb("next", RolloutVerb::Abort(Turned::AtOnce))
        .unwrap();
    assert_eq!(
        said.message,
        "next goes back at once: all traffic to v1, whatever it can take"
    );
    assert_eq!(world.weights(), "v1:100% v2:0%");
    finish(&mut world);
    world.run(5);
    assert_eq!(
        (world.weights().as_str(), world.serving("v1")),
        ("v1:100%", 6)
    );
}

#[test]
fn rollouts_that_are_asked_for_together_go_by_name() {
    let mut world = fleet(2, 1);
    world.edit(|documents| {
        for (called, to) in [("a", "v2"), ("b", "v3")] {
            documents.rollouts.insert(name(called), rollout(called, to));
        }
    });
    world.run(2);
    assert_eq!(world.why("b"), "rollout a of the same service is running");
    world.until("both end", 300, |w| ended(w, "b"));
    assert_eq!(world.serving("v3"), 2);
}

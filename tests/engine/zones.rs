//! So many instances serve in each zone when a rolling replacement takes one there.

use tidegate::domain::{Rollout, Service, Span, Strategy, Wave, Waves};
use tidegate::engine::{RolloutVerb, Turned};

use crate::drawn::place;
use crate::sample::{name, rolling, rollout, service};
use crate::stories::{drain, finish};
use crate::world::World;

/// Instances in turn in `a`, `b` and `a`: two there, one here.
fn fleet(floor: u32) -> World {
    let mut world = World::new(7, false);
    world.localities = vec![place("a"), place("b"), place("a")];
    let service = Service {
        min_per_zone: floor,
        ..service()
    };
    world.settle_in(service, 3, 1);
    world
}

/// Whoever brings instances is told where; the truth looks at each that leaves.
#[test]
fn new_instances_come_in_a_zone_before_its_floor_lets_one_go() {
    for back in [false, true] {
        let mut world = fleet(1);
        world.roll(Rollout {
            strategy: rolling(3, 3, 3),
            ..rollout("next", "v2")
        });
        if back {
            world.until("it is under way", 60, |w| w.serving("v2") > 0);
            let abort = RolloutVerb::Abort(Turned::Back);
            world.rollout_verb("next", abort).unwrap();
        }
        finish(&mut world);
        assert_eq!(world.serving(if back { "v1" } else { "v2" }), 3);
    }
}

#[test]
fn a_zone_at_its_floor_keeps_its_instance_and_the_blocker_says_what_is_missing() {
    let mut world = fleet(1);
    world.helpful = false;
    let mut next = rollout("next", "v2");
    (next.strategy, next.replace) = (rolling(3, 3, 3), None);
    world.roll(next);
    world.localities = vec![place("a")];
    (0..2).for_each(|_| drop(world.appear("v2")));
    world.discover();
    let rest = |w: &World| w.stage("v1-0") == "released" && w.stage("v1-2") == "released";
    world.until("those of a are released", 60, rest);
    world.run(5);
    assert_eq!(world.stage("v1-1"), "serving");
    let waits = world.rollout("next").blockers;
    let waits: Vec<String> = waits.iter().map(|blocker| blocker.on.to_string()).collect();
    let zone = "1 instance serving in zone b, and 1 must: 1 more instance there, then one may go";
    assert!(waits.iter().any(|wait| wait == zone), "{waits:?}");
    world.localities = vec![place("b")];
    world.appear("v2");
    world.discover();
    for gone in ["v1-0", "v1-2"] {
        world.vanish(&name(gone));
    }
    world.until("its turn comes", 60, |w| w.stage("v1-1") == "released");
    world.vanish(&name("v1-1"));
    finish(&mut world);
}

/// What an operator takes out is missing there, too.
#[test]
fn a_drain_by_hand_counts_against_its_zone() {
    let mut world = fleet(1);
    world.helpful = false;
    drain(&mut world, "v1-0").unwrap();
    world.until("it is out", 60, |w| w.stage("v1-0") == "released");
    let mut next = rollout("next", "v2");
    (next.strategy, next.replace) = (rolling(1, 0, 1), None);
    world.roll(next);
    world.until("it waits", 60, |w| w.why("next").contains("in zone "));
    world.run(30);
    assert_eq!(world.serving("v1"), 2);
}

#[test]
fn a_wave_keeps_the_floor_of_its_zone() {
    let mut world = fleet(1);
    let wave = |called: &str| Wave {
        name: called.to_owned(),
        pick: called.parse().unwrap(),
        parallel: 1,
        bake: Span::ZERO,
        approve: None,
    };
    let mut next = rollout("next", "v2");
    let in_each = rolling(2, 2, 2);
    let in_each = Rollout {
        strategy: in_each,
        ..next.clone()
    };
    let in_each = in_each.strategy.rolling().unwrap().clone();
    let waves = vec![wave("a"), wave("b")];
    next.strategy = Strategy::Waves(Waves { waves, in_each });
    world.roll(next);
    finish(&mut world);
    assert_eq!(world.serving("v2"), 3);
}

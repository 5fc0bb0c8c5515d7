//! The traffic that proxies count, and what it lets a rollout do.

use tidegate::domain::{Amount, Rolling, Rollout, Rps, Service, StepAction, Strategy, Weight};

use crate::sample::{rollout, service};
use crate::stories::{ended, finish};
use crate::ways::{by_steps, step, weight};
use crate::world::World;

/// Ten of v1 with two proxies, and nobody who starts what is missing.
fn fleet(service: Service) -> World {
    let mut world = World::new(7, false);
    world.helpful = false;
    world.settle_in(service, 10, 2);
    world
}

/// Each proxy counts half of this many requests a second from now on.
fn let_come(world: &mut World, rps: u64) {
    for proxy in world.proxies.values_mut() {
        proxy.counts = Some(rps / 2);
    }
    world.run(5);
}

fn declared() -> Service {
    Service {
        capacity: Rps::new(10),
        ..service()
    }
}

/// Nobody is asked to start what is missing.
fn alone(rollout: Rollout) -> Rollout {
    Rollout {
        replace: None,
        ..rollout
    }
}

fn start(world: &mut World, version: &str, count: u32) {
    for _ in 0..count {
        world.appear(version);
    }
    world.discover();
}

/// Five of v2 carry 50 of 88 requests a second, and are to be no fuller than 80 %. Of the fleet alone, five
/// of ten would do.
#[test]
fn a_share_waits_until_the_traffic_that_is_counted_can_be_carried() {
    let mut world = fleet(declared());
    let_come(&mut world, 88);
    start(&mut world, "v2", 5);
    world.roll(alone(by_steps(vec![step(weight(50), 1)])));
    let text = "v2 can carry 45.45% of the traffic and is to get 50%: 1 instance missing";
    world.until("it is held", 60, |world| world.why("next").contains(text));
    world.run(60);
    assert_eq!(world.serving("v2"), 5);
    let_come(&mut world, 60);
    world.until("half of it moves", 60, |world| {
        world.weights().contains("v2:50%")
    });
    start(&mut world, "v2", 5);
    finish(&mut world);
}

/// Two may be unavailable, but the traffic needs all ten: nobody leaves before it has become less.
#[test]
fn nobody_leaves_whom_the_traffic_needs() {
    let mut world = fleet(declared());
    let_come(&mut world, 76);
    let rolling = Rolling::new(Amount::Count(2), Amount::Count(0), Amount::Count(2));
    world.roll(Rollout {
        strategy: Strategy::Rolling(rolling),
        ..rollout("next", "v2")
    });
    let text = "10 instances serving, and 10 must, for the traffic";
    world.until("it is held", 60, |world| world.why("next").contains(text));
    world.run(60);
    assert_eq!(world.serving("v1"), 10);
    let_come(&mut world, 60);
    world.helpful = true;
    finish(&mut world);
}

/// What ten have carried for a minute, ten are needed for; in another hour with half of it five would do,
/// but the fleet that was found is the measure then.
#[test]
fn a_capacity_that_is_not_declared_is_what_was_seen() {
    let measured = Service {
        measured: true,
        ..service()
    };
    let mut world = fleet(measured);
    let_come(&mut world, 1_000);
    world.run(90);
    start(&mut world, "v2", 9);
    world.roll(alone(by_steps(vec![step(weight(100), 1)])));
    let text = "v2 can carry 90% of the traffic and is to get 100%: 1 instance missing";
    world.until("it is held", 60, |world| world.why("next").contains(text));
    let_come(&mut world, 500);
    finish(&mut world);
    assert!(ended(&world, "next"));
}

/// What a version gets that is sent copies, too, cannot be told from them: the other's 68 are three quarters
/// of the traffic.
#[test]
fn a_share_beside_copies_is_reckoned_from_what_the_others_get() {
    let mut world = fleet(declared());
    let_come(&mut world, 68);
    start(&mut world, "v2", 5);
    let copies = StepAction::Mirror(Weight::parts(1_000));
    let steps = vec![step(weight(25), 1), step(copies, 5), step(weight(50), 1)];
    world.roll(alone(by_steps(steps)));
    let text = "v2 can carry 43.85% of the traffic and is to get 50%: 1 instance missing";
    world.until("it is held", 60, |world| world.why("next").contains(text));
}

/// A proxy that counts nothing leaves the load unknown, and the fleet is the measure.
#[test]
fn a_load_that_one_proxy_does_not_count_is_not_believed() {
    let mut world = fleet(declared());
    let_come(&mut world, 88);
    let one = world.proxies.values_mut().next();
    one.expect("there are two").counts = None;
    world.run(30);
    start(&mut world, "v2", 5);
    world.roll(alone(by_steps(vec![step(weight(50), 1)])));
    world.until("half of it moves", 60, |world| {
        world.weights().contains("v2:50%")
    });
    start(&mut world, "v2", 5);
    finish(&mut world);
}

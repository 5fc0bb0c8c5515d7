//! What a plan says against what then happens: both by the same engine, but on a fleet of its own, which
//! the forecast has never seen.

use tidegate::domain::{
    Bake, BlueGreen, Freeze, Moves, Policy, Rollout, Sessions, Share, Span, Strategy, Time, Window,
    WindowSpan,
};
use tidegate::engine::{Entry, Outcome, Record};
use tidegate::forecast::{Ask, Fleet, Forecast, PartKind, RolloutForecast, forecast};

use crate::rules::policy;
use crate::sample::{documents, name, rolling, rollout, service};
use crate::stories::{ended, finish, fleet};
use crate::ways::{by_steps, in_waves, pause, step, two_regions, wave, weight};
use crate::world::World;

fn known(world: &World) -> Fleet {
    Fleet::Known {
        state: Box::new(world.engine.state().clone()),
        view: Box::new(world.engine.view(world.now)),
        journal: world.truth.journal.clone(),
    }
}

/// What would happen if this were asked for now.
fn plan(world: &World, rollout: &Rollout) -> Forecast {
    let mut documents = world.documents.clone();
    let rollouts = &mut documents.rollouts;
    rollouts.insert(rollout.name.clone(), rollout.clone());
    ask(documents, world.now, known(world))
}

fn ask(documents: tidegate::domain::Documents, now: Time, fleet: Fleet) -> Forecast {
    forecast(Ask {
        documents,
        now,
        fleet,
        rps: Some(200),
        errors: Share::per_million(1_000),
    })
    .expect("there is something to play")
}

fn the_only(plan: Forecast) -> RolloutForecast {
    let [rollout] = <[_; 1]>::try_from(plan.rollouts).expect("there is one rollout");
    rollout
}

/// Batches by their place and members, steps, waves and bakes, as they begin. Places that are rolled at one time
/// are not in step, so each is for itself.
fn story(journal: &[Entry]) -> Vec<String> {
    let mut bakes = 0;
    let parts = journal.iter().filter_map(|entry| match &entry.record {
        Record::BatchBegan { lane, members, .. } => {
            let lane = lane.as_ref().map(ToString::to_string);
            Some(format!("{lane:?} {members:?}"))
        }
        Record::StepReached { step, .. } => Some(format!("step {}", step + 1)),
        Record::WaveDone { wave, .. } => Some(format!("wave {wave}")),
        Record::BakeBegan { .. } => {
            bakes += 1;
            Some(format!("bake {bakes}"))
        }
        _ => None,
    });
    let mut parts: Vec<String> = parts.collect();
    parts.sort();
    parts
}

fn foretold(rollout: &RolloutForecast) -> Vec<String> {
    let parts = rollout.parts.iter().map(|part| match part.kind {
        PartKind::Batch => format!("{:?} {:?}", part.place, part.instances),
        PartKind::Step => format!("step {}", part.number),
        PartKind::Bake => format!("bake {}", part.number),
        PartKind::Wave => {
            let (wave, _) = part.what.split_once(':').expect("it has a name and places");
            format!("wave {wave}")
        }
    });
    let mut parts: Vec<String> = parts.collect();
    parts.sort();
    parts
}

#[test]
fn what_is_planned_is_what_happens() {
    let bake = Bake {
        span: Span::secs(20),
        holdback: 1,
    };
    let ways = [
        ("one by one", fleet(5, 2), rollout("next", "v2")),
        (
            "by twos, with a bake",
            fleet(7, 2),
            Rollout {
                strategy: rolling(2, 0, 2),
                bake,
                ..rollout("next", "v2")
            },
        ),
        (
            "by shares",
            fleet(4, 2),
            by_steps(vec![step(weight(25), 10), pause(), step(weight(100), 0)]),
        ),
        (
            "zone by zone",
            two_regions(),
            Rollout {
                strategy: Strategy::BlueGreen(BlueGreen {
                    by_zone: true,
                    approve: None,
                }),
                ..rollout("next", "v2")
            },
        ),
        (
            "in waves",
            two_regions(),
            in_waves(vec![
                wave("one", "1 of eu", 1, false),
                wave("rest", "the rest", 2, true),
            ]),
        ),
    ];
    for (way, mut world, next) in ways {
        let planned = the_only(plan(&world, &next));
        let before = world.truth.journal.len();
        world.roll(next);
        world.until("it ends", 900, |world| {
            ended(world, "next") || world.rollout("next").phase == tidegate::engine::Phase::Paused
        });
        if !ended(&world, "next") {
            let promote = tidegate::engine::RolloutVerb::Promote {
                all: false,
                step: None,
            };
            world.rollout_verb("next", promote).unwrap();
            finish(&mut world);
        }
        let happened = world.rollout("next");
        assert_eq!(
            foretold(&planned),
            story(&world.truth.journal[before..]),
            "{way}"
        );
        assert_eq!(planned.outcome, happened.outcome, "{way}");
        assert_eq!(planned.instances, happened.total, "{way}");
        let lowest = planned.capacity.as_ref().map(|capacity| capacity.lowest);
        assert_eq!(lowest, happened.report.min_ready, "{way}");
        assert_eq!(planned.from, happened.from, "{way}");
        let last = planned.parts.last().and_then(|part| part.share);
        assert_eq!(last, Some(100.0), "{way}: {:#?}", planned.parts);
    }
}

/// A fleet that is slower than what is made up: once it has been seen, so is the plan.
#[test]
fn what_was_measured_before_says_how_long_it_takes() {
    let mut world = fleet(4, 2);
    world.habits.busy = 100;
    world.habits.longest = Span::secs(40);
    world.roll(rollout("first", "v2"));
    world.until("the first ends", 900, |world| ended(world, "first"));
    let next = rollout("next", "v3");
    let planned = the_only(plan(&world, &next));
    let asked = world.now;
    world.roll(next);
    finish(&mut world);
    let took = Span::between(asked, world.now).duration().as_secs_f64();
    let planned = planned.ends_s.expect("it ends");
    let ratio = planned / took;
    assert!(
        (0.6..1.6).contains(&ratio),
        "planned {planned}, took {took}"
    );
    let again = plan(&world, &rollout("again", "v4"));
    let measured = again
        .assumes
        .iter()
        .filter(|line| line.contains("measured)"));
    assert_eq!(measured.count(), 2, "{:?}", again.assumes);
}

#[test]
fn a_proxy_that_is_away_is_named_and_what_it_holds_up() {
    let mut world = fleet(3, 2);
    world.disconnect(&name("edge-1"));
    world.run(1);
    let planned = the_only(plan(&world, &rollout("next", "v2")));
    let proxies = &planned.proxies;
    assert_eq!((proxies.of, proxies.connected), (2, 1));
    assert_eq!(proxies.cannot_prove[0].proxy, name("edge-1"));
    assert_eq!(planned.outcome, None, "nobody brings it back");
    assert!(planned.waits[0].contains("edge-1"), "{:?}", planned.waits);
}

#[test]
fn what_runs_already_is_nothing_new() {
    let mut world = fleet(3, 1);
    let next = rollout("next", "v2");
    world.roll(next.clone());
    world.until("some are new", 60, |world| world.serving("v2") == 1);
    let same = plan(&world, &next);
    assert_eq!((same.rollouts.len(), same.running), (0, vec![name("next")]));
    let third = the_only(plan(&world, &rollout("third", "v3")));
    assert_eq!(third.takes_over, Some(name("next")));
    assert_eq!(third.outcome, Some(Outcome::Done));
    finish(&mut world);
    assert_eq!(plan(&world, &next).rollouts, [], "it has run");
}

fn made_up() -> Fleet {
    Fleet::MadeUp {
        instances: 4,
        proxies: 2,
        places: Vec::new(),
    }
}

fn house(freezes: Vec<Freeze>, slots: Option<u32>) -> Policy {
    Policy {
        freezes,
        slots,
        ..policy()
    }
}

#[test]
fn a_freeze_is_planned_with_its_end() {
    let now: Time = "2026-03-06T12:00:40Z".parse().unwrap();
    let window = WindowSpan::Dates {
        from: name("2026-03-06 12:01"),
        to: name("2026-03-06 14:00"),
    };
    let freeze = Freeze::Calendar(Window {
        span: window,
        zone: name("UTC"),
    });
    let mut all = documents(service());
    let next = rollout("next", "v2");
    all.rollouts.insert(next.name.clone(), next);
    let house = house(vec![freeze], None);
    all.policies.insert(house.name.clone(), house);
    let planned = the_only(ask(all, now, made_up()));
    let hold = &planned.holds[0];
    assert_eq!(hold.until, Some("2026-03-06T14:00:00Z".parse().unwrap()));
    assert_eq!(hold.policy, Some(name("house")));
    assert!(planned.held_s > 6_000.0, "{hold:?}");
    assert!(planned.ends_s > Some(7_000.0), "{:?}", planned.ends_s);
    let begun = planned.parts.iter().filter(|part| part.begins_s < 60.0);
    assert!(begun.count() >= 1, "what begins before is not held");
}

#[test]
fn a_slot_is_waited_for_until_it_is_free() {
    let mut all = documents(service());
    let mut other = service();
    other.name = name("till");
    let mesh = all.gateways.values_mut().next().unwrap();
    let mut route = mesh.listeners[0].routes[0].clone();
    (route.service, route.prefix) = (name("till"), "/till".to_owned());
    mesh.listeners[0].routes.push(route);
    all.services.insert(other.name.clone(), other);
    for (called, of) in [("a", "cart"), ("b", "till")] {
        let mut rollout = rollout(called, "v2");
        rollout.service = name(of);
        all.rollouts.insert(rollout.name.clone(), rollout);
    }
    let house = house(Vec::new(), Some(1));
    all.policies.insert(house.name.clone(), house);
    let now = Time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let plan = ask(all, now, made_up());
    let [first, second] = &plan.rollouts[..] else {
        panic!("{plan:#?}");
    };
    assert_eq!(first.holds, []);
    assert!(second.begins_s >= first.ends_s, "{plan:#?}");
    assert_eq!(second.holds.len(), 1);
    assert!(second.holds[0].text.contains("at once: a"), "{second:#?}");
    assert!(second.held_s > 1.0, "{second:#?}");
}

#[test]
fn sessions_that_stay_crowd_the_last_old_instances_where_these_go_one_by_one() {
    let mut world = World::new(5, true);
    world.settle_in(service(), 6, 2);
    let kept = |moves| Sessions {
        moves,
        ..Sessions::default()
    };
    let one_by_one = Rollout {
        strategy: rolling(1, 1, 0),
        ..rollout("next", "v2")
    };
    let by_shares = by_steps(vec![step(weight(50), 10)]);
    for (sessions, next, crowds) in [
        (None, &one_by_one, None),
        (Some(kept(Moves::Minimal)), &one_by_one, Some(None)),
        (Some(kept(Moves::NewOnly)), &by_shares, Some(None)),
        (Some(kept(Moves::NewOnly)), &one_by_one, Some(Some(6))),
    ] {
        let kept = sessions.clone();
        world.edit(|documents| {
            let cart = documents.services.get_mut(&name("cart")).unwrap();
            cart.sessions = kept;
        });
        let said = the_only(plan(&world, next)).sessions;
        assert_eq!(said.map(|it| it.crowds), crowds, "{sessions:?}");
    }
}

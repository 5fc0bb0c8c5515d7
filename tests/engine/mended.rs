//! Bugs that were, each by its cause, so that none of them comes again.

use tidegate::domain::{Rollout, Span};
use tidegate::engine::{
    Engine, Event, HookStatus, Phase, Record, RolloutVerb, State, Turned, plan,
};

use crate::sample::{actor, documents, name, rolling, rollout, service};
use crate::stories::{drain, finish, fleet, in_place, stage, undrain};
use crate::world::{Hooks, World};

#[test]
fn a_suspended_or_joining_instance_that_is_drained_gets_a_generation_of_its_own() {
    let mut world = fleet(4, 1);
    world.helpful = false;
    world.set_health(&name("v1-0"), false);
    world.until("it is suspended", 10, stage("v1-0", "suspended"));
    world.run(2);
    drain(&mut world, "v1-0").unwrap();
    world.until("it is safe to stop", 30, stage("v1-0", "released"));

    world.appear("v1");
    world.discover();
    world.until("one joins", 10, stage("v1-4", "joining"));
    drain(&mut world, "v1-4").unwrap();
    world.until("it is safe to stop", 30, stage("v1-4", "released"));
}

#[test]
fn a_released_instance_that_is_put_back_while_healthy_joins_in_the_same_turn() {
    let mut world = fleet(2, 1);
    world.helpful = false;
    drain(&mut world, "v1-0").unwrap();
    world.until("it is safe to stop", 30, stage("v1-0", "released"));
    undrain(&mut world, "v1-0").unwrap();
    assert_eq!(world.stage("v1-0"), "joining");
}

#[test]
fn an_operator_drained_member_of_a_batch_is_named_by_the_rollout_too() {
    let mut world = fleet(2, 1);
    world.roll(Rollout {
        strategy: rolling(2, 1, 0),
        ..rollout("next", "v2")
    });
    world.until("one is replaced", 60, stage("v1-0", "released"));
    world.habits.longest = Span::secs(300);
    world.run(2);
    drain(&mut world, "v1-1").unwrap();
    // Silence in any quiet tick would fail the story.
    finish(&mut world);
}

#[test]
fn an_abort_brings_back_what_its_own_stop_hook_took_down_and_stops_what_never_served() {
    let mut world = fleet(3, 1);
    world.helpful = false;
    world.sick.insert(name("v2"));
    world.roll(in_place());
    world.until("the sick one is there", 60, |w| {
        w.stage("v2-0") == "registered"
    });
    world.until("the old one is gone", 60, stage("v1-0", "gone"));
    world.run(5);
    let why = world.why("next");
    assert!(
        why.starts_with("instances of v2 are not ready: v2-0: 503"),
        "{why}"
    );
    world
        .rollout_verb("next", RolloutVerb::Abort(Turned::Back))
        .unwrap();
    finish(&mut world);
    assert_eq!(world.serving("v1"), 3);
    world.until("the sick one is stopped", 10, stage("v2-0", "gone"));
}

#[test]
fn a_rollout_that_is_there_before_the_fleet_waits_for_the_whole_fleet() {
    let mut world = World::new(5, false);
    let mut documents = documents(service());
    let next = rollout("next", "v2");
    documents.rollouts.insert(next.name.clone(), next);
    (0..5).for_each(|_| drop(world.appear("v1")));
    world.add_proxy("edge-0");
    world.apply(documents);
    world.discover();
    finish(&mut world);
    assert_eq!(world.rollout("next").total, 5);
    assert_eq!(world.serving("v2"), 5);
}

#[test]
fn the_only_instance_of_a_new_version_keeps_no_weight_when_it_dies() {
    let mut world = fleet(3, 1);
    world.helpful = false;
    world.roll(rollout("next", "v2"));
    world.until("it moves", 60, |w| w.weights() == "v1:66.67% v2:33.33%");
    world.hooks = Hooks::Fail;
    world.set_health(&name("v2-0"), false);
    world.run(2);
    assert_eq!(world.stage("v2-0"), "suspended");
    assert_eq!(world.weights(), "v1:100% v2:0%");
    world.vanish(&name("v2-0"));
    assert_eq!(world.stage("v2-0"), "gone");
}

#[test]
fn an_instance_that_stood_beside_the_fleet_takes_no_room_from_a_rollout() {
    let mut world = fleet(4, 1);
    world.helpful = false;
    world.sick.insert(name("v1"));
    world.appear("v1");
    world.discover();
    drain(&mut world, "v1-3").unwrap();
    world.until("it is safe to stop", 30, stage("v1-3", "released"));
    assert_eq!(world.stage("v1-4"), "registered");
    world.roll(rollout("next", "v2"));
    finish(&mut world);
    assert_eq!((world.rollout("next").total, world.serving("v2")), (3, 3));
}

#[test]
fn an_instance_of_a_version_that_is_rolled_away_is_not_put_back() {
    let mut world = fleet(3, 1);
    world.helpful = false;
    drain(&mut world, "v1-2").unwrap();
    world.until("it is safe to stop", 30, stage("v1-2", "released"));
    world.roll(rollout("next", "v2"));
    finish(&mut world);
    let refused = undrain(&mut world, "v1-2").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "v1-2 is released, and its version no longer serves cart"
    );
}

#[test]
fn a_failed_stop_of_an_instance_that_is_gone_is_not_made_again() {
    let mut world = fleet(2, 1);
    world.helpful = false;
    world.roll(rollout("next", "v2"));
    world.until("one is replaced", 60, stage("v1-0", "draining"));
    world.hooks = Hooks::Fail;
    world.until("a failed stop", 60, |w| {
        w.why("next").contains("the stop hook for v1-0 failed")
    });
    world.vanish(&name("v1-0"));
    let hooks = &world.engine.state().rollouts[&name("next")].hooks;
    let failed = |status: &HookStatus| matches!(status, HookStatus::Failed(_));
    assert!(!hooks.iter().any(|hook| failed(&hook.status)), "{hooks:?}");
}

#[test]
fn a_pause_outlives_an_edit_of_a_rollout_that_has_not_begun() {
    let mut world = fleet(1, 1);
    world.disconnect(&name("edge-0"));
    let mut next = rollout("next", "v2");
    world.roll(next.clone());
    world.rollout_verb("next", RolloutVerb::Pause).unwrap();
    next.deadline = Span::secs(1);
    world.roll(next);
    assert_eq!(world.phase("next"), Phase::Paused);
}

#[test]
fn a_span_is_read_back_from_the_journal_as_it_was() {
    let mut world = fleet(1, 1);
    world.roll(rollout("next", "v2"));
    finish(&mut world);
    let took = world
        .truth
        .journal
        .iter()
        .find_map(|entry| match &entry.record {
            Record::InForce { took, .. } => Some(*took),
            _ => None,
        });
    let took = took.expect("a generation is in force");
    assert!(
        took.duration().subsec_nanos() % 1_000_000 > 0,
        "{took:?} is a round number"
    );
    assert_eq!(world.truth.replay(), *world.engine.state());
}

/// The state alone makes the plan: what was only observed is not in it.
#[test]
fn a_recovered_engine_publishes_what_was_published() {
    let world = fleet(2, 1);
    let state: State = world.truth.replay();
    let (engine, effects) = Engine::recover(state.clone(), world.now);
    assert_eq!(effects.len(), 1);
    assert_eq!(
        plan(engine.state(), state.generation),
        **world.truth.published.as_ref().unwrap()
    );
    let (mut engine, by) = (engine, actor());
    let documents = Box::new(world.documents.clone());
    let again = engine.handle(Event::Documents { documents, by }, world.now);
    assert_eq!(again, [], "the same documents again change nothing");
}

#[test]
fn a_proxy_that_an_edit_takes_a_service_from_is_asked_until_it_has_let_go() {
    let mut world = fleet(3, 1);
    world.helpful = false;
    drain(&mut world, "v1-0").unwrap();
    world.until("it drains", 30, stage("v1-0", "draining"));
    world.edit(|documents| {
        for gateway in documents.gateways.values_mut() {
            gateway.proxies.cluster = Some("others".to_owned());
        }
    });
    let stands = world.stage("v1-0");
    assert_eq!(
        stands, "draining",
        "it keeps its routes, and may have requests there"
    );
}

#[test]
fn after_a_restart_what_was_joining_waits_for_its_proxies_and_its_probe() {
    let mut world = fleet(2, 2);
    world.helpful = false;
    world.appear("v1");
    world.discover();
    world.until("one joins", 10, stage("v1-2", "joining"));
    world.crash();
    world.event(Event::Tick);
    assert_eq!(world.stage("v1-2"), "joining");
    for edge in ["edge-0", "edge-1"] {
        world.connect(&name(edge));
    }
    world.until("it serves", 60, stage("v1-2", "serving"));
}

#[test]
fn a_version_of_which_nothing_is_left_answers_for_nothing() {
    let mut world = fleet(1, 1);
    world.helpful = false;
    drain(&mut world, "v1-0").unwrap();
    world.until("it is safe to stop", 30, stage("v1-0", "released"));
    world.vanish(&name("v1-0"));
    world.appear("v2");
    world.discover();
    world.until("the new version serves", 60, |w| w.weights() == "v2:100%");
}

#[test]
fn what_is_put_back_is_not_stopped_by_a_call_that_failed_before() {
    let mut world = fleet(3, 1);
    world.helpful = false;
    world.hooks = Hooks::Fail;
    world.roll(in_place());
    world.until("it cannot be stopped", 60, |w| {
        w.why("next").contains("stop hook for v1-0 failed")
    });
    world
        .rollout_verb("next", RolloutVerb::Abort(Turned::Back))
        .unwrap();
    undrain(&mut world, "v1-0").unwrap();
    // Nothing is left that could be called again, and hit what serves.
    finish(&mut world);
    assert_eq!(world.serving("v1"), 3);
}

#[test]
fn what_is_being_stopped_is_not_put_back() {
    let mut world = fleet(3, 1);
    world.hooks = Hooks::Silent;
    world.roll(in_place());
    world.until("it is being stopped", 60, |w| {
        w.why("next").contains("stop hook")
    });
    world
        .rollout_verb("next", RolloutVerb::Abort(Turned::Back))
        .unwrap();
    let refused = undrain(&mut world, "v1-0").unwrap_err();
    assert_eq!(refused.to_string(), "v1-0 is just being stopped by a hook");
}

//! Rollouts as an operator sees them: what happens, in which order, and which words are said.

use tidegate::domain::{InstanceId, Rollout, Span, ThenDo};
use tidegate::engine::{Answer, Outcome, Phase, Refusal, RolloutVerb, Stage, Turned, Verb};

use crate::sample::{documents, name, rolling, rollout, service};
use crate::world::{Hooks, World};

/// `instances` of v1 at rest behind `proxies`, and nothing fails unless it is told to.
pub(crate) fn fleet(instances: u32, proxies: u32) -> World {
    World::at_rest(7, false, service(), instances, proxies)
}

pub(crate) fn ended(world: &World, rollout: &str) -> bool {
    world.rollout(rollout).ended.is_some()
}

pub(crate) fn finish(world: &mut World) {
    world.until("the end", 900, |world| ended(world, "next"));
}

/// In place: one goes before the next one comes.
pub(crate) fn in_place() -> Rollout {
    Rollout {
        strategy: rolling(1, 0, 1),
        ..rollout("next", "v2")
    }
}

pub(crate) fn drain(world: &mut World, id: &str) -> Result<Answer, Refusal> {
    let (instance, service) = (name(id), None);
    world.command(Verb::Drain { instance, service })
}

pub(crate) fn undrain(world: &mut World, id: &str) -> Result<Answer, Refusal> {
    let (instance, service) = (name(id), None);
    world.command(Verb::Undrain { instance, service })
}

pub(crate) fn stage(id: &'static str, word: &'static str) -> impl Fn(&World) -> bool {
    move |world| world.stage(id) == word
}

pub(crate) fn draining(world: &World) -> Option<InstanceId> {
    let cart = &world.engine.state().services[&name("cart")];
    let found = cart.instances.iter();
    let mut found = found.filter(|(_, known)| matches!(known.stage, Stage::Draining { .. }));
    found.next().map(|(id, _)| id.clone())
}

// --- whole rollouts

#[test]
fn ten_instances_roll_one_by_one_with_one_more_than_desired() {
    let mut world = World::at_rest(1, true, service(), 10, 3);
    world.roll(rollout("next", "v2"));
    world.until("the first weight moves", 60, |w| {
        w.weights() == "v1:90% v2:10%"
    });
    world.until("it drains", 10, |w| w.phase("next") == Phase::Draining);
    finish(&mut world);
    let view = world.rollout("next");
    assert_eq!((view.done, view.total, view.batch), (10, 10, 10));
    assert_eq!(view.report.min_ready, Some(10));
    assert_eq!(view.report.drained.len(), 10);
    assert!(
        view.report
            .drained
            .iter()
            .all(|d| d.proven && d.witnesses == 3)
    );
    world.run(3);
    assert_eq!(
        (world.weights().as_str(), world.instances.len()),
        ("v2:100%", 10)
    );
}

#[test]
fn in_place_one_goes_before_the_next_one_comes() {
    let mut world = World::at_rest(1, true, service(), 4, 2);
    world.same_ids = true;
    world.roll(in_place());
    finish(&mut world);
    let view = world.rollout("next");
    assert_eq!(
        (view.outcome, view.report.min_ready),
        (Some(Outcome::Done), Some(3))
    );
    let ids: Vec<_> = world.instances.keys().map(InstanceId::as_str).collect();
    assert_eq!(
        ids,
        ["v1-0", "v1-1", "v1-2", "v1-3"],
        "the ids stay, the builds change"
    );
}

#[test]
fn a_batch_of_three_with_a_surge_of_two() {
    let mut world = World::at_rest(1, true, service(), 6, 2);
    world.roll(Rollout {
        strategy: rolling(3, 2, 0),
        ..rollout("next", "v2")
    });
    finish(&mut world);
    let view = world.rollout("next");
    assert_eq!((view.batch, view.report.min_ready), (2, Some(6)));
}

#[test]
fn a_bake_holds_old_instances_back_to_the_end_of_it() {
    let mut world = fleet(4, 2);
    let mut next = rollout("next", "v2");
    (next.bake.span, next.bake.holdback) = (Span::secs(30), 1);
    world.roll(next);
    world.until("the bake", 120, |w| w.phase("next") == Phase::Baking);
    assert_eq!(world.why("next"), "baking for 30s with 1 old held back");
    world.run(20);
    assert_eq!((world.serving("v1"), world.serving("v2")), (1, 3));
    finish(&mut world);
    assert_eq!((world.serving("v1"), world.serving("v2")), (0, 4));
}

// --- proxies

#[test]
fn a_nack_stops_the_step_and_names_the_proxy_and_the_resource() {
    let mut world = fleet(3, 2);
    let edge = name("edge-1");
    world.proxies.get_mut(&edge).unwrap().refuses = true;
    world.roll(rollout("next", "v2"));
    world.run(30);
    let why = world.why("next");
    assert!(
        why.starts_with("edge-1 refused route mesh/10000 of generation ")
            && why.ends_with(": no such filter"),
        "{why}"
    );
    assert_eq!(world.serving("v1"), 3);
    world.restart(&edge, true);
    finish(&mut world);
}

#[test]
fn a_lost_proxy_holds_the_rollout_until_it_is_back() {
    let mut world = fleet(3, 2);
    world.disconnect(&name("edge-1"));
    world.roll(rollout("next", "v2"));
    world.run(120);
    assert_eq!(
        world.why("next"),
        "1 of 2 proxies are not connected and may still send traffic: edge-1 \
         (held until they are back or forgotten)"
    );
    assert_eq!(world.serving("v1"), 3);
    world.connect(&name("edge-1"));
    finish(&mut world);
    assert!(
        world
            .rollout("next")
            .report
            .drained
            .iter()
            .all(|d| d.proven)
    );
}

#[test]
fn a_lost_proxy_that_is_ignored_leaves_its_name_in_the_proof() {
    let mut service = service();
    service.drain.lost_proxies.then = ThenDo::Ignore;
    let mut world = World::at_rest(7, false, service, 1, 2);
    world.disconnect(&name("edge-1"));
    world.roll(rollout("next", "v2"));
    world.run(5);
    assert_eq!(world.weights(), "v1:100%");
    assert!(
        world.why("next").ends_with("edge-1 (ignored after 20s)"),
        "{}",
        world.why("next")
    );
    finish(&mut world);
    let drained = &world.rollout("next").report.drained[0];
    assert!(!drained.proven);
    assert_eq!(drained.missing, ["edge-1 was not connected"]);
}

#[test]
fn a_forgotten_proxy_is_waited_for_no_longer() {
    let mut world = fleet(2, 2);
    let edge = name("edge-1");
    let refused = world.command(Verb::ForgetProxy {
        proxy: name("edge-1"),
    });
    assert_eq!(
        refused.unwrap_err().to_string(),
        "edge-1 is connected and may send traffic"
    );
    world.restart(&edge, false);
    world.roll(rollout("next", "v2"));
    world.run(60);
    assert!(!ended(&world, "next"));
    world.command(Verb::ForgetProxy { proxy: edge }).unwrap();
    finish(&mut world);
    assert!(
        world
            .rollout("next")
            .report
            .drained
            .iter()
            .all(|d| d.proven && d.witnesses == 1)
    );
}

#[test]
fn a_drain_beyond_its_time_is_unproven_and_says_what_was_left() {
    let mut service = service();
    service.drain.at_most = Span::secs(15);
    let mut world = World::at_rest(7, false, service, 2, 1);
    world.habits.longest = Span::secs(3_000);
    world.run(60);
    world.roll(rollout("next", "v2"));
    world.until("a drain", 60, |w| draining(w).is_some());
    world.until("numbers", 10, |w| {
        w.why("next").contains("requests in progress on edge-0")
    });
    world.until("a release", 60, |w| {
        !w.rollout("next").report.drained.is_empty()
    });
    let drained = world.rollout("next").report.drained[0].clone();
    assert!(!drained.proven && drained.took_ms >= 15_000);
    assert!(
        drained.missing[0].ends_with("requests in progress on edge-0"),
        "{drained:?}"
    );
}

#[test]
fn a_new_process_with_a_clock_that_is_behind_can_prove_a_drain() {
    for seed in 0..8 {
        let mut world = World::at_rest(seed, false, service(), 2, 1);
        world.restart(&name("edge-0"), true);
        world.roll(rollout("next", "v2"));
        world.until("the end", 120, |w| ended(w, "next"));
        assert!(
            world
                .rollout("next")
                .report
                .drained
                .iter()
                .all(|d| d.proven)
        );
    }
}

#[test]
fn reports_held_up_on_their_way_and_let_go_at_once_prove_nothing() {
    let mut world = fleet(1, 1);
    let edge = name("edge-0");
    world.habits.longest = Span::secs(10);
    world.restart(&edge, true);
    let until = Span::secs(12).after(world.now);
    world.proxies.get_mut(&edge).unwrap().reports_stuck_until = until;
    world.roll(rollout("next", "v2"));
    world.until("a drain", 60, |w| draining(w).is_some());
    // The truth is checked at each release: no proxy has a request in progress on it then.
    finish(&mut world);
}

// --- operators

#[test]
fn an_abort_half_way_goes_back_and_keeps_the_capacity() {
    let mut world = World::at_rest(3, true, service(), 6, 2);
    world.roll(rollout("next", "v2"));
    world.until("half the way", 120, |w| w.serving("v2") == 3);
    world
        .rollout_verb("next", RolloutVerb::Abort(Turned::Back))
        .unwrap();
    assert_eq!(world.phase("next"), Phase::RollingBack);
    let again = world
        .rollout_verb("next", RolloutVerb::Abort(Turned::Back))
        .unwrap();
    assert_eq!(again.message, "next is rolling back already");
    finish(&mut world);
    let view = world.rollout("next");
    assert_eq!(view.outcome, Some(Outcome::RolledBack));
    assert_eq!((world.serving("v1"), world.serving("v2")), (6, 0));
    assert!(
        view.report.min_ready >= Some(6),
        "{:?}",
        view.report.min_ready
    );
}

#[test]
fn undo_goes_back_after_the_end() {
    let mut world = fleet(3, 2);
    world.roll(rollout("next", "v2"));
    let early = world.rollout_verb("next", RolloutVerb::Undo).unwrap_err();
    let said = early.to_string();
    let why = "next has not ended, so there is nothing to undo; it is ";
    assert!(said.starts_with(why), "{said}");
    finish(&mut world);
    world.rollout_verb("next", RolloutVerb::Undo).unwrap();
    world.until("the way back", 300, |w| ended(w, "next-undo"));
    assert_eq!((world.serving("v1"), world.serving("v2")), (3, 0));
}

#[test]
fn a_pause_holds_the_next_step_and_a_resume_goes_on() {
    let mut world = fleet(3, 2);
    world.roll(rollout("next", "v2"));
    world.until("a drain", 60, |w| draining(w).is_some());
    world.rollout_verb("next", RolloutVerb::Pause).unwrap();
    world.run(60);
    assert_eq!(
        (world.phase("next"), world.why("next").as_str()),
        (Phase::Paused, "paused by ada")
    );
    assert_eq!(draining(&world), None, "what has begun is finished");
    let v2 = world.serving("v2");
    assert!(v2 < 3);
    world.rollout_verb("next", RolloutVerb::Resume).unwrap();
    finish(&mut world);
}

#[test]
fn a_failed_hook_is_retried_or_skipped() {
    let mut world = fleet(2, 1);
    world.helpful = false;
    world.hooks = Hooks::Fail;
    world.roll(rollout("next", "v2"));
    world.run(20);
    assert!(
        world
            .why("next")
            .starts_with("the start hook for v1-0 failed: no room")
    );
    world.hooks = Hooks::Work;
    world.rollout_verb("next", RolloutVerb::Retry).unwrap();
    world.until("one is replaced", 60, |w| w.serving("v2") == 1);
    world.hooks = Hooks::Fail;
    world.until("a failed stop", 60, |w| {
        w.why("next").contains("the stop hook for v1-0 failed")
    });
    let skipped = world
        .rollout_verb("next", RolloutVerb::Skip { step: None })
        .unwrap();
    assert_eq!(
        skipped.message,
        "next goes on without the stop hook for v1-0"
    );
    world.hooks = Hooks::Work;
    world.vanish(&name("v1-0"));
    world.until("the end", 120, |w| {
        ended(w, "next") || w.why("next").contains("failed")
    });
    if !ended(&world, "next") {
        world.rollout_verb("next", RolloutVerb::Retry).unwrap();
        finish(&mut world);
    }
}

#[test]
fn an_instance_is_drained_and_put_back_outside_a_rollout() {
    let mut world = fleet(3, 2);
    drain(&mut world, "v1-1").unwrap();
    assert_eq!(world.stage("v1-1"), "leaving");
    world.helpful = false;
    world.until("it is safe to stop", 60, stage("v1-1", "released"));
    let said = drain(&mut world, "v1-1").unwrap().message;
    assert!(
        said.starts_with("v1-1 is safe to stop: proven by 2 proxies in "),
        "{said}"
    );
    undrain(&mut world, "v1-1").unwrap();
    world.until("it serves again", 30, stage("v1-1", "serving"));
    let unknown = drain(&mut world, "v1-9").unwrap_err();
    assert_eq!(unknown.to_string(), "there is no instance `v1-9`");
}

// --- instances

#[test]
fn an_instance_that_vanishes_is_lost_and_not_drained() {
    let mut world = fleet(3, 1);
    world.roll(rollout("next", "v2"));
    world.until("it moves", 60, |w| w.serving("v2") == 1);
    world.vanish(&name("v1-2"));
    assert_eq!(world.stage("v1-2"), "gone");
    finish(&mut world);
    let report = world.rollout("next").report;
    assert_eq!(report.lost, [name("v1-2")]);
    assert!(
        report
            .drained
            .iter()
            .all(|drained| drained.instance.as_str() != "v1-2")
    );
}

#[test]
fn the_last_instance_does_not_disappear_by_discovery() {
    let mut world = fleet(3, 1);
    world.vanish(&name("v1-0"));
    world.instances.clear();
    world.discover();
    world.run(10);
    assert_eq!(
        (world.serving("v1"), world.weights().as_str()),
        (2, "v1:100%")
    );
}

// --- documents

#[test]
fn a_document_deleted_or_changed_half_way_holds_and_says_so() {
    let mut world = fleet(3, 1);
    world.roll(rollout("next", "v2"));
    world.until("it moves", 60, |w| w.serving("v2") == 1);
    world.edit(|documents| documents.rollouts.clear());
    world.run(60);
    assert_eq!(world.why("next"), "its document was deleted while it runs");
    world.roll(rollout("next", "v3"));
    world.run(10);
    let why = world.why("next");
    assert_eq!(
        why,
        "its document now wants cart to v3, which is not what runs"
    );
    let mut wider = rollout("next", "v2");
    wider.strategy = rolling(1, 2, 0);
    world.roll(wider.clone());
    assert_eq!(
        world.engine.state().rollouts[&name("next")].spec,
        wider,
        "new numbers hold"
    );
    finish(&mut world);
}

// --- the control plane

#[test]
fn a_version_loses_its_cluster_only_when_no_proxy_routes_to_it() {
    let mut world = fleet(1, 2);
    world.roll(rollout("next", "v2"));
    finish(&mut world);
    world.disconnect(&name("edge-1"));
    world.run(60);
    let versions = |world: &World| {
        let plan = world.truth.published.clone().unwrap();
        plan.service(&name("cart")).unwrap().versions.len()
    };
    assert_eq!(versions(&world), 2, "edge-1 may still route to v1");
    world.connect(&name("edge-1"));
    world.until("v1 is torn down", 10, |w| versions(w) == 1);
}

#[test]
fn a_restart_in_each_stage_has_the_same_plan_and_goes_on() {
    for after in (0..80).step_by(5) {
        let mut world = fleet(2, 2);
        world.roll(rollout("next", "v2"));
        (0..after).for_each(|_| world.step());
        world.crash();
        for id in ["edge-0", "edge-1"] {
            world.connect(&name(id));
        }
        finish(&mut world);
        assert!(
            world
                .rollout("next")
                .report
                .drained
                .iter()
                .all(|d| d.proven)
        );
    }
}

#[test]
fn nobody_is_answered_before_there_is_something_to_say() {
    let mut world = World::new(1, false);
    world.add_proxy("edge-0");
    world.run(15);
    let not_ready = |world: &World| world.engine.view(world.now).not_ready;
    assert_eq!(
        not_ready(&world).as_deref(),
        Some("no gateway is declared yet")
    );
    world.crash();
    world.connect(&name("edge-0"));
    world.apply(documents(service()));
    assert_eq!(
        not_ready(&world).as_deref(),
        Some("no instance of cart is ready yet")
    );
    world.appear("v1");
    world.discover();
    world.until("the first answer", 5, |world| {
        world.truth.published.is_some()
    });
    world.until("it serves", 5, stage("v1-0", "serving"));
}

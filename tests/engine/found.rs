//! Bugs that simulations found, each as the shortest story that shows it.

use tidegate::domain::{
    Bake, LostProxies, Rollout, RolloutStep, Span, Stay, StepAction, Steps, Strategy, ThenDo,
    Weight,
};
use tidegate::engine::{Phase, RolloutVerb, Turned};

use crate::sample::{name, rollout, service};
use crate::stories::{ended, finish, fleet, stage};
use crate::world::{Hooks, World};

/// One share, that stays for long; old instances are kept for as long as `kept`.
fn by_share(percent: u64, kept: u64) -> Rollout {
    let step = RolloutStep {
        action: StepAction::Weight(Weight::parts(percent * 100)),
        stay: Stay {
            at_least: Span::secs(30),
            until_proven: None,
        },
    };
    Rollout {
        strategy: Strategy::Steps(Steps {
            steps: vec![step],
            warm_percent: 100,
        }),
        keep_old: Span::secs(kept),
        ..rollout("next", "v2")
    }
}

fn open_hooks(world: &World, rollout: &str) -> usize {
    let hooks = &world.engine.state().rollouts[&name(rollout)].hooks;
    hooks.open().count()
}

/// It was taken for one whose steps are all done, and ended with nothing rolled.
#[test]
fn a_rollout_whose_document_wants_another_strategy_half_way_holds_and_says_so() {
    let mut world = fleet(4, 1);
    world.roll(rollout("next", "v2"));
    world.until("it moves", 60, |w| w.serving("v2") == 1);
    world.roll(by_share(50, 0));
    world.run(30);
    assert_eq!(
        world.why("next"),
        "its document now wants cart to v2 by steps, which is not what runs"
    );
    world.roll(rollout("next", "v2"));
    finish(&mut world);
    assert_eq!(world.serving("v2"), 4);
}

/// The call was made for no rollout that runs, so nobody made it again: the process ran on for ever.
#[test]
fn a_stop_hook_for_what_was_kept_is_called_again_after_a_restart() {
    let mut world = fleet(2, 1);
    world.roll(by_share(50, 30));
    finish(&mut world);
    world.hooks = Hooks::Silent;
    world.until("a stop", 90, |w| open_hooks(w, "next") > 0);
    world.crash();
    world.hooks = Hooks::Work;
    world.crash();
    world.until("it is answered", 60, |w| open_hooks(w, "next") == 0);
    world.until("they end", 60, |w| w.instances.len() == 2);
}

/// "It is done, there is nothing to retry", and the process ran on for ever.
#[test]
fn a_stop_hook_for_what_was_kept_can_be_retried_and_skipped() {
    for verb in [RolloutVerb::Retry, RolloutVerb::Skip { step: None }] {
        let mut world = fleet(1, 1);
        world.roll(by_share(50, 30));
        finish(&mut world);
        world.hooks = Hooks::Fail;
        let failed = |w: &World| w.why("next").contains("the stop hook for v1-0 failed");
        world.until("it fails", 90, failed);
        world.hooks = Hooks::Work;
        world.rollout_verb("next", verb).unwrap();
        let kept = |w: &World| w.engine.state().services[&name("cart")].kept.is_some();
        world.until("nothing is kept", 60, |w| !kept(w));
    }
}

/// Both knew of the call, the answer went to the one that was over, and the other waited for ever.
#[test]
fn a_rollout_that_takes_over_what_was_kept_hears_of_its_hooks() {
    let mut world = fleet(2, 1);
    world.roll(by_share(50, 30));
    finish(&mut world);
    world.hooks = Hooks::Silent;
    world.until("a stop", 90, |w| open_hooks(w, "next") > 0);
    let third = Rollout {
        name: name("third"),
        to: name("v3"),
        ..by_share(50, 0)
    };
    world.roll(third);
    world.until("it takes over", 30, |w| {
        w.rollout("third").started.is_some()
    });
    world.hooks = Hooks::Work;
    world.crash();
    world.connect(&name("edge-0"));
    world.until("it ends", 300, |w| ended(w, "third"));
}

/// A pause, or a proxy that refuses something else, kept half of the traffic on a quarter of the fleet.
#[test]
fn a_version_that_loses_instances_loses_their_share_at_once_even_in_a_pause() {
    let mut world = fleet(4, 2);
    world.roll(by_share(50, 0));
    world.until("half", 120, |w| w.weights() == "v1:50% v2:50%");
    world.rollout_verb("next", RolloutVerb::Pause).unwrap();
    for sick in ["v2-0", "v2-1"] {
        world.set_health(&name(sick), false);
        world.run(2);
    }
    assert_eq!(world.phase("next"), Phase::Paused);
    let serving = world.serving("v2");
    assert!(serving < 2, "{serving} of v2 serve");
    assert_eq!(world.weights(), "v1:100% v2:0%");
}

/// It got its share back with the word that its proxies were told of it, before they used it.
#[test]
fn a_version_whose_only_instance_comes_back_has_no_share_before_it_serves() {
    let mut world = fleet(4, 1);
    let mut next = by_share(20, 0);
    next.replace = None;
    world.helpful = false;
    world.appear("v2");
    world.discover();
    world.roll(next);
    world.until("its share", 60, |w| w.weights() == "v1:80% v2:20%");
    world.set_health(&name("v2-0"), false);
    world.until("none", 10, |w| w.weights() == "v1:100% v2:0%");
    world.set_health(&name("v2-0"), true);
    world.until("it comes back", 10, |w| w.stage("v2-0") == "joining");
    assert_eq!(world.weights(), "v1:100% v2:0%");
    world.until("its share", 60, |w| w.weights() == "v1:80% v2:20%");
}

/// Where `lostProxies.wait` is short, a new leader counted every proxy as lost that was not back at once: the new
/// version got its share, and the proxy that came back got share and instance together and had nobody for it.
#[test]
fn after_a_restart_a_new_instance_waits_for_proxies_that_are_still_coming_back() {
    for then in [ThenDo::Pause, ThenDo::Ignore] {
        let mut service = service();
        let wait = Span::secs(1);
        service.drain.lost_proxies = LostProxies { wait, then };
        let mut world = World::at_rest(7, false, service, 2, 2);
        world.roll(rollout("next", "v2"));
        world.until("one comes", 60, stage("v2-0", "joining"));
        world.crash();
        world.connect(&name("edge-0"));
        world.run(10);
        assert_eq!(world.stage("v2-0"), "joining");
        let why = world.why("next");
        assert!(why.contains("1 of 2 proxies are not connected"), "{why}");
        world.connect(&name("edge-1"));
        finish(&mut world);
    }
}

/// Whoever went back because nothing could be started had to have it started first, or say so call by call.
#[test]
fn a_failed_start_of_what_is_no_longer_wanted_holds_nothing() {
    for next in [rollout("next", "v2"), by_share(50, 0)] {
        let mut world = fleet(2, 1);
        world.hooks = Hooks::Fail;
        world.roll(next.clone());
        world.until("it fails", 60, |w| w.why("next").contains("start hook"));
        let back = RolloutVerb::Abort(Turned::Back);
        world.rollout_verb("next", back).unwrap();
        world.until("it is back", 120, |w| ended(w, "next"));
        assert_eq!((world.serving("v1"), open_hooks(&world, "next")), (2, 0));

        let mut world = fleet(2, 1);
        world.hooks = Hooks::Fail;
        world.roll(next);
        world.until("it fails", 60, |w| w.why("next").contains("start hook"));
        world.hooks = Hooks::Work;
        world.roll(rollout("third", "v3"));
        world.until("it takes over", 300, |w| ended(w, "third"));
        assert_eq!(world.serving("v3"), 2);
    }
}

/// What somebody else brought in the end was there, and what was kept stayed for ever all the same.
#[test]
fn a_failed_start_does_not_keep_what_was_kept_after_the_end() {
    let mut world = fleet(2, 1);
    world.hooks = Hooks::Fail;
    world.roll(by_share(50, 30));
    world.until("it fails", 60, |w| w.why("next").contains("start hook"));
    (0..2).for_each(|_| drop(world.appear("v2")));
    world.discover();
    finish(&mut world);
    world.hooks = Hooks::Work;
    let kept = |w: &World| w.engine.state().services[&name("cart")].kept.is_some();
    world.until("nothing is kept", 120, |w| !kept(w));
    world.until("they end", 60, |w| !w.instances.contains_key(&name("v1-0")));
    assert_eq!(world.serving("v2"), 2);
}

/// The kept version helped the new one out while the rollout ran, and from its end on for no plan but those that had
/// been published: a restart gave all traffic to half of the fleet.
#[test]
fn what_is_kept_helps_out_after_the_end_too() {
    let mut world = fleet(2, 1);
    world.helpful = false;
    world.roll(Rollout {
        bake: Bake {
            span: Span::secs(60),
            holdback: 0,
        },
        ..by_share(50, 300)
    });
    let all = |w: &World| w.weights() == "v1:0% v2:100%";
    world.until("all is moved", 200, all);
    world.set_health(&name("v2-0"), false);
    let helps = |w: &World| w.weights() != "v1:0% v2:100%";
    world.until("the old ones help out", 20, helps);
    let weights = world.weights();
    finish(&mut world);
    world.crash();
    assert_eq!(world.weights(), weights);
    world.connect(&name("edge-0"));
    world.run(20);
    assert_eq!(world.weights(), weights);
}

/// It had no cluster any more, so it took nothing, and the only one that did could be suspended for it.
#[test]
fn an_instance_of_a_version_that_goes_is_not_taken_in() {
    let mut world = fleet(1, 1);
    world.sick.insert(name("v2"));
    world.roll(by_share(50, 0));
    world.until("it is there", 60, |w| w.stage("v2-0") == "registered");
    let back = Rollout {
        name: name("back"),
        to: name("v1"),
        ..by_share(50, 30)
    };
    world.roll(back);
    world.until("it takes over", 60, |w| w.rollout("back").started.is_some());
    world.run(5);
    world.set_health(&name("v2-0"), true);
    world.run(20);
    assert_eq!(world.stage("v2-0"), "ready");
}

/// Nobody took down any more what the first run had kept: its instances stayed for ever.
#[test]
fn what_was_kept_goes_although_the_rollout_is_asked_for_anew_and_cannot_begin() {
    let mut world = fleet(2, 1);
    world.roll(by_share(50, 30));
    finish(&mut world);
    world.command(tidegate::engine::Verb::Freeze).unwrap();
    world.roll(by_share(40, 30));
    let kept = |w: &World| w.engine.state().services[&name("cart")].kept.is_some();
    world.until("nothing is kept", 120, |w| !kept(w));
    world.until("they end", 60, |w| w.instances.len() == 2);
}

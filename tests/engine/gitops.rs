//! Services whose documents say what they run: what a commit, a revert and an edit elsewhere do.

use tidegate::domain::{
    Rollout, RolloutStep, ServiceName, Span, Stay, StepAction, Steps, Strategy, Weight,
};
use tidegate::engine::{Outcome, Phase, RolloutVerb, Turned, Verb};

use crate::sample::{documents, name, rollout, service};
use crate::stories::{ended, fleet};
use crate::world::World;

/// A commit that has `cart` run this version, or none in particular.
fn commit(world: &mut World, run: impl Into<Option<Rollout>>) {
    let cart: ServiceName = name("cart");
    world.edit(|documents| {
        let service = documents.services.get_mut(&cart).expect("it is declared");
        service.run = run.into().map(Box::new);
    });
}

fn run(version: &str) -> Rollout {
    rollout(&format!("cart-{version}"), version)
}

fn names(world: &World) -> Vec<String> {
    let names = world.engine.state().rollouts.keys();
    names.map(ToString::to_string).collect()
}

fn finish(world: &mut World, rollout: &str) {
    world.until("it ends", 300, |world| ended(world, rollout));
}

#[test]
fn a_commit_that_changes_what_runs_starts_a_rollout_and_another_one_starts_the_way_back() {
    let mut world = fleet(3, 2);
    commit(&mut world, run("v1"));
    world.run(5);
    assert_eq!(names(&world), [""; 0], "it runs that");
    commit(&mut world, run("v2"));
    finish(&mut world, "cart-v2");
    assert_eq!(world.serving("v2"), 3);
    world.edit(|documents| {
        let cart = documents.services.values_mut().next().unwrap();
        cart.drain.at_most = Span::secs(700);
    });
    world.run(5);
    assert_eq!(names(&world), ["cart-v2"], "the same again is nothing new");

    commit(&mut world, run("v1"));
    finish(&mut world, "cart-v1");
    commit(&mut world, run("v2"));
    finish(&mut world, "cart-v2-2");
    assert_eq!(names(&world), ["cart-v1", "cart-v2", "cart-v2-2"]);
    assert_eq!(world.serving("v2"), 3);
}

#[test]
fn a_revert_half_way_turns_it_round_and_the_commit_once_more_starts_anew() {
    let mut world = fleet(6, 2);
    commit(&mut world, run("v2"));
    world.until("half is new", 300, |w| w.serving("v2") == 3);
    commit(&mut world, run("v1"));
    assert_eq!(world.phase("cart-v2"), Phase::RollingBack);
    world.until("some are back", 300, |w| w.serving("v2") == 1);
    commit(&mut world, run("v2"));
    world.until("another takes over", 30, |w| {
        w.phase("cart-v2") == Phase::Superseded
    });
    finish(&mut world, "cart-v2-2");
    assert_eq!((world.serving("v1"), world.serving("v2")), (0, 6));
    assert_eq!(names(&world), ["cart-v2", "cart-v2-2"]);
}

#[test]
fn a_third_version_takes_over_and_a_revert_goes_back_to_what_served_last() {
    let mut world = fleet(4, 2);
    commit(&mut world, run("v2"));
    world.until("half is new", 300, |w| w.serving("v2") == 2);
    commit(&mut world, run("v3"));
    world.until("some are of the third", 300, |w| w.serving("v3") == 1);
    commit(&mut world, run("v1"));
    finish(&mut world, "cart-v3");
    world.run(5);
    assert_eq!(world.rollout("cart-v3").outcome, Some(Outcome::RolledBack));
    assert_eq!(world.weights(), "v1:100%");
}

#[test]
fn new_numbers_hold_at_once_and_without_the_word_it_holds() {
    let mut world = fleet(4, 1);
    commit(&mut world, run("v2"));
    world.until("it moves", 60, |w| w.serving("v2") == 1);
    let mut slower = run("v2");
    slower.bake.span = Span::secs(30);
    commit(&mut world, slower);
    commit(&mut world, None::<Rollout>);
    world.run(30);
    assert_eq!(
        world.why("cart-v2"),
        "its service's document does not say `run` any more"
    );
    assert!(world.serving("v1") >= 2, "it holds");
    let mut slower = run("v2");
    slower.bake.span = Span::secs(30);
    commit(&mut world, slower);
    world.until("the bake", 120, |w| w.phase("cart-v2") == Phase::Baking);
    assert_eq!(names(&world), ["cart-v2"]);
}

#[test]
fn a_service_that_is_deleted_holds_its_rollout() {
    let mut world = fleet(4, 1);
    commit(&mut world, run("v2"));
    world.until("it moves", 60, |w| w.serving("v2") == 1);
    let before = world.documents.clone();
    world.edit(|documents| {
        documents.services.clear();
        documents.gateways.clear();
    });
    world.run(10);
    assert_eq!(
        world.why("cart-v2"),
        "its document was deleted while it runs"
    );
    world.apply(before);
    finish(&mut world, "cart-v2");
    assert_eq!((names(&world).len(), world.serving("v2")), (1, 4));
}

#[test]
fn what_operators_do_stands_until_the_next_commit_about_it() {
    let mut world = fleet(3, 1);
    commit(&mut world, run("v2"));
    world.until("it moves", 60, |w| w.serving("v2") == 1);
    world
        .rollout_verb("cart-v2", RolloutVerb::Abort(Turned::Back))
        .unwrap();
    finish(&mut world, "cart-v2");
    let mut other = run("v2");
    other.bake.span = Span::secs(1);
    commit(&mut world, other);
    world.run(10);
    assert_eq!(world.weights(), "v1:100%");
    assert_eq!(names(&world), ["cart-v2"]);
    commit(&mut world, run("v3"));
    finish(&mut world, "cart-v3");
}

#[test]
fn one_that_waits_gives_way_to_the_next_commit() {
    let mut world = fleet(6, 1);
    let mut from = run("v2");
    from.from = Some(name("v0"));
    commit(&mut world, from.clone());
    world.run(5);
    assert_eq!(
        world.why("cart-v2"),
        "it is to start from v0, but v1 serves"
    );
    from.from = None;
    commit(&mut world, from.clone());
    world.until("it moves", 60, |w| w.serving("v2") == 1);
    from.from = Some(name("v7"));
    (from.name, from.to) = (name("cart-v3"), name("v3"));
    commit(&mut world, from);
    world.run(5);
    assert_eq!(
        world.why("cart-v2"),
        "its service's document now says `run: v3`"
    );
    commit(&mut world, run("v2"));
    assert_eq!(world.phase("cart-v3"), Phase::RolledBack);
    finish(&mut world, "cart-v2");
    assert_eq!(names(&world), ["cart-v2", "cart-v3"]);
}

/// Whatever serves first is no rollout; what the document says is the first one.
#[test]
fn a_new_service_goes_on_to_what_its_document_says() {
    for (says, rollouts) in [("v1", vec![]), ("v2", vec!["cart-v2"])] {
        let mut world = World::new(7, false);
        let mut cart = service();
        cart.run = Some(Box::new(run(says)));
        world.add_proxy("edge-0");
        world.apply(documents(cart));
        world.run(5);
        assert_eq!(names(&world), [""; 0], "there is nothing to roll from");
        world.appear("v1");
        world.appear("v1");
        world.discover();
        world.until("it serves", 300, |w| w.serving(says) == 2);
        world.run(5);
        assert_eq!(names(&world), rollouts);
    }
}

#[test]
fn a_revert_while_the_old_instances_are_there_is_one_step() {
    let mut world = fleet(3, 2);
    let by_steps = |version: &str| {
        let step = RolloutStep {
            action: StepAction::Weight(Weight::parts(1_000)),
            stay: Stay {
                at_least: Span::secs(60),
                until_proven: None,
            },
        };
        let strategy = Strategy::Steps(Steps {
            steps: vec![step],
            warm_percent: 100,
        });
        Rollout {
            strategy,
            keep_old: Span::secs(60),
            ..run(version)
        }
    };
    commit(&mut world, by_steps("v2"));
    finish(&mut world, "cart-v2");
    // Which is going back, and so nothing holds it.
    world.command(Verb::Freeze).unwrap();
    commit(&mut world, by_steps("v1"));
    world.until("all is back", 10, |w| w.weights() == "v1:100% v2:0%");
}

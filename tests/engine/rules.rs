//! House rules: what they hold, what they let finish, and what they never hold.

use std::collections::BTreeMap;

use tidegate::domain::{
    Approval, Freeze, MayVerb, PlaceName, Policy, Question, StepAction, Time, Window, WindowSpan,
};
use tidegate::engine::{Event, Outcome, Phase, RolloutVerb, Rule, Turned, Verb, Wait};

use crate::sample::{instance, name, rollout, service};
use crate::stories::{draining, ended, finish, fleet};
use crate::ways::{by_steps, in_waves, step, two_regions, wave};
use crate::world::World;

pub(crate) fn policy() -> Policy {
    Policy {
        name: name("house"),
        applies: BTreeMap::new(),
        freezes: Vec::new(),
        slots: None,
        never_both: Vec::new(),
        blast_radius: None,
        after: Vec::new(),
        may: BTreeMap::new(),
    }
}

fn with(world: &mut World, policy: Policy) {
    world.edit(|documents| {
        documents.policies.insert(policy.name.clone(), policy);
    });
}

/// A freeze that is on for the minute after so many seconds from now, give or take a minute.
fn minutes(world: &World, from: i64, to: i64) -> Freeze {
    let at = |minutes: i64| {
        let at = world.now + jiff::SignedDuration::from_mins(minutes);
        at.strftime("%Y-%m-%d %H:%M").to_string()
    };
    let (from, to) = (name(&at(from)), name(&at(to)));
    Freeze::Calendar(Window {
        span: WindowSpan::Dates { from, to },
        zone: name("UTC"),
    })
}

/// Another service, which no proxy of this fleet can reach, without an instance.
fn add_shop(world: &mut World) {
    world.edit(|documents| {
        let mut shop = service();
        shop.name = name("shop");
        documents.services.insert(shop.name.clone(), shop);
    });
}

/// What holds a rollout, by the words of its rules.
fn held_by(world: &World, called: &str) -> Vec<Wait> {
    let blockers = world.rollout(called).blockers.into_iter();
    let rules = blockers.filter(|blocker| blocker.on.is_house_rule());
    rules.map(|blocker| blocker.on).collect()
}

fn batches(world: &World) -> u32 {
    world.engine.state().rollouts[&name("next")].batches_done
}

#[test]
fn a_freeze_lets_the_batch_finish_and_holds_the_next() {
    let mut world = fleet(4, 2);
    world.roll(rollout("next", "v2"));
    world.until("a drain", 60, |w| draining(w).is_some());
    world.command(Verb::Freeze).unwrap();
    world.until("it is held", 60, |w| w.phase("next") == Phase::Held);
    world.run(60);
    assert_eq!((world.serving("v1"), world.serving("v2")), (3, 1));
    assert_eq!(
        batches(&world),
        1,
        "the batch is whole, and no other begins"
    );
    assert_eq!(world.why("next"), "everything is frozen by ada");

    let again = world.command(Verb::Freeze).unwrap();
    assert_eq!(again.message, "everything is frozen already, by ada");
    world.crash();
    for proxy in ["edge-0", "edge-1"] {
        world.connect(&name(proxy));
    }
    world.run(30);
    assert_eq!(
        world.phase("next"),
        Phase::Held,
        "a restart forgets no freeze"
    );
    assert!(world.engine.view(world.now).frozen.is_some());
    world.command(Verb::Unfreeze).unwrap();
    let again = world.command(Verb::Unfreeze).unwrap();
    assert_eq!(again.message, "nothing is frozen");
    finish(&mut world);
}

#[test]
fn what_goes_back_is_never_held() {
    let mut world = fleet(4, 2);
    world.roll(rollout("next", "v2"));
    world.until("half", 300, |w| w.serving("v2") == 2);
    let mut rules = policy();
    rules.freezes = vec![minutes(&world, -60, 600)];
    with(&mut world, rules);
    world.command(Verb::Freeze).unwrap();
    world.until("it is held", 60, |w| w.phase("next") == Phase::Held);
    world
        .rollout_verb("next", RolloutVerb::Abort(Turned::Back))
        .unwrap();
    world.until("it is back", 300, |w| ended(w, "next"));
    assert_eq!(world.rollout("next").outcome, Some(Outcome::RolledBack));

    // Nor an undo, which is the way back after the end.
    world.command(Verb::Unfreeze).unwrap();
    world.edit(|documents| documents.policies.clear());
    world.roll(rollout("other", "v3"));
    world.until("it is done", 600, |w| ended(w, "other"));
    world.command(Verb::Freeze).unwrap();
    world.rollout_verb("other", RolloutVerb::Undo).unwrap();
    world.until("it is undone", 600, |w| ended(w, "other-undo"));
}

#[test]
fn the_calendar_holds_until_it_says() {
    let mut world = fleet(2, 1);
    let mut rules = policy();
    rules.freezes = vec![minutes(&world, -10, 5)];
    with(&mut world, rules.clone());
    world.roll(rollout("next", "v2"));
    world.run(30);
    let blocker = world.rollout("next").blockers.remove(0);
    let until: Time = blocker.until.expect("an end");
    assert_eq!(world.phase("next"), Phase::Waiting);
    assert!(until > world.now);
    assert!(world.why("next").starts_with("policy house: frozen ("));
    assert!(blocker.hint.is_some());
    world.until("it is over", 400, |w| w.now >= until);
    world.until("it begins", 30, |w| w.rollout("next").started.is_some());
    finish(&mut world);
}

#[test]
fn an_override_with_a_reason_lets_one_go_on() {
    let mut world = fleet(2, 1);
    world.command(Verb::Freeze).unwrap();
    world.roll(rollout("next", "v2"));
    world.run(10);
    assert_eq!(world.phase("next"), Phase::Waiting);
    let refused = world.rollout_verb("next", RolloutVerb::Override);
    assert!(refused.unwrap_err().hint().contains("--reason"));
    world.override_rules("next", "the site is down");
    world.override_rules("next", "asked twice");
    finish(&mut world);
    let notes = world.rollout("next").notes;
    assert_eq!(
        notes,
        ["house rules are overridden by ada: the site is down"]
    );
}

#[test]
fn a_slot_is_given_to_whoever_asked_first() {
    let mut world = fleet(3, 1);
    let mut rules = policy();
    rules.slots = Some(1);
    with(&mut world, rules);
    add_shop(&mut world);
    let alone = instance("shop-1", "v1", 9_999, None);
    let (shop, id) = (name("shop"), alone.id.clone());
    world.truth.probe(&id, &alone.address, true);
    world.event(Event::Discovered {
        service: name("shop"),
        instances: vec![alone],
    });
    world.event(Event::Health {
        service: shop,
        instance: id,
        healthy: true,
        detail: String::new(),
    });
    world.run(10);
    world.roll(rollout("next", "v2"));
    world.until("it begins", 60, |w| w.rollout("next").started.is_some());
    let mut other = rollout("other", "v2");
    other.service = name("shop");
    other.replace = None;
    world.roll(other);
    world.run(5);
    let taken = vec![name("next")];
    let rule = Rule::Slots { slots: 1, taken };
    let policy = name("house");
    assert_eq!(held_by(&world, "other"), [Wait::Rule { policy, rule }]);
    assert_eq!(
        world.why("other"),
        "policy house: no more than 1 rollout at once: next"
    );

    // One of the service that holds the slot takes over with it.
    world.roll(rollout("third", "v3"));
    world.until("it is taken over", 60, |w| ended(w, "next"));
    world.until("it is done", 600, |w| ended(w, "third"));
    world.until("the other begins", 60, |w| {
        w.rollout("other").started.is_some()
    });
}

#[test]
fn two_places_are_never_rolled_at_once() {
    let mut world = two_regions();
    let mut rules = policy();
    rules.never_both = vec![["eu", "us"].map(|at| PlaceName(at.to_owned())).to_vec()];
    with(&mut world, rules);
    world.roll(in_waves(vec![wave("all", "the rest", 2, false)]));
    let is_held = |world: &World| {
        let on = held_by(world, "next").into_iter();
        let mut rules = on.filter_map(|on| match on {
            Wait::Rule { rule, .. } => Some(rule),
            _ => None,
        });
        rules.any(|rule| matches!(rule, Rule::NeverBoth { .. }))
    };
    world.until("the second region is held", 60, is_held);
    assert_eq!(
        held_by(&world, "next")[0].to_string(),
        "policy house: never us and eu at once, and next rolls eu"
    );
    for _ in 0..600 {
        let state = world.engine.state();
        let lanes = &state.rollouts[&name("next")].lanes;
        let open = lanes.iter().filter(|lane| !lane.done).count();
        assert!(open <= 1, "{lanes:?}");
        world.run(1);
    }
    assert!(ended(&world, "next"));

    // What knows no waves would roll both at once.
    world.roll(rollout("whole", "v3"));
    world.run(5);
    assert_eq!(
        world.why("whole"),
        "policy house: never eu and us at once, and whole rolls us"
    );
}

#[test]
fn a_rollout_comes_after_those_of_another_service() {
    let mut world = fleet(2, 1);
    add_shop(&mut world);
    let mut rules = policy();
    rules.after = vec![name("shop")];
    with(&mut world, rules);
    let mut first = rollout("first", "v2");
    first.service = name("shop");
    world.roll(first);
    world.roll(rollout("next", "v2"));
    world.run(10);
    assert_eq!(
        world.why("next"),
        "policy house: shop comes first, and first has not ended"
    );
    // Its own service does not wait for itself.
    assert_eq!(held_by(&world, "first"), []);
    world
        .rollout_verb("first", RolloutVerb::Abort(Turned::Back))
        .unwrap();
    finish(&mut world);
}

#[test]
fn a_verb_is_for_those_whom_the_policy_names() {
    let mut world = fleet(2, 1);
    let mut rules = policy();
    rules.may = BTreeMap::from([(MayVerb::Pause, vec![name("group:oncall"), name("bob")])]);
    with(&mut world, rules);
    let approval = Approval {
        by: Some("group:billing".to_owned()),
        ..Approval::default()
    };
    world.roll(by_steps(vec![step(StepAction::Pause(approval), 0)]));
    world.until("it asks", 60, |w| {
        w.engine.state().rollouts[&name("next")].asks_for_a_word()
    });
    let refused = world.rollout_verb("next", RolloutVerb::Pause).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "ada (of no group) may not pause next: by policy house only group:oncall and bob may"
    );
    for verb in [
        RolloutVerb::Promote {
            all: false,
            step: None,
        },
        RolloutVerb::Promote {
            all: true,
            step: None,
        },
        RolloutVerb::Skip { step: None },
    ] {
        let refused = world.rollout_verb("next", verb).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "ada (of no group) may not let next go on: only group:billing may"
        );
    }
    world.groups = vec!["oncall".to_owned(), "billing".to_owned()];
    world.rollout_verb("next", RolloutVerb::Pause).unwrap();
    world.rollout_verb("next", RolloutVerb::Resume).unwrap();
    let all = false;
    world
        .rollout_verb("next", RolloutVerb::Promote { all, step: None })
        .unwrap();
    finish(&mut world);
}

#[test]
fn an_address_decides_and_its_silence_holds() {
    let url = "http://ops.example/open".to_owned();
    let question = Question {
        name: "incident-open".to_owned(),
        url: url.clone(),
        go_if_unknown: false,
    };
    let mut world = fleet(10, 1);
    let mut rules = policy();
    rules.freezes = vec![Freeze::Question(question.clone())];
    with(&mut world, rules.clone());
    world.roll(rollout("next", "v2"));
    world.run(10);
    assert_eq!(
        world.why("next"),
        "policy house: frozen: whether incident-open is not known: http://ops.example/open \
         has not answered yet"
    );
    world.answers.insert(url.clone(), Err("refused".to_owned()));
    world.until("it says why", 60, |w| w.why("next").ends_with("refused"));
    world.answers.insert(url.clone(), Ok(false));
    world.until("it begins", 60, |w| w.rollout("next").started.is_some());
    // One question without an answer changes nothing.
    world.answers.insert(url.clone(), Err("refused".to_owned()));
    world.run(20);
    assert_eq!(held_by(&world, "next"), []);
    world.answers.insert(url.clone(), Ok(true));
    world.until("it is held", 120, |w| w.phase("next") == Phase::Held);
    world.run(30);
    assert_eq!(
        world.why("next"),
        "policy house: frozen: incident-open, says http://ops.example/open"
    );
    // An answer is not good for ever.
    world.answers.insert(url.clone(), Ok(false));
    world.until("it goes on", 60, |w| w.phase("next") != Phase::Held);
    world.answers.clear();
    world.until("its answer is too old", 120, |w| {
        ended(w, "next") || w.why("next").ends_with("too long ago")
    });
    rules.freezes = vec![Freeze::Question(Question {
        go_if_unknown: true,
        ..question
    })];
    with(&mut world, rules);
    finish(&mut world);
}

#[test]
fn no_more_is_moved_than_may_be_before_two_batches_have_passed() {
    let mut world = fleet(10, 1);
    let mut rules = policy();
    rules.blast_radius = Some(name("15%"));
    with(&mut world, rules.clone());
    world.roll(rollout("next", "v2"));
    world.until("it is held", 120, |w| w.phase("next") == Phase::Held);
    world.run(30);
    assert_eq!((batches(&world), world.serving("v2")), (1, 1));
    assert_eq!(
        world.why("next"),
        "policy house: 20% of the capacity would not be on stable, and 15% may be before it is proven"
    );
    rules.blast_radius = Some(name("20%"));
    with(&mut world, rules);
    finish(&mut world);
}

#[test]
fn no_larger_share_is_given_than_may_be_before_two_have_passed() {
    let mut world = fleet(4, 1);
    let mut rules = policy();
    rules.blast_radius = Some(name("30%"));
    with(&mut world, rules.clone());
    let share = |percent: u64| StepAction::Weight(tidegate::domain::Weight::parts(percent * 100));
    world.roll(by_steps(vec![step(share(25), 1), step(share(50), 1)]));
    world.until("it is held", 120, |w| w.phase("next") == Phase::Held);
    world.run(30);
    assert_eq!(world.weights(), "v1:75% v2:25%");
    rules.blast_radius = Some(name("50%"));
    with(&mut world, rules);
    finish(&mut world);
}

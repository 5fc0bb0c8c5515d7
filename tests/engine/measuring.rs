//! What gates ask of somebody outside, and which gates judge when documents change under way.

use tidegate::domain::{Check, Gate, Hook, Metric, OnWorse, Rollout, Span, Webhook};
use tidegate::engine::{Asked, CheckEvidence, Event, Reading, Said};
use tidegate::gates::Stands;

use crate::sample::{name, rollout};
use crate::stories::fleet;
use crate::world::World;

/// A number that must be less than 5, by this query.
fn metric(query: &str) -> Check {
    Check::Metric(Metric {
        name: Some("orders".to_owned()),
        prometheus: query.to_owned(),
        below: Some(5.0),
        above: None,
        every: Span::secs(15),
        server: None,
    })
}

fn webhook() -> Check {
    let url = "http://ci.example/verdict".to_owned();
    let call = Hook::Post {
        url,
        headers: std::collections::BTreeMap::new(),
        timeout: Span::secs(10),
        sign: None,
    };
    Check::Webhook(Webhook {
        name: "ci.example".to_owned(),
        call,
        every: Span::secs(30),
    })
}

/// A rollout that a gate with these checks judges, once it has begun.
fn judged_by(checks: Vec<Check>) -> (World, Rollout) {
    let mut world = fleet(4, 1);
    put(&mut world, checks);
    let mut next = rollout("next", "v2");
    next.gates = vec![name("own")];
    next.bake.span = Span::secs(3600);
    world.roll(next.clone());
    (world, next)
}

fn put(world: &mut World, checks: Vec<Check>) {
    let own = Gate {
        checks,
        on_worse: OnWorse::Report,
        ..Gate::built_in(name("own"))
    };
    world.edit(|documents| documents.gates = [(name("own"), own)].into());
}

/// How the checks stand, once the gate is at work.
fn checks(world: &World) -> Vec<CheckEvidence> {
    let gates = world.rollout("next").gates;
    let evidence = gates.into_iter().filter_map(|gate| gate.evidence);
    evidence.flat_map(|it| it.checks).collect()
}

/// The same in words.
fn said(world: &World) -> Vec<String> {
    let checks = checks(world).into_iter();
    let said = checks.map(|it| match it.stands {
        Stands::Good => "good".to_owned(),
        Stands::Unsure => format!("unsure: {}", it.says),
        Stands::Worse => format!("worse: {}", it.says),
    });
    said.collect()
}

fn queries(world: &World) -> Vec<&str> {
    let asked = world.inquiries.iter();
    let queries = asked.filter_map(|inquiry| match &inquiry.what {
        Asked::Number { query, .. } => Some(query.as_str()),
        Asked::Verdict { .. } => None,
    });
    queries.collect()
}

#[test]
fn checks_are_asked_for_while_a_rollout_goes_forward_and_a_number_is_held_against_its_bounds() {
    let (mut world, _) = judged_by(vec![metric("x{v=~\"$version\", s=\"$stable\"}"), webhook()]);
    world.measured.insert(0, Said::Number(4.0));
    world.until("both are known", 60, |w| said(w) == ["good", "good"]);
    assert_eq!(checks(&world)[0].number, Some(4.0));
    assert_eq!(queries(&world), ["x{v=~\"v2\", s=\"v1\"}"]);
    let begun = world.inquiries.len();
    world.run(28);
    assert_eq!(
        world.inquiries.len() - begun,
        1,
        "one is due each 15 s, one each 30 s"
    );
    for (number, word) in [
        (7.5, "worse: orders: 7.5, and is to be below 5"),
        (f64::INFINITY, "worse: orders: inf, and is to be below 5"),
        (1.0, "good"),
        (
            f64::NAN,
            "unsure: orders: not a number (NaN), as where nothing is divided by nothing",
        ),
    ] {
        world.measured.insert(0, Said::Number(number));
        world.until(word, 20, |w| said(w)[0] == word);
    }
    // Nobody waits longer than need be for what is not known.
    world.measured.insert(0, Said::Number(2.0));
    world.until("it is known again", 7, |w| said(w)[0] == "good");
    let silent = Said::Verdict(Reading::Unsure("does not answer".to_owned()));
    world.measured.insert(1, silent);
    world.until("it says why", 40, |w| {
        said(w)[1] == "unsure: ci.example: does not answer"
    });

    world
        .rollout_verb(
            "next",
            tidegate::engine::RolloutVerb::Abort(tidegate::engine::Turned::Back),
        )
        .unwrap();
    assert_eq!(said(&world), [""; 0]);
    let asked = world.inquiries.len();
    world.run(60);
    assert!(
        world.inquiries.len() <= asked + 2,
        "but what was on its way"
    );
}

#[test]
fn an_answer_to_another_question_says_nothing() {
    let (mut world, _) = judged_by(vec![metric("one")]);
    world.measured.insert(0, Said::Number(9.0));
    world.until("it is known", 60, |w| {
        said(w) == ["worse: orders: 9, and is to be below 5"]
    });
    let before = world.inquiries.last().unwrap().clone();
    put(&mut world, vec![metric("two")]);
    assert_eq!(said(&world), ["unsure: orders: there is no answer yet"]);
    let (of, number) = (before.of, before.number);
    world.event(Event::Measured {
        of,
        number,
        said: Said::Number(1.0),
    });
    assert_eq!(said(&world), ["unsure: orders: there is no answer yet"]);
    world.until("it is known", 2, |w| said(w)[0].starts_with("worse"));
    assert_eq!(queries(&world).last(), Some(&"two"));
    // A restart forgets what was said, and asks again.
    world.crash();
    world.run(2);
    assert_eq!(queries(&world).iter().filter(|it| **it == "two").count(), 2);
}

fn gate(called: &str) -> Gate {
    Gate {
        checks: vec![Check::Crashes { at_most: 1 }],
        ..Gate::built_in(name(called))
    }
}

/// What gates do about a worse version, by their names.
fn judges(world: &World) -> Vec<(String, OnWorse)> {
    let state = world.engine.state();
    let gates = state.gates_of(&state.rollouts[&name("next")]);
    gates
        .map(|gate| (gate.name.to_string(), gate.on_worse))
        .collect()
}

#[test]
fn an_edited_gate_judges_at_once_and_a_deleted_one_goes_on_where_it_was_named() {
    let mut world = fleet(4, 1);
    world.edit(|documents| {
        documents.gates = [(name("own"), gate("own"))].into();
    });
    let mut next = rollout("next", "v2");
    next.gates = vec![name("own"), name("no-worse")];
    world.roll(next.clone());
    world.until("it has begun", 60, |w| w.rollout("next").started.is_some());
    let both = |own| {
        [
            ("own".to_owned(), own),
            ("no-worse".to_owned(), OnWorse::Rollback),
        ]
    };
    assert_eq!(judges(&world), both(OnWorse::Rollback));
    world.edit(|documents| {
        let own = documents.gates.values_mut().next().unwrap();
        own.on_worse = OnWorse::Report;
    });
    assert_eq!(judges(&world), both(OnWorse::Report));
    // The rollout's own document goes too: a set that names what it lacks would have been refused.
    world.edit(|documents| {
        documents.gates.clear();
        documents.rollouts.clear();
    });
    assert_eq!(judges(&world), both(OnWorse::Report));
    world.crash();
    assert_eq!(judges(&world), both(OnWorse::Report));
    world.edit(|documents| {
        documents.gates = [(name("own"), gate("own"))].into();
        documents.rollouts = [(name("next"), next)].into();
    });
    assert_eq!(judges(&world), both(OnWorse::Rollback));
}

/// Health alone: before the first new instance, with all of them well, and with crashes that outlive a restart.
#[test]
fn crashes_and_the_share_of_healthy_instances_are_read_from_health() {
    let crashes = Check::Crashes { at_most: 1 };
    let at_least = "90%".parse().unwrap();
    let (mut world, _) = judged_by(vec![crashes, Check::HealthyRatio { at_least }]);
    world.until("it has begun", 60, |w| !said(w).is_empty());
    let none = |check| format!("unsure: {check}: no new instance is there yet");
    assert_eq!(said(&world), [none("crashes"), none("healthyRatio")]);
    world.until("all are new", 300, |w| w.serving("v2") == 4);
    assert_eq!(said(&world), ["good", "good"]);
    let new = |id: &&tidegate::domain::InstanceId| id.as_str().starts_with("v2");
    let one = world.instances.keys().find(new).cloned().unwrap();
    for (number, crashes) in [
        "good",
        "worse: crashes: 2 times a new instance stopped passing its health check, and 1 are tolerated",
    ]
    .into_iter()
    .enumerate()
    {
        world.set_health(&one, false);
        world.run(2);
        let ratio = "worse: healthyRatio: 3 of 4 new instances pass their health check, \
                     and at least 90% are to";
        assert_eq!(said(&world), [crashes, ratio], "{number}");
        world.set_health(&one, true);
        world.until("it is back", 60, |w| w.serving("v2") == 4);
        assert_eq!(said(&world), [crashes, "good"]);
    }
    world.crash();
    world.until("the gate is at work again", 5, |w| !said(w).is_empty());
    assert!(
        said(&world)[0].starts_with("worse: crashes: 2 times"),
        "{:?}",
        said(&world)
    );
    assert_eq!(
        said(&world)[1],
        "unsure: healthyRatio: the health of 4 new instances is not known yet"
    );
}

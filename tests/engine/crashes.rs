//! A control plane that ends at a write to the journal, at each one of a whole rollout, by every strategy:
//! before the write is durable, and after. Another one goes on, and what comes of it is the same.

use std::collections::BTreeMap;

use tidegate::domain::{
    Amount, Approval, BlueGreen, Rolling, Rollout, RolloutStep, Span, Stay, StepAction, Steps,
    Strategy, Wave, Waves, Weight,
};
use tidegate::engine::{HookAction, Record, StageKind};
use tidegate::sim::{Crash, Deed, Setup};

use crate::drawn::place;
use crate::sample::{documents, name, rollout, service};
use crate::soak::{Eyes, play};

fn step(action: StepAction) -> RolloutStep {
    RolloutStep {
        action,
        stay: Stay {
            at_least: Span::secs(1),
            until_proven: None,
        },
    }
}

fn by(strategy: Strategy) -> Rollout {
    Rollout {
        strategy,
        ..rollout("next", "v2")
    }
}

fn one_by_one() -> Rolling {
    Rolling::new(Amount::Count(1), Amount::Count(1), Amount::Count(0))
}

fn in_place() -> Rolling {
    Rolling::new(Amount::Count(1), Amount::Count(0), Amount::Count(1))
}

fn wave(called: &str, pick: &str) -> Wave {
    Wave {
        name: called.to_owned(),
        pick: pick.parse().expect("a pick"),
        parallel: 1,
        bake: Span::secs(1),
        approve: None,
    }
}

fn setup(rollout: Rollout) -> Setup {
    let mut documents = documents(service());
    documents.rollouts.insert(rollout.name.clone(), rollout);
    let mut setup = Setup::new(documents);
    (setup.instances, setup.proxies, setup.rps) = (2, 1, 10);
    setup.places = vec![place("a"), place("b")];
    setup.approve_after = Some(Span::secs(5));
    setup
}

/// What a story came to: the outcome, who serves, and how often each instance was started and stopped.
#[derive(Debug, PartialEq)]
struct Came {
    phase: String,
    serving: BTreeMap<String, u32>,
    started: usize,
    stopped: usize,
    released: usize,
}

fn came(eyes: &Eyes, phase: String) -> Came {
    let state = eyes.truth.state();
    let cart = &state.services[&name("cart")];
    let serves = |version: &str| {
        cart.instances
            .count(|stand| stand.stage == StageKind::Serving && stand.version.as_str() == version)
    };
    let versions = ["before", "v2"].into_iter();
    // Calls that are made again have the same key.
    let mut calls = BTreeMap::new();
    let mut released = 0;
    for entry in &eyes.truth.journal {
        match &entry.record {
            Record::HookCalled { call, .. } => drop(calls.insert(&call.key, call.action)),
            Record::InstanceMoved { to, .. } if to.kind() == StageKind::Released => released += 1,
            _ => {}
        }
    }
    let made = |action| calls.values().filter(|made| **made == action).count();
    Came {
        phase,
        serving: versions.map(|v| (v.to_owned(), serves(v))).collect(),
        started: made(HookAction::Start),
        stopped: made(HookAction::Stop),
        released,
    }
}

fn told(setup: &Setup) -> (Came, u64) {
    let (outcome, eyes) = play(setup);
    let mut lines = outcome.timeline.iter();
    let ends = lines.any(|line| line.what == "the control plane ends");
    assert_eq!(ends, !setup.crashes.is_empty());
    let phase = outcome.report.rollouts.last().map(|r| r.phase.to_string());
    (came(&eyes, phase.unwrap_or_default()), outcome.writes)
}

fn at_every_write(setup: &Setup) {
    let (whole, writes) = told(setup);
    assert!(writes > 10, "{whole:?}");
    for write in 0..writes {
        for written in [false, true] {
            let crashed = Setup {
                crashes: vec![Crash { write, written }],
                ..setup.clone()
            };
            let (came, _) = told(&crashed);
            assert_eq!(came, whole, "write {write}, durable: {written}");
        }
    }
}

#[test]
fn a_rolling_replacement_goes_on_from_every_write() {
    at_every_write(&setup(by(Strategy::Rolling(one_by_one()))));
    at_every_write(&setup(by(Strategy::Rolling(in_place()))));
}

#[test]
fn steps_go_on_from_every_write() {
    let steps = vec![
        step(StepAction::Mirror(Weight::parts(1_000))),
        step(StepAction::Weight(Weight::parts(2_500))),
        step(StepAction::Pause(Approval::default())),
    ];
    let mut rollout = by(Strategy::Steps(Steps {
        steps,
        warm_percent: 100,
    }));
    rollout.keep_old = Span::secs(5);
    at_every_write(&setup(rollout));
}

#[test]
fn a_switch_of_the_whole_fleet_goes_on_from_every_write() {
    let mut rollout = by(Strategy::BlueGreen(BlueGreen {
        by_zone: true,
        approve: Some(Approval::default()),
    }));
    rollout.keep_old = Span::secs(5);
    at_every_write(&setup(rollout));
}

#[test]
fn waves_go_on_from_every_write() {
    at_every_write(&setup(by(Strategy::Waves(Waves {
        waves: vec![wave("a", "a"), wave("rest", "the rest")],
        in_each: one_by_one(),
    }))));
}

#[test]
fn the_way_back_goes_on_from_every_write() {
    use tidegate::engine::{RolloutVerb, Turned, Verb};
    let mut setup = setup(by(Strategy::Rolling(one_by_one())));
    let turn = Verb::Rollout {
        name: name("next"),
        verb: RolloutVerb::Abort(Turned::Back),
    };
    // Whoever gets no answer from a control plane asks again.
    for seconds in [12, 30] {
        let asked = Deed::Ask(turn.clone());
        setup.deeds.push((Span::secs(seconds), asked));
    }
    let (whole, writes) = told(&setup);
    assert_eq!(whole.phase, "RolledBack");
    for write in 0..writes {
        for written in [false, true] {
            let mut crashed = setup.clone();
            crashed.crashes = vec![Crash { write, written }];
            let (came, _) = told(&crashed);
            // By the second word it may be done.
            assert!(
                came.phase == "RolledBack" || came.phase == "Done",
                "{came:?}"
            );
            let all: u32 = came.serving.values().sum();
            assert_eq!(all, 2, "write {write}, durable: {written}: {came:?}");
            assert!(
                came.serving.values().any(|serving| *serving == 0),
                "{came:?}"
            );
        }
    }
}

//! What gates ask of somebody outside, and which gates judge when documents change under way.

use tidegate::domain::{Check, Gate, OnWorse};

use crate::sample::{name, rollout};
use crate::stories::fleet;
use crate::world::World;

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

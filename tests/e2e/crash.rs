//! The control plane is killed with -9 and comes back on its journal.

use tidegate::engine::Phase;

use crate::support::documents::Documents;
use crate::support::envoy::{Envoy, Stats};
use crate::support::load::Load;
use crate::support::wait::{SOON, eventually, if_so};
use crate::support::world::{World, assert_all_proven};

/// What moves in an Envoy when it is told something that it does not have already.
const CHANGES: &[&str] = &[
    "cluster_manager.cluster_added",
    "cluster_manager.cluster_modified",
    "cluster_manager.cluster_removed",
    "listener_manager.listener_added",
    "listener_manager.listener_modified",
    "listener_manager.listener_removed",
    ".config_reload",
    ".membership_change",
    "update_rejected",
    "init_fetch_timeout",
];

/// What moves besides when it is told anything at all. By state of the world a new stream must
/// answer in full; by delta Envoy says what it has.
const ANSWERS: &[&str] = &[
    "cluster.cart/v1.update_success",
    "cluster.cart/v2.update_success",
    "cds.update_success",
    "lds.update_success",
    ".rds.mesh/0.update_success",
];

/// Versions as Envoy holds them, for each kind of resource.
const VERSIONS: &[&str] = &[
    "cluster.cart/v1.version",
    "cluster.cart/v2.version",
    "cds.version",
    "lds.version",
    ".rds.mesh/0.version",
];

/// In mid-roll, with both variants of the protocol at once.
pub(crate) fn nothing_is_sent_twice() {
    let mut world = World::with(&Documents::default());
    world.start_apps("v1", 0..3);
    let delta = world.start_envoy("sidecar.yaml", "delta-1");
    let sotw = world.start_envoy("sotw.yaml", "sotw-1");
    let envoys = [&delta, &sotw];
    world.until_serving("v1", 3);
    let loads = envoys.map(|envoy| Load::start(envoy.listener("mesh/0")));

    let roll = Documents {
        roll_to: Some("v2"),
        ..Documents::default()
    };
    world.control.apply(&roll.yaml());
    // With one new instance the roll stands still in its middle, so whatever moves is a mistake.
    world.start_apps("v2", 0..1);
    world.control.until_stage("v1-0", "released");
    world.stop_app("v1-0");
    world.until_serving("v2", 1);
    world.control.until_blocked("to-v2", &["must appear"]);
    for envoy in envoys {
        world.control.until_in_force(envoy.id());
    }
    let generation = world.control.view().generation;
    let before = envoys.map(Envoy::stats);

    world.control.kill();
    for envoy in envoys {
        eventually(SOON, "Envoy to notice", || {
            let connected = envoy.stats().get("control_plane.connected_state");
            if_so(connected == 0, "still connected")
        });
    }
    for load in &loads {
        load.until_more(50);
    }
    world.control.restart();
    for envoy in envoys {
        world.control.until_in_force(envoy.id());
    }
    world.control.until_blocked("to-v2", &["must appear"]);
    assert_eq!(world.control.view().generation, generation);
    for (envoy, before) in envoys.iter().zip(&before) {
        assert_same(envoy.id(), before, &envoy.stats());
    }
    let answers = [&before[0], &delta.stats()].map(|stats| stats.ending(ANSWERS));
    assert_eq!(answers[0], answers[1]);

    world.start_apps("v2", 1..3);
    let done = world.stop_what_is_released("to-v2", Phase::Done);
    assert_all_proven(&done, 3, 2);
    for load in loads {
        load.stop_without_loss();
    }
    for envoy in envoys {
        envoy.stats().assert_nothing_refused();
    }
}

fn assert_same(id: &str, before: &Stats, after: &Stats) {
    assert_eq!(before.ending(CHANGES), after.ending(CHANGES), "{id}");
    let (versions, now) = (before.ending(VERSIONS), after.ending(VERSIONS));
    assert_eq!(versions.len(), VERSIONS.len(), "{id}: {versions:?}");
    for (name, version) in &now {
        // By state of the world, endpoints have one version for all clusters together. A cluster
        // keeps that of its last change until it is told again.
        let same_kind = |other: &str| {
            other == name || other.starts_with("cluster.") && name.starts_with("cluster.")
        };
        let mut known = versions.iter().filter(|(other, _)| same_kind(other));
        assert!(
            known.any(|(_, known)| known == version),
            "{id}: {name}: {versions:?} {now:?}"
        );
    }
}

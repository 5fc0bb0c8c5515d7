//! Endpoints that come one by one (LEDS): Envoy must be told whatever it cannot ask for, and be left
//! with nothing that is gone. Beside it stands an Envoy that cannot be told so.

use std::collections::BTreeSet;

use tidegate::engine::Phase;

use crate::support::documents::Documents;
use crate::support::envoy::{Envoy, Stats};
use crate::support::far::Far;
use crate::support::load::Load;
use crate::support::wait::{SOON, eventually, if_so};
use crate::support::world::{World, assert_all_proven};

fn documents() -> Documents {
    Documents {
        one_by_one: true,
        ..Documents::default()
    }
}

/// From v1 to v2, and every cluster changes on the way.
pub(crate) fn rolls() {
    let mut world = World::with(&documents());
    world.start_apps("v1", 0..3);
    let envoys = [
        world.start_envoy("sidecar.yaml", "delta-1"),
        world.start_envoy("lrs.yaml", "lrs-1"),
        world.start_envoy("sotw.yaml", "sotw-1"),
    ];
    world.until_serving("v1", 3);
    let loads = envoys.each_ref().map(|envoy| {
        let load = Load::start(envoy.listener("mesh/0"));
        load.until_more(50);
        load
    });
    let roll = Documents {
        roll_to: Some("v2"),
        ..documents()
    };
    world.control.apply(&roll.yaml());
    world.start_apps("v2", 0..1);
    world.control.until_stage("v1-0", "released");
    world.stop_app("v1-0");

    let edited = Documents {
        cluster: Some("{ connect_timeout: 2s }"),
        ..roll
    };
    world.control.apply(&edited.yaml());
    world.start_apps("v2", 1..3);
    let done = world.stop_what_is_released("to-v2", Phase::Done);
    assert_all_proven(&done, 3, 3);
    for (envoy, load) in envoys.iter().zip(loads) {
        world.control.until_in_force(envoy.id());
        load.until_more(50);
        load.stop_without_loss();
        assert_eq!(names(envoy, "cart/v2"), ["v2-0", "v2-1", "v2-2"]);
        let stats = envoy.stats();
        stats.assert_warm();
        stats.assert_no_request_stranded();
        stats.assert_nothing_refused();
        // One by one, and only where that can be.
        assert_eq!(came(&stats) > 0, envoy.id() != "sotw-1", "{}", envoy.id());
    }
}

/// Three edits of the cluster, each before the last one can be in force.
pub(crate) fn a_cluster_changes() {
    let mut world = World::with(&documents());
    world.start_apps("v1", 0..2);
    let envoy = world.start_envoy("sidecar.yaml", "delta-1");
    world.until_serving("v1", 2);
    let load = Load::start(envoy.listener("mesh/0"));
    load.until_more(50);
    for overlay in [
        "{ connect_timeout: 2s }",
        "{ connect_timeout: 3s }",
        "{ connect_timeout: 4s }",
    ] {
        let edited = Documents {
            cluster: Some(overlay),
            ..documents()
        };
        world.control.apply(&edited.yaml());
    }
    world.control.until_in_force(envoy.id());
    // What comes after it reaches the cluster that came of it.
    world.start_apps("v1", 2..3);
    world.until_serving("v1", 3);
    load.until_more(50);
    load.stop_without_loss();
    assert_eq!(names(&envoy, "cart/v1"), ["v1-0", "v1-1", "v1-2"]);
    let stats = envoy.stats();
    assert!(stats.get("cluster_manager.cluster_modified") > 0);
    stats.assert_warm();
    stats.assert_no_request_stranded();
    stats.assert_nothing_refused();
}

/// The way to the control plane is cut, and then it is killed as well, while instances come and go.
pub(crate) fn what_is_gone_is_gone() {
    let mut world = World::with(&documents());
    world.start_apps("v1", 0..4);
    let mut far = Far::from(world.control.xds());
    let envoy = Envoy::start("sidecar.yaml", "far-1", far.address(), world.path());
    world.until_serving("v1", 4);
    until_hosts(&envoy, &["v1-0", "v1-1", "v1-2", "v1-3"]);

    far.cut(world.control.xds(), || {
        world.stop_app("v1-0");
        world.start_apps("v1", 4..5);
    });
    until_hosts(&envoy, &["v1-1", "v1-2", "v1-3", "v1-4"]);

    far.cut(world.control.xds(), || {
        world.control.kill();
        world.control.restart();
        world.stop_app("v1-1");
    });
    until_hosts(&envoy, &["v1-2", "v1-3", "v1-4"]);

    // And what comes then is told one by one as before.
    world.control.until_in_force(envoy.id());
    let before = came(&envoy.stats());
    world.stop_app("v1-2");
    until_hosts(&envoy, &["v1-3", "v1-4"]);
    let stats = envoy.stats();
    assert!(came(&stats) > before);
    stats.assert_warm();
    stats.assert_nothing_refused();
}

/// How often endpoints came by themselves.
fn came(stats: &Stats) -> u64 {
    stats.ending(&[".leds.update_success"]).values().sum()
}

fn names(envoy: &Envoy, cluster: &str) -> Vec<String> {
    envoy.hosts(cluster).into_keys().collect()
}

fn until_hosts(envoy: &Envoy, wanted: &[&str]) {
    let wanted: BTreeSet<_> = wanted.iter().map(ToString::to_string).collect();
    eventually(SOON, &format!("the hosts {wanted:?}"), || {
        let hosts = envoy.hosts("cart/v1");
        let seen: BTreeSet<_> = hosts.keys().cloned().collect();
        if_so(seen == wanted, format!("{hosts:?}"))
    });
}

//! What comes first and what comes last, as the real Envoy takes it: clusters before routes,
//! endpoints again after a cluster that changed, removals at the end. A mistake shows as a request
//! without a cluster, or as 15 s in which something waits to be warm.

use tidegate::engine::Phase;

use crate::support::documents::Documents;
use crate::support::envoy::Envoy;
use crate::support::load::Load;
use crate::support::wait::{SOON, eventually, if_so};
use crate::support::world::{World, assert_all_proven};

/// v1 to v2 to v3: two clusters come, and two go.
pub(crate) fn versions_come_and_go() {
    let (mut world, envoy, load) = serving(&Documents::default());
    for to in ["v2", "v3"] {
        let roll = Documents {
            roll_to: Some(to),
            ..Documents::default()
        };
        world.control.apply(&roll.yaml());
        world.start_apps(to, 0..2);
        let rollout = format!("to-{to}");
        let done = world.stop_what_is_released(&rollout, Phase::Done);
        assert_all_proven(&done, 2, 1);
        until_clusters(&envoy, "removed", if to == "v2" { 1 } else { 2 });
        world.control.until_in_force(envoy.id());
        envoy.stats().assert_warm();
    }
    load.until_more(50);
    let tally = load.stop_without_loss();
    assert_eq!(tally.by_version.len(), 3, "{tally:?}");
    let stats = envoy.stats();
    stats.assert_no_request_stranded();
    stats.assert_nothing_refused();
    // Only the three versions ever came, beside the cluster of the bootstrap, and none changed.
    assert_eq!(stats.get("cluster_manager.cluster_modified"), 0);
}

/// Envoy holds a new instance back until its own first check has passed, which comes after its ACK of
/// the endpoints: here a third of a second after. Until then the version must not have any weight.
pub(crate) fn weight_waits_for_envoys_own_check() {
    let documents = Documents {
        health: "/slow300",
        ..Documents::default()
    };
    let (mut world, envoy, load) = serving(&documents);
    let roll = Documents {
        roll_to: Some("v2"),
        ..documents
    };
    world.control.apply(&roll.yaml());
    world.start_apps("v2", 0..2);
    let done = world.stop_what_is_released("to-v2", Phase::Done);
    assert_all_proven(&done, 2, 1);
    load.until_more(50);
    load.stop_without_loss();
    envoy.stats().assert_no_request_stranded();
}

/// Three edits of the cluster, each before the last one can be in force.
pub(crate) fn a_cluster_changes() {
    let (world, envoy, load) = serving(&Documents::default());
    for overlay in [
        "{ connect_timeout: 2s }",
        "{ connect_timeout: 3s }",
        "{ connect_timeout: 4s }",
    ] {
        let edited = Documents {
            cluster: Some(overlay),
            ..Documents::default()
        };
        world.control.apply(&edited.yaml());
    }
    until_clusters(&envoy, "modified", 1);
    world.control.until_in_force(envoy.id());
    load.until_more(200);
    load.stop_without_loss();
    let stats = envoy.stats();
    stats.assert_warm();
    stats.assert_no_request_stranded();
    stats.assert_nothing_refused();
}

/// A second listener, from an edit of the gateway.
pub(crate) fn a_listener_is_added() {
    let (world, envoy, load) = serving(&Documents::default());
    let two = Documents {
        listeners: 2,
        ..Documents::default()
    };
    world.control.apply(&two.yaml());
    let second = Load::start(envoy.listener("mesh/0.1"));
    second.until_more(50);
    second.stop_without_loss();

    load.until_more(50);
    let stats = envoy.stats();
    stats.assert_warm();
    stats.assert_nothing_refused();
    let disturbed = stats.ending(&[
        "listener_manager.listener_modified",
        "listener_manager.listener_removed",
        "http.mesh/0.downstream_cx_destroy",
    ]);
    assert!(disturbed.is_empty(), "{disturbed:?}");
    load.stop_without_loss();
}

/// A cluster that only Envoy knows to be wrong, in the middle of a roll.
pub(crate) fn a_refused_cluster_is_healed() {
    let (mut world, envoy, load) = serving(&Documents::default());
    let roll = Documents {
        roll_to: Some("v2"),
        ..Documents::default()
    };
    world.control.apply(&roll.yaml());
    world.start_apps("v2", 0..1);
    world.control.until_stage("v1-0", "released");
    world.stop_app("v1-0");
    world.control.until_blocked("to-v2", &["must appear"]);

    let bad = Documents {
        // The size of a Maglev table must be prime.
        cluster: Some("{ lb_policy: MAGLEV, maglev_lb_config: { table_size: 1000 } }"),
        ..roll.clone()
    };
    world.control.apply(&bad.yaml());
    world.start_apps("v2", 1..2);
    let why = world
        .control
        .until_blocked("to-v2", &[envoy.id(), "refused", "cart/v1"]);
    assert!(why.contains("prime"), "{why}");
    let proxies = world.control.cli_ok(&["proxies"]);
    assert!(proxies.contains("prime"), "{proxies}");
    load.until_more(200);
    let refused = envoy.stats().get("cluster_manager.cds.update_rejected");
    assert!(refused > 0);
    assert_eq!(world.control.instance("v1-1").unwrap().stage, "serving");

    world.control.apply(&roll.yaml());
    let done = world.stop_what_is_released("to-v2", Phase::Done);
    assert_all_proven(&done, 2, 1);
    world.control.until_in_force(envoy.id());
    assert_eq!(world.control.proxy(envoy.id()).unwrap().nack, None);
    load.stop_without_loss();
    envoy.stats().assert_warm();
}

/// Two instances of v1 behind one Envoy, under load.
fn serving(documents: &Documents) -> (World, Envoy, Load) {
    let mut world = World::with(documents);
    world.start_apps("v1", 0..2);
    let envoy = world.start_envoy("sidecar.yaml", "sidecar-9");
    world.until_serving("v1", 2);
    let load = Load::start(envoy.listener("mesh/0"));
    load.until_more(50);
    (world, envoy, load)
}

fn until_clusters(envoy: &Envoy, what: &str, count: u64) {
    let stat = format!("cluster_manager.cluster_{what}");
    eventually(SOON, &format!("{count} clusters {what}"), || {
        let seen = envoy.stats().get(&stat);
        if_so(seen >= count, seen)
    });
}

//! gRPC clients that find the service by themselves, `xds:///cart`, with no Envoy in between. Both
//! start from `envoy-configs/grpc.json`.

use tidegate::engine::Phase;

use crate::support::certificates::{Ca, set_up_proxy, set_up_server};
use crate::support::documents::Documents;
use crate::support::far::Far;
use crate::support::grpc::{GrpcClient, Library, start_app};
use crate::support::wait::{SOON, eventually, if_so};
use crate::support::world::{World, assert_all_proven};

/// Fast calls, and some that are always in progress for a while.
const MIXED: &[&str] = &["fast", "fast", "fast", "slow300", "slow300"];
/// So many that each of three instances has some in progress at any time.
const SLOW: &[&str] = &["slow1s"; 12];
const FAST: &[&str] = &["fast"; 4];

/// Calls over which a share is counted; three standard deviations of it are under 4 %.
const COUNTED: u64 = 1_200;

fn documents() -> Documents {
    Documents {
        listeners: 0,
        grpc: true,
        // Longer than any call takes, should nobody prove that none is in progress.
        drain: "{ atMost: 4s }",
        ..Documents::default()
    }
}

/// One instance of v1 carries four times as much as the one of v2.
pub(crate) fn weights(library: Library) {
    let documents = documents();
    let mut world = World::with(&documents);
    for id in ["v1-0", "v1-1"] {
        let app = start_app(id, "v1", Some("4rps"), &world);
        world.apps.insert(id.to_owned(), app);
    }
    world.until_serving("v1", 2);
    let client = GrpcClient::start(library, "grpc-a", FAST, &world);
    client.until_more(20);
    let roll = Documents {
        roll_to: Some("v2"),
        ..documents
    };
    world.control.apply(&roll.yaml());
    let app = start_app("v2-0", "v2", Some("1rps"), &world);
    world.apps.insert("v2-0".to_owned(), app);
    world.control.until_stage("v1-0", "released");
    world.control.until_blocked("to-v2", &["must appear"]);
    world.control.until_in_force(client.id());

    let before = client.so_far();
    client.until_more(COUNTED);
    let after = client.stop_without_loss();
    let calls = after.requests - before.requests;
    let to_v2 = after.of("v2-0") - before.of("v2-0");
    let share = to_v2 * 100 / calls;
    assert!((16..=24).contains(&share), "{to_v2} of {calls}: {after:?}");
    assert_eq!(after.of("v1-0"), before.of("v1-0"), "it is released");
}

/// `tidegate drain`, with calls in progress.
pub(crate) fn drain(library: Library) {
    let mut world = World::with(&documents());
    world.start_grpc_apps("v1", 0..3);
    world.until_serving("v1", 3);
    let client = GrpcClient::start(library, "grpc-a", SLOW, &world);
    eventually(SOON, "calls of v1-0", || {
        let calls = client.so_far().of("v1-0");
        if_so(calls > 4, calls)
    });

    world.control.cli_ok(&["drain", "v1-0"]);
    world.control.until_stage("v1-0", "draining");
    world.control.until_in_force(client.id());
    let then = client.so_far().of("v1-0");
    world.control.until_stage("v1-0", "released");
    let ended = client.so_far().of("v1-0");
    // Whatever were still in progress would fail.
    world.stop_app("v1-0");
    client.until_more(24);
    let tally = client.stop_without_loss();
    assert!(then < ended, "nothing was in progress: {tally:?}");
    assert!(ended <= then + SLOW.len() as u64, "{then}: {tally:?}");
    assert_eq!(tally.of("v1-0"), ended);
}

/// v1 → v2 until it bakes, and all the way back.
pub(crate) fn rolling_and_abort(library: Library) {
    let documents = Documents {
        bake: "{ for: 1h, holdback: 0 }",
        ..documents()
    };
    let mut world = World::with(&documents);
    world.start_grpc_apps("v1", 0..2);
    world.until_serving("v1", 2);
    let client = GrpcClient::start(library, "grpc-a", MIXED, &world);
    client.until_more(50);

    let roll = Documents {
        roll_to: Some("v2"),
        ..documents
    };
    world.control.apply(&roll.yaml());
    world.start_grpc_apps("v2", 0..2);
    world.stop_what_is_released("to-v2", Phase::Baking);
    let v2 = client.so_far().by_version["v2"];
    client.until_more(100);
    assert!(client.so_far().by_version["v2"] > v2);

    world.control.cli_ok(&["rollout", "abort", "to-v2"]);
    world.start_grpc_apps("v1", 2..4);
    world.stop_what_is_released("to-v2", Phase::RolledBack);
    world.control.until_in_force(client.id());
    let then = client.so_far();
    client.until_more(100);
    let tally = client.stop_without_loss();
    assert!(tally.by_version["v1"] > then.by_version["v1"], "{tally:?}");
}

/// Every instance in one batch: while one version takes over the other has no endpoint left that
/// takes calls, and nobody would let them through in a panic. What comes in the wrong order comes
/// long enough before the rest to be seen.
pub(crate) fn all_at_once(library: Library) {
    let documents = Documents {
        // All calls to v1 end with its weight, so its last instances are proven idle.
        drain: "{ atMost: 60s }",
        rolling: "{ batch: 3, maxSurge: 3, maxUnavailable: 0 }",
        ..documents()
    };
    let mut world = World::with(&documents);
    world.start_grpc_apps("v1", 0..3);
    world.until_serving("v1", 3);
    let far = Far::from(world.control.xds());
    let client = GrpcClient::start_at(far.address(), library, "grpc-a", MIXED, &world);
    client.until_more(50);
    let roll = Documents {
        roll_to: Some("v2"),
        ..documents
    };
    world.control.apply(&roll.yaml());
    world.start_grpc_apps("v2", 0..3);
    let done = world.stop_what_is_released("to-v2", Phase::Done);
    assert_all_proven(&done, 3, 1);
    client.until_more(100);
    let tally = client.stop_without_loss();
    assert!(tally.by_version["v2"] > 0, "{tally:?}");
}

/// The client shows a certificate, and reports over the same channel; one that shows another's is told
/// nothing.
pub(crate) fn certificates() {
    let ca = Ca::new("ca");
    let documents = Documents {
        drain: "{ atMost: 60s }",
        ..documents()
    };
    let mut world = World::prepared(&documents, |directory| set_up_server(directory, &ca));
    world.start_grpc_apps("v1", 0..2);
    world.until_serving("v1", 2);
    let name = "spiffe://test/web/grpc-a";
    let right = set_up_proxy(world.path(), "grpc-a", &ca, name);
    let client = GrpcClient::start_with(&right, "grpc-a", &["fast"], &world);
    let _wrong = GrpcClient::start_with(&right, "grpc-b", &["fast"], &world);
    client.until_more(20);
    eventually(SOON, "the server to deny grpc-b", || {
        let log = world.control.log();
        if_so(log.contains(&format!("{name} may not speak for node")), log)
    });
    assert!(world.control.proxy("grpc-b").is_err());

    world.control.cli_ok(&["drain", "v1-0"]);
    world.control.until_stage("v1-0", "released");
    let drain = world.control.instance("v1-0").unwrap().drain.unwrap();
    assert!(drain.proven && drain.witnesses == 1, "{drain:?}");
    client.stop_without_loss();
}

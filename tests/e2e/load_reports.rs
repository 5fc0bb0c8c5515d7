//! An Envoy that reports by LRS, started from the file that users are given.

use crate::support::documents::Documents;
use crate::support::envoy::Envoy;
use crate::support::grpc::{GrpcClient, Library};
use crate::support::load::Load;
use crate::support::wait::{SOON, eventually, if_so};
use crate::support::world::World;

use super::other_envoys::roll_to_v2;

/// `lrs.yaml`: as `sidecar.yaml`, but for the way it reports. It says of no instance that it uses it, so
/// each joins after the time that a health check takes.
pub(crate) fn rolls() {
    roll_to_v2("lrs.yaml", &Documents::default(), "mesh/0");
}

/// Envoy counts how often it was told what to report: once when it came, again when the drain began
/// and again when it was over.
pub(crate) fn fast_while_it_drains() {
    let mut world = World::with(&Documents::default());
    world.start_apps("v1", 0..3);
    let envoy = world.start_envoy("lrs.yaml", "lrs-1");
    world.until_serving("v1", 3);
    until_asked(&envoy, 1);

    // One that no test waits for to end: as long as it takes, v1-0 may not be released.
    let load = Load::of(envoy.listener("mesh/0"), &["/slow2s"; 8]);
    load.until_more(8);
    let said = world
        .control
        .cli_ok(&["drain", "v1-0", "--reason", "maintenance"]);
    assert!(said.contains("v1-0"), "{said}");
    until_asked(&envoy, 2);
    eventually(SOON, "requests in progress on v1-0", || {
        let instance = world.control.instance("v1-0")?;
        if_so(instance.in_progress > Some(0), format!("{instance:?}"))
    });
    world.control.until_stage("v1-0", "released");
    let drain = world.control.instance("v1-0").unwrap().drain.unwrap();
    assert!(drain.proven && drain.witnesses == 1, "{drain:?}");
    // Whatever were still in progress would fail.
    world.stop_app("v1-0");
    until_asked(&envoy, 3);
    load.until_more(8);
    load.stop_without_loss();
    envoy.stats().assert_nothing_refused();

    let metrics = world.control.get("/metrics").body;
    let counted = metrics.lines().find_map(|line| {
        let labels = r#"{service="cart",version="v1",outcome="success"} "#;
        line.strip_prefix("tidegate_requests_reported_total")?
            .strip_prefix(labels)?
            .parse()
            .ok()
    });
    // What came before the first report of the cluster is lost, and the last report has yet to come.
    assert!(counted > Some(0_u64), "{metrics}");
}

/// gRPC clients count per locality. With one short call at a time there is none at most moments, and
/// two such moments in a row are a proof; `drain.atMost` is far away.
pub(crate) fn by_locality(library: Library) {
    let mut world = World::with(&Documents {
        listeners: 0,
        grpc: true,
        ..Documents::default()
    });
    world.start_grpc_apps("v1", 0..3);
    world.until_serving("v1", 3);
    let client = GrpcClient::start(library, "grpc-a", &["fast"], &world);
    client.until_more(20);
    world.control.cli_ok(&["drain", "v1-0"]);
    world.control.until_stage("v1-0", "released");
    let drain = world.control.instance("v1-0").unwrap().drain.unwrap();
    assert!(drain.proven && drain.witnesses == 1, "{drain:?}");
    client.stop_without_loss();
}

fn until_asked(envoy: &Envoy, times: u64) {
    eventually(SOON, &format!("{times} words on what to report"), || {
        let asked = envoy.stats().get("load_reporter.requests");
        if_so(asked == times, asked)
    });
}

//! Documents as files in a directory that is watched.

use crate::support::documents::Documents;
use crate::support::envoy::Envoy;
use crate::support::load::Load;
use crate::support::wait::{SOON, eventually, if_so};
use crate::support::world::World;

/// A good edit, a broken one with a good part, and the broken one mended.
pub(crate) fn edits() {
    let (world, envoy, load) = serving(&[("mesh.yaml", Documents::default().yaml())]);
    let edit = |text: String| {
        fs_err::write(world.path().join("documents/mesh.yaml"), text).unwrap();
    };
    let with_timeout = |cluster| {
        let documents = Documents {
            cluster: Some(cluster),
            ..Documents::default()
        };
        documents.yaml()
    };

    edit(with_timeout("{ connect_timeout: 2s }"));
    until_modified(&envoy, 1);
    world.control.until_in_force(envoy.id());
    let service = world.control.cli_ok(&["get", "service", "cart"]);
    assert!(service.contains("connect_timeout: 2s"), "{service}");

    let good = with_timeout("{ connect_timeout: 3s }");
    let generation = world.control.view().generation;
    edit(good.replace("minReady:", "minimumReady:"));
    eventually(SOON, "the refusal", || {
        let refused = world.control.get("/v1/documents").json()["refused"].to_string();
        let explains = ["mesh.yaml", "minimumReady"]
            .iter()
            .all(|word| refused.contains(word));
        if_so(explains, refused)
    });
    let got = world.control.cli(&["get"]);
    assert_eq!(got.code, Some(0), "{got:?}");
    assert!(got.stdout.contains("cart"), "{got:?}");
    assert!(
        got.stderr.contains("refused") && got.stderr.contains("minimumReady"),
        "{got:?}"
    );
    let log = world.control.log();
    assert!(
        log.contains("refused") && log.contains("minimumReady"),
        "{log}"
    );
    let service = world.control.cli_ok(&["get", "service", "cart"]);
    assert!(service.contains("connect_timeout: 2s"), "{service}");
    load.until_more(200);
    assert_eq!(world.control.view().generation, generation);

    edit(good);
    until_modified(&envoy, 2);
    world.control.until_in_force(envoy.id());
    let documents = world.control.get("/v1/documents").json();
    assert_eq!(documents["refused"], serde_json::json!([]));
    load.stop_without_loss();
    envoy.stats().assert_warm();
}

/// What a proxy has stays, though nobody would tell it so again.
pub(crate) fn a_deleted_gateway() {
    let documents = Documents::default();
    let files = [
        ("gateway.yaml", documents.gateway()),
        ("service.yaml", documents.service()),
    ];
    let (world, envoy, load) = serving(&files);
    let through = envoy.listener("mesh/0");
    fs_err::remove_file(world.path().join("documents/gateway.yaml")).unwrap();
    eventually(SOON, "the gateway to be gone", || {
        let documents = world.control.get("/v1/documents").json()["documents"].to_string();
        if_so(!documents.contains("\"Gateway\""), documents)
    });
    load.until_more(200);
    assert_eq!(envoy.listener("mesh/0"), through);
    load.stop_without_loss();
    let stats = envoy.stats();
    let gone = stats.ending(&["listener_removed", "cluster_removed"]);
    assert!(gone.is_empty(), "{gone:?}");
}

/// Two instances of v1 behind one Envoy, under load.
fn serving(files: &[(&str, String)]) -> (World, Envoy, Load) {
    let mut world = World::with_files(files);
    world.start_apps("v1", 0..2);
    let envoy = world.start_envoy("sidecar.yaml", "sidecar-1");
    world.until_serving("v1", 2);
    world.control.until_in_force(envoy.id());
    let load = Load::start(envoy.listener("mesh/0"));
    load.until_more(50);
    (world, envoy, load)
}

fn until_modified(envoy: &Envoy, count: u64) {
    eventually(SOON, "a change of the cluster", || {
        let modified = envoy.stats().get("cluster_manager.cluster_modified");
        if_so(modified >= count, modified)
    });
}

//! Envoys that are set up otherwise than the demo's: by state of the world, or with listeners,
//! routes or weights of their own. Each is one of the files that users are given.

use tidegate::engine::{Phase, ProxyView};

use crate::support::documents::Documents;
use crate::support::envoy::Envoy;
use crate::support::load::Load;
use crate::support::tools;
use crate::support::wait::{SOON, eventually, if_so};
use crate::support::world::{World, assert_all_proven};

/// `sidecar.yaml`: everything by delta ADS.
pub(crate) fn sidecar() {
    roll_to_v2("sidecar.yaml", &Documents::default(), "mesh/0");
}

/// `own-listeners-rds-cds.yaml`: only routes, clusters and endpoints come from the control plane.
pub(crate) fn own_listeners() {
    let documents = Documents {
        listeners: 0,
        ..Documents::default()
    };
    roll_to_v2("own-listeners-rds-cds.yaml", &documents, "cart");
}

/// `sotw.yaml` with the documents of `examples/mesh`, a file at a time as a pipeline would put them.
pub(crate) fn state_of_the_world() {
    let example = |name: &str| {
        let path = tools::repository().join("examples/mesh").join(name);
        let text = fs_err::read_to_string(path).unwrap();
        text.replace("port: 10000", "port: 0")
    };
    let files = ["gateway.yaml", "service.yaml", "gate.yaml"];
    let files = files.map(|name| (name, example(name)));
    let mut world = World::with_files(&files);
    world.start_apps("v41", 0..3);
    let envoy = world.start_envoy("sotw.yaml", "sotw-1");
    world.until_serving("v41", 3);
    let load = Load::start(envoy.listener("mesh/0"));
    load.until_more(50);

    let rollout = world.path().join("documents/rollout.yaml");
    fs_err::write(rollout, example("rollout.yaml")).unwrap();
    world.start_apps("v42", 0..3);
    let baking = world.stop_what_is_released("cart-42", Phase::Baking);
    // The example holds one back while it bakes, for ten minutes.
    assert_all_proven(&baking, 2, 1);
    world.control.cli_ok(&["rollout", "skip", "cart-42"]);
    let done = world.stop_what_is_released("cart-42", Phase::Done);
    assert_all_proven(&done, 3, 1);
    assert_rolled(&world, &envoy, load, "v42");
}

/// `own-listeners-eds.yaml`: the weights are the Envoy's own, 90 to 10 all the way, so both versions
/// must have an instance throughout. Instances that drain still get nothing new, and are proven idle.
pub(crate) fn own_weights() {
    let documents = Documents {
        listeners: 0,
        bake: "{ for: 1h, holdback: 1 }",
        ..Documents::default()
    };
    let mut world = World::with(&documents);
    world.start_apps("v1", 0..3);
    let envoy = world.start_envoy("own-listeners-eds.yaml", "own-1");
    world.until_serving("v1", 3);
    let through = envoy.listener("cart");
    let roll = Documents {
        roll_to: Some("v2"),
        ..documents
    };
    world.control.apply(&roll.yaml());
    // With one instance of v2 the rollout replaces one of v1, and waits for the next.
    world.start_apps("v2", 0..1);
    world.control.until_stage("v1-0", "released");
    world.until_serving("v2", 1);
    world.control.until_blocked("to-v2", &["must appear"]);

    let load = Load::start(through);
    load.until_more(200);
    let before = load.so_far();
    assert_eq!(before.of("v1-0"), 0, "it is released: {before:?}");
    assert!(before.of("v1-1") > 0 && before.of("v2-0") > 0, "{before:?}");

    world.start_apps("v2", 1..3);
    let baking = world.stop_what_is_released("to-v2", Phase::Baking);
    assert_all_proven(&baking, 2, 1);
    // v1-1 is killed by now; whatever still went to it would have failed.
    let then = load.so_far();
    load.until_more(200);
    let tally = load.stop_without_loss();
    assert_eq!(tally.of("v1-1"), then.of("v1-1"));
    assert!(tally.of("v1-2") > then.of("v1-2"), "{tally:?}");
    assert_connected(&world, envoy.id());
    envoy.stats().assert_nothing_refused();
}

/// Rolls three instances under load, each stopped at once when it is released.
pub(crate) fn roll_to_v2(file: &str, documents: &Documents, listener: &str) {
    let mut world = World::with(documents);
    world.start_apps("v1", 0..3);
    let envoy = world.start_envoy(file, "proxy-1");
    world.until_serving("v1", 3);
    let load = Load::start(envoy.listener(listener));
    load.until_more(50);

    let roll = Documents {
        roll_to: Some("v2"),
        ..documents.clone()
    };
    world.control.apply(&roll.yaml());
    world.start_apps("v2", 0..3);
    let done = world.stop_what_is_released("to-v2", Phase::Done);
    assert_all_proven(&done, 3, 1);
    assert_rolled(&world, &envoy, load, "v2");
}

/// All traffic is on `version` alone, none was lost on the way, and the Envoy is content.
fn assert_rolled(world: &World, envoy: &Envoy, load: Load, version: &str) {
    eventually(SOON, &format!("only {version} in the routes"), || {
        let service = world.control.service("cart")?;
        let routed: Vec<(&str, f64)> = service
            .versions
            .iter()
            .filter(|it| it.routed)
            .map(|it| (it.name.as_str(), it.weight))
            .collect();
        if_so(
            routed == [(version, 100.0)],
            format!("{:?}", service.versions),
        )
    });
    world.control.until_in_force(envoy.id());
    let then = load.so_far();
    load.until_more(50);
    let tally = load.stop_without_loss();
    assert!(
        tally.by_version[version] > then.by_version[version],
        "{tally:?}"
    );
    assert_connected(world, envoy.id());
    let stats = envoy.stats();
    stats.assert_nothing_refused();
    stats.assert_warm();
    stats.assert_no_request_stranded();
}

fn assert_connected(world: &World, id: &str) {
    let table = world.control.cli_ok(&["proxies"]);
    assert!(table.contains(id), "{table}");
    let json = world.control.cli_ok(&["proxies", "--output", "json"]);
    let proxies: Vec<ProxyView> = serde_json::from_str(&json).unwrap();
    let ours = proxies.iter().find(|proxy| proxy.id.as_str() == id);
    let connected = ours.is_some_and(|proxy| proxy.connected && proxy.nack.is_none());
    assert!(connected, "{json}");
}

//! A proxy that dies and does not come back.

use tidegate::api::DrainAnswer;

use crate::support::documents::Documents;
use crate::support::load::Load;
use crate::support::wait::{SOON, eventually, if_so};
use crate::support::world::World;

/// The policy says not to wait for ever; the release then says what it does not know.
pub(crate) fn is_ignored_and_named() {
    let mut world = World::with(&Documents {
        drain: "{ atMost: 60s, lostProxies: { wait: 1s, then: ignore } }",
        ..Documents::default()
    });
    world.start_apps("v1", 0..3);
    let stays = world.start_envoy("sidecar.yaml", "edge-stays");
    let mut dies = world.start_envoy("sidecar.yaml", "edge-dies");
    world.until_serving("v1", 3);
    world.control.until_in_force("edge-stays");
    world.control.until_in_force("edge-dies");
    let load = Load::start(stays.listener("mesh/0"));
    load.until_more(50);

    dies.kill();
    eventually(SOON, "the loss to be noticed", || {
        let proxy = world.control.proxy("edge-dies")?;
        if_so(!proxy.connected, format!("{proxy:?}"))
    });
    let ended = world
        .control
        .cli(&["drain", "v1-0", "--wait", "--output", "json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("warning"), "{ended:?}");
    let answer: DrainAnswer = serde_json::from_str(&ended.stdout).unwrap();
    let drain = answer.drain.unwrap();
    assert!(answer.released && !drain.proven, "{drain:?}");
    assert_eq!(drain.witnesses, 1, "{drain:?}");
    assert!(drain.missing.join(" ").contains("edge-dies"), "{drain:?}");
    let history = world.control.cli_ok(&["history"]);
    let said = history
        .lines()
        .any(|line| line.contains("unproven") && line.contains("edge-dies"));
    assert!(said, "{history}");
    world.stop_app("v1-0");

    world.control.cli_ok(&["proxies", "forget", "edge-dies"]);
    let proxies = world.control.cli_ok(&["proxies"]);
    assert!(!proxies.contains("edge-dies"), "{proxies}");
    let args = ["drain", "v1-1", "--wait", "--output", "json"];
    let answer: DrainAnswer = serde_json::from_str(&world.control.cli_ok(&args)).unwrap();
    assert!(answer.drain.unwrap().proven);
    world.stop_app("v1-1");
    load.stop_without_loss();
}

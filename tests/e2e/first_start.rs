//! The first start of all: proxies are there before anything that they could be told.

use std::net::TcpListener;

use crate::support::app::{self, SERVICE};
use crate::support::documents::Documents;
use crate::support::http;
use crate::support::load::Load;
use crate::support::wait::{SOON, eventually, if_so};
use crate::support::world::World;

/// An empty answer would be taken for the truth, and wipe a fleet that has a configuration.
pub(crate) fn nothing_then_everything() {
    let world = World::with(&Documents::default());
    let envoy = world.start_envoy("sidecar.yaml", "sidecar-1");
    // An address at which nothing answers yet.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let at = address.to_string();
    world.control.cli_ok(&[
        "register",
        "--once",
        "--service",
        SERVICE,
        "--version",
        "v1",
        "--id",
        "v1-0",
        "--address",
        &at,
        "--ttl",
        "10m",
    ]);
    eventually(SOON, "the question of Envoy", || {
        let stats = envoy.stats();
        let asked = stats.get("control_plane.connected_state") == 1
            && stats.get("cluster_manager.cds.update_attempt") > 0;
        if_so(asked, format!("{stats:?}"))
    });
    eventually(SOON, "v1-0 to have failed a probe", || {
        let instance = world.control.instance("v1-0")?;
        if_so(instance.healthy == Some(false), format!("{instance:?}"))
    });

    let ready = http::get(&world.control.url("/readyz")).unwrap();
    assert_eq!(ready.status, 503, "{}", ready.body);
    let (phase, stats) = (envoy.state(), envoy.stats());
    let answers = stats.ending(&["cds.update_success", "lds.update_success"]);
    assert!(answers.is_empty(), "{answers:?}");
    // Envoy itself goes on without an answer after 15 s, which a slow machine may have taken.
    if stats.ending(&["init_fetch_timeout"]).is_empty() {
        assert!(phase.ends_with("INITIALIZING"), "{phase}");
    }

    let (_app, _) = app::run("v1-0", "v1", Some(address), world.path());
    world.until_serving("v1", 1);
    let load = Load::start(envoy.listener("mesh/0"));
    load.until_more(50);
    load.stop_without_loss();
    eventually(SOON, "Envoy to be live", || {
        let phase = envoy.state();
        if_so(phase == "LIVE", phase)
    });
    world.control.get("/readyz");
}

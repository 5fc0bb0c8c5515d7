//! An alias over versions that are hosts by name, through a real Envoy under load.

use tidegate::engine::Phase;

use crate::support::certificates::Ca;
use crate::support::documents::Documents;
use crate::support::function::{Function, HOST};
use crate::support::load::Load;
use crate::support::wait::{ROLL, SOON, eventually, if_so};
use crate::support::world::World;

/// The service under its alias.
const LIVE: &str = "thumbnail@live";

/// A gateway to the alias, and a service whose versions are these.
fn documents(ca: &str, versions: &[(&str, &Function)]) -> String {
    let versions = versions.iter();
    let versions = versions.map(|(version, function)| format!("\"{version}\": {}", function.url()));
    let versions = versions.collect::<Vec<_>>().join(", ");
    format!(
        "\
kind: Gateway
name: mesh
spec:
  proxies: {{ cluster: web }}
  listeners:
    - {{ port: 0, address: 127.0.0.1, routes: [{{ service: thumbnail, alias: live }}] }}
---
kind: Service
name: thumbnail
spec:
  instances: {{ versions: {{ {versions} }} }}
  aliases: {{ live: \"17\" }}
  tls: {{ ca: {ca} }}
  health: {{ http: /healthz, interval: 300ms, healthyAfter: 1 }}
  minReady: 0s
  drain: {{ atMost: 60s }}
"
    )
}

fn until_weights(world: &World, wanted: &str) {
    eventually(SOON, wanted, || {
        let service = world.control.service(LIVE)?;
        let versions = service.versions.iter();
        let shares = versions.map(|v| format!("{} {}%", v.name, v.weight));
        let shares = shares.collect::<Vec<_>>().join(", ");
        if_so(shares == wanted, shares)
    });
}

fn until_done(world: &World, rollout: &str) {
    eventually(ROLL, rollout, || {
        let rollout = world.control.rollout(rollout)?;
        if_so(rollout.phase == Phase::Done, format!("{rollout:?}"))
    });
}

/// Steps from one function's version to the next and, once that is over, back again. Each version is
/// asked by its own name, and the old one is let go once every proxy has proven that it is idle.
pub(crate) fn rolls_and_comes_back() {
    let ca = Ca::new("functions");
    let (old, new) = (
        Function::start("17", &ca, HOST),
        Function::start("18", &ca, HOST),
    );
    let world = World::with(&Documents::default());
    let trusted = world.path().join("functions-ca.pem");
    fs_err::write(&trusted, ca.pem()).unwrap();
    let trusted = trusted.to_str().unwrap();
    let envoy = world.start_envoy("sidecar.yaml", "edge-1");
    let all = documents(trusted, &[("17", &old), ("18", &new)]);
    world.control.apply(&all);
    until_weights(&world, "17 100%");
    world.control.until_in_force(envoy.id());
    let load = Load::of(envoy.listener("mesh/0"), &["/"; 4]);
    load.until_more(50);

    world.control.apply(
        "kind: Rollout
name: live-18
spec:
  service: thumbnail
  alias: live
  from: \"17\"
  to: \"18\"
  steps: [{ weight: 25%, for: 1h }]
  bake: { for: 0s }
",
    );
    until_weights(&world, "17 75%, 18 25%");
    world.control.until_in_force(envoy.id());
    let before = load.so_far();
    load.until_more(400);
    let after = load.so_far();
    let by_new = after.by_version["18"] - before.by_version.get("18").copied().unwrap_or(0);
    assert!((40..=180).contains(&by_new), "a quarter of 400: {by_new}");
    world.control.cli_ok(&["rollout", "promote", "live-18"]);
    until_done(&world, "live-18");
    eventually(SOON, "17 to be let go", || {
        let service = world.control.service(LIVE)?;
        let mut instances = service.instances.iter();
        let old = instances.find(|it| it.version.as_str() == "17");
        let old = old.ok_or("it is not there")?;
        let is_proven = old.drain.as_ref().is_some_and(|drain| drain.proven);
        if_so(old.stage == "released" && is_proven, format!("{old:?}"))
    });

    world.control.apply(
        "kind: Rollout
name: back
spec: { service: thumbnail, alias: live, to: \"17\", bake: { for: 0s } }
",
    );
    until_done(&world, "back");
    let before = load.so_far().by_version["18"];
    load.until_more(100);
    let tally = load.stop_without_loss();
    assert_eq!(tally.by_version["18"], before, "{tally:?}");
    envoy.stats().assert_nothing_refused();
}

/// A host whose certificate is not for its name is no instance to anybody: it never becomes ready, and
/// the reason can be read.
pub(crate) fn another_name_is_not_believed() {
    let ca = Ca::new("functions");
    let (old, new) = (
        Function::start("17", &ca, HOST),
        Function::start("18", &ca, "elsewhere.example"),
    );
    let world = World::with(&Documents::default());
    let trusted = world.path().join("functions-ca.pem");
    fs_err::write(&trusted, ca.pem()).unwrap();
    let trusted = trusted.to_str().unwrap();
    let all = documents(trusted, &[("17", &old), ("18", &new)]);
    world.control.apply(&all);
    until_weights(&world, "17 100%");
    eventually(SOON, "18 to be looked at", || {
        let service = world.control.service(LIVE)?;
        let mut instances = service.instances.iter();
        let new = instances.find(|it| it.version.as_str() == "18");
        let new = new.ok_or("it is not there")?;
        let is_told = new.healthy == Some(false) && new.health_detail.contains("TLS");
        if_so(is_told && new.stage == "registered", format!("{new:?}"))
    });
}

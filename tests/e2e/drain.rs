//! Instances that are taken out one by one, outside of any rollout.

use tidegate::api::DrainAnswer;

use crate::support::app::{App, Lease};
use crate::support::documents::Documents;
use crate::support::envoy::Envoy;
use crate::support::http;
use crate::support::load::Load;
use crate::support::wait::{SOON, eventually, if_so};
use crate::support::world::World;

/// So many that each of three instances has some in progress at any time.
const SLOW: &[&str] = &["/slow2s"; 8];

/// `tidegate drain ID --wait`
pub(crate) fn waits_for_requests() {
    drained_while_busy(|world| {
        let args = ["drain", "v1-0", "--wait", "--output", "json"];
        world.control.cli_ok(&args)
    });
}

/// The same by `POST`.
pub(crate) fn waits_for_requests_by_rest() {
    drained_while_busy(|world| {
        let url = world.control.url("/v1/instances/v1-0/drain?wait=60s");
        let answer = http::post(&url, "application/json", "{}".to_owned()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    });
}

fn drained_while_busy(drain: impl FnOnce(&World) -> String) {
    let (mut world, _envoy, load) = busy();
    let before = load.so_far().of("v1-0");
    let answer = drain(&world);
    let ended = load.so_far().of("v1-0");
    // Whatever were still in progress would fail.
    world.stop_app("v1-0");

    let answer: DrainAnswer = serde_json::from_str(&answer).unwrap();
    assert!(answer.released, "{answer:?}");
    assert_eq!(answer.stage, "released");
    let drain = answer.drain.unwrap();
    assert!(drain.proven && drain.witnesses == 1, "{drain:?}");
    assert!(ended > before, "nothing was in progress: {ended}");
    let tally = load.stop_without_loss();
    assert_eq!(tally.of("v1-0"), ended);
}

/// `tidegate undrain ID`, while requests are still in progress.
pub(crate) fn is_called_off() {
    let (world, _envoy, load) = busy();
    let said = world
        .control
        .cli_ok(&["drain", "v1-0", "--reason", "maintenance"]);
    assert!(said.contains("v1-0"), "{said}");
    world.control.until_stage("v1-0", "draining");
    world.control.cli_ok(&["undrain", "v1-0"]);
    world.control.until_stage("v1-0", "serving");
    let before = load.so_far().of("v1-0");
    eventually(SOON, "new requests on v1-0", || {
        // More than were in progress before.
        let now = load.so_far().of("v1-0");
        if_so(now > before + SLOW.len() as u64, now)
    });
    load.stop_without_loss();
    let history = world.control.cli_ok(&["history"]);
    assert!(!history.contains("v1-0 is released"), "{history}");
}

/// Nobody renews its lease; whether it lives, nobody can say.
pub(crate) fn an_expired_lease_is_a_loss() {
    let mut world = World::with(&Documents::default());
    world.start_apps("v1", 0..2);
    let lease = Lease {
        version: "v1",
        ttl: "2s",
        ..Lease::default()
    };
    let mut short = App::start_leased("v1-2", lease, &world.control, world.path());
    let envoy = world.start_envoy("sidecar.yaml", "sidecar-1");
    world.until_serving("v1", 3);
    let load = Load::start(envoy.listener("mesh/0"));
    load.until_more(50);

    short.stop_renewing();
    eventually(SOON, "the loss in the history", || {
        let history = world.control.cli_ok(&["history"]);
        if_so(history.contains("v1-2 vanished while serving"), history)
    });
    eventually(SOON, "Envoy to have two hosts", || {
        let hosts = envoy.stats().get("cluster.cart/v1.membership_total");
        if_so(hosts == 2, hosts)
    });
    load.stop_without_loss();
    assert!(world.control.instance("v1-2").is_err());
    let history = world.control.history();
    for stage in ["draining", "drained", "released"] {
        let never = format!("v1-2 is {stage}");
        assert!(!history.contains(&never), "{history}");
    }
}

/// Three instances, and requests in progress on the first one.
fn busy() -> (World, Envoy, Load) {
    let mut world = World::with(&Documents::default());
    world.start_apps("v1", 0..3);
    let envoy = world.start_envoy("sidecar.yaml", "sidecar-1");
    world.until_serving("v1", 3);
    let load = Load::of(envoy.listener("mesh/0"), SLOW);
    eventually(SOON, "requests in progress on v1-0", || {
        let instance = world.control.instance("v1-0")?;
        if_so(instance.in_progress > Some(0), format!("{instance:?}"))
    });
    (world, envoy, load)
}

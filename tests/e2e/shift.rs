//! Shares of the traffic and whole fleets, through a real Envoy under load.

use tidegate::engine::Phase;

use crate::support::documents::Documents;
use crate::support::envoy::Envoy;
use crate::support::load::{Load, Tally};
use crate::support::wait::{SOON, eventually, if_so};
use crate::support::world::World;

/// Four of v1 serve an Envoy under load, and four of v2 are there for a rollout that goes this way.
struct Shift {
    world: World,
    envoy: Envoy,
    load: Load,
}

impl Shift {
    fn begin(way: &str) -> Self {
        let documents = Documents::default();
        let mut world = World::with(&documents);
        world.start_apps("v1", 0..4);
        let envoy = world.start_envoy("sidecar.yaml", "edge-1");
        world.until_serving("v1", 4);
        let load = Load::start(envoy.listener("mesh/0"));
        load.until_more(50);
        world.start_apps("v2", 0..4);
        world.control.apply(&format!(
            "kind: Rollout
name: to-v2
spec: {{ service: cart, to: v2, bake: {{ for: 0s }}, keepOld: 1h, {way} }}
"
        ));
        Self { world, envoy, load }
    }

    fn until_weights(&self, wanted: &str) {
        eventually(SOON, wanted, || {
            let service = self.world.control.service("cart")?;
            let versions = service.versions.iter();
            let shares = versions.map(|v| format!("{} {}%", v.name, v.weight));
            let shares = shares.collect::<Vec<_>>().join(", ");
            if_so(shares == wanted, shares)
        });
        self.world.control.until_in_force(self.envoy.id());
        // What was on its way is answered by whoever got it.
        self.load.until_more(200);
    }

    fn until_phase(&self, rollout: &str, phase: Phase) {
        eventually(SOON, &format!("{rollout} to be {phase}"), || {
            let rollout = self.world.control.rollout(rollout)?;
            if_so(rollout.phase == phase, format!("{rollout:?}"))
        });
    }

    /// Promotes, and says what was answered; below that stands how the rollout goes on.
    fn promote(&self) -> String {
        let words = ["rollout", "promote", "to-v2", "--reason", "looks well"];
        let said = self.world.control.cli_ok(&words);
        let (answer, standing) = said.split_once('\n').unwrap();
        assert!(standing.starts_with("  to-v2 is "), "{said}");
        answer.to_owned()
    }

    /// What the next so many requests were answered by.
    fn next(&self, requests: u64) -> Tally {
        let before = self.load.so_far();
        self.load.until_more(requests);
        let mut after = self.load.so_far();
        for (version, answered) in &mut after.by_version {
            *answered -= before.by_version.get(version).copied().unwrap_or_default();
        }
        after
    }

    /// Requests that v2 got in the Envoy's own count, copies included.
    fn got_by_v2(&self) -> u64 {
        self.envoy.stats().get("cluster.cart/v2.upstream_rq_total")
    }
}

/// Copies first, then a quarter, then half, then all; and back in one step while the old ones are there.
pub(crate) fn by_steps() {
    let shift = Shift::begin(
        "steps: [{ mirror: 50%, for: 1s }, { pause: { note: look at the copies } }, { weight: 25%, for: 1h }]",
    );
    let words = &["it goes on when somebody says so: look at the copies"];
    shift.world.control.until_blocked("to-v2", words);
    let copies = shift.got_by_v2();
    let answered = shift.next(400).by_version;
    assert_eq!(answered.get("v2"), None, "nobody waits for copies' answers");
    let copies = shift.got_by_v2() - copies;
    assert!((50..=350).contains(&copies), "{copies} copies of 400");
    assert_eq!(shift.promote(), "to-v2 goes on");

    shift.until_weights("v1 75%, v2 25%");
    let answered = shift.next(800).by_version;
    let by_v2 = answered["v2"];
    assert!(
        (100..=300).contains(&by_v2),
        "a quarter of 800: {answered:?}"
    );
    let why = shift.world.control.until_blocked("to-v2", &["step 3 of 4"]);
    assert!(why.contains("stays for 1h"), "{why}");

    assert_eq!(shift.promote(), "to-v2 goes on with step 4 of 4");
    shift.until_phase("to-v2", Phase::Done);
    let service = shift.world.control.service("cart").unwrap();
    let serving = service.instances.iter().filter(|it| it.stage == "serving");
    assert_eq!(serving.count(), 8, "the old ones are kept for an undo");

    shift.world.control.cli_ok(&["rollout", "undo", "to-v2"]);
    shift.until_weights("v1 100%, v2 0%");
    shift.until_phase("to-v2-undo", Phase::Done);
    let answered = shift.next(200).by_version;
    assert_eq!(answered["v2"], 0, "{answered:?}");
    let Shift { load, envoy, .. } = shift;
    load.stop_without_loss();
    envoy.stats().assert_nothing_refused();
}

/// More traffic than four instances should carry, as the Envoy counts it: a share that four others cannot
/// carry waits, and says how many are missing.
pub(crate) fn by_counted_traffic() {
    let documents = Documents::default();
    let mut world = World::with(&documents);
    world
        .control
        .apply(&format!("{}  capacity: 10rps\n", documents.service()));
    world.start_apps("v1", 0..4);
    let envoy = world.start_envoy("sidecar.yaml", "edge-1");
    world.until_serving("v1", 4);
    let load = Load::of(envoy.listener("mesh/0"), &["/fast"; 3]);
    // Two flushes and more are counted of it.
    load.until_more(500);
    world.start_apps("v2", 0..4);
    world.control.apply(
        "kind: Rollout
name: to-v2
spec: { service: cart, to: v2, bake: { for: 0s }, steps: [{ weight: 1%, for: 1s }, { weight: 90%, for: 1s }] }
",
    );
    let words = &["v2 can carry", "is to get 90%", "instances missing"];
    world.control.until_blocked("to-v2", words);
    load.stop_without_loss();
}

/// The whole new fleet is ready, then somebody says so, then all traffic moves at once; an abort before
/// that costs nothing.
pub(crate) fn blue_green() {
    let shift = Shift::begin("blueGreen: { approve: true }");
    let words = &["it goes on when somebody says so"];
    shift.world.control.until_blocked("to-v2", words);
    let answered = shift.next(200).by_version;
    assert_eq!(answered.get("v2"), None, "{answered:?}");
    assert_eq!(shift.promote(), "to-v2 goes on");
    shift.until_weights("v1 0%, v2 100%");
    let answered = shift.next(200).by_version;
    assert_eq!(answered["v1"], 0, "{answered:?}");
    shift.until_phase("to-v2", Phase::Done);
    shift.load.stop_without_loss();
}

/// Half way to v2 comes v3: it takes over, and no request is lost.
pub(crate) fn a_third_version() {
    let documents = Documents {
        roll_to: Some("v2"),
        rolling: "{ batch: 2, maxSurge: 2, maxUnavailable: 0 }",
        ..Documents::default()
    };
    let mut world = World::with(&Documents::default());
    world.start_apps("v1", 0..4);
    let envoy = world.start_envoy("sidecar.yaml", "edge-1");
    world.until_serving("v1", 4);
    let load = Load::start(envoy.listener("mesh/0"));
    load.until_more(50);
    world.control.apply(&documents.yaml());
    world.start_apps("v2", 0..2);
    world.until_serving("v2", 2);
    let third = Documents {
        roll_to: Some("v3"),
        ..documents
    };
    world.control.apply(&third.rollout().unwrap());
    world.start_apps("v3", 0..4);
    let done = world.stop_what_is_released("to-v3", Phase::Done);
    assert!(done.report.min_ready >= Some(4), "{:?}", done.report);
    let superseded = world.control.rollout("to-v2").unwrap();
    assert_eq!(superseded.phase, Phase::Superseded);
    load.until_more(100);
    let tally = load.stop_without_loss();
    assert!(tally.by_version["v3"] > 0, "{tally:?}");
    envoy.stats().assert_nothing_refused();
}

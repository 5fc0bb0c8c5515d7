//! Sessions that stay with their version, through two real Envoys that know nothing of each other.

use std::net::SocketAddr;

use tidegate::engine::Phase;

use crate::support::clients::Clients;
use crate::support::documents::Documents;
use crate::support::envoy::Envoy;
use crate::support::wait::{SOON, eventually, if_so};
use crate::support::world::World;

/// So many clients; shares of them are right within 8 in a hundred, which is four standard deviations.
const CLIENTS: usize = 600;

/// Four of v1 and four of v2 behind two Envoys.
struct Edge {
    world: World,
    envoys: Vec<Envoy>,
}

impl Edge {
    fn begin(sessions: &'static str) -> Self {
        Self::with(&Documents {
            sessions: Some(sessions),
            ..Documents::default()
        })
    }

    fn with(documents: &Documents) -> Self {
        let mut world = World::with(documents);
        world.start_apps("v1", 0..4);
        let envoys = ["edge-1", "edge-2"].map(|id| world.start_envoy("sidecar.yaml", id));
        world.until_serving("v1", 4);
        world.start_apps("v2", 0..4);
        Self {
            world,
            envoys: envoys.into(),
        }
    }

    fn through(&self) -> Vec<SocketAddr> {
        let envoys = self.envoys.iter();
        envoys.map(|envoy| envoy.listener("mesh/0")).collect()
    }

    fn roll(&self, name: &str) {
        self.world.control.apply(&format!(
            "kind: Rollout
name: {name}
spec:
  service: cart
  to: v2
  gates: []
  bake: {{ for: 0s }}
  keepOld: 1h
  steps: [{{ weight: 10%, for: 1h }}, {{ weight: 50%, for: 1h }}, {{ weight: 100%, for: 1h }}]
"
        ));
    }

    /// The next step, when both Envoys have it.
    fn until(&self, shares: &str) {
        eventually(SOON, shares, || {
            let service = self.world.control.service("cart")?;
            let versions = service.versions.iter();
            let all = versions.map(|v| format!("{} {}%", v.name, v.weight));
            let all = all.collect::<Vec<_>>().join(", ");
            if_so(all == shares, all)
        });
        for envoy in &self.envoys {
            self.world.control.until_in_force(envoy.id());
        }
    }

    fn promote(&self, name: &str, shares: &str) {
        let words = ["rollout", "promote", name, "--reason", "on"];
        self.world.control.cli_ok(&words);
        self.until(shares);
    }

    /// Both Envoys agree on each client, time and again. Says who is where.
    fn settled(&self, clients: &mut Clients) -> Vec<String> {
        let through = self.through();
        let first = clients.ask(&through);
        for _ in 0..2 {
            let again = clients.ask(&through);
            let flips = first.iter().zip(&again).filter(|(a, b)| a != b).count();
            assert_eq!(flips, 0, "of {CLIENTS} clients, and no share has moved");
        }
        first
    }
}

fn on_v2(answers: &[String]) -> usize {
    answers.iter().filter(|version| *version == "v2").count()
}

/// The share of clients on v2 is so many percent, more or less.
fn assert_share(answers: &[String], percent: usize) {
    let share = on_v2(answers) * 100 / answers.len();
    assert!(share.abs_diff(percent) <= 8, "{share}% for {percent}%");
}

/// From one answer to the next nobody has left v2.
fn assert_forward(before: &[String], after: &[String]) {
    let both = before.iter().zip(after);
    let back = both.filter(|(before, after)| *before == "v2" && *after == "v1");
    assert_eq!(back.count(), 0, "clients that went back");
}

fn moves_once(mut edge: Edge, mut clients: Clients) {
    let before = edge.settled(&mut clients);
    assert_eq!(on_v2(&before), 0);
    edge.roll("first");
    edge.until("v1 90%, v2 10%");
    let tenth = edge.settled(&mut clients);
    assert_share(&tenth, 10);
    edge.promote("first", "v1 50%, v2 50%");
    let half = edge.settled(&mut clients);
    assert_share(&half, 50);
    assert_forward(&tenth, &half);
    // Who comes now agrees with itself from its first request on.
    assert_share(&edge.settled(&mut clients.others()), 50);

    edge.world
        .control
        .cli_ok(&["rollout", "abort", "first", "--reason", "back"]);
    eventually(SOON, "the end of it", || {
        let rollout = edge.world.control.rollout("first")?;
        if_so(rollout.phase == Phase::RolledBack, format!("{rollout:?}"))
    });
    assert_eq!(on_v2(&edge.settled(&mut clients)), 0);
    edge.world.start_apps("v2", 4..8);
    edge.roll("second");
    edge.until("v1 90%, v2 10%");
    assert_eq!(edge.settled(&mut clients), tenth, "the same clients");
    edge.promote("second", "v1 50%, v2 50%");
    assert_eq!(edge.settled(&mut clients), half, "the same clients");
    edge.promote("second", "v1 0%, v2 100%");
    assert_eq!(on_v2(&edge.settled(&mut clients)), CLIENTS);
    for envoy in &edge.envoys {
        envoy.stats().assert_nothing_refused();
    }
}

/// Known by a cookie that the Envoys give it.
pub(crate) fn by_a_cookie_of_its_own() {
    let edge = Edge::begin("{ stickTo: version }");
    moves_once(edge, Clients::new(CLIENTS));
}

/// The same over HTTP/2 with a header for each cookie, among others of the application's, while each request is traced:
/// what is packed into a request's id then must not come between the choice and the cookie.
pub(crate) fn over_http2_while_traced() {
    let edge = Edge::with(&Documents {
        sessions: Some("{ stickTo: version }"),
        http: Some(
            "{ tracing: { random_sampling: { value: 100 }, provider: { \
             name: envoy.tracers.opentelemetry, typed_config: { \
             \"@type\": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig, \
             grpc_service: { envoy_grpc: { cluster_name: tidegate } }, service_name: edge } } } }",
        ),
        ..Documents::default()
    });
    let mut clients = Clients::new(CLIENTS).over_http2();
    clients.given("a-cookie");
    clients.given("z-cookie");
    moves_once(edge, clients);
}

/// Known by a header.
pub(crate) fn by_a_header() {
    let edge = Edge::begin("{ stickTo: version, key: { header: x-user } }");
    moves_once(edge, Clients::new(CLIENTS).sending("x-user"));
}

/// Known by the application's cookie, which a client has from its first request on.
pub(crate) fn by_the_applications_cookie() {
    let edge = Edge::begin("{ stickTo: version, key: { cookie: SID } }");
    let mut clients = Clients::new(CLIENTS);
    clients.given("SID");
    moves_once(edge, clients);
}

/// Old sessions stay until their version has no share; new ones follow the shares.
pub(crate) fn only_new_ones_follow() {
    let edge = Edge::begin("{ stickTo: version, move: newOnly, ttl: 30m }");
    let mut old = Clients::new(CLIENTS);
    assert_eq!(on_v2(&edge.settled(&mut old)), 0);
    edge.roll("next");
    edge.until("v1 90%, v2 10%");
    assert_eq!(on_v2(&edge.settled(&mut old)), 0);
    let mut middle = Clients::new(CLIENTS);
    let first = edge.settled(&mut middle);
    assert_share(&first, 10);
    edge.promote("next", "v1 50%, v2 50%");
    assert_eq!(on_v2(&edge.settled(&mut old)), 0);
    assert_eq!(edge.settled(&mut middle), first);
    assert_share(&edge.settled(&mut Clients::new(CLIENTS)), 50);
    edge.promote("next", "v1 0%, v2 100%");
    assert_eq!(on_v2(&edge.settled(&mut old)), CLIENTS);
    assert_eq!(on_v2(&edge.settled(&mut middle)), CLIENTS);
    for envoy in &edge.envoys {
        envoy.stats().assert_nothing_refused();
    }
}

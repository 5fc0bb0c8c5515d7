//! Instances that are nothing but a port that accepts connections, and the documents for them.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use crate::server::Server;

/// A gateway and a service whose instances register; quick, so that tests are.
pub(crate) const DOCUMENTS: &str = "\
kind: Gateway
name: mesh
spec:
  proxies: { cluster: web }
  listeners:
    - port: 10000
      routes:
        - { hosts: [cart.internal], prefix: /, service: cart }
---
kind: Service
name: cart
spec:
  instances: { from: api }
  health: { tcp: true, interval: 100ms, healthyAfter: 1, unhealthyAfter: 2 }
  minReady: 0s
";

/// A rollout that ends as soon as everything is moved.
pub(crate) fn rollout(name: &str, to: &str) -> String {
    format!(
        "kind: Rollout\nname: {name}\nspec:\n  service: cart\n  to: {to}\n  bake: {{ for: 0s, holdback: 0 }}\n"
    )
}

/// An address that accepts connections for as long as the tests run.
pub(crate) fn listening() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    address
}

/// Registers instances that are there, and keeps them for an hour.
pub(crate) fn register(server: &Server, version: &str, ids: &[&str]) {
    for id in ids {
        register_at(server, version, id, listening());
    }
}

/// Registers one instance, or renews its lease.
pub(crate) fn register_at(server: &Server, version: &str, id: &str, address: SocketAddr) {
    let words = format!(
        "register --service cart --version {version} --address {address} --id {id} --ttl 1h --once"
    );
    server.run(&words).ok();
}

/// A server with the documents and three instances of v1 that serve.
pub(crate) fn serving() -> Server {
    serving_in(Arc::new(tempfile::tempdir().unwrap()))
}

/// The same with what is in `home`.
pub(crate) fn serving_in(home: Arc<TempDir>) -> Server {
    let server = Server::start_in(home);
    server.apply(DOCUMENTS);
    register(&server, "v1", &["a1", "a2", "a3"]);
    server.until("three instances serve", |state| {
        state["ready"] == true && in_stage(state, "serving") == 3
    });
    server
}

/// So many instances of the first service are in this stage.
pub(crate) fn in_stage(view: &Value, stage: &str) -> usize {
    let instances = view["services"][0]["instances"].as_array();
    let counted = instances.map(|all| all.iter().filter(|i| i["stage"] == stage).count());
    counted.unwrap_or(0)
}

/// The phase of a rollout, if there is one of that name.
pub(crate) fn phase<'a>(state: &'a Value, name: &str) -> &'a str {
    let rollouts = state["rollouts"].as_array().unwrap();
    let found = rollouts.iter().find(|r| r["name"] == name);
    found.map_or("", |rollout| rollout["phase"].as_str().unwrap())
}

/// The first rollout has begun, and waits for its first new instance.
pub(crate) fn awaits_instances(view: &Value) -> bool {
    let blockers = view["rollouts"][0]["blockers"].as_array();
    blockers.is_some_and(|all| all.iter().any(|b| b["on"]["kind"] == "instances"))
}

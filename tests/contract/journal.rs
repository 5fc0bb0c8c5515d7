//! The journal outlives the process, and this version of the program.

use std::sync::Arc;

use serde_json::Value;

use crate::fleet::{DOCUMENTS, in_stage, phase, register, register_at, rollout, serving};
use crate::server::Server;

/// The state without what is only observed or only true at a moment.
fn decided(mut state: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for name in [
                    "at",
                    "since",
                    "until",
                    "healthy",
                    "health_detail",
                    "in_progress",
                ] {
                    fields.remove(name);
                }
                fields.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut state);
    state
}

/// `kill -9`, and everything that was decided is there again, under the same generation.
#[test]
fn a_restart_changes_nothing() {
    let server = serving();
    server.apply(&rollout("cart-2", "v2"));
    register(&server, "v2", &["b1"]);
    let waits = |state: &Value| {
        in_stage(state, "released") == 1 && state["rollouts"][0]["blockers"] != Value::Array(vec![])
    };
    server.until("one is replaced, and the next is awaited", waits);
    server.run("rollout pause cart-2").ok();
    let before = server.state();
    let documents = server.run("get --output json").json();
    let again = Server::start_in(server.killed());
    let after = again.until("it is ready again", |state| state["ready"] == true);
    assert_eq!(decided(after), decided(before));
    assert_eq!(again.run("get --output json").json(), documents);
    // And it goes on from there.
    for instance in again
        .run("instances --output json")
        .json()
        .as_array()
        .unwrap()
    {
        let text = |field: &str| instance[field].as_str().unwrap();
        let address = text("address").parse().unwrap();
        register_at(&again, text("version"), text("id"), address);
    }
    register(&again, "v2", &["b2", "b3"]);
    again.run("rollout resume cart-2").ok();
    again.until("it is done", |state| phase(state, "cart-2") == "Done");
}

/// Written by 0.1: three of v1 rolled to v2, a rollout to v3 that was aborted, a drain. What later
/// versions must go on reading.
const FIXTURE: &[u8] = include_bytes!("journal-0.1.redb");

#[test]
fn the_journal_of_an_older_version_is_read() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    for (path, bytes) in [
        ("data/journal.redb", FIXTURE),
        ("documents/mesh.yaml", DOCUMENTS.as_bytes()),
    ] {
        let path = home.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }
    let server = Server::start_in(home);
    let state = server.until("its service is back", |state| {
        state["services"][0]["stable"] == "v2"
    });
    assert_eq!(phase(&state, "cart-2"), "Done", "{state:#}");
    assert_eq!(phase(&state, "cart-3"), "RolledBack", "{state:#}");
    assert!(state["generation"].as_u64() >= Some(21), "{state:#}");
    let history = server.run("history").ok().stdout;
    assert!(history.contains("cart-3: rolled back"), "{history}");
    assert!(
        server.said().contains("Journal replayed"),
        "{}",
        server.said()
    );
}

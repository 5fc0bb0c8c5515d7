//! The journal outlives the process, and this version of the program.

use std::sync::Arc;

use serde_json::Value;

use crate::fleet::{
    DOCUMENTS, awaits_instances, in_stage, phase, register, register_at, rollout, serving,
    serving_in,
};
use crate::server::Server;
use crate::tidegate::{fed, tidegate};

/// The state without what is only observed or only true at a moment.
pub(crate) fn decided(mut state: Value) -> Value {
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
    let waits = |state: &Value| in_stage(state, "released") == 1 && awaits_instances(state);
    server.until("one is replaced, and the next is awaited", waits);
    server.run("rollout pause cart-2").ok();
    let before = server.state();
    let documents = server.run("get --output json").json();
    let again = Server::start_in(server.killed());
    again.until("all of it is there again", |state| {
        state["ready"] == true && decided(state.clone()) == decided(before.clone())
    });
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
pub(crate) const FIXTURE: &[u8] = include_bytes!("journal-0.1.redb");

/// With a checkpoint in the middle of a rollout that has not ended, made by [`write_fixture`].
pub(crate) const CHECKPOINTED: &[u8] = include_bytes!("journal-0.1-checkpoint.redb");

/// Serves from a fixture, with the documents that it was made with. Its entries get older each day, and
/// are to stay what they are.
fn serving_from(fixture: &[u8]) -> Server {
    let home = Arc::new(tempfile::tempdir().unwrap());
    for (path, bytes) in [
        ("data/journal.redb", fixture),
        ("documents/mesh.yaml", DOCUMENTS.as_bytes()),
        ("tidegate.yaml", b"journal: { retention: 36500d }"),
    ] {
        let path = home.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }
    Server::start_in(home)
}

#[test]
fn the_journal_of_an_older_version_is_read() {
    let server = serving_from(FIXTURE);
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

/// A change to the state must go on reading the checkpoints of before: give what is new a default, or
/// raise `CHECKPOINT_FORMAT` and say in CHANGELOG.md from which version one can upgrade.
#[test]
fn a_checkpoint_of_an_older_version_says_what_its_entries_say() {
    if std::env::var_os("TIDEGATE_WRITE_FIXTURE").is_some() {
        write_fixture();
        panic!("tests/contract/journal-0.1-checkpoint.redb is written anew, commit it");
    }
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("journal.redb");
    fs_err::write(&path, CHECKPOINTED).unwrap();
    let words = [
        "journal",
        "check",
        path.to_str().unwrap(),
        "--output",
        "json",
    ];
    let found = tidegate(&words).ok().json();
    assert_eq!(found["checkpoint_is_true"], true, "{found:#}");
    assert_eq!(found["sum"]["unfinished"], 1, "{found:#}");

    let server = serving_from(CHECKPOINTED);
    let state = server.until("its service is back", |state| {
        state["services"][0]["stable"] == "v2"
    });
    assert_eq!(phase(&state, "cart-2"), "Done", "{state:#}");
    let said = server.said();
    assert!(!said.contains("checkpoint=0"), "{said}");
    assert!(!said.contains("passed over"), "{said}");
    server.run("rollout abort cart-3").ok();
    let history = server
        .run("history --rollout cart-3 --by ada --limit 1")
        .ok();
    assert!(history.stdout.contains("aborted by ada"), "{history}");
}

/// `TIDEGATE_WRITE_FIXTURE=1 cargo test --test contract a_checkpoint_of`
fn write_fixture() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let settings = "journal: { checkpointEvery: 10 }\n";
    fs_err::write(home.path().join("tidegate.yaml"), settings).unwrap();
    let server = serving_in(home);
    server.apply(&rollout("cart-2", "v2"));
    register(&server, "v2", &["b1", "b2", "b3"]);
    server.until("it is done", |state| phase(state, "cart-2") == "Done");
    server.apply(&rollout("cart-3", "v3"));
    register(&server, "v3", &["c1"]);
    server.until("one is replaced", |state| in_stage(state, "released") == 4);
    crate::tidegate::until("a checkpoint covers some of that", || {
        server.run("rollout pause cart-3").ok();
        server.run("rollout resume cart-3").ok();
        let status = server.run("journal status --output json").ok().json();
        let (checkpoint, last) = (status["checkpoint"].as_u64(), status["last"].as_u64());
        (checkpoint > Some(60) && last > checkpoint).then_some(())
    });
    let lines = server.run("journal export").ok().stdout;
    drop(server);
    // What is imported takes up no more room than it needs.
    let copy = tempfile::tempdir().unwrap();
    let words = ["journal", "import", "-", copy.path().to_str().unwrap()];
    fed(&words, &lines).ok();
    let to = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/contract/journal-0.1-checkpoint.redb"
    );
    fs_err::copy(copy.path().join("journal.redb"), to).unwrap();
}

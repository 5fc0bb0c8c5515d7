//! Secrets for proxies: what is said of those that are not there, and of those that are of no use.

use std::sync::Arc;

use tempfile::TempDir;

use crate::server::Server;
use crate::tidegate::{tidegate, transcript, until};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tls");

/// A home whose server has a directory of secrets, with half a certificate in it.
fn home() -> Arc<TempDir> {
    let home = tempfile::tempdir().unwrap();
    let edge = home.path().join("secrets/edge");
    fs_err::create_dir_all(&edge).unwrap();
    fs_err::write(edge.join("tls.crt"), "half").unwrap();
    fs_err::write(home.path().join("tidegate.yaml"), "secrets: secrets\n").unwrap();
    Arc::new(home)
}

fn told(home: &TempDir, seen: &str) -> String {
    let seen = seen.replace(home.path().to_str().unwrap(), "[HOME]");
    seen.replace(env!("CARGO_MANIFEST_DIR"), "[REPOSITORY]")
}

#[test]
fn documents_say_beforehand_what_they_would_wait_for() {
    let home = home();
    let file = home.path().join("tidegate.yaml");
    let with_file = ["validate", "-c", file.to_str().unwrap(), EXAMPLE];
    let mut seen = tidegate(&with_file).ok().to_string();
    // Without the server's file nobody knows.
    seen += &tidegate(&["validate", EXAMPLE]).ok().to_string();
    transcript("secrets_beforehand", &told(&home, &seen), &[]);
}

#[test]
fn whoever_waits_for_a_secret_is_told_so() {
    let server = Server::start_in(home());
    let mut seen = server.run("secrets").to_string();
    seen += &server
        .run(&format!("apply -f {EXAMPLE}/tls.yaml"))
        .to_string();
    let log = until("the log says so", || {
        let said = server.said();
        said.contains("secret=\"edge\"").then_some(said)
    });
    assert!(log.contains("tls.key` is not there"), "{log}");
    let (status, body) = server.get("/v1/secrets");
    assert_eq!((status, body.contains("\"broken\"")), (200, true), "{body}");
    transcript("secrets_are_waited_for", &told(&server.home, &seen), &[]);
}

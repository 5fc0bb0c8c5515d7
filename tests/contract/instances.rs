//! Leases and drains: for preStop hooks, service managers and scripts.

use std::process::Stdio;

use crate::fleet::{in_stage, listening, serving};
use crate::server::terminate;
use crate::tidegate::{SPANS, command, transcript};

/// `register` keeps a lease for as long as it runs, and ends it when it is told to stop.
#[test]
fn a_lease_ends_with_its_command() {
    let server = serving();
    let address = listening().to_string();
    let child = command(&["register", "--service", "cart", "--version", "v1"])
        .args([
            "--address",
            &address,
            "--ttl",
            "1s",
            "--server",
            &server.url,
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    server.until("it serves", |state| in_stage(state, "serving") == 4);
    let began = server.state()["at"].clone();
    // Longer than the lease: only renewal explains that the instance is still there.
    server.until("its first lease would be over", |state| {
        let second = |at: &serde_json::Value| at.as_str().unwrap()[..19].to_owned();
        second(&state["at"]) > second(&began) && state["at"].as_str() > began.as_str()
    });
    assert_eq!(in_stage(&server.state(), "serving"), 4);
    terminate(&child);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    let said = String::from_utf8(ended.stdout).unwrap() + &String::from_utf8(ended.stderr).unwrap();
    transcript(
        "a_lease_ends_with_its_command",
        &said.replace(&address, "[ADDRESS]"),
        &[],
    );
    server.until("it is gone", |state| {
        state["services"][0]["instances"].as_array().unwrap().len() == 3
    });
}

#[test]
fn drain_and_undrain() {
    let server = serving();
    let mut seen = server.session(&[
        "drain a1 --wait",
        "drain a1 --wait",
        "drain a1",
        "undrain a1",
        "drain a9 --wait",
        "drain a2 --service shop",
    ]);
    server.until("it serves again", |state| in_stage(state, "serving") == 3);
    seen += &server.session(&["undrain a1"]);
    seen += &server.run("drain a2 --wait --output json").to_string();
    transcript(
        "drain_and_undrain",
        &seen,
        &[SPANS, (r#""took_ms": \d+"#, r#""took_ms": 0"#)],
    );
}

#[test]
fn history_follows() {
    let server = serving();
    let mut child = command(&["history", "--follow", "--server", &server.url])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut lines = lines.map(Result::unwrap);
    lines.find(|line| line.contains("a3 is serving")).unwrap();
    server.run("drain a3").ok();
    let found = lines.find(|line| line.contains("a3 is leaving")).unwrap();
    assert!(found.ends_with("ada drains it"), "{found}");
    child.kill().unwrap();
    child.wait().unwrap();
}

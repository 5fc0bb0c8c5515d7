//! The demo's scenarios, as whoever automates them would run and judge them.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::support::tools;

/// What `tidegate demo --output json` prints last, with every field that it promises.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Summary {
    scenario: String,
    duration_s: f64,
    requests: u64,
    failed: u64,
    failed_by: BTreeMap<String, u64>,
    instances: usize,
    released_proven: usize,
    released_unproven: usize,
    min_ready: Option<u64>,
    ack_ms_p50: Option<f64>,
    ack_ms_max: Option<f64>,
    drain_s: Vec<f64>,
    phase: String,
    decision: Option<String>,
    detect_s: Option<f64>,
    failed_on_new: u64,
    rolled_back_s: Option<f64>,
    rolls: Vec<Roll>,
    #[serde(default)]
    sessions: usize,
    #[serde(default)]
    moved_once: usize,
    #[serde(default)]
    moved_more: usize,
    #[serde(default)]
    went_back: usize,
    #[serde(default)]
    flips_without_change: usize,
    #[serde(default)]
    session_requests: u64,
    #[serde(default)]
    session_failures: u64,
}

/// What gates did in one roll.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Roll {
    to: String,
    decision: Option<String>,
    says: String,
    detect_s: Option<f64>,
    failed_on_new: u64,
    rolled_back_s: Option<f64>,
    phase: String,
}

/// Enough that a loss of one in ten thousand would show.
const REQUESTS_MIN: u64 = 50_000;
const INSTANCES: usize = 10;

pub(crate) fn rolling() {
    let summary = run("rolling");
    assert_rolled_without_loss(&summary);
    assert_eq!(summary.min_ready, Some(INSTANCES as u64), "{summary:?}");
}

pub(crate) fn crash() {
    assert_rolled_without_loss(&run("crash"));
}

pub(crate) fn naive() {
    let summary = run("naive");
    assert!(summary.failed >= 100, "{summary:?}");
    assert_eq!(summary.phase, "none");
}

pub(crate) fn lost_proxy() {
    let summary = run("lost-proxy");
    assert_eq!(summary.failed, 0, "{summary:?}");
    assert_eq!(summary.released_unproven, 0, "{summary:?}");
    assert_eq!(summary.released_proven, INSTANCES, "{summary:?}");
    assert_eq!(summary.phase, "Done");
}

pub(crate) fn nack() {
    let summary = run("nack");
    assert_eq!(summary.failed, 0, "{summary:?}");
    let released = summary.released_proven + summary.released_unproven;
    assert_eq!(released, 0, "{summary:?}");
    assert_ne!(summary.phase, "Done");
}

pub(crate) fn bad_version() {
    let summary = run("bad-version");
    assert_eq!(summary.decision.as_deref(), Some("worse"), "{summary:?}");
    assert!(summary.detect_s.is_some() && summary.rolled_back_s.is_some());
    let rolls: Vec<&str> = summary.rolls.iter().map(|roll| roll.to.as_str()).collect();
    assert_eq!(rolls, ["v2", "v3", "v4"]);
    for roll in &summary.rolls {
        assert_eq!(roll.phase, "RolledBack", "{roll:?}");
        assert_eq!(roll.decision.as_deref(), Some("worse"), "{roll:?}");
        assert!(roll.detect_s.is_some() && roll.rolled_back_s.is_some());
        assert!(!roll.says.is_empty(), "{roll:?}");
    }
    let failed: u64 = summary.rolls.iter().map(|roll| roll.failed_on_new).sum();
    assert_eq!((failed, summary.failed_on_new), (summary.failed, failed));
}

pub(crate) fn one_bad_box() {
    let summary = run("one-bad-box");
    assert_eq!(
        summary.decision.as_deref(),
        Some("one-box v2-2"),
        "{summary:?}"
    );
    assert_eq!(summary.phase, "Done", "{summary:?}");
    assert_eq!(summary.rolled_back_s, None);
}

pub(crate) fn shared_outage() {
    let summary = run("shared-outage");
    assert!(summary.failed > 0, "{summary:?}");
    assert_eq!(summary.decision, None, "{summary:?}");
    assert_eq!(summary.phase, "Done", "{summary:?}");
}

pub(crate) fn low_traffic() {
    let summary = run("low-traffic");
    assert_eq!(summary.decision.as_deref(), Some("unsure"), "{summary:?}");
    assert_eq!((summary.rolled_back_s, summary.failed), (None, 0));
    assert_eq!(summary.phase, "Done", "{summary:?}");
}

pub(crate) fn sessions() {
    let summary = run("sessions");
    assert_rolled_without_loss(&summary);
    assert_eq!(
        (summary.sessions, summary.moved_once),
        (2_000, 2_000),
        "{summary:?}"
    );
    let wrong = [
        summary.moved_more,
        summary.went_back,
        summary.flips_without_change,
    ];
    assert_eq!(wrong, [0; 3], "{summary:?}");
    assert!(summary.session_requests > 4_000, "{summary:?}");
    assert_eq!(summary.session_failures, 0, "{summary:?}");
}

fn assert_rolled_without_loss(summary: &Summary) {
    assert!(summary.requests >= REQUESTS_MIN, "{summary:?}");
    assert_eq!(summary.failed, 0, "{summary:?}");
    assert_eq!(summary.released_proven, INSTANCES, "{summary:?}");
    assert_eq!(summary.released_unproven, 0, "{summary:?}");
    assert_eq!(summary.drain_s.len(), INSTANCES, "{summary:?}");
    assert_eq!(summary.phase, "Done");
}

/// Runs a scenario to its end, which must be a good one, and checks what holds of each.
fn run(scenario: &str) -> Summary {
    let mut command = Command::new(tools::tidegate());
    command
        .args(["demo", "--output", "json", "--scenario", scenario])
        .arg("--envoy")
        .arg(tools::envoy().unwrap())
        .stdin(Stdio::null());
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");

    let line = stdout.lines().last().unwrap_or_default();
    let summary: Summary =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {stdout}\n{stderr}"));
    assert_eq!(summary.scenario, scenario);
    assert_eq!(summary.instances, INSTANCES);
    assert!(summary.duration_s > 0.0);
    assert_eq!(summary.failed_by.values().sum::<u64>(), summary.failed);
    assert_eq!(summary.ack_ms_p50.is_some(), summary.ack_ms_max.is_some());
    assert!(summary.ack_ms_p50 <= summary.ack_ms_max, "{summary:?}");
    summary
}

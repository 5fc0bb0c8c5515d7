//! The examples: each is on its page, is valid as it stands, and does in the simulation what it is for.

use std::path::Path;

use serde_json::Value;

use crate::server::Server;
use crate::tidegate::tidegate;

/// Each directory of `examples`.
fn examples() -> Vec<String> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let all = fs_err::read_dir(all).unwrap().map(Result::unwrap);
    let directories = all.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut names: Vec<String> = directories
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() > 3, "{names:?}");
    names
}

/// Those in which nothing is to be rolled; they show settings.
const AT_REST: [&str; 2] = ["edge", "tls"];

/// A fleet for any of them.
const FLEET: &[&str] = &["--instances", "8", "--proxies", "2"];

/// One whose first region is so small that the blast radius of `house-rules` has room for it.
const FIVE_REGIONS: &[&str] = &[
    "--instances",
    "12",
    "--zones",
    "ap-south,eu-west,eu-west,eu-west,eu-central,eu-central,us-east,us-east,us-east,us-west,us-west,us-west",
];

#[test]
fn each_is_on_the_page_and_valid() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/README.md");
    let page = fs_err::read_to_string(page).unwrap();
    for name in examples() {
        let line = format!("| [`{name}`]({name}) | ");
        assert!(
            page.contains(&line),
            "{name} has no line in examples/README.md"
        );
        let directory = format!("examples/{name}");
        let words = ["validate", &directory, "--output", "json"];
        let said = tidegate(&words).ok().json();
        assert_eq!(said["valid"], true, "{name}");
        assert_eq!(said["warnings"], Value::Array(Vec::new()), "{name}");
        assert_ne!(said["documents"], Value::Array(Vec::new()), "{name}");
    }
}

#[test]
fn each_rollout_is_done_as_planned() {
    for name in examples() {
        let directory = format!("examples/{name}");
        let fleet = match name.as_str() {
            "house-rules" => FIVE_REGIONS,
            _ => FLEET,
        };
        let json = &["--output", "json"];
        let sim = tidegate(&[&["sim", "-f", &directory], fleet, json].concat());
        let plan = tidegate(&[&["plan", "--offline", &directory], fleet, json].concat());
        if AT_REST.contains(&name.as_str()) {
            assert!(sim.stderr.contains("nothing to play"), "{sim}");
            continue;
        }
        let (played, planned) = (sim.ok().json(), plan.ok().json());
        let played = played["report"]["rollouts"].as_array().unwrap().clone();
        let planned = planned["rollouts"].as_array().unwrap();
        assert_eq!(played.len(), planned.len(), "{name}");
        for played in &played {
            let same = planned.iter().find(|it| it["name"] == played["name"]);
            let planned = same.unwrap_or_else(|| panic!("{name}: {played} is not planned"));
            assert_eq!(played["phase"], "Done", "{name}");
            assert_eq!(planned["outcome"], "done", "{name}");
            assert_eq!(planned["instances"], played["total"], "{name}");
            assert_eq!(planned["capacity"]["lowest"], played["min_ready"], "{name}");
        }
    }
}

#[test]
fn a_directory_is_applied_as_one_set() {
    let server = Server::start();
    let sessions = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/sessions");
    let seen = server.run(&format!("apply -f {}", sessions.display()));
    let said = &seen.ok().stdout;
    for document in [
        "Gateway shop",
        "Service cart",
        "Service search",
        "Rollout cart-42",
    ] {
        assert!(said.contains(&format!("{document} created")), "{said}");
    }
}

//! `tidegate sim`: the same documents, flags and seed tell the same story.

use crate::tidegate::{tidegate, transcript};

const MESH: &str = "examples/mesh";

#[test]
fn a_rollout_is_played_without_a_server() {
    let small = ["--instances", "2", "--proxies", "2"];
    let good = [&["sim", "-f", MESH][..], &small].concat();
    let mut seen = tidegate(&good).ok().to_string();
    assert_eq!(seen, tidegate(&good).to_string());
    let lost = ["--fault", "lost-proxy", "--fault", "bad-version"];
    seen += &tidegate(&[&good[..], &lost].concat()).to_string();
    transcript("a_rollout_is_played", &seen, &[]);
}

#[test]
fn a_simulation_as_json_has_the_fields_of_the_demo() {
    let ran = tidegate(&["sim", "-f", MESH, "--instances", "2", "--output", "json"]).ok();
    let said = ran.json();
    let fields: Vec<&String> = said["report"].as_object().unwrap().keys().collect();
    let seen = format!("{fields:?}\n{}\n", said["timeline"][0]);
    transcript("a_simulation_as_json", &seen, &[]);
}

#[test]
fn there_must_be_something_to_play() {
    let mut seen = String::new();
    for words in [
        &["sim", "-f", "examples/edge"][..],
        &["sim", "-f", "examples/mesh/rollout.yaml"],
        &["sim", "-f", MESH, "--fault", "bad-luck"],
        &["sim", "-f", MESH, "--zones", "a/"],
    ] {
        let ran = tidegate(words);
        assert!(ran.stdout.is_empty() && ran.code != Some(0), "{ran}");
        seen += &ran.to_string();
    }
    transcript("nothing_to_play", &seen, &[]);
}

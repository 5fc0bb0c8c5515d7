//! `tidegate plan`: what it says for files alone and for a control plane's fleet, and that it changes nothing.

use serde_json::Value;

use crate::fleet::{awaits_instances, phase, register, rollout, serving};
use crate::server::Server;
use crate::tidegate::{SPANS, tidegate, transcript};

const MESH: &str = "examples/mesh";

#[test]
fn files_alone_are_planned_for_a_made_up_fleet() {
    let small = ["plan", "--offline", "--instances", "3", "--proxies", "2"];
    let mut seen = tidegate(&[&small[..], &[MESH]].concat()).ok().to_string();
    let known = ["--rps", "210", "--zones", "eu-1,eu-2", "-f", MESH];
    seen += &tidegate(&[&small[..], &known].concat()).ok().to_string();
    seen += &tidegate(&["plan", "--offline", "--rps", "20", "examples/shares"])
        .ok()
        .to_string();
    transcript("files_alone_are_planned", &seen, &[SPANS]);
}

#[test]
fn a_plan_as_json() {
    let words = ["plan", "--offline", "--instances", "2", "--rps", "210"];
    let more = ["--output", "json", MESH];
    let seen = tidegate(&[&words[..], &more].concat()).ok().to_string();
    let seconds = (r"(_s.: )\d+(\.\d+)?", "$1[SECONDS]");
    transcript("a_plan_as_json", &seen, &[seconds]);
}

#[test]
fn there_must_be_something_to_plan() {
    let home = tempfile::tempdir().unwrap();
    let wrong = home.path().join("wrong.yaml");
    fs_err::write(&wrong, rollout("cart-2", "v2")).unwrap();
    let mut seen = String::new();
    for words in [
        &["plan"][..],
        &["plan", "--offline", "examples/edge"],
        &["plan", "--offline", "wrong.yaml"],
        &["plan", "--instances", "3", MESH],
        &["plan", "--server", "http://127.0.0.1:1", MESH],
    ] {
        let words = words.iter().map(|word| match *word {
            "wrong.yaml" => wrong.to_str().unwrap(),
            word => word,
        });
        let mut ran = tidegate(&words.collect::<Vec<_>>());
        assert!(ran.stdout.is_empty() && ran.code != Some(0), "{ran}");
        ran.rename(wrong.to_str().unwrap(), "wrong.yaml");
        seen += &ran.to_string();
    }
    transcript("nothing_to_plan", &seen, &[]);
}

/// How many entries the journal has.
fn entries(server: &Server) -> u64 {
    let journal: Value = serde_json::from_str(&server.get("/v1/journal").1).unwrap();
    journal["last"].as_u64().unwrap()
}

#[test]
fn a_control_planes_own_fleet_is_planned_for_and_nothing_is_changed() {
    let server = serving();
    let file = server.home.path().join("rollout.yaml");
    let path = file.to_str().unwrap();
    let mut seen = String::new();
    let mut plan = |said: &str, yaml: &str| {
        fs_err::write(&file, yaml).unwrap();
        let mut ran = server.run(&format!("plan {path} --rps 100"));
        ran.rename(path, "rollout.yaml");
        ran.rename(&server.url, "http://127.0.0.1:[PORT]");
        seen += &format!("# {said}\n{ran}");
        ran
    };
    plan("a rollout for what serves", &rollout("cart-2", "v2")).ok();
    server.run("freeze --reason weekend").ok();
    let before = entries(&server);
    plan("while everything is frozen", &rollout("cart-2", "v2")).ok();
    assert_eq!(entries(&server), before, "it changes nothing");
    server.run("unfreeze").ok();

    server.apply(&rollout("cart-2", "v2"));
    server.until("it waits for instances", awaits_instances);
    plan("the same once more", &rollout("cart-2", "v2")).ok();
    plan("another one on top of it", &rollout("cart-3", "v3")).ok();
    register(&server, "v2", &["b1", "b2", "b3"]);
    server.until("it is done", |state| phase(state, "cart-2") == "Done");
    plan("afterwards", &rollout("cart-3", "v3")).ok();
    let missing = "kind: Rollout\nname: cart-4\nspec: { service: cart, from: v1, to: v4 }\n";
    let stuck = plan("one that would never begin", missing);
    assert_eq!(stuck.code, Some(1), "{stuck}");
    transcript("a_fleet_is_planned_for", &seen, &[SPANS]);
}

//! House rules, in the operator's words.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::fleet::{awaits_instances, phase, rollout, serving};
use crate::peer::Peer;
use crate::tidegate::{SPANS, transcript};

/// A policy that is always on, a freeze of everything, and the way round both.
#[test]
fn house_rules_hold_and_are_overridden() {
    let server = serving();
    server.apply(
        "kind: Policy\nname: winter\nspec: { freeze: [{ from: 2020-01-01, to: 2999-12-31 }] }\n",
    );
    server.apply(&rollout("cart-2", "v2"));
    let mut seen = server.session(&[
        "why cart-2",
        "get policies",
        "freeze --reason audit",
        "freeze",
        "rollout status",
        "why cart-2",
        "rollout resume cart-2",
        "rollout override cart-2",
        "rollout override cart-2 --reason outage",
    ]);
    server.until("it waits for instances", awaits_instances);
    seen += &server.session(&["why cart-2", "unfreeze", "unfreeze"]);
    assert_eq!(server.state()["frozen"], serde_json::Value::Null);
    transcript("house_rules_hold_and_are_overridden", &seen, &[SPANS]);
}

#[test]
fn verbs_are_for_those_whom_a_policy_names() {
    let server = serving();
    server.apply("kind: Policy\nname: edge\nspec: { may: { pause: [group:edge-oncall, bob] } }\n");
    server.apply(&rollout("cart-2", "v2"));
    server.until("it waits for instances", awaits_instances);
    let seen = server.session(&[
        "rollout pause cart-2",
        "rollout pause cart-2 --groups billing",
        "rollout pause cart-2 --groups billing,edge-oncall",
        "rollout resume cart-2",
    ]);
    transcript("verbs_are_for_those_whom_a_policy_names", &seen, &[SPANS]);
}

/// An address says whether rollouts may go on.
#[test]
fn an_address_is_asked() {
    let is_open = Arc::new(AtomicBool::new(true));
    let says = Arc::clone(&is_open);
    let peer = Peer::start(move |_| (200, says.load(Ordering::Relaxed).to_string()));
    let server = serving();
    server.apply(&asking(&format!("{}/open", peer.url)));
    server.apply(&rollout("cart-2", "v2"));
    server.until("it is frozen", |state| held_by(state, "question"));
    let seen = server.session(&["why cart-2"]);
    let asked = peer.requests.recv().unwrap();
    assert!(asked.head.starts_with("GET /open HTTP/1.1\n"), "{asked:?}");
    assert!(peer.url.ends_with(asked.header("host")) && asked.body.is_empty());
    is_open.store(false, Ordering::Relaxed);
    server.until("it waits for instances", awaits_instances);
    transcript("an_address_says_that_it_is_frozen", &seen, &[SPANS]);
}

/// What each rule says while it holds.
#[test]
fn rules_hold_in_their_words() {
    let server = serving();
    server.apply("kind: Service\nname: shop\nspec: { instances: { from: api } }\n");
    server
        .apply("kind: Policy\nname: house\nspec: { after: [shop], slots: 1, blastRadius: 10% }\n");
    server.apply("kind: Rollout\nname: shop-2\nspec: { service: shop, to: v2 }\n");
    server.apply(&rollout("cart-2", "v2"));
    server.until("it waits for the shop", |state| held_by(state, "after"));
    let mut seen = server.session(&["why cart-2", "rollout abort shop-2"]);
    server.until("it is held", |state| phase(state, "cart-2") == "Held");
    seen += &server.session(&["rollout status", "why cart-2"]);
    // Nobody answers there.
    server.apply(&asking("http://127.0.0.1:1/open"));
    server.until("it says why", |state| {
        let blockers = state["rollouts"][0]["blockers"].to_string();
        blockers.contains("does not answer")
    });
    seen += &server.session(&["why cart-2", "rollout override cart-2 --reason outage"]);
    server.until("it waits for instances", awaits_instances);
    seen += "# after the override\n";
    let history = server.run("history --rollout cart-2").ok().stdout;
    let overridden = history.lines().find(|line| line.contains("overridden"));
    seen += overridden
        .unwrap_or_default()
        .trim_start()
        .split_once("  ")
        .unwrap()
        .1;
    transcript("rules_hold_in_their_words", &seen, &[SPANS]);
}

fn asking(url: &str) -> String {
    format!(
        "kind: Policy\nname: edge\nspec: {{ freeze: [{{ when: incident-open, ask: \"{url}\" }}] }}\n"
    )
}

/// Does such a rule hold the first rollout?
fn held_by(state: &serde_json::Value, rule: &str) -> bool {
    let blockers = state["rollouts"][0]["blockers"].as_array();
    blockers.is_some_and(|all| all.iter().any(|b| b["on"]["rule"]["rule"] == rule))
}

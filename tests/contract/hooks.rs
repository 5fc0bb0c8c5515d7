//! Hooks that have a say: a real web address, real programs, and the operator's words.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ring::hmac;
use serde_json::Value;

use crate::fleet::{awaits_instances, phase, register, serving_in};
use crate::peer::{Peer, Request};
use crate::server::Server;
use crate::tidegate::{SPANS, transcript};

const SIGNING_KEY: &str = "what only both know";

/// A rollout in batches of two, with these hooks.
fn rollout(hooks: &str) -> String {
    format!(
        "kind: Rollout\nname: cart-2\nspec:\n  service: cart\n  to: v2\n  bake: {{ for: 0s }}\n  \
         rolling: {{ batch: 2 }}\n  hooks: {hooks}\n"
    )
}

/// What the history says of hooks and of what they led to.
fn history(server: &Server) -> String {
    let history = server.run("history --rollout cart-2").ok().stdout;
    let told = |line: &&str| {
        [": before ", ": after ", "aborted"]
            .iter()
            .any(|word| line.contains(word))
    };
    let lines = history.lines().filter(told).map(|line| {
        let (_, said) = line.split_once("cart-2: ").unwrap();
        format!("  cart-2: {said}\n")
    });
    lines.collect()
}

pub(crate) fn is_signed(request: &Request) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SIGNING_KEY.as_bytes());
    let said = request.header("x-tidegate-signature");
    let digits = said.strip_prefix("sha256=").unwrap();
    let bytes: Vec<u8> = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect();
    hmac::verify(&key, request.body.as_bytes(), &bytes).unwrap();
}

/// An address holds, also over the end of the control plane, and then lets each batch pass; a program hears of
/// the end.
#[test]
fn an_address_holds_and_then_lets_a_rollout_pass() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let key = home.path().join("hook-key");
    fs_err::write(&key, format!("{SIGNING_KEY}\n")).unwrap();
    let may_pass = Arc::new(AtomicBool::new(false));
    let passes = Arc::clone(&may_pass);
    let peer = Peer::start(move |_| {
        let said = if passes.load(Ordering::Relaxed) {
            r#"{"answer":"pass","why":"9 of 9 tests"}"#
        } else {
            r#"{"answer":"hold","why":"not before noon"}"#
        };
        (200, said.to_owned())
    });
    let server = serving_in(home);
    server.apply(&rollout(&format!(
        "\n    before: {{ each: batch, name: ci, post: \"{}/smoke\", every: 100ms, sign: {{ file: \"{}\" }} }}\n    \
         after: {{ end: rollout, exec: [sh, -c, \"echo {{outcome}}, key $TIDEGATE_KEY >&2; echo {{to}} {{outcome}}\"] }}",
        peer.url,
        key.display()
    )));
    let held = |state: &Value| phase(state, "cart-2") == "Held";
    server.until("it is held", held);
    let mut seen = server.session(&["rollout status", "why cart-2", "rollout retry cart-2"]);

    let server = Server::start_in(server.killed());
    server.until("it is held again", held);
    may_pass.store(true, Ordering::Relaxed);
    server.until("it waits for instances", awaits_instances);
    register(&server, "v2", &["b1", "b2", "b3"]);
    server.until("the end", |state| phase(state, "cart-2") == "Done");
    seen += "# history\n";
    seen += &history(&server);
    transcript(
        "an_address_holds_and_then_lets_a_rollout_pass",
        &seen,
        &[SPANS],
    );

    let requests: Vec<Request> = peer.requests.try_iter().collect();
    let mut keys: Vec<&str> = requests
        .iter()
        .map(|r| r.header("x-tidegate-key"))
        .collect();
    assert!(keys.len() >= 4, "{keys:?}");
    keys.dedup();
    assert_eq!(
        keys.len(),
        2,
        "one for each batch, over the restart too: {keys:?}"
    );
    for request in &requests {
        is_signed(request);
        let body: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(body["key"], request.header("x-tidegate-key"));
        assert_eq!(body["from"], "v1");
    }
    let journal = server.run("journal export").ok().stdout;
    assert!(!journal.contains(SIGNING_KEY));
}

/// What a program says when it fails is the reason why the rollout goes back; another one is tried again, and
/// waits for somebody.
#[test]
fn programs_fail_in_their_words() {
    let server = crate::fleet::serving();
    server.apply(&rollout(
        "{ before: { start: rollout, exec: [sh, -c, \"exit 1\"], onFail: hold, name: calendar }, \
           after: { each: batch, exec: [sh, -c, \"echo 2 of 9 tests fail; exit 1\"] } }",
    ));
    server.until("it is held", |state| phase(state, "cart-2") == "Held");
    let mut seen = server.session(&[
        "why cart-2",
        "rollout promote cart-2",
        "rollout skip cart-2 --reason checked",
    ]);
    server.until("it waits for instances", awaits_instances);
    register(&server, "v2", &["b1", "b2"]);
    server.until("it goes back", |state| {
        phase(state, "cart-2") == "RollingBack"
    });
    register(&server, "v1", &["a4", "a5"]);
    server.until("it went back", |state| {
        phase(state, "cart-2") == "RolledBack"
    });
    seen += "# history\n";
    seen += &history(&server);
    transcript("programs_fail_in_their_words", &seen, &[SPANS]);
}

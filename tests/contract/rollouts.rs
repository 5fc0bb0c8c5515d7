//! Whole rollouts, driven by the command line. No proxy is connected, so every barrier passes.

use crate::fleet::{awaits_instances, in_stage, phase, register, rollout, serving};
use crate::tidegate::{SPANS, transcript};

#[test]
fn a_rollout_to_its_end() {
    let server = serving();
    server.apply(&rollout("cart-2", "v2"));
    server.until("it waits for instances", awaits_instances);
    let mut seen = server.session(&[
        "rollout status",
        "rollout status cart-2",
        "why cart-2",
        "rollout skip cart-2",
        "rollout undo cart-2",
        "rollout pause cart-2 --reason lunch",
        "rollout pause cart-2",
        "why cart-2",
        "rollout resume cart-2",
        "rollout resume cart-2",
        "rollout retry cart-2",
    ]);
    register(&server, "v2", &["b1", "b2", "b3"]);
    let watched = server.run("rollout watch cart-2").ok();
    let last = watched.stdout.lines().last().unwrap();
    assert!(last.ends_with("Done 3/3; v2 100%"), "{watched}");
    let lines = server.run("rollout watch cart-2 --output json").ok();
    let line: serde_json::Value = serde_json::from_str(&lines.stdout).unwrap();
    assert_eq!(line["outcome"], "done", "{lines}");

    seen += "# after the end\n";
    seen += &server.session(&[
        "rollout status",
        "why cart-2",
        "rollout abort cart-2",
        "rollout pause cart-2",
        "rollout resume cart-2",
        "rollout retry cart-2",
        "rollout skip cart-2",
        "get",
        "rollout start cart --to v2 --name cart-2",
    ]);
    transcript("a_rollout_to_its_end", &seen, &[SPANS]);

    let state = server.state();
    assert_eq!(
        (in_stage(&state, "serving"), in_stage(&state, "released")),
        (3, 3),
        "{state:#}"
    );
    let report = &state["rollouts"][0]["report"];
    assert_eq!(report["drained"].as_array().unwrap().len(), 3);
    assert_eq!(report["lost"], serde_json::json!([]));
    assert!(report["min_ready"].as_u64() >= Some(3), "{report}");
}

#[test]
fn an_abort_rolls_back() {
    let server = serving();
    server.apply(&rollout("cart-2", "v2"));
    server.until("it runs", awaits_instances);
    let seen = server.session(&[
        "rollout abort cart-2 --reason mistake",
        "rollout abort cart-2",
    ]);
    let watched = server.run("rollout watch cart-2");
    assert_eq!(watched.code, Some(1), "{watched}");
    let seen = seen
        + "# after the end\n"
        + &watched.stderr
        + &server.session(&[
            "why cart-2",
            "rollout abort cart-2",
            "rollout pause cart-2",
            "history --rollout cart-2",
        ]);
    transcript(
        "an_abort_rolls_back",
        &seen,
        &[SPANS, (r"\n +\d+  ", "\n  [SEQ]  ")],
    );
    assert_eq!(in_stage(&server.state(), "serving"), 3);
}

#[test]
fn start_writes_a_document() {
    let server = serving();
    let seen = server.session(&[
        "rollout start cart --to v2",
        "rollout start cart --to v2",
        "get rollout cart-v2",
    ]);
    server.until("it runs", awaits_instances);
    let words = "rollout start cart --to v2 --name other --output json";
    let seen = seen + &server.session(&[words]);
    server.until("the newer one takes over", |view| {
        let other = &view["rollouts"][1]["blockers"];
        let waits = other.as_array().is_some_and(|all| !all.is_empty());
        phase(view, "cart-v2") == "Superseded" && waits
    });
    let seen = seen
        + &server.session(&[
            "why other",
            "delete rollout cart-v2",
            "why cart-v2",
            "rollout start carts --to v2",
        ]);
    transcript("start_writes_a_document", &seen, &[SPANS]);
}

/// What programs read: each parses, and has the fields that are documented.
#[test]
fn json_has_its_fields() {
    let server = serving();
    server.apply(&rollout("cart-2", "v2"));
    server.until("it runs", awaits_instances);
    let fields = |value: &serde_json::Value| {
        let names = value
            .as_object()
            .unwrap_or_else(|| panic!("{value}"))
            .keys();
        names.cloned().collect::<Vec<_>>().join(" ")
    };
    let mut seen = String::new();
    for (words, pointer) in [
        ("get", ""),
        ("get", "/documents/0"),
        ("get gateway mesh", "/0"),
        ("instances", "/0"),
        ("rollout status", "/0"),
        ("rollout status cart-2", ""),
        ("rollout status cart-2", "/report"),
        ("rollout status cart-2", "/blockers/0"),
        ("why cart-2", ""),
        ("rollout pause cart-2", ""),
        ("drain a1", ""),
        ("undrain a2", ""),
    ] {
        let ran = server.run(&format!("{words} --output json")).ok();
        let value = ran.json();
        let part = value
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{pointer}:\n{ran}"));
        seen += &format!("{words} {pointer}: {}\n", fields(part));
    }
    assert_eq!(server.run("proxies --output json").ok().stdout, "[]\n");
    let history = server.run("history --output json").ok();
    for (line, seq) in history.stdout.lines().zip(1..) {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(entry["seq"], seq);
    }
    let state = server.state();
    seen += &format!("/v1/state: {}\n", fields(&state));
    seen += &format!("/v1/state /services/0: {}\n", fields(&state["services"][0]));
    seen += &format!(
        "/v1/state /services/0/versions/0: {}\n",
        fields(&state["services"][0]["versions"][0])
    );
    transcript("json_has_its_fields", &seen, &[]);
}

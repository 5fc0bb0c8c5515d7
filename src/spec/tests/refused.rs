//! Each class of mistake and what is said of it, as one line each.

mod gates;
mod gateways;
mod rollouts;
mod rules;
mod services;

use super::*;

const CART: &str = "kind: Service\nname: cart\nspec: { instances: { from: api } }\n---\n";

#[track_caller]
pub(super) fn check(text: &str, expected: &[&str]) {
    assert_eq!(said(text), expected, "\n{text}");
}

fn said(text: &str) -> Vec<String> {
    match load_text(text) {
        Ok(_) => Vec::new(),
        Err(refusal) => refusal.to_string().lines().map(str::to_owned).collect(),
    }
}

/// The spec of a rollout of `cart`; its lines count from 8.
#[track_caller]
fn check_rollout(spec: &str, expected: &[&str]) {
    check(
        &format!("{CART}kind: Rollout\nname: r\nspec:\n{spec}"),
        expected,
    );
}

/// The spec of a service; its lines count from 5.
#[track_caller]
fn check_service(spec: &str, expected: &[&str]) {
    let head = "kind: Service\nname: cart\nspec:\n  instances: { from: api }\n";
    check(&format!("{head}{spec}"), expected);
}

/// The listeners of a gateway before the service `cart` and a TCP service `db`.
#[track_caller]
fn check_listeners(listeners: &str, expected: &[&str]) {
    let db = "kind: Service\nname: db\nspec: { protocol: tcp, instances: { from: api } }\n---\n";
    let head = "kind: Gateway\nname: g\nspec:\n  proxies: { cluster: web }\n  listeners:\n";
    check(&format!("{CART}{db}{head}{listeners}"), expected);
}

#[test]
fn broken_yaml_spoils_its_document_only() {
    check(
        "kind: Rollout\nspec: { to: v2\n---\nkind: Gate\nname: g\n",
        &[
            "a.yaml:2:7: this is not YAML: unclosed bracket '{'",
            "a.yaml:4:1: missing field `spec`",
        ],
    );
    check(
        "a: &x [*x]\n",
        &["a.yaml:1:8: an alias may not stand inside of what it names"],
    );
    check(
        "a: !foo 1\n",
        &["a.yaml:1:9: not supported: the tag `!foo`"],
    );
    check("? [a]\n: 1\n", &["a.yaml:1:3: a key must be a text"]);
}

#[test]
fn documents_have_a_kind_a_name_and_a_spec() {
    check(
        "kind: Rollut\nname: r\nspec: {}\n---\nkind: Polcy\nname: p\nspec: { a: 1 }\n---\n- 1\n---\nnaem: x\n",
        &[
            "a.yaml:1:7: unknown kind `Rollut` (hint: did you mean `Rollout`?)",
            "a.yaml:5:7: unknown kind `Polcy` (hint: did you mean `Policy`?)",
            "a.yaml:9:1: expected a mapping, found a list",
            "a.yaml:11:1: unknown field `naem` (hint: did you mean `name`?)",
            "a.yaml:11:1: missing field `kind`",
            "a.yaml:11:1: missing field `name`",
            "a.yaml:11:1: missing field `spec`",
        ],
    );
    check(
        "kind: Service\nname: ''\nspec: { instances: { from: api } }\n",
        &["a.yaml:2:7: a service name may not be empty"],
    );
    check(
        "kind: Service\nname: a/b\nspec:\n  capacity: 5\n  instances: { from: api }\n",
        &[
            "a.yaml:2:7: a service name may not contain '/'; use letters, digits and `-._@`",
            "a.yaml:4:13: `5` is not a rate per instance; write it like `60rps`",
        ],
    );
}

#[test]
fn every_field_is_told_at_once() {
    check_rollout(
        "  service: cart\n  to:\n  rolling: { max_surge: 1, batch: x, wings: 2 }\n  bake: { for: 5 }\n  deadline: [1]\n  deadline: 5m\n",
        &[
            "a.yaml:9:5: expected a text, found nothing",
            "a.yaml:10:14: unknown field `max_surge` (hint: did you mean `maxSurge`?)",
            "a.yaml:10:35: `x` is neither a number nor a share; write it like `2` or `10%`",
            "a.yaml:10:38: unknown field `wings` (hint: `tidegate schema` prints what may stand here)",
            "a.yaml:11:16: `5` is not a duration; write it like `30s`, `5m`, `1h30m` or `250ms`",
            "a.yaml:12:13: expected a text, found a list",
            "a.yaml:13:3: `deadline` is given twice, first in line 12",
        ],
    );
}

#[test]
fn names_are_unique_across_files() {
    let sources = [source("a.yaml", CART), source("b.yaml", CART)];
    let refusal = load(&sources, overlay).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "b.yaml:2:7: Service `cart` is declared twice, first in a.yaml:2:7 (hint: rename or delete one of them)"
    );
}

/// Use 1 of the design, with everything in it that is still to come.
#[test]
fn what_is_not_supported_yet_is_told_at_once() {
    check(
        "kind: Service
name: cart
spec:
  instances: { from: api }
  sessions: { stickTo: instance, ttl: 30m }
  drain: { letSessionsFinish: 10m, atMost: 15m }
---
kind: Gate
name: no-worse
spec:
  checks: [errors: { noWorseThan: 1x }]
---
kind: Rollout
name: cart-42
spec:
  service: cart
  to: v42
  gates: [no-worse]
",
        &[
            "a.yaml:5:24: not supported yet: sessions that stick to an instance (hint: `stickTo: version` keeps them with their version)",
            "a.yaml:6:12: not supported yet: `letSessionsFinish` (hint: remove it; it would have no effect)",
        ],
    );
}

#[test]
fn sets_are_bounded() {
    let too_large = "#".repeat(FILE_BYTES_MAX + 1);
    check(
        &too_large,
        &["a.yaml:1:1: a file may have at most 1048576 bytes (hint: split it)"],
    );

    let deep = "[".repeat(DEPTH_MAX + 1) + &"]".repeat(DEPTH_MAX + 1);
    check(
        &deep,
        &["a.yaml:1:33: values may be nested at most 32 deep"],
    );

    let mut lines = vec!["a: &a [x, x, x, x, x, x, x, x, x, x]".to_owned()];
    for (name, of) in ["b", "c", "d", "e", "f", "g"]
        .iter()
        .zip(["a", "b", "c", "d", "e", "f"])
    {
        lines.push(format!(
            "{name}: &{name} [{}]",
            vec![format!("*{of}"); 10].join(", ")
        ));
    }
    let bomb = lines.join("\n");
    check(
        &bomb,
        &["a.yaml:5:7: the file has more than 200000 values (hint: split it)"],
    );

    let mistakes: Vec<_> = (0..200).map(|i| format!("field{i}: 1")).collect();
    let refusal = load_text(&mistakes.join("\n")).unwrap_err();
    assert_eq!(refusal.problems.len(), PROBLEMS_PER_FILE_MAX + 1);

    let many = vec![source("x.yaml", ""); FILES_MAX + 1];
    let refusal = load(&many, overlay).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "x.yaml:1:1: a set has at most 1000 files"
    );
}

#[test]
fn reports_show_the_line() {
    let text = "kind: Rollout\nname: r\nspec:\n  service: cart\n  to: v2\n  rolling: { maxSurg: 2 }\n  # größer\n  bake: { for: größer }\n";
    let refusal = load(
        &[source("cart.yaml", text), source("b.yaml", CART)],
        overlay,
    )
    .unwrap_err();
    let expected = "  × unknown field `maxSurg`
   ╭─[cart.yaml:6:14]
 5 │   to: v2
 6 │   rolling: { maxSurg: 2 }
   ·              ───────
 7 │   # größer
   ╰────
  help: did you mean `maxSurge`?

  × `größer` is not a duration; write it like `30s`, `5m`, `1h30m` or `250ms`
   ╭─[cart.yaml:8:16]
 7 │   # größer
 8 │   bake: { for: größer }
   ·                ──────
   ╰────

";
    assert_eq!(refusal.report(false), expected);
    assert!(refusal.report(true).contains("\u{1b}["));
}

#[test]
fn problems_are_json_for_the_api() {
    let refusal = load_text("kind: Gat\nname: g\nspec: {}\n").unwrap_err();
    assert_eq!(
        serde_json::to_value(&refusal.problems).unwrap(),
        serde_json::json!([{
            "file": "a.yaml",
            "line": 1,
            "column": 7,
            "message": "unknown kind `Gat`",
            "hint": "did you mean `Gate`?",
        }])
    );
}

#[test]
fn messages_stay_on_their_line_and_screens_whole() {
    check(
        "kind: Gate\nname: g\nspec: |\n  a\n  b\n",
        &[r"a.yaml:4:3: expected a mapping, found `a\nb\n`"],
    );
    let refusal = load_text("kind: \"\\e[31mGat\"\nname: g\nspec: {}\n").unwrap_err();
    assert!(
        refusal
            .to_string()
            .contains(r"unknown kind `\u{1b}[31mGat`"),
        "{refusal}"
    );

    let refusal = load_text("kind: \u{1b}[31mGat # \u{9b}\n").unwrap_err();
    assert!(!refusal.report(false).contains(['\u{1b}', '\u{9b}']));

    let text = format!("kind: {}\nname: g\nspec: {{}}\n", "x".repeat(9_999));
    let refusal = load_text(&text).unwrap_err();
    assert!(refusal.problems[0].message.ends_with("xxx…"));
}

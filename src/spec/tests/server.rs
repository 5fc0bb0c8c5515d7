//! The server's own file: the example, its page, and what is said of mistakes.

use std::path::Path;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::super::server::ServerSpec;
use super::*;
use crate::domain::{Lifetimes, Limits, Retention};

fn load_file(text: &str) -> Result<Server, Refusal> {
    load_server(&source("tidegate.yaml", text), Path::new("/etc/tidegate"))
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let got = match load_file(text) {
        Ok(_) => Vec::new(),
        Err(refusal) => refusal.to_string().lines().map(str::to_owned).collect(),
    };
    assert_eq!(got, expected, "\n{text}");
}

#[test]
fn the_example_has_every_setting_with_its_default() {
    let text = include_str!("../../../examples/tidegate.yaml");
    let server = load_file(text).unwrap();
    assert_eq!(server.limits, Limits::default());
    assert_eq!(server.lifetimes, Lifetimes::default());
    assert_eq!(server.journal, Retention::default());
    assert_eq!(server.identity.rules.len(), 4);
    assert_eq!(server.data.unwrap(), Path::new("/var/lib/tidegate"));
    let tls = server.tls.unwrap();
    assert_eq!(tls.key, Path::new("/etc/tidegate/tls/server.key"));
    for (setting, _) in settings() {
        let name = setting.rsplit('.').next().unwrap();
        assert!(text.contains(&format!("{name}:")), "{setting}");
    }
}

#[test]
fn an_empty_file_sets_nothing() {
    assert_eq!(load_file("# later\n").unwrap(), Server::default());
}

#[test]
fn the_page_lists_every_setting() {
    let page = include_str!("../../../docs/server.md");
    let rows: Vec<String> = settings()
        .into_iter()
        .map(|(setting, words)| format!("| `{setting}` | {words} |"))
        .collect();
    let missing: Vec<_> = rows.iter().filter(|row| !page.contains(*row)).collect();
    assert!(
        missing.is_empty(),
        "docs/server.md has not, or not any more:\n{}",
        rows.join("\n")
    );
}

/// Every setting with its words.
fn settings() -> Vec<(String, String)> {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let schema = settings
        .into_generator()
        .into_root_schema_for::<ServerSpec>();
    let mut found = Vec::new();
    collect("", schema.as_value(), &mut found);
    found
}

fn collect(prefix: &str, schema: &Value, found: &mut Vec<(String, String)>) {
    let object = schema.pointer("/items").unwrap_or(schema);
    let Some(properties) = object["properties"].as_object() else {
        return;
    };
    for (name, schema) in properties {
        let path = format!("{prefix}{name}");
        let words = schema["description"].as_str().unwrap().replace('\n', " ");
        let below = if schema.get("items").is_some() {
            "[]."
        } else {
            "."
        };
        found.push((path.clone(), words));
        collect(&format!("{path}{below}"), schema, found);
    }
}

#[test]
fn mistakes_are_told_with_their_place_and_all_at_once() {
    check(
        "listen: { xds: here }\nlimit: {}\nlimits: { streams: 0, requestSize: 5MB, ackTime: 0s }\n",
        &[
            "tidegate.yaml:1:16: invalid socket address syntax",
            "tidegate.yaml:2:1: unknown field `limit` (hint: did you mean `limits`?)",
            "tidegate.yaml:3:20: `streams` must be at least 1",
            "tidegate.yaml:3:36: `5MB` is not a size; write it like `64KiB` or `32MiB`",
            "tidegate.yaml:3:50: `ackTime` must be longer than no time",
        ],
    );
    check(
        "colour: red\n---\ninsecure: true\n",
        &[
            "tidegate.yaml:1:1: unknown field `colour` (hint: docs/server.md lists every setting)",
            "tidegate.yaml:3:1: a server's file is one YAML document",
        ],
    );
}

#[test]
fn certificates_and_rules_come_together() {
    let tls = "tls: { certificate: a, key: b, clientCa: c }\n";
    let rule = "[{ spiffe: \"spiffe://a/{node}\", cluster: edge }]";
    check(&format!("{tls}identity: {rule}"), &[]);
    check(
        tls,
        &[
            "tidegate.yaml:1:1: with `tls`, `identity` must say which certificates may speak for which nodes (hint: for example `identity: [{ spiffe: \"spiffe://example.org/edge/{node}\", cluster: edge }]`)",
        ],
    );
    check(
        &format!("identity: {rule}"),
        &[
            "tidegate.yaml:1:1: without `tls` nobody shows a certificate, so `identity` has nothing to go by (hint: give `tls` too, or remove `identity`)",
        ],
    );
    check(
        &format!("tls: {{ key: b }}\nidentity: {rule}"),
        &[
            "tidegate.yaml:1:1: missing field `certificate`",
            "tidegate.yaml:1:1: missing field `clientCa`",
        ],
    );
}

#[test]
fn rules_say_whom_they_let_in() {
    let tls = "tls: { certificate: a, key: b, clientCa: c }\nidentity:\n";
    for (rule, expected) in [
        (
            "{ spiffe: \"spiffe://a/{node}\" }",
            "the rule does not say which clusters (hint: write `{cluster}` where the cluster stands in the name, or add `cluster: …`; `cluster: \"*\"` is any)",
        ),
        (
            "{ dns: \"a.{cluster}\" }",
            "the rule does not say which nodes (hint: write `{node}` where the node stands in the name, or add `node: …`; `node: \"*\"` is any)",
        ),
        (
            "{ node: a, cluster: b }",
            "a rule has one of `spiffe` and `dns`, and not both",
        ),
        (
            "{ dns: \"{pod}\", node: a, cluster: b }",
            "`{pod}` is no placeholder; there are `{node}` and `{cluster}`",
        ),
        (
            "{ spiffe: \"a/{node}\", cluster: b }",
            "`a/{node}` is no pattern of SPIFFE ids (hint: a SPIFFE id begins with `spiffe://`)",
        ),
    ] {
        let told = load_file(&format!("{tls}- {rule}\n"))
            .unwrap_err()
            .to_string();
        let (_, said) = told.split_once(": ").unwrap();
        assert_eq!(said, expected, "{told}");
    }
}

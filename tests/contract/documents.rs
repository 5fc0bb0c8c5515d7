//! Documents without a control plane: `validate` and `schema`.

use std::path::Path;

use serde_json::Value;

use crate::tidegate::{Ran, tidegate, transcript};

/// What is wrong, and the document that has it.
const WRONG: &[(&str, &str)] = &[
    (
        "a mistyped field",
        "kind: Service\nname: cart\nspec:\n  instances: { from: api }\n  protcol: http1\n",
    ),
    (
        "a rate without its unit",
        "kind: Service\nname: cart\nspec:\n  instances: { from: api }\n  capacity: 60\n",
    ),
    (
        "sessions",
        "kind: Service\nname: cart\nspec:\n  instances: { from: api }\n  sessions: { stickTo: instance }\n",
    ),
    (
        "a source that is not there yet",
        "kind: Service\nname: cart\nspec:\n  instances: { from: dns }\n",
    ),
    (
        "an overlay that Envoy refuses",
        "kind: Service\nname: cart\nspec:\n  instances: { from: api }\n  envoy: { cluster: { lb_polcy: RANDOM } }\n",
    ),
    (
        "Envoy settings, wrong in every way",
        "kind: Service\nname: cart\nspec:\n  instances: { from: api }\n  envoy:\n    cluster:\n      name: mine\n      connect_timeout: 250ms\n      outlier_detection:\n        max_ejection_percent: 200\n      transport_socket:\n        name: tls\n        typed_config:\n          \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContxt\n          sni: cart.internal\n    route:\n      route: { cluster: other, retry_policy: { retry_onn: 5xx } }\n",
    ),
    (
        "Envoy settings of a listener",
        "kind: Service\nname: cart\nspec:\n  instances: { from: api }\n---\nkind: Gateway\nname: web\nspec:\n  proxies: { cluster: web }\n  envoy:\n    listener: { filter_chains: [] }\n    filterChain: { transport_socket: { name: tls } }\n  listeners:\n    - port: 10000\n      routes: [{ service: cart }]\n      envoy:\n        tcpProxy: { idle_timeout: 1h }\n        httpConnectionManager:\n          server_header_transformation: PASS_THROUG\n          http_filters:\n            - name: buffer\n              typed_config:\n                \"@type\": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer\n                max_request_bytes: 0\n",
    ),
    (
        "steps and waves",
        "kind: Service\nname: cart\nspec:\n  instances: { from: api }\n---\nkind: Rollout\nname: r\nspec:\n  service: cart\n  to: v2\n  steps: [{ weight: 5% }]\n  waves: []\n",
    ),
    (
        "budgets that allow nothing",
        "kind: Service\nname: cart\nspec:\n  instances: { from: api }\n---\nkind: Rollout\nname: r\nspec:\n  service: cart\n  to: v2\n  rolling: { maxSurge: 0, maxUnavailable: 0 }\n",
    ),
    (
        "a name that nobody declares",
        "kind: Rollout\nname: r\nspec: { service: cart, to: v2 }\n",
    ),
    (
        "a policy without a rule",
        "kind: Policy\nname: edge\nspec: {}\n",
    ),
    ("an unknown kind", "kind: Sevice\nname: cart\nspec: {}\n"),
    (
        "a port that is none",
        "kind: Gateway\nname: g\nspec:\n  proxies: { cluster: web }\n  listeners: [{ port: 70000, routes: [] }]\n",
    ),
    (
        "declared twice",
        "kind: Service\nname: cart\nspec: { instances: { from: api } }\n---\nkind: Service\nname: cart\nspec: { instances: { from: api } }\n",
    ),
    ("no mapping", "just words\n"),
    ("no YAML", "kind: [\n"),
    ("nothing", "# nothing\n"),
];

fn validate(directory: &Path, text: &str, more: &[&str]) -> Ran {
    let file = directory.join("set.yaml");
    fs_err::write(&file, text).unwrap();
    let words = [&["validate", file.to_str().unwrap()], more].concat();
    let mut ran = tidegate(&words);
    ran.rename(&format!("{}/", directory.display()), "");
    ran
}

/// For people: what, where, and what to do, on stderr; exit code 1.
#[test]
fn wrong_documents() {
    let home = tempfile::tempdir().unwrap();
    let mut seen = String::new();
    for (what, text) in WRONG {
        let ran = validate(home.path(), text, &[]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran}");
        seen += &format!("# {what}\n{ran}\n");
    }
    transcript("wrong_documents", &seen, &[]);
}

/// For programs: the same with a file, a line and a column, on stdout.
#[test]
fn wrong_documents_as_json() {
    let home = tempfile::tempdir().unwrap();
    for (what, text) in WRONG.iter().filter(|(what, _)| *what != "nothing") {
        let ran = validate(home.path(), text, &["--output", "json"]);
        assert_eq!(ran.code, Some(1), "{ran}");
        let said = ran.json();
        assert_eq!(said["valid"], false, "{what}");
        for problem in said["problems"].as_array().unwrap() {
            assert_eq!(problem["file"], "set.yaml", "{what}");
            assert!(problem["line"].as_u64() >= Some(1), "{what}: {problem}");
            assert!(problem["column"].as_u64() >= Some(1), "{what}: {problem}");
            assert!(problem["message"].is_string(), "{what}: {problem}");
        }
    }
}

/// Whatever stands in the documentation as a whole document may be copied from there.
#[test]
fn documents_in_the_documentation_are_valid() {
    let home = tempfile::tempdir().unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/documents.md");
    let page = fs_err::read_to_string(page).unwrap();
    let blocks = page.split("```yaml\n").skip(1);
    let blocks = blocks.filter_map(|block| block.split("```").next());
    let documents: Vec<_> = blocks.filter(|it| it.starts_with("kind:")).collect();
    assert!(!documents.is_empty());
    let said = validate(home.path(), &documents.join("---\n"), &["--output", "json"]);
    assert_eq!(said.json()["valid"], true, "{said}");
}

/// Each reference leads somewhere, each object is closed, and each field says what it is.
#[test]
fn the_schema_is_whole() {
    let schema = tidegate(&["schema"]).ok().json();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    let kinds = schema["oneOf"].as_array().unwrap();
    let names: Vec<&str> = kinds.iter().map(|k| k["title"].as_str().unwrap()).collect();
    assert_eq!(names, ["Gateway", "Service", "Rollout", "Policy", "Gate"]);
    check(&schema, &schema, "#");
}

fn check(root: &Value, at: &Value, path: &str) {
    match at {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(root.pointer(pointer).is_some(), "{path}: {reference}");
            }
            if let Some(Value::Object(properties)) = fields.get("properties") {
                assert!(
                    fields.contains_key("additionalProperties"),
                    "{path} is open"
                );
                for (name, property) in properties.iter().filter(|_| path.contains("$defs")) {
                    let said = property.get("description").is_some();
                    assert!(said, "{path}: `{name}` is not described");
                }
            }
            for (name, value) in fields {
                check(root, value, &format!("{path}/{name}"));
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                check(root, value, &format!("{path}/{index}"));
            }
        }
        _ => {}
    }
}

#[test]
fn what_envoy_cannot_be_told_is_refused_beforehand() {
    let documents = "kind: Gateway\nname: edge\nspec:\n  proxies: { cluster: web }\n  \
        listeners: [{ port: 0, routes: [{ service: cart }] }]\n---\nkind: Service\nname: cart\n\
        spec: { instances: { from: api }, protocol: http1, health: { grpc: \"\" } }\n";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("all.yaml");
    fs_err::write(&file, documents).unwrap();
    let said = std::process::Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .arg("validate")
        .arg(&file)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("gRPC health check but speaks no HTTP/2"),
        "{stderr}"
    );
}

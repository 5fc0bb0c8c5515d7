//! A running control plane: documents from files and through the API, health, metrics, events.

use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use crate::fleet::{DOCUMENTS, register, serving};
use crate::server::Server;
use crate::tidegate::{tidegate, transcript, until};

/// Every question to a control plane that knows nothing.
#[test]
fn nothing_yet() {
    let server = Server::start();
    let seen = server.session(&[
        "get",
        "get service",
        "get service cart",
        "delete service cart",
        "instances",
        "proxies",
        "proxies forget edge-1",
        "rollout status",
        "rollout status cart-2",
        "rollout watch cart-2",
        "rollout start cart --to v2",
        "why cart-2",
        "drain cart-1",
        "undrain cart-1",
        "history",
        "register --service cart --version v1 --address 10.0.0.1:80 --once",
    ]);
    transcript("nothing_yet", &seen, &[]);
    for verb in ["abort", "pause", "resume", "retry", "skip", "undo"] {
        let ran = server.run(&format!("rollout {verb} cart-2"));
        assert_eq!(ran.code, Some(1), "{ran}");
        let said =
            "error: there is no rollout `cart-2`\nhint: `tidegate rollout status` lists them\n";
        assert_eq!(ran.stderr, said);
    }
    assert_eq!(server.terminated(), Some(0));
}

#[test]
fn readiness_says_what_is_missing() {
    let server = Server::start();
    assert_eq!(server.get("/healthz"), (200, "ok\n".into()));
    let (status, body) = server.get("/readyz");
    assert_eq!(status, 503);
    assert!(body.contains("no gateway is declared yet"), "{body}");
    server.apply(DOCUMENTS);
    let (status, body) = server.get("/readyz");
    assert_eq!(status, 503);
    assert!(body.contains("no instance of cart is ready yet"), "{body}");
    register(&server, "v1", &["a1"]);
    until("it is ready", || {
        (server.get("/readyz") == (200, "ok\n".into())).then_some(())
    });
}

#[test]
fn documents_through_the_api() {
    let server = Server::start();
    let file = server.home.path().join("set.yaml");
    fs_err::write(&file, DOCUMENTS).unwrap();
    let apply = format!("apply -f {}", file.display());
    let mut seen = server.session(&[
        &apply,
        &apply,
        &format!("{apply} --output json"),
        "get",
        "get gateway mesh",
    ]);
    let wider = DOCUMENTS.replace("prefix: /,", "prefix: /cart,");
    seen += &server.run_fed("apply -f -", &wider).to_string();
    seen += &server
        .run_fed(
            "apply -f -",
            "kind: Service\nname: shop\nspec: { instances: { from: api }, capcity: 1rps }\n",
        )
        .to_string();
    seen += &server.run_fed("apply -f -", "").to_string();
    seen += &server.session(&[
        "delete service cart",
        "delete gateway mesh",
        "delete gateway mesh",
        "get",
    ]);
    let seen = seen.replace(server.home.path().to_str().unwrap(), "");
    transcript("documents_through_the_api", &seen, &[]);
}

/// The directory's documents and the API's are one set; a broken edit leaves the last good one.
#[test]
fn documents_in_the_directory() {
    let server = Server::start();
    let file = server.documents().join("mesh.yaml");
    fs_err::write(&file, DOCUMENTS).unwrap();
    let refused = |server: &Server| server.run("get --output json").json()["refused"].clone();
    let in_force = |server: &Server| {
        let all = server.run("get --output json").json()["documents"].clone();
        all.as_array().unwrap().len()
    };
    until("the file is in force", || {
        (in_force(&server) == 2).then_some(())
    });
    let mut seen = server.session(&["get", "delete service cart"]);
    let twice = "kind: Service\nname: cart\nspec: { instances: { from: api } }\n";
    seen += &server.run_fed("apply -f -", twice).to_string();

    fs_err::write(&file, DOCUMENTS.replace("minReady", "minRedy")).unwrap();
    until("the edit is refused", || {
        (refused(&server) != Value::Array(vec![])).then_some(())
    });
    seen += &server.session(&["get"]);
    fs_err::write(&file, DOCUMENTS).unwrap();
    until("the edit is mended", || {
        (refused(&server) == Value::Array(vec![])).then_some(())
    });
    // The last file may be gone because the directory is not mounted; one of two is not.
    fs_err::remove_file(&file).unwrap();
    until("the empty directory is refused", || {
        (refused(&server) != Value::Array(vec![])).then_some(())
    });
    seen += &server
        .session(&["get"])
        .replace(server.home.path().to_str().unwrap(), "[HOME]");
    let shop = "kind: Service\nname: shop\nspec: { instances: { from: api } }\n";
    fs_err::write(server.documents().join("shop.yaml"), shop).unwrap();
    until("the other file is in force", || {
        (in_force(&server) == 1).then_some(())
    });
    seen += &server.session(&["get"]);
    transcript("documents_in_the_directory", &seen, &[]);
}

#[test]
fn events_begin_with_the_state() {
    let server = serving();
    let mut lines = BufReader::new(server.open("/v1/events"))
        .lines()
        .map(Result::unwrap);
    let mut next = |prefix: &str| loop {
        if let Some(rest) = lines.next().unwrap().strip_prefix(prefix) {
            return rest.to_owned();
        }
    };
    assert_eq!(next("event: "), "state");
    let state: Value = serde_json::from_str(&next("data: ")).unwrap();
    assert_eq!(state["services"][0]["name"], "cart");
    register(&server, "v1", &["late"]);
    while next("event: ") != "entry" {}
    let entry: Value = serde_json::from_str(&next("data: ")).unwrap();
    assert!(
        entry["seq"].is_u64() && entry["at"].is_string() && entry["record"].is_object(),
        "{entry}"
    );
}

/// What is there is listed in `docs/metrics.md`; families by label appear with their first label.
#[test]
fn metrics_are_those_of_the_page() {
    let server = serving();
    let (status, text) = server.get("/metrics");
    assert_eq!(status, 200);
    let page =
        fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let listed = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let listed: Vec<&str> = listed.map(|name| name.trim_end_matches("_total")).collect();
    let mut found: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    assert!(found.len() > 10, "{text}");
    found.retain(|name| !listed.contains(name));
    assert_eq!(found, [""; 0], "not on the page");
    assert!(text.contains("\ntidegate_ready 1\n"), "{text}");
}

#[test]
fn what_is_in_the_way_of_serving_is_named() {
    let server = Server::start();
    let data = server.home.path().join("data");
    let other = server.home.path().join("other");
    let at = server.url.strip_prefix("http://").unwrap();
    let serve = |data: &std::path::Path, xds: &str, api: &str| {
        let data = data.to_str().unwrap();
        let words = [
            "serve",
            "--data",
            data,
            "--listen-xds",
            xds,
            "--listen-api",
            api,
        ];
        let mut ran = tidegate(&words);
        ran.rename(server.home.path().to_str().unwrap(), "[HOME]");
        ran.to_string()
    };
    let seen = [
        serve(&data, "127.0.0.1:0", "127.0.0.1:0"),
        serve(&other, "127.0.0.1:0", at),
        serve(&other, "0.0.0.0:18000", "127.0.0.1:0"),
    ];
    transcript("what_is_in_the_way_of_serving", &seen.concat(), &[]);
}

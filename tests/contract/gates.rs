//! Gates that ask somebody outside: a metrics server that is known or not, and an address.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::fleet::serving_in;
use crate::hooks::is_signed;
use crate::peer::{Peer, Request};
use crate::server::Server;
use crate::tidegate::{SPANS, transcript};

/// A rollout that these checks judge, and that goes on whatever they say.
fn judged_by(checks: &str) -> String {
    format!(
        "kind: Gate\nname: outside\nspec:\n  onWorse: report\n  ifUnsure: proceed\n  checks:\n{checks}---\n\
         kind: Rollout\nname: cart-2\nspec: {{ service: cart, to: v4+2, gates: [outside] }}\n"
    )
}

/// What was read for the checks of the first rollout.
fn measured(state: &Value) -> &[Value] {
    let checks = &state["rollouts"][0]["gates"][0]["evidence"]["checks"];
    let measured = checks.as_array();
    measured.map_or(&[], Vec::as_slice)
}

/// Waits until each check says so.
fn until_said(server: &Server, wanted: &[&str]) -> Value {
    server.until(&format!("{wanted:?}"), |state| {
        let said = measured(state).iter().map(|it| &it["stands"]);
        said.eq(wanted.iter())
    })
}

fn asked(peer: &Peer) -> Request {
    peer.requests.recv().unwrap()
}

#[test]
fn a_metrics_server_and_an_address_are_asked() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let metrics = Peer::start(|request| {
        let result = if request.body.contains("nothing") {
            "[]"
        } else {
            r#"[{"metric":{},"value":[1.5,"7"]}]"#
        };
        let data = format!(r#"{{"resultType":"vector","result":{result}}}"#);
        (200, format!(r#"{{"status":"success","data":{data}}}"#))
    });
    let address = Peer::start(|_| (200, r#"{"verdict":"worse","why":"orders fell"}"#.to_owned()));
    let settings = format!(
        "prometheus: {}/tenant/\nprometheusToken: token\n",
        metrics.url
    );
    for (name, text) in [
        ("tidegate.yaml", settings.as_str()),
        ("token", "who-we-are\n"),
        ("key", "what only both know"),
    ] {
        fs_err::write(home.path().join(name), text).unwrap();
    }
    let key = home.path().join("key").display().to_string();
    let server = serving_in(home);
    let query = r#"sum(orders{version=~\"$version\"})"#;
    server.apply(&judged_by(&format!(
        "    - metric: {{ name: orders, prometheus: \"{query}\", below: 5, every: 1h }}\n    \
         - metric: {{ prometheus: nothing, above: 1, every: 1h }}\n    \
         - webhook: {{ post: \"{}/verdict\", name: shop, sign: {{ file: \"{key}\" }}, every: 1h }}\n",
        address.url
    )));
    until_said(&server, &["worse", "unsure", "worse"]);
    let status = server.run("rollout status cart-2").ok().stdout;
    let (_, said) = status.split_once("gates\n").unwrap();
    let said: Vec<&str> = said.lines().take_while(|line| !line.is_empty()).collect();
    let said = said.join(" ");
    for says in [
        "orders: 7, and is to be below 5",
        "nothing: Prometheus has no data for the query",
        "shop: orders fell",
    ] {
        assert!(said.contains(says), "{said}");
    }

    let first = [asked(&metrics), asked(&metrics)];
    let first = first.iter().find(|it| it.body.contains("orders")).unwrap();
    assert!(
        first
            .head
            .starts_with("POST /tenant/api/v1/query HTTP/1.1\n"),
        "{}",
        first.head
    );
    assert_eq!(first.header("authorization"), "Bearer who-we-are");
    assert_eq!(
        first.body,
        "query=sum%28orders%7Bversion%3D~%22v4%5C%5C%2B2%22%7D%29&timeout=10s"
    );
    let verdict = asked(&address);
    is_signed(&verdict);
    let mut told: Value = serde_json::from_str(&verdict.body).unwrap();
    let at = told["at"].take();
    assert_eq!(
        told,
        json!({
            "key": format!("cart-2/gate/outside/3/{}", at.as_str().unwrap()),
            "at": null, "gate": "outside", "rollout": "cart-2", "service": "cart", "from": "v1", "to": "v4+2",
        })
    );
    // Nobody is asked about a rollout that goes back.
    server.run("rollout abort cart-2").ok();
    server.until("nothing is measured", |state| measured(state).is_empty());
}

/// Before anything begins: without a server nothing could ever be proven.
#[test]
fn a_metric_without_a_server_is_refused() {
    let server = Server::start();
    let gate = "kind: Gate\nname: slo\nspec: { checks: [metric: { prometheus: up, above: 0 }] }\n";
    let mut seen = server.run_fed("apply -f -", gate).to_string();
    let named = gate.replace("above: 0", "above: 0, server: \"http://127.0.0.1:9\"");
    seen += &server.run_fed("apply -f -", &named).ok().to_string();
    transcript("a_metric_without_a_server_is_refused", &seen, &[SPANS]);
}

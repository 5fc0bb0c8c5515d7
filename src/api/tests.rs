//! The router, driven in the process, over a control plane that remembers what it was asked.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use super::fake::FakeControl;
use super::{SentView, sample};
use crate::engine::{ProxyView, View};
use crate::observe::Metrics;

/// Generous, for a machine that does other things too.
const DEADLINE: Duration = Duration::from_secs(20);

struct Api {
    control: Arc<FakeControl>,
    router: axum::Router,
}

impl Api {
    fn new() -> Self {
        let control = Arc::new(FakeControl::new(sample::view()));
        let metrics = Arc::new(Metrics::new(Registry::default()));
        Self {
            router: super::router(
                Arc::clone(&control) as _,
                Arc::clone(&control) as _,
                metrics,
                CancellationToken::new(),
            ),
            control,
        }
    }

    async fn call(&self, request: Request<Body>) -> axum::response::Response {
        let answer = self.router.clone().call(request);
        tokio::time::timeout(DEADLINE, answer)
            .await
            .unwrap()
            .unwrap()
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-tidegate-actor", "ada@laptop")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let answer = self.call(request).await;
        let status = answer.status();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }
}

#[tokio::test]
async fn reads_show_the_view_and_come_back_as_it() {
    let api = Api::new();
    let (status, body) = api.send("GET", "/v1/state", "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        serde_json::from_value::<View>(body).unwrap(),
        sample::view()
    );
    let (_, proxies) = api.send("GET", "/v1/proxies", "").await;
    assert_eq!(
        serde_json::from_value::<Vec<ProxyView>>(proxies)
            .unwrap()
            .len(),
        2
    );
    let (_, all) = api.send("GET", "/v1/instances", "").await;
    assert_eq!(all[0]["service"], "cart");
    assert_eq!(all[0]["id"], "cart-1");
    let (_, none) = api.send("GET", "/v1/instances?service=other", "").await;
    assert_eq!(none, json!([]));
    let (_, why) = api.send("GET", "/v1/rollouts/cart-42/why", "").await;
    assert_eq!(
        why["message"],
        "cart-42 is Draining: cart-1 is draining: edge-7 has 2 requests in progress"
    );
    assert_eq!(why["blockers"][0]["on"]["kind"], "drain");
}

#[tokio::test]
async fn failures_have_a_status_a_cause_and_a_hint() {
    let api = Api::new();
    for (method, path, body, status, error) in [
        (
            "GET",
            "/v1/nothing",
            "",
            404,
            "there is nothing at /v1/nothing",
        ),
        (
            "DELETE",
            "/v1/state",
            "",
            405,
            "/v1/state does not take DELETE",
        ),
        (
            "GET",
            "/v1/services/none",
            "",
            404,
            "there is no service `none`",
        ),
        (
            "GET",
            "/v1/rollouts/none",
            "",
            404,
            "there is no rollout `none`",
        ),
        (
            "POST",
            "/v1/rollouts/cart-42/explode",
            "",
            404,
            "a rollout knows no verb `explode`",
        ),
        (
            "POST",
            "/v1/rollouts/none/pause",
            "",
            404,
            "there is no rollout `none`",
        ),
        (
            "POST",
            "/v1/rollouts/cart-42/undo",
            "",
            409,
            "cart-42 has not ended",
        ),
        (
            "POST",
            "/v1/rollouts/cart-42/pause",
            "{\"why\":1}",
            422,
            "unknown field `why`",
        ),
        ("POST", "/v1/rollouts/cart-42/pause", "{", 422, "EOF"),
        ("POST", "/v1/documents", "  ", 422, "there is no document"),
        (
            "POST",
            "/v1/documents",
            "kind: Nonsense",
            422,
            "the documents are refused:\nNonsense",
        ),
        (
            "DELETE",
            "/v1/documents/Cat/x",
            "",
            404,
            "there is no kind `Cat`",
        ),
        (
            "DELETE",
            "/v1/documents/service/cart",
            "",
            503,
            "the control plane cannot",
        ),
        (
            "PUT",
            "/v1/instances/cart/c",
            "{}",
            422,
            "missing field `address`",
        ),
        (
            "GET",
            "/v1/history?limit=0",
            "",
            422,
            "a page has 1 to 1000",
        ),
        ("GET", "/v1/history?form=1", "", 422, "unknown field `form`"),
        (
            "GET",
            "/v1/history?since=noon",
            "",
            422,
            "`noon` is no moment",
        ),
        (
            "POST",
            "/v1/instances/cart-1/drain?wait=2h",
            "",
            422,
            "one request may wait 1m",
        ),
        (
            "POST",
            "/v1/instances/cart-1/drain?wait=soon",
            "",
            422,
            "`soon` is not a duration",
        ),
    ] {
        let (got, answer) = api.send(method, path, body).await;
        assert_eq!(got.as_u16(), status, "{method} {path}: {answer}");
        let said = answer["error"].as_str().unwrap_or_default();
        assert!(said.contains(error), "{method} {path}: {answer}");
        assert!(answer["hint"].is_string(), "{method} {path}: {answer}");
    }
    let large = "x".repeat(super::BODY_BYTES_MAX + 1);
    let (status, _) = api.send("POST", "/v1/documents", &large).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn verbs_arrive_with_who_and_why() {
    let api = Api::new();
    let reason = "{\"reason\":\"lunch\"}";
    let (status, answer) = api.send("POST", "/v1/rollouts/cart-42/pause", reason).await;
    assert_eq!(
        (status, &answer["message"]),
        (StatusCode::OK, &json!("done"))
    );
    api.send("DELETE", "/v1/proxies/node%2F7", "").await;
    api.send("POST", "/v1/instances/cart-1/undrain?service=cart", "")
        .await;
    insta::assert_snapshot!(api.control.asked().join("\n"), @r#"
    ada@laptop Rollout { name: "cart-42", verb: Pause } Some("lunch")
    ada@laptop ForgetProxy { proxy: "node/7" } None
    ada@laptop Undrain { instance: "cart-1", service: Some("cart") } None
    "#);
}

#[tokio::test]
async fn verbs_arrive_with_their_key_and_their_step() {
    let api = Api::new();
    let send = async |path: &str, key: &str, body: &str| {
        let request = Request::builder()
            .method("POST")
            .uri(path)
            .header("idempotency-key", key)
            .body(Body::from(body.to_owned()))
            .unwrap();
        api.call(request).await.status()
    };
    let promote = "/v1/rollouts/cart-42/promote";
    assert_eq!(send(promote, "7f3a", "{\"step\":2}").await, StatusCode::OK);
    // Some send it with the quotes that the header's draft standard wants.
    let skip = "/v1/rollouts/cart-42/skip";
    assert_eq!(send(skip, "\"7f3b\"", "").await, StatusCode::OK);
    for key in ["", "two words"] {
        let wrong = send("/v1/freeze", key, "").await;
        assert_eq!(wrong, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let path = "/v1/rollouts/cart-42/pause";
    let (status, answer) = api.send("POST", path, "{\"step\":2}").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer["error"], "`step` says nothing to `pause`");
    insta::assert_snapshot!(api.control.asked().join("\n"), @r#"
    anonymous Rollout { name: "cart-42", verb: Promote { all: false, step: Some(2) } } None by key 7f3a
    anonymous Rollout { name: "cart-42", verb: Skip { step: None } } None by key 7f3b
    "#);
}

#[tokio::test]
async fn leases_begin_and_end() {
    let api = Api::new();
    let lease = json!({
        "address": "10.0.0.9:8080", "version": "v42", "zone": "b", "ttl": "10s",
        "capacity": "60rps", "labels": {"role": "leader"},
    });
    let path = "/v1/instances/cart/10.0.0.9:8080";
    let (status, _) = api.send("PUT", path, &lease.to_string()).await;
    assert_eq!(status, StatusCode::OK);
    let mut short = lease;
    short["ttl"] = json!("10ms");
    let (status, answer) = api.send("PUT", path, &short.to_string()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer["error"], "a lease of 10ms is not possible");
    let (status, _) = api.send("DELETE", path, "").await;
    assert_eq!(status, StatusCode::OK);
    insta::assert_snapshot!(api.control.asked().join("\n"), @r"
    register cart 10.0.0.9:8080 v42 zone b for 10s
    deregister cart 10.0.0.9:8080
    ");
}

#[tokio::test]
async fn a_drain_answers_when_the_instance_is_released_or_the_wait_is_over() {
    let api = Api::new();
    let (status, answer) = api
        .send("POST", "/v1/instances/cart-1/drain?wait=1ms", "")
        .await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(
        answer["message"],
        "cart-1 is draining: edge-7 has 2 requests in progress"
    );
    let waits = api.send("POST", "/v1/instances/cart-1/drain?wait=60s", "");
    let releases = async {
        api.control.asked_reaches(2).await;
        api.control.change(|view| {
            view.services[0].instances[0].stage = "released".into();
            view.services[0].instances[0].drain = Some(view.rollouts[0].report.drained[0].clone());
        });
    };
    let ((status, answer), ()) = tokio::join!(waits, releases);
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        answer["message"],
        "cart-1 is safe to stop: proven by 2 proxies"
    );
}

#[tokio::test]
async fn an_instance_that_is_not_shown_is_not_therefore_safe_to_stop() {
    let api = Api::new();
    let path = "/v1/instances/cart-9/drain?wait=1ms";
    let (status, answer) = api.send("POST", path, "").await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert_eq!(answer["released"], false);
    assert_eq!(answer["message"], "done");
    let waits = api.send("POST", "/v1/instances/cart-1/drain?wait=60s", "");
    let goes = async {
        api.control.asked_reaches(2).await;
        api.control.change(|view| {
            view.services[0].instances.remove(0);
        });
    };
    let ((status, answer), ()) = tokio::join!(waits, goes);
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["stage"], "gone");
}

#[tokio::test]
async fn a_drain_that_is_called_off_says_so() {
    let api = Api::new();
    let waits = api.send("POST", "/v1/instances/cart-1/drain?wait=60s", "");
    let back = async {
        api.control.asked_reaches(1).await;
        api.control
            .change(|view| view.services[0].instances[0].stage = "serving".into());
    };
    // Joined in this order, the waiting side has seen `draining` before the other goes on.
    let ((status, answer), ()) = tokio::join!(waits, back);
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(answer["error"], "the drain of cart-1 was called off");
}

#[tokio::test]
async fn history_is_read_in_pages_and_by_rollout() {
    let api = Api::new();
    let (_, page) = api.send("GET", "/v1/history?limit=2", "").await;
    assert_eq!((&page["next"], &page["end"]), (&json!(3), &json!(false)));
    let (_, rest) = api.send("GET", "/v1/history?from=3", "").await;
    assert_eq!(rest["end"], true);
    let (_, mine) = api.send("GET", "/v1/history?rollout=cart-42", "").await;
    let numbers: Vec<_> = mine["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["seq"])
        .collect();
    assert_eq!(numbers, [2, 4]);
    for (query, found) in [
        ("service=cart", 2),
        ("service=billing", 0),
        ("by=ada", 0),
        ("since=2026-11-23T12:00:00Z", 5),
        ("since=2026-11-23T12:00:01Z", 0),
        (
            "since=2026-11-23T12:00:00Z&rollout=cart-42&service=cart&limit=1",
            1,
        ),
    ] {
        let (_, page) = api.send("GET", &format!("/v1/history?{query}"), "").await;
        assert_eq!(page["entries"].as_array().unwrap().len(), found, "{query}");
        assert_eq!(page["first"], 1);
    }
}

#[tokio::test]
async fn readiness_says_why_not() {
    let api = Api::new();
    assert_eq!(api.send("GET", "/readyz", "").await.0, StatusCode::OK);
    api.control.change(|view| {
        view.ready = false;
        view.not_ready = Some("the journal is being read".into());
    });
    let (status, body) = api.send("GET", "/readyz", "").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        body["error"],
        "proxies are not answered yet: the journal is being read"
    );
    assert_eq!(api.send("GET", "/healthz", "").await.0, StatusCode::OK);
    let (_, metrics) = api.send("GET", "/metrics", "").await;
    assert!(metrics.as_str().unwrap().ends_with("# EOF\n"));
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let api = Api::new();
    for (origin, status) in [
        ("http://evil.example", StatusCode::FORBIDDEN),
        ("null", StatusCode::FORBIDDEN),
        ("http://127.0.0.1:18080", StatusCode::OK),
    ] {
        let request = Request::post("/v1/rollouts/cart-42/pause")
            .header(header::HOST, "127.0.0.1:18080")
            .header(header::ORIGIN, origin)
            .body(Body::empty())
            .unwrap();
        assert_eq!(api.call(request).await.status(), status, "{origin}");
    }
}

#[tokio::test]
async fn events_begin_with_the_state_then_follow() {
    let api = Api::new();
    let answer = api
        .call(Request::get("/v1/events").body(Body::empty()).unwrap())
        .await;
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut chunks = answer.into_body().into_data_stream();
    let mut next = async || {
        let chunk = tokio::time::timeout(DEADLINE, chunks.next()).await.unwrap();
        String::from_utf8(chunk.unwrap().unwrap().to_vec()).unwrap()
    };
    let first = next().await;
    assert!(first.starts_with("event: state\ndata: {\"at\":"), "{first}");
    api.control.write_entry(2);
    let second = next().await;
    assert!(
        second.starts_with("event: entry\nid: 2\ndata: {\"seq\":2,"),
        "{second}"
    );
    api.control.change(|view| view.ready = false);
    let third = next().await;
    assert!(third.contains("\"ready\":false"), "{third}");
}

#[tokio::test]
async fn only_so_many_clients_follow() {
    let api = Api::new();
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(
            api.call(Request::get("/v1/events").body(Body::empty()).unwrap())
                .await,
        );
    }
    let (status, body) = api.send("GET", "/v1/events", "").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    open.pop();
    let again = api
        .call(Request::get("/v1/events").body(Body::empty()).unwrap())
        .await;
    assert_eq!(again.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_a_proxy_was_sent_is_shown_whole_or_in_part() {
    let api = Api::new();
    let (status, body) = api.send("GET", "/v1/proxies/edge-7/envoy", "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        serde_json::from_value::<SentView>(body).unwrap(),
        sample::sent()
    );
    let (_, part) = api
        .send("GET", "/v1/proxies/edge-7/envoy?type=route&name=own", "")
        .await;
    let resources = &part["streams"][0]["resources"];
    assert_eq!(resources.as_array().unwrap().len(), 1);
    assert_eq!(resources[0]["state"], "missing");
    for (path, status, error) in [
        ("edge-9/envoy", 404, "the proxy `edge-9` is not connected"),
        (
            "edge-7/envoy?type=clutser",
            422,
            "there is no type `clutser`",
        ),
        (
            "edge-7/envoy?name=everything",
            422,
            "edge-7 was sent 9 bytes, and at most 8 are shown at once",
        ),
    ] {
        let (got, body) = api.send("GET", &format!("/v1/proxies/{path}"), "").await;
        assert_eq!((got.as_u16(), &body["error"]), (status, &json!(error)));
        assert_ne!(body["hint"], "", "{path}");
    }
}

#[tokio::test]
async fn secrets_are_shown_as_they_stand() {
    let api = Api::new();
    let (status, body) = api.send("GET", "/v1/secrets", "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["secrets"][1]["state"], "kept");
    assert_eq!(
        serde_json::from_value::<crate::runtime::SecretsView>(body).unwrap(),
        sample::secrets()
    );
}

//! The command line: it parses, it talks to a real API over a socket, its failures say what to do.

use std::io::Write;
use std::sync::{Arc, Mutex};

use clap::{CommandFactory as _, Parser as _};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use super::client::{Client, ClientError};
use super::failure::Failure;
use super::output::Output;
use super::{Cli, Context, run};
use crate::api::fake::FakeControl;
use crate::api::sample;
use crate::engine::{Outcome, Phase};
use crate::observe::Metrics;

/// An API on a free port of this machine.
struct Server {
    url: String,
    control: Arc<FakeControl>,
}

impl Server {
    async fn start() -> Self {
        let control = Arc::new(FakeControl::new(sample::view()));
        let metrics = Arc::new(Metrics::new(Registry::default()));
        let router = crate::api::router(
            Arc::clone(&control) as _,
            Arc::clone(&control) as _,
            metrics,
            CancellationToken::new(),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, control }
    }

    /// Runs a command; what it printed on stdout, then what it noted on stderr.
    async fn tidegate(&self, words: &str) -> (Result<(), Failure>, String) {
        let server = ["tidegate", "--server", &self.url, "--actor", "ada@laptop"];
        let Cli { global, command } =
            Cli::try_parse_from(server.into_iter().chain(words.split(' '))).unwrap();
        let printed = Kept::default();
        let output = Output::into_sinks(global.output, printed.clone(), printed.clone());
        let ended = run(command, &Context { global, output }).await;
        let bytes = printed.0.lock().unwrap().clone();
        (ended.map(drop), String::from_utf8(bytes).unwrap())
    }
}

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_command_line_makes_sense() {
    Cli::command().debug_assert();
}

#[tokio::test]
async fn commands_ask_what_they_are_told_to() {
    let server = Server::start().await;
    for words in [
        "rollout pause cart-42 --reason lunch",
        "proxies forget node/7",
        "undrain 10.0.0.1:80 --service cart",
        "register --service cart --version v42 --address 10.0.0.9:80 --label role=leader --once",
        "drain cart-1",
        "rollout promote cart-42 --step 2",
    ] {
        let (ended, _) = server.tidegate(words).await;
        ended.unwrap_or_else(|e| panic!("{words}: {e}"));
    }
    // Each request has a key of its own.
    let mut keys = std::collections::BTreeSet::new();
    let asked = server.control.asked().into_iter().map(|asked| {
        let (what, key) = asked.split_once(" by key ").unwrap_or((&asked, ""));
        assert!(key.is_empty() || (key.len() == 32 && keys.insert(key.to_owned())));
        let by_key = if key.is_empty() { "" } else { " by key" };
        format!("{what}{by_key}")
    });
    let asked: Vec<String> = asked.collect();
    insta::assert_snapshot!(asked.join("\n"), @r#"
    ada@laptop Rollout { name: "cart-42", verb: Pause } Some("lunch") by key
    ada@laptop ForgetProxy { proxy: "node/7" } None by key
    ada@laptop Undrain { instance: "10.0.0.1:80", service: Some("cart") } None by key
    register cart 10.0.0.9:80 v42 zone  for 10s
    ada@laptop Drain { instance: "cart-1", service: None } None
    ada@laptop Rollout { name: "cart-42", verb: Promote { all: false, step: Some(2) } } None by key
    "#);
}

#[tokio::test]
async fn commands_print_what_they_found() {
    let server = Server::start().await;
    for (words, printed) in [
        ("rollout status", "NAME     SERVICE  FROM  TO"),
        (
            "rollout status cart-42",
            "cart-42   cart v41 → v42   Draining\n12m4s",
        ),
        (
            "rollout status cart-42 --output json",
            "{\n  \"name\": \"cart-42\",",
        ),
        ("why cart-42", "cart-42 is Draining: cart-1 is draining"),
        ("instances --service cart", "SERVICE  INSTANCE"),
        ("instances --service none", "no instances;"),
        ("proxies", "PROXY   CLUSTER"),
        (
            "history --rollout cart-42",
            "     2  2026-11-23T12:00:00Z  cart-42: done\n     4  ",
        ),
        ("history --from 5 --output json", "{\"seq\":5,"),
        ("get", "no documents;"),
        ("drain cart-1", "cart-1 is draining: edge-7"),
        ("completions bash", "_tidegate() {"),
    ] {
        let (ended, got) = server.tidegate(words).await;
        ended.unwrap_or_else(|e| panic!("{words}: {e}"));
        assert!(got.starts_with(printed), "{words}:\n{got}");
    }
}

#[tokio::test]
async fn what_a_proxy_was_sent_is_printed() {
    let server = Server::start().await;
    let (_, printed) = server.tidegate("get --envoy edge-7").await;
    insta::assert_snapshot!(printed, @"
    TYPE     NAME      VERSION  STATE    RUNS  REFUSED
    cluster  cart/v42  5f2c     nacked   0a1b  2026-11-23T12:11:04Z: no such policy
    route    own       -        missing  -     -
    ");
    let words = "get --envoy edge-7 --type cluster --name cart/v42";
    let (_, printed) = server.tidegate(words).await;
    insta::assert_snapshot!(printed, @r#"
    TYPE     NAME      VERSION  STATE   RUNS  REFUSED
    cluster  cart/v42  5f2c     nacked  0a1b  2026-11-23T12:11:04Z: no such policy
    ---
    "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
    name: cart/v42
    connect_timeout: 1s
    "#);
    let words = "get --envoy edge-7 --type route --output yaml";
    let (_, printed) = server.tidegate(words).await;
    insta::assert_snapshot!(printed, @r#"
    ---
    proxy:
      id: edge-7
      cluster: web
      metadata: {}
      locality:
        region: ""
        zone: ""
      agent: envoy 1.40.0
    streams:
    - variant: delta
      only: null
      resources:
      - type: route
        name: own
        version: null
        state: missing
        refused: null
        runs: null
        resource: null
    "#);
    let mut said = String::new();
    for words in [
        "get --envoy edge-9",
        "get --envoy edge-7 --name cart/v9",
        "get --envoy edge-7 --type clutser",
        "get --envoy edge-7 --name everything",
    ] {
        let failure = server.tidegate(words).await.0.unwrap_err();
        let hint = failure.hint().unwrap_or_default().to_owned();
        said = format!("{said}{words}: {failure}; {hint}\n");
    }
    insta::assert_snapshot!(said, @"
    get --envoy edge-9: the proxy `edge-9` is not connected; `tidegate proxies` lists those that are
    get --envoy edge-7 --name cart/v9: edge-7 has not asked for `cart/v9`, and was not sent it; `tidegate get --envoy edge-7` lists what it was sent
    get --envoy edge-7 --type clutser: there is no type `clutser`; the types are cluster, route
    get --envoy edge-7 --name everything: edge-7 was sent 9 bytes, and at most 8 are shown at once; ask for a part, by type or name
    ");
}

#[tokio::test]
async fn a_drain_waits_for_the_release() {
    let server = Server::start().await;
    let waits = server.tidegate("drain cart-1 --wait");
    let releases = async {
        server.control.asked_reaches(1).await;
        server.control.change(|view| {
            view.services[0].instances[0].stage = "released".into();
            let mut drain = view.rollouts[0].report.drained[0].clone();
            drain.proven = false;
            drain.missing.push("edge-8 is not connected".into());
            view.services[0].instances[0].drain = Some(drain);
        });
    };
    let ((ended, printed), ()) = tokio::join!(waits, releases);
    ended.unwrap();
    insta::assert_snapshot!(printed, @"
    warning: not every proxy has proven that it is idle
    cart-1 may be stopped, unproven: edge-8 is not connected
    ");
    let (late, _) = server.tidegate("drain cart-2 --wait --timeout 10ms").await;
    let late = late.unwrap_err().to_string();
    assert_eq!(late, "cart-2 is not released after 10ms");
}

#[tokio::test]
async fn a_watch_ends_with_its_rollout() {
    let server = Server::start().await;
    let watches = server.tidegate("rollout watch cart-42");
    let ends = async {
        server.control.followed().await;
        server.control.change(|view| {
            view.rollouts[0].outcome = Some(Outcome::RolledBack);
            view.rollouts[0].phase = Phase::RolledBack;
            view.rollouts[0].blockers.clear();
        });
    };
    let ((ended, printed), ()) = tokio::join!(watches, ends);
    assert_eq!(ended.unwrap_err().to_string(), "cart-42 was rolled back");
    let last = printed.lines().last().unwrap();
    assert_eq!(last, "12:12:04  RolledBack 1/3; v41 65% v42 35%");

    server
        .control
        .change(|view| view.rollouts[0].outcome = Some(Outcome::Done));
    let (ended, printed) = server.tidegate("rollout watch cart-42 --output json").await;
    ended.unwrap();
    assert!(printed.starts_with("{\"name\":\"cart-42\""), "{printed}");
    assert_eq!(printed.lines().count(), 1);
}

#[tokio::test]
async fn failures_say_what_would_help() {
    let server = Server::start().await;
    for (words, error, hint) in [
        (
            "why none",
            "there is no rollout `none`",
            "`tidegate rollout status` lists them",
        ),
        (
            "rollout watch none",
            "there is no rollout `none`",
            "`tidegate rollout status` lists them",
        ),
        ("rollout undo cart-42", "cart-42 has not ended", "abort"),
        (
            "rollout start cart --to v42",
            "the documents are refused",
            "nothing was changed",
        ),
        (
            "delete service cart",
            "the control plane cannot do this now",
            "try again",
        ),
        (
            "get service none",
            "there is no Service `none`",
            "`tidegate get` lists them",
        ),
        (
            "apply -f /nonexistent/file.yaml",
            "/nonexistent/file.yaml",
            "",
        ),
    ] {
        let (ended, _) = server.tidegate(words).await;
        let failure = ended.unwrap_err();
        assert!(failure.to_string().contains(error), "{words}: {failure}");
        let said = failure.hint().unwrap_or_default();
        assert!(said.contains(hint), "{words}: {said}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Client::new(&url, "ada").unwrap().view().await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    let said = error.to_string();
    assert!(
        said.starts_with(&format!(
            "cannot reach the control plane at {url}: Connection refused"
        )),
        "{said}"
    );
    assert!(error.hint().contains("`tidegate serve`"));
    for server in ["", "127.0.0.1:18080", "ftp://x"] {
        let error = Client::new(server, "ada").err();
        assert!(
            matches!(error, Some(ClientError::BadServer { .. })),
            "{server}"
        );
    }
}

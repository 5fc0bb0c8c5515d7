//! Stories on the real Envoy, with the real `tidegate` binary and real instances behind it.
//!
//! ```console
//! $ make tools                                  # gets Envoy into target/tools, once
//! $ cargo test --test e2e                       # all stories, one after the other
//! $ cargo test --test e2e -- 'kill -9'          # those whose name contains that
//! $ cargo test --test e2e -- --list
//! ```
//!
//! Envoy is the one that `TIDEGATE_ENVOY` names, else `target/tools/bin/envoy`, else the first on the
//! search path. gRPC clients are those that `make tools` has fetched. Stories whose tools are missing
//! are shown as ignored, with the reason; where `CI=true` they fail instead, so that nothing is green
//! by not having run.
//!
//! How they are written:
//! - A story's name is a sentence that it proves. It panics where that does not hold, and then each
//!   process that it owns shows its configuration and the end of its log.
//! - Envoys start from the files in `envoy-configs/` with nothing replaced but ports and ids, so the
//!   files that users are given cannot rot.
//! - Every wait is `eventually(deadline, what, look)` on something that can be seen. No story sleeps
//!   and hopes, and none says how long anything may take.
//! - Instances end the moment that they are released, in the middle of whatever they do. So a release
//!   that comes too early shows as a failed request, and so does an endpoint that comes too early.
//! - Stories run one at a time, as they measure what fails under load; `--test-threads` overrides it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is how a story fails, and what it prints is why"
)]

#[path = "support"]
mod support {
    pub(crate) mod app;
    pub(crate) mod certificates;
    pub(crate) mod clients;
    pub(crate) mod control_plane;
    pub(crate) mod documents;
    pub(crate) mod envoy;
    pub(crate) mod far;
    pub(crate) mod function;
    pub(crate) mod grpc;
    pub(crate) mod http;
    pub(crate) mod load;
    pub(crate) mod mishaps;
    pub(crate) mod process;
    pub(crate) mod tls;
    pub(crate) mod tools;
    pub(crate) mod wait;
    pub(crate) mod world;
}

#[path = "e2e"]
mod stories {
    pub(crate) mod alias;
    pub(crate) mod counts;
    pub(crate) mod crash;
    pub(crate) mod demo;
    pub(crate) mod directory;
    pub(crate) mod drain;
    pub(crate) mod first_start;
    pub(crate) mod grpc;
    pub(crate) mod identity;
    pub(crate) mod load_reports;
    pub(crate) mod lost_proxy;
    pub(crate) mod metric_gate;
    pub(crate) mod one_by_one;
    pub(crate) mod ordering;
    pub(crate) mod other_envoys;
    pub(crate) mod secrets;
    pub(crate) mod sessions;
    pub(crate) mod settings;
    pub(crate) mod shift;
}

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use stories::{
    alias, counts, crash, demo, directory, drain, first_start, grpc, identity, load_reports,
    lost_proxy, metric_gate, one_by_one, ordering, other_envoys, secrets, sessions, settings,
    shift,
};
use support::grpc::Library;

/// Each story with the sentence that it proves.
const STORIES: &[(&str, fn())] = &[
    (
        "an Envoy that connects before any instance is ready is told nothing, then everything",
        first_start::nothing_then_everything,
    ),
    (
        "sidecar.yaml rolls without loss, and every release is proven",
        other_envoys::sidecar,
    ),
    (
        "sotw.yaml rolls the example mesh without loss, and every release is proven",
        other_envoys::state_of_the_world,
    ),
    (
        "own-listeners-rds-cds.yaml rolls without loss, and every release is proven",
        other_envoys::own_listeners,
    ),
    (
        "steps move shares of the traffic, copies first, and an undo is one step",
        shift::by_steps,
    ),
    (
        "a share waits until the traffic that the Envoy counts can be carried",
        shift::by_counted_traffic,
    ),
    (
        "blue-green moves all traffic at once, when the whole new fleet is ready and somebody says so",
        shift::blue_green,
    ),
    (
        "a third version takes over half way to the second, and no request is lost",
        shift::a_third_version,
    ),
    (
        "sessions keep their version, move once, and come back with it, by a cookie that Envoys give them",
        sessions::by_a_cookie_of_its_own,
    ),
    (
        "sessions keep their version over HTTP/2 with split cookies, while each request is traced",
        sessions::over_http2_while_traced,
    ),
    (
        "sessions keep their version by a header",
        sessions::by_a_header,
    ),
    (
        "sessions keep their version by the application's cookie",
        sessions::by_the_applications_cookie,
    ),
    (
        "old sessions stay until their version has no share, and new ones follow the shares",
        sessions::only_new_ones_follow,
    ),
    (
        "each way in which a request can end is counted as the evidence takes it",
        counts::each_way_to_end,
    ),
    (
        "an alias moves in steps between hosts by name, each asked by its own name over TLS, and back",
        alias::rolls_and_comes_back,
    ),
    (
        "a host whose certificate is for another name never becomes ready, and says why",
        alias::another_name_is_not_believed,
    ),
    (
        "the example edge is in force with every Envoy setting of its own",
        settings::settings_are_in_force,
    ),
    (
        "the example tls shows the certificate of its files, also when they change under way",
        secrets::certificates_change_under_way,
    ),
    (
        "own-listeners-eds.yaml sends nothing new to instances that drain, and proves them idle",
        other_envoys::own_weights,
    ),
    (
        "lrs.yaml rolls without loss, and every release is proven by load reports",
        load_reports::rolls,
    ),
    (
        "load reports prove a drain under load, and come fast only while it lasts",
        load_reports::fast_while_it_drains,
    ),
    (
        "mtls.yaml rolls without loss while every certificate and CA is replaced",
        identity::certificates_change_in_mid_roll,
    ),
    (
        "an Envoy with the certificate of another is told nothing",
        identity::nobody_is_told_what_is_anothers,
    ),
    (
        "after kill -9 in mid-roll Envoys are sent nothing that they have, and the roll goes on",
        crash::nothing_is_sent_twice,
    ),
    (
        "no request finds its cluster missing while versions come and go",
        ordering::versions_come_and_go,
    ),
    (
        "a version has no weight before Envoy's own check of its first instance has passed",
        ordering::weight_waits_for_envoys_own_check,
    ),
    (
        "a cluster that changes under load is warm at once",
        ordering::a_cluster_changes,
    ),
    (
        "endpoints that come one by one roll without loss, and every release is proven",
        one_by_one::rolls,
    ),
    (
        "endpoints that come one by one are there at once when their cluster changes under load",
        one_by_one::a_cluster_changes,
    ),
    (
        "endpoints that come one by one are gone when they went while the control plane was away",
        one_by_one::what_is_gone_is_gone,
    ),
    (
        "a listener that is added serves, and the one beside it notices nothing",
        ordering::a_listener_is_added,
    ),
    (
        "a refused cluster stops the roll and not the traffic, and the next good edit heals it",
        ordering::a_refused_cluster_is_healed,
    ),
    (
        "drain --wait returns when the requests in progress have ended",
        drain::waits_for_requests,
    ),
    (
        "a drain by REST returns when the requests in progress have ended",
        drain::waits_for_requests_by_rest,
    ),
    ("undrain puts an instance back", drain::is_called_off),
    (
        "an instance whose lease ends is lost and never released",
        drain::an_expired_lease_is_a_loss,
    ),
    (
        "a broken edit of the documents is refused as a whole, and a good one is taken",
        directory::edits,
    ),
    (
        "a listener serves on when its gateway's file is deleted",
        directory::a_deleted_gateway,
    ),
    (
        "under `then: ignore` a killed proxy delays a release, which names it",
        lost_proxy::is_ignored_and_named,
    ),
    (
        "demo: a rolling deploy loses nothing and proves everything",
        demo::rolling,
    ),
    (
        "demo: three crashes of the control plane lose nothing",
        demo::crash,
    ),
    ("demo: what is lost the naive way", demo::naive),
    (
        "demo: a proxy that is cut off holds the rollout",
        demo::lost_proxy,
    ),
    ("demo: a refusal stops the rollout", demo::nack),
    (
        "demo: errors, a slow tail and crashes are found, and go back by themselves",
        demo::bad_version,
    ),
    (
        "demo: one bad instance is replaced, and its version comes through",
        demo::one_bad_box,
    ),
    (
        "demo: an outage of both versions turns nothing round",
        demo::shared_outage,
    ),
    (
        "demo: with too little traffic a gate says so, and holds",
        demo::low_traffic,
    ),
    (
        "demo: two thousand clients with cookies each go to the new version once",
        demo::sessions,
    ),
];

/// A story about a gRPC client.
type GrpcStory = fn(Library);

/// Those with gRPC clients and no Envoy; each on Python and on Node.
const GRPC_STORIES: &[(&str, GrpcStory)] = &[
    (
        "versions share the calls by their weights and not by their endpoints",
        grpc::weights,
    ),
    (
        "an instance that drains gets no new call, and the running ones complete",
        grpc::drain,
    ),
    (
        "rolling one by one loses no call, and neither does an abort",
        grpc::rolling_and_abort,
    ),
    (
        "replacing all at once loses no call, however far the client is",
        grpc::all_at_once,
    ),
    (
        "load reports of a locality prove a drain when no call is in progress there",
        load_reports::by_locality,
    ),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(1));

    let envoy = support::tools::envoy().err();
    let python = support::tools::python().err();
    let node = python
        .clone()
        .or_else(|| support::tools::node_modules().err());

    let mut trials: Vec<Trial> = Vec::new();
    for (name, story) in STORIES {
        trials.push(trial((*name).to_owned(), envoy.as_ref(), *story));
    }
    for (name, story) in GRPC_STORIES {
        let story = *story;
        let python_story = move || story(Library::Python);
        trials.push(trial(
            format!("grpcio: {name}"),
            python.as_ref(),
            python_story,
        ));
        let node_story = move || story(Library::Node);
        trials.push(trial(format!("grpc-js: {name}"), node.as_ref(), node_story));
    }
    trials.push(trial(
        "grpcio: a client that shows its certificate is served, and its load reports count"
            .to_owned(),
        python.as_ref(),
        grpc::certificates,
    ));
    trials.push(trial(
        "prometheus: a gate reads a number as good or worse, and what is none leaves nobody sure"
            .to_owned(),
        support::tools::prometheus().err().as_ref(),
        metric_gate::is_asked,
    ));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A story, or, where a tool is missing, why it cannot run.
fn trial(name: String, missing: Option<&String>, story: impl Fn() + Send + 'static) -> Trial {
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    let Some(why) = missing.cloned() else {
        return Trial::test(name, move || {
            story();
            Ok(())
        });
    };
    let told = why.clone();
    Trial::test(name, move || Err(told.into()))
        .with_kind(why)
        .with_ignored_flag(!is_ci)
}

//! The rules of xDS as a table: each rule with its rows, each row over the variants that it is for.
//!
//! ```console
//! $ make conformance                            # all of it, with real Envoys, as a table
//! $ cargo test --test conformance               # without what `--test e2e` runs as well
//! $ cargo test --test conformance -- 'rule 16'  # one rule
//! ```
//!
//! The server is the real one, over gRPC in memory; `world` says how "nothing comes" is seen without
//! waiting. The 98 runs of the public test harness are rows too; they need the adapter that the harness
//! drives, so they are only there with `--features harness-adapter`. The page `docs/conformance.md` is
//! made from the same table.

#![allow(
    clippy::format_push_string,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a panic is how a row fails, and what it prints is why"
)]

#[expect(dead_code, reason = "shared with the stories, which use all of it")]
#[path = "support"]
mod support {
    pub(crate) mod app;
    pub(crate) mod certificates;
    pub(crate) mod control_plane;
    pub(crate) mod documents;
    pub(crate) mod envoy;
    pub(crate) mod far;
    pub(crate) mod grpc;
    pub(crate) mod http;
    pub(crate) mod load;
    pub(crate) mod process;
    pub(crate) mod tools;
    pub(crate) mod wait;
    pub(crate) mod world;
}

#[path = "e2e"]
mod stories {
    pub(crate) mod crash;
    pub(crate) mod first_start;
    pub(crate) mod identity;
    pub(crate) mod ordering;
}

#[path = "conformance"]
mod conformance {
    #[cfg_attr(not(feature = "harness-adapter"), path = "no_adapter.rs")]
    pub(crate) mod adapter;
    pub(crate) mod answers;
    pub(crate) mod client;
    pub(crate) mod harness;
    pub(crate) mod leds;
    pub(crate) mod load;
    pub(crate) mod optional;
    pub(crate) mod ordering;
    pub(crate) mod page;
    pub(crate) mod program;
    pub(crate) mod reply;
    pub(crate) mod report;
    pub(crate) mod responses;
    pub(crate) mod robust;
    pub(crate) mod row;
    pub(crate) mod secrets;
    pub(crate) mod streams;
    pub(crate) mod subscriptions;
    pub(crate) mod variant;
    pub(crate) mod versions;
    pub(crate) mod warming;
    pub(crate) mod wildcards;
    pub(crate) mod world;
}

use std::process::ExitCode;

use conformance::report::Part;
use conformance::{
    answers, harness, leds, load, optional, ordering, responses, robust, secrets, streams,
    subscriptions, versions, wildcards,
};

/// The table, in parts.
const PARTS: &[Part] = &[
    ("Streams and identity", "rule", streams::RULES),
    ("Wildcards", "rule", wildcards::RULES),
    ("Subscriptions", "rule", subscriptions::RULES),
    ("Answers", "rule", answers::RULES),
    ("Versions", "rule", versions::RULES),
    ("Responses", "rule", responses::RULES),
    ("Order", "rule", ordering::RULES),
    ("Optional parts of the protocol", "rule", optional::RULES),
    ("Secrets", "secrets", secrets::RULES),
    ("Endpoints one by one", "rule", leds::RULES),
    ("Load and limits", "rule", load::RULES),
    ("Robustness", "rule", robust::RULES),
    (
        "The 98 runs of the public harness",
        "harness",
        harness::RULES,
    ),
    (
        "Beside them: its other types, and the program",
        "beside harness",
        harness::BESIDE,
    ),
];

fn main() -> ExitCode {
    conformance::report::run(PARTS)
}

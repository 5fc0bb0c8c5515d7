//! The contract: what users type, read and keep, with the real binary and without Envoy.
//!
//! Whatever is in a snapshot is a promise: words, fields and exit codes change on purpose only.
//! Nothing here depends on how fast anything is; waits are for conditions, with generous deadlines.

#![expect(
    clippy::format_push_string,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "transcripts are put together; helpers of tests are tests"
)]

#[path = "contract/command_line.rs"]
mod command_line;
#[path = "contract/compaction.rs"]
mod compaction;
#[path = "contract/documents.rs"]
mod documents;
#[path = "contract/examples.rs"]
mod examples;
#[path = "contract/fleet.rs"]
mod fleet;
#[path = "contract/gates.rs"]
mod gates;
#[path = "contract/gitops.rs"]
mod gitops;
#[path = "contract/hooks.rs"]
mod hooks;
#[path = "contract/instances.rs"]
mod instances;
#[path = "contract/journal.rs"]
mod journal;
#[path = "contract/peer.rs"]
mod peer;
#[path = "contract/plan.rs"]
mod plan;
#[path = "contract/rollouts.rs"]
mod rollouts;
#[path = "contract/rules.rs"]
mod rules;
#[path = "contract/secrets.rs"]
mod secrets;
#[path = "contract/server.rs"]
mod server;
#[path = "contract/serving.rs"]
mod serving;
#[path = "contract/settings.rs"]
mod settings;
#[path = "contract/sim.rs"]
mod sim;
#[path = "contract/tidegate.rs"]
mod tidegate;

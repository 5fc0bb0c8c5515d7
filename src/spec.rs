//! Documents → domain: what users write, read and checked as a whole.
//!
//! In goes the text of any number of files; out comes a [`crate::domain::Documents`] that every
//! other part may trust, or a [`Refusal`] that names everything wrong at once, each with its line
//! and a hint. A set is taken or refused as a whole, so the last good one stays in force.
//!
//! ```text
//!  Source ─ tree ─▶ nodes with places ─ decode ─▶ raw specs ─ gateway, service … ─▶ set ─▶ Loaded
//!                                          └── problems, warnings ──────────────────┘
//! ```
//!
//! Knows no Envoy type (overlays are checked by a function that the caller gives), no clock, no
//! socket; of files only [`read_directory`]. A server's own file is read the same way, by
//! [`load_server`].

mod context;
mod decode;
mod envoy;
mod field;
mod gate;
mod gateway;
mod hooks;
mod policy;
mod problem;
mod rollout;
mod schema;
mod server;
mod service;
mod sessions;
mod set;
mod source;
mod strategy;
#[cfg(test)]
mod tests;
mod tree;
mod words;

use crate::domain::{OverlayFault, OverlayPart};

pub use problem::{Problem, Refusal, Warning};
pub use rollout::rollout_document;
pub use schema::json_schema;
pub use server::{Server, load_server};
pub use set::{Entry, Loaded, load, split};
pub use source::{Source, read_directory};

/// Says what is wrong with Envoy settings, given as JSON text.
pub type OverlayCheck = fn(OverlayPart, &str) -> Vec<OverlayFault>;

/// Files in a set.
pub const FILES_MAX: usize = 1_000;

/// Documents in a set.
pub const DOCUMENTS_MAX: usize = 5_000;

/// Size of one file, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// Values in one file, with aliases expanded.
const NODES_PER_FILE_MAX: usize = 200_000;

/// Values inside values; Envoy's own settings are the deepest.
const DEPTH_MAX: usize = 32;

/// Problems told of one file; who has more has one at the root of them.
const PROBLEMS_PER_FILE_MAX: usize = 100;

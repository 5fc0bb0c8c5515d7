//! Random input: the property of the stream machine, and every file of the fuzz targets' corpora.
//!
//! What the targets do stands here and not in `fuzz/`, so `make test` runs on a stable toolchain the very
//! code that `make fuzz` runs. How to fuzz stands in CONTRIBUTING.md.

#![allow(clippy::unwrap_used, reason = "a panic is how an input fails")]

#[path = "fuzz/documents.rs"]
mod documents;
#[path = "fuzz/overlay.rs"]
mod overlay;
#[path = "fuzz/properties.rs"]
mod properties;
#[path = "fuzz/protocol.rs"]
mod protocol;
#[path = "fuzz/wire.rs"]
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Plays every file of a target's corpus; fails with the name of the first that fails.
fn replay(target: &str, run: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut played = 0;
    for entry in fs_err::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs_err::read(&path).unwrap();
        let result = catch_unwind(AssertUnwindSafe(|| run(&bytes)));
        assert!(result.is_ok(), "{} fails, see above", path.display());
        played += 1;
    }
    assert!(played > 0, "{target} has no corpus");
}

#[test]
fn documents_of_the_corpus_are_read_or_refused() {
    replay("documents", documents::run);
}

#[test]
fn overlays_of_the_corpus_are_judged() {
    replay("overlay", overlay::run);
}

#[test]
fn stories_of_the_corpus_keep_the_protocol() {
    replay("protocol", protocol::run);
}

#[test]
fn messages_of_the_corpus_are_answered() {
    replay("wire", wire::run);
}

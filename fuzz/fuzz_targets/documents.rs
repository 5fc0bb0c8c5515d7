#![no_main]
//! See `tests/fuzz/documents.rs`, which is what runs here.

#[path = "../../tests/fuzz/documents.rs"]
mod documents;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| documents::run(bytes));

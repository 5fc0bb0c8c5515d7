#![no_main]
//! See `tests/fuzz/protocol.rs`, which is what runs here.

#[path = "../../tests/fuzz/protocol.rs"]
mod protocol;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| protocol::run(bytes));

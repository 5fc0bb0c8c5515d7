#![no_main]
//! See `tests/fuzz/wire.rs`, which is what runs here.

#[path = "../../tests/fuzz/wire.rs"]
mod wire;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wire::run(bytes));

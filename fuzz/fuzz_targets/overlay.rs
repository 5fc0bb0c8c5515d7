#![no_main]
//! See `tests/fuzz/overlay.rs`, which is what runs here.

#[path = "../../tests/fuzz/overlay.rs"]
mod overlay;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| overlay::run(bytes));

//! The model check, on the engine alone: `make model`.

#[path = "../tests/engine/closed.rs"]
mod closed;
#[path = "../tests/engine/decisions.rs"]
mod decisions;
#[path = "../tests/engine/model.rs"]
mod model;
#[path = "../tests/engine/sample.rs"]
mod sample;
#[path = "../tests/engine/seen.rs"]
mod seen;

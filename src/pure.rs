//! The engine and what it needs, as a crate of their own: for the model check and benches, which are to be built in a
//! moment, and optimised (`model/Cargo.toml`). The program itself begins in `lib.rs`.

pub mod domain;
pub mod engine;
pub mod gates;
pub mod sim;

//! The rollout engine as a crate of its own: values in, values out, and nothing of the program around it.
//!
//! Optimised in every build (`engine/Cargo.toml`), so that tests and `tidegate sim` play fleets of thousands. The program
//! has these modules under their own names; it begins in `lib.rs`.

pub mod domain;
pub mod engine;
pub mod gates;
pub mod sim;

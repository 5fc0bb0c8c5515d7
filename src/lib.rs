//! Tidegate rolls versions at the proxy: an xDS control plane for Envoy that takes the next step
//! only when every proxy has proven the last one.

pub mod api;
pub mod cli;
pub mod demo;
pub mod discovery;
pub mod forecast;
#[cfg(feature = "harness-adapter")]
pub mod harness;
pub mod observe;
pub mod peer;
pub mod process;
pub mod protocol;
pub mod runtime;
pub mod secrets;
pub mod serving;
pub mod snapshot;
pub mod spec;
pub mod store;
pub mod telemetry;
pub mod xds;

pub use tidegate_engine::{domain, engine, gates, sim};

//! Tidegate rolls versions at the proxy: an xDS control plane for Envoy that takes the next step
//! only when every proxy has proven the last one.

pub mod domain;
pub mod engine;
pub mod protocol;
pub mod snapshot;
pub mod xds;

//! xDS on the wire: the aggregated discovery service, its streams, and what becomes of them.
//!
//! In come gRPC streams of proxies and snapshots on a watch; out go responses, and events about
//! proxies to the engine. The rules of the protocol live in `protocol`; here are bytes, identity,
//! limits and cleanup.
//!
//! - `ads`: the gRPC service, written on HTTP bodies so that responses share their bytes.
//! - `frames`: a response as a private nonce and a shared rest.
//! - `identity`: the node of a request, checked and reduced.
//! - `stream`: one stream, driven as its response body is read: a proxy that does not read stalls
//!   itself alone, and when its connection goes everything goes with it.
//! - `registry`: the streams of each proxy, as one proxy to the engine.
//! - `observer`: hooks for metrics.

mod ads;
mod frames;
mod identity;
mod observer;
mod registry;
mod stream;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::domain::Time;

pub use ads::{AdsService, Snapshots, XdsServer};
pub use observer::{NoObserver, Observer};

/// Where streams read the time; the runtime owns the real one.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

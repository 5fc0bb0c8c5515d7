//! xDS on the wire: the discovery services, their streams, and what becomes of them.
//!
//! In come gRPC streams of proxies and snapshots on a watch; out go responses, and events about
//! proxies to the engine. The rules of the protocol live in `protocol`; here are bytes, identity,
//! limits and cleanup.
//!
//! - `server`: what all streams share, and the doors to it.
//! - `discovery`: the gRPC services, for all types at once and for each type, written on HTTP bodies
//!   so that responses share their bytes.
//! - `requests`, `message`: a request's body, as the protocol machine reads it.
//! - `frames`: a response as a private nonce and a shared rest.
//! - `identity`: the node of a request, checked and reduced.
//! - `stream`: one stream, driven as its response body is read: a proxy that does not read stalls
//!   itself alone, and when its connection goes everything goes with it.
//! - `alarm`: when a stream looks again though nothing has happened.
//! - `registry`: the streams of each proxy, as one proxy to the engine.
//! - `inspector`: what each proxy was told, for people who ask.
//! - `status`: the same look for programs, by gRPC (CSDS).
//! - `watchdog`: cuts streams whose peer reads nothing.
//! - `observer`: hooks for metrics.

mod alarm;
mod discovery;
mod frames;
mod identity;
mod inspector;
mod message;
mod observer;
mod registry;
mod requests;
mod server;
mod status;
mod stream;
mod watchdog;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::domain::Time;

pub use crate::protocol::{Held, HeldState};

pub use identity::{check_same_node, identify_encoded};
pub use inspector::{Inspector, ProxyState, StreamState};
pub use observer::{NoObserver, Observer};
pub use server::{Snapshots, XdsServer};
pub use watchdog::Watchdog;

/// Where streams read the time; the runtime owns the real one.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

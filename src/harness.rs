//! The adapter of the public xDS test harness, behind the feature `harness-adapter`.
//!
//! In go plain resources of single nodes, over gRPC; out come snapshots that the xDS server takes in
//! place of the engine's. Versions are the harness's: a response bears the one that was last given
//! for its type. It is for tests alone: it checks no resource and asks nobody who they are.

mod adapter;
mod state;

#[allow(
    missing_docs,
    unreachable_pub,
    unnameable_types,
    clippy::all,
    clippy::pedantic,
    reason = "generated from proto/adapter"
)]
mod proto {
    tonic::include_proto!("adapter");
}

pub use adapter::Adapter;
pub use proto::adapter_client::AdapterClient;
pub use proto::adapter_server::AdapterServer;
pub use proto::{ClearStateRequest, ResourceRequest, SetStateRequest};

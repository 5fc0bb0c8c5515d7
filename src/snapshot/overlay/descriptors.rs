//! Envoy's description of its own types, taken from the linked `envoy-types` package by `build.rs`.

use std::sync::OnceLock;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use prost::Name;
use prost_reflect::{DescriptorPool, MessageDescriptor};

static ENCODED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/envoy-descriptors.bin"));

/// Every message type. Building it takes tens of milliseconds and about 20 MiB, so it is built once,
/// at the first overlay, and never by those who have none.
pub(super) fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        DescriptorPool::decode(ENCODED).expect("the build script decoded the same descriptors")
    })
}

/// The type that overlays are parts of.
pub(super) fn cluster() -> MessageDescriptor {
    pool()
        .get_message_by_name(&Cluster::full_name())
        .expect("the descriptors and the linked types are of one package")
}

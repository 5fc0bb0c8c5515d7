//! Envoy's description of its own types, taken from the linked `envoy-types` package by `build.rs`.

use std::sync::OnceLock;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, Listener};
use envoy_types::pb::envoy::config::route::v3::Route;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use prost::Name;
use prost_reflect::{DescriptorPool, ExtensionDescriptor, FieldDescriptor, MessageDescriptor};

use crate::domain::OverlayPart;

static ENCODED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/envoy-descriptors.bin"));

/// Every message type. Building it takes tens of milliseconds and about 20 MiB, so it is built once,
/// at the first overlay, and never by those who have none.
pub(super) fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        DescriptorPool::decode(ENCODED).expect("the build script decoded the same descriptors")
    })
}

/// The name of the type that a part's settings are a part of.
pub(super) fn type_name(part: OverlayPart) -> String {
    match part {
        OverlayPart::Cluster => Cluster::full_name(),
        OverlayPart::FilterChain => FilterChain::full_name(),
        OverlayPart::HttpConnectionManager => HttpConnectionManager::full_name(),
        OverlayPart::Listener => Listener::full_name(),
        OverlayPart::Route => Route::full_name(),
        OverlayPart::TcpProxy => TcpProxy::full_name(),
    }
}

/// The type that a part's settings are a part of.
pub(super) fn of_part(part: OverlayPart) -> MessageDescriptor {
    pool()
        .get_message_by_name(&type_name(part))
        .expect("the descriptors and the linked types are of one package")
}

/// The type that a type URL names, if it is one of Envoy's.
pub(in crate::snapshot) fn packed(type_url: &str) -> Option<MessageDescriptor> {
    pool().get_message_by_name(type_url.rsplit('/').next()?)
}

/// Do Envoy's types call the field sensitive, such as a private key?
pub(in crate::snapshot) fn is_sensitive(field: &FieldDescriptor) -> bool {
    static SENSITIVE: OnceLock<ExtensionDescriptor> = OnceLock::new();
    let sensitive = SENSITIVE.get_or_init(|| {
        pool()
            .get_extension_by_name("udpa.annotations.sensitive")
            .expect("the descriptors are Envoy's, who marks its secrets")
    });
    field.options().get_extension(sensitive).as_bool() == Some(true)
}

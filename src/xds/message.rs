//! A discovery request, as the protocol machine reads it: either variant's message in, the node and
//! a [`Request`] out.

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};

use crate::protocol::{Ask, Request, TypeUrl, Variant};

/// A message of either variant.
pub(super) trait Message: prost::Message + Default + 'static {
    /// Its variant.
    const VARIANT: Variant;

    /// The node, and everything else.
    fn into_parts(self) -> (Option<Node>, Request);
}

impl Message for DiscoveryRequest {
    const VARIANT: Variant = Variant::Sotw;

    fn into_parts(self) -> (Option<Node>, Request) {
        let request = Request {
            type_url: TypeUrl::parse(&self.type_url),
            nonce: self.response_nonce,
            error: self.error_detail.map(|status| status.message),
            ask: Ask::Sotw {
                names: self.resource_names,
                version: self.version_info,
            },
        };
        (self.node, request)
    }
}

impl Message for DeltaDiscoveryRequest {
    const VARIANT: Variant = Variant::Delta;

    fn into_parts(self) -> (Option<Node>, Request) {
        let request = Request {
            type_url: TypeUrl::parse(&self.type_url),
            nonce: self.response_nonce,
            error: self.error_detail.map(|status| status.message),
            ask: Ask::Delta {
                subscribe: self.resource_names_subscribe,
                unsubscribe: self.resource_names_unsubscribe,
                initial_versions: self.initial_resource_versions.into_iter().collect(),
            },
        };
        (self.node, request)
    }
}

//! Encoded resources: one content hash, and the two forms in which a response carries it.
//!
//! In goes an encoded message, out comes a [`Resource`] whose bytes can be put into a response as
//! they are. Whoever encodes the message must do so deterministically: prost writes map fields in
//! no order, so at most one entry may stand in one (see `overlay::canonical` for the rest).

use std::sync::Arc;

use bytes::Bytes;
use envoy_types::pb::envoy::service::discovery::v3::Resource as DeltaResource;
use envoy_types::pb::google::protobuf::Any;
use prost::encoding::message;

use super::{Reference, Resource, ResourceKind};

/// The field `resources`, in `DiscoveryResponse` and in `DeltaDiscoveryResponse` alike.
const RESOURCES_FIELD: u32 = 2;

/// Hex digits of a version: 64 bits, so that two contents of one name meet by chance never.
const VERSION_DIGITS: usize = 16;

/// The resource `name` with this content, named by it.
pub fn resource(kind: ResourceKind, name: &str, encoded: Vec<u8>) -> Arc<Resource> {
    let version = version(&encoded);
    Arc::new(wrapped(kind, name, &version, encoded))
}

/// The same for one that only says which collections to ask for.
pub(super) fn referring(
    kind: ResourceKind,
    name: &str,
    encoded: Vec<u8>,
    reference: Reference,
) -> Arc<Resource> {
    let version = version(&encoded);
    Arc::new(Resource {
        reference: Some(Box::new(reference)),
        ..wrapped(kind, name, &version, encoded)
    })
}

/// The resource `name` with this content, which counts as another one under another `label`, however
/// equal the content is.
pub fn labelled(kind: ResourceKind, name: &str, label: &str, encoded: Vec<u8>) -> Arc<Resource> {
    let version = format!("{label}-{}", version(&encoded));
    Arc::new(wrapped(kind, name, &version, encoded))
}

fn version(encoded: &[u8]) -> String {
    blake3::hash(encoded).to_hex()[..VERSION_DIGITS].to_owned()
}

fn wrapped(kind: ResourceKind, name: &str, version: &str, encoded: Vec<u8>) -> Resource {
    let any = Any {
        type_url: kind.type_url().to_owned(),
        value: encoded,
    };

    let mut sotw_field = Vec::with_capacity(message::encoded_len(RESOURCES_FIELD, &any));
    message::encode(RESOURCES_FIELD, &any, &mut sotw_field);

    let delta = DeltaResource {
        name: name.to_owned(),
        version: version.to_owned(),
        resource: Some(any),
        ..DeltaResource::default()
    };
    let mut delta_field = Vec::with_capacity(message::encoded_len(RESOURCES_FIELD, &delta));
    message::encode(RESOURCES_FIELD, &delta, &mut delta_field);

    Resource {
        name: name.into(),
        version: version.into(),
        sotw_field: Bytes::from(sotw_field),
        delta_field: Bytes::from(delta_field),
        reference: None,
    }
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
    use envoy_types::pb::envoy::service::discovery::v3::{
        DeltaDiscoveryResponse, DiscoveryResponse,
    };
    use prost::{Message, Name};

    use super::*;

    #[test]
    fn the_fields_are_whole_responses_of_one_resource() {
        let route = RouteConfiguration {
            name: "cart".into(),
            ..RouteConfiguration::default()
        };
        let resource = resource(ResourceKind::Route, "cart", route.encode_to_vec());
        let any = Any {
            type_url: RouteConfiguration::type_url(),
            value: route.encode_to_vec(),
        };

        let sotw = DiscoveryResponse::decode(resource.sotw_field.clone()).unwrap();
        assert_eq!(
            sotw,
            DiscoveryResponse {
                resources: vec![any.clone()],
                ..Default::default()
            }
        );

        let delta = DeltaDiscoveryResponse::decode(resource.delta_field.clone()).unwrap();
        let only = DeltaResource {
            name: "cart".into(),
            version: resource.version.as_ref().into(),
            resource: Some(any),
            ..DeltaResource::default()
        };
        assert_eq!(
            delta,
            DeltaDiscoveryResponse {
                resources: vec![only],
                ..Default::default()
            }
        );
    }

    #[test]
    fn the_version_follows_the_content() {
        let version = |content: &[u8]| {
            resource(ResourceKind::Cluster, "cart/v1", content.to_vec())
                .version
                .clone()
        };
        assert_eq!(version(b"one"), version(b"one"));
        assert_ne!(version(b"one"), version(b"two"));
        assert_eq!(version(b"one").len(), VERSION_DIGITS);
    }
}

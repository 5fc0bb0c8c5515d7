//! Users' own Envoy settings: a partial `Cluster` as JSON, merged into each generated one.
//!
//! The JSON is read with Envoy's own description of its types, so whatever Envoy knows may be set,
//! `@type` extensions included, and what it does not know is an error that says where. Merging is
//! protobuf's: a scalar overrides (also with its zero, `lb_policy: ROUND_ROBIN`), a message is
//! merged, one choice replaces another, a list is appended to. What drains and their proof rest on
//! may not be set. Values are not judged: that an Envoy would refuse one is for its NACK to say.
//!
//! Reading takes a description of 1,600 types, built once at the first overlay; a plan without
//! overlays never comes here.

mod canonical;
mod descriptors;
mod explicit;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use prost::Message;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor};
use serde_json::Value;

use super::cluster::HTTP_OPTIONS;

/// Why an overlay is refused.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// The merged cluster could not be written.
    #[error("the overlay cannot be merged into a cluster")]
    Merge(#[from] prost::DecodeError),
    /// Something that Tidegate sets itself.
    #[error("`{field}` may not be set in an overlay: {why}")]
    Owned {
        /// The field, with its path.
        field: &'static str,
        /// Why it may not.
        why: &'static str,
    },
    /// Not JSON, not an object, or no Envoy cluster: an unknown field, a value of a wrong type.
    #[error("not a part of an Envoy cluster: {reason}")]
    Shape {
        /// What the reader said, with line and column.
        reason: String,
    },
}

const NAMES: &str = "routes, assignments and metrics find a version by its cluster's name";
const ENDPOINTS: &str = "endpoints come from the service's instances, by EDS";

/// What an overlay may not name, and why.
const OWNED: [(&str, &str); 11] = [
    ("alt_stat_name", NAMES),
    ("cluster_type", ENDPOINTS),
    (
        "common_lb_config.healthy_panic_threshold",
        "in a panic Envoy sends new requests to instances that drain",
    ),
    (
        "common_lb_config.update_merge_window",
        "a step would begin before the last one is in force",
    ),
    ("eds_cluster_config", ENDPOINTS),
    (
        "ignore_health_on_host_removal",
        "a removed instance that still answers its health check would keep its traffic",
    ),
    ("load_assignment", ENDPOINTS),
    (
        "lrs_server",
        "proxies report their load by OTLP, which excludes LRS",
    ),
    ("name", NAMES),
    (
        "track_cluster_stats",
        "the counts per instance are the proof of drain",
    ),
    ("type", ENDPOINTS),
];

/// Can this JSON text be merged into a cluster?
pub fn check_overlay(json: &str) -> Result<(), OverlayError> {
    ClusterOverlay::parse(json).map(drop)
}

/// A checked overlay.
#[derive(Debug)]
pub(super) struct ClusterOverlay {
    kind: MessageDescriptor,
    encoded: Vec<u8>,
}

impl ClusterOverlay {
    /// Reads and checks an overlay.
    pub(super) fn parse(json: &str) -> Result<Self, OverlayError> {
        let shape = |reason: serde_json::Error| OverlayError::Shape {
            reason: reason.to_string(),
        };
        let kind = descriptors::cluster();
        let mut reader = serde_json::Deserializer::from_str(json);
        let message = DynamicMessage::deserialize(kind.clone(), &mut reader).map_err(shape)?;
        reader.end().map_err(shape)?;

        let written: Value = serde_json::from_str(json).map_err(shape)?;
        for (field, why) in OWNED {
            if names(&kind, &written, field) {
                return Err(OverlayError::Owned { field, why });
            }
        }
        let mut encoded = message.encode_to_vec();
        explicit::append_zeros(&message, &written, &mut encoded);
        Ok(Self { kind, encoded })
    }

    /// Merges it into a generated cluster.
    pub(super) fn merge_into(&self, cluster: &mut Cluster) -> Result<(), OverlayError> {
        let generated = cluster
            .typed_extension_protocol_options
            .get(HTTP_OPTIONS)
            .cloned();
        cluster.merge(self.encoded.as_slice())?;
        // Protobuf replaces the values of a map; but whoever sets one HTTP option has not thereby
        // said that the service no longer speaks HTTP/2.
        let merged = cluster
            .typed_extension_protocol_options
            .get_mut(HTTP_OPTIONS);
        if let (Some(generated), Some(merged)) = (generated, merged)
            && generated.type_url == merged.type_url
        {
            let mut options = HttpProtocolOptions::decode(generated.value.as_slice())?;
            options.merge(merged.value.as_slice())?;
            merged.value = options.encode_to_vec();
        }
        Ok(())
    }

    /// Encodes a cluster that it was merged into, the same way each time.
    pub(super) fn encode(&self, cluster: &Cluster) -> Result<Vec<u8>, OverlayError> {
        Ok(canonical::canonical(&self.kind, &cluster.encode_to_vec())?)
    }
}

/// Does the JSON name the field at this path, by its proto name or its JSON name?
fn names(kind: &MessageDescriptor, written: &Value, path: &str) -> bool {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let Some(field) = kind.get_field_by_name(first) else {
        return false;
    };
    let Some(value) = written
        .get(first)
        .or_else(|| written.get(field.json_name()))
    else {
        return false;
    };
    match field.kind() {
        _ if rest.is_empty() => true,
        Kind::Message(inner) => names(&inner, value, rest),
        _ => false,
    }
}

#[cfg(test)]
mod tests;

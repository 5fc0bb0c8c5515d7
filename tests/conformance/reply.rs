//! One response, in the words of both variants.
//!
//! As text, `c a@1 b@2 -gone` is a response with the clusters `a` and `b`, their contents 1 and 2, and
//! without `gone`; several stand one after the other, `c a@1, e a@1`.

use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse};
use envoy_types::pb::google::protobuf::Any;
use prost::Message;

use super::world::{Named, Versions, letter};

/// One response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) type_url: String,
    pub(crate) nonce: String,
    pub(crate) version: String,
    pub(crate) identifier: String,
    /// Name and content.
    pub(crate) resources: Vec<(String, String)>,
    pub(crate) removed: Vec<String>,
    /// Delta only.
    pub(crate) versions: Versions,
    /// Of the encoded message.
    pub(crate) bytes: usize,
    /// What comes with `resource_errors` and TTLs: nothing, as neither is served.
    pub(crate) extras: usize,
}

impl Reply {
    /// As text.
    pub(crate) fn text(&self) -> String {
        let mut text = letter(&self.type_url);
        for (name, content) in &self.resources {
            text += &format!(" {name}@{content}");
        }
        for name in &self.removed {
            text += &format!(" -{name}");
        }
        text
    }
}

fn named(any: &Any) -> (String, String) {
    let named = Named::decode(any.value.as_slice()).unwrap();
    (named.name, named.content)
}

impl From<DiscoveryResponse> for Reply {
    fn from(response: DiscoveryResponse) -> Self {
        let bytes = response.encoded_len();
        for any in &response.resources {
            assert_eq!(any.type_url, response.type_url);
        }
        Self {
            resources: response.resources.iter().map(named).collect(),
            extras: response.resource_errors.len(),
            type_url: response.type_url,
            nonce: response.nonce,
            version: response.version_info,
            identifier: response.control_plane.unwrap_or_default().identifier,
            removed: Vec::new(),
            versions: Versions::new(),
            bytes,
        }
    }
}

impl From<DeltaDiscoveryResponse> for Reply {
    fn from(response: DeltaDiscoveryResponse) -> Self {
        let bytes = response.encoded_len();
        let ttls = response.resources.iter().filter(|r| r.ttl.is_some());
        let ttls = ttls.count();
        let mut reply = Self {
            type_url: response.type_url,
            nonce: response.nonce,
            version: response.system_version_info,
            identifier: response.control_plane.unwrap_or_default().identifier,
            removed: response.removed_resources,
            bytes,
            extras: response.resource_errors.len() + response.removed_resource_names.len() + ttls,
            ..Self::default()
        };
        for resource in response.resources {
            let any = resource.resource.unwrap_or_default();
            assert_eq!(any.type_url, reply.type_url);
            let (mut name, content) = named(&any);
            if content.is_empty() && letter(&any.type_url) == "b" {
                // A real one has no name but this.
                name.clone_from(&resource.name);
            }
            assert_eq!(name, resource.name);
            reply.versions.insert(name.clone(), resource.version);
            reply.resources.push((name, content));
        }
        reply
    }
}

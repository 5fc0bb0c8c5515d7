//! One connected Envoy, or gRPC client, as it describes itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Generation, Locality, ProxyId};

/// What a proxy's node says of it, reduced to what gateways select by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyIdentity {
    /// `node.id`.
    pub id: ProxyId,
    /// `node.cluster`.
    pub cluster: String,
    /// The top-level strings of `node.metadata`.
    pub metadata: BTreeMap<String, String>,
    /// `node.locality`.
    pub locality: Locality,
    /// The program and its version, such as `envoy 1.40.0`.
    pub agent: String,
}

/// A proxy's refusal of resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nack {
    /// The generation whose resources were refused.
    pub generation: Generation,
    /// The short name of the resource type: `cluster`, `endpoint`, `listener` or `route`.
    pub kind: String,
    /// The resources of the refused response; which of them is at fault only the message tells.
    pub resources: Vec<String>,
    /// The proxy's own words, with its random spacing and markers taken out.
    pub message: String,
}

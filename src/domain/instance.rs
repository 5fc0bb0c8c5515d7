//! One process at one address, as discovery saw it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{InstanceId, Rps, Span, VersionName};

/// An instance as its source describes it. Whether it is healthy is another matter, and changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id, unique within its service.
    pub id: InstanceId,
    /// Where it answers.
    pub address: SocketAddr,
    /// The build it runs.
    pub version: VersionName,
    /// Where it stands.
    pub locality: Locality,
    /// What it carries, where that differs from its service's `capacity`.
    pub capacity: Option<Rps>,
    /// How long it may go without a sign of life, where its source asks for one.
    #[serde(default)]
    pub lease: Option<Span>,
    /// All that its source says of it besides.
    pub labels: BTreeMap<String, String>,
}

/// A place: the failure domain of an instance or a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Locality {
    /// The region; empty if unknown.
    pub region: String,
    /// The zone; empty if unknown.
    pub zone: String,
}

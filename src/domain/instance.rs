//! One process at one address, as discovery saw it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Address, InstanceId, Rps, Span, VersionName};

/// An instance as its source describes it. Whether it is healthy is another matter, and changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id, unique within its service.
    pub id: InstanceId,
    /// Where it answers.
    pub address: Address,
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

/// Instances that exclude each other: where one of a version is known by the name of a host, it is the
/// only one, for the version's cluster resolves that name. The first such pair, if there is one.
pub fn excluded<'a>(
    instances: impl IntoIterator<Item = &'a Instance>,
) -> Option<(&'a Instance, &'a Instance)> {
    let mut of_version = BTreeMap::<&VersionName, &Instance>::new();
    for instance in instances {
        let Some(other) = of_version.insert(&instance.version, instance) else {
            continue;
        };
        let is_named = |it: &Instance| matches!(it.address, Address::Host(_));
        if is_named(other) || is_named(instance) {
            return Some((other, instance));
        }
    }
    None
}

/// A place: the failure domain of an instance or a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Locality {
    /// The region; empty if unknown.
    pub region: String,
    /// The zone; empty if unknown.
    pub zone: String,
}

//! Encoded Envoy resources: each encoded once, named by its content, shared by every stream.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::domain::Generation;

/// The resource types that Tidegate serves, in the order in which a proxy must learn additions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// `envoy.config.cluster.v3.Cluster`, by CDS.
    Cluster,
    /// `envoy.config.endpoint.v3.ClusterLoadAssignment`, by EDS.
    Endpoint,
    /// `envoy.config.listener.v3.Listener`, by LDS.
    Listener,
    /// `envoy.config.route.v3.RouteConfiguration`, by RDS.
    Route,
}

impl ResourceKind {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Cluster, Self::Endpoint, Self::Listener, Self::Route];

    /// The type URL on the wire.
    pub const fn type_url(self) -> &'static str {
        match self {
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoint => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        }
    }

    /// The kind with this type URL, if it is one that is served.
    pub fn from_type_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == url)
    }

    /// Do clients get every resource of this type when they name none?
    pub const fn has_wildcard(self) -> bool {
        matches!(self, Self::Cluster | Self::Listener)
    }
}

impl fmt::Display for ResourceKind {
    /// The word for people and metric labels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cluster => "cluster",
            Self::Endpoint => "endpoint",
            Self::Listener => "listener",
            Self::Route => "route",
        })
    }
}

/// One encoded resource. Its version is a hash of its content, so it is equal on every replica and
/// after every restart, and an unchanged resource is never sent twice.
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: Arc<str>,
    /// Hash of the encoded content, as text.
    pub version: Arc<str>,
    /// The resource as one `resources` field of a `DiscoveryResponse`: tag, length, `Any`.
    pub sotw_field: Bytes,
    /// The resource as one `resources` field of a `DeltaDiscoveryResponse`: tag, length, `Resource`
    /// with name, version and `Any`.
    pub delta_field: Bytes,
}

/// Everything that one audience may see, by type and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceSet {
    /// The generation that it was built from.
    pub generation: Generation,
    clusters: BTreeMap<Arc<str>, Arc<Resource>>,
    endpoints: BTreeMap<Arc<str>, Arc<Resource>>,
    listeners: BTreeMap<Arc<str>, Arc<Resource>>,
    routes: BTreeMap<Arc<str>, Arc<Resource>>,
    labels: BTreeMap<ResourceKind, Arc<str>>,
}

impl ResourceSet {
    /// An empty set of a generation.
    pub fn new(generation: Generation) -> Self {
        Self {
            generation,
            ..Self::default()
        }
    }

    /// The resources of one type, by name.
    pub const fn of(&self, kind: ResourceKind) -> &BTreeMap<Arc<str>, Arc<Resource>> {
        match kind {
            ResourceKind::Cluster => &self.clusters,
            ResourceKind::Endpoint => &self.endpoints,
            ResourceKind::Listener => &self.listeners,
            ResourceKind::Route => &self.routes,
        }
    }

    /// Adds or replaces one resource.
    pub fn insert(&mut self, kind: ResourceKind, resource: Arc<Resource>) {
        self.of_mut(kind)
            .insert(Arc::clone(&resource.name), resource);
    }

    /// Takes one resource away, if it is there.
    pub fn remove(&mut self, kind: ResourceKind, name: &str) -> Option<Arc<Resource>> {
        self.of_mut(kind).remove(name)
    }

    const fn of_mut(&mut self, kind: ResourceKind) -> &mut BTreeMap<Arc<str>, Arc<Resource>> {
        match kind {
            ResourceKind::Cluster => &mut self.clusters,
            ResourceKind::Endpoint => &mut self.endpoints,
            ResourceKind::Listener => &mut self.listeners,
            ResourceKind::Route => &mut self.routes,
        }
    }
    /// Has responses of this type bear `version`, where somebody outside names the states.
    pub fn label(&mut self, kind: ResourceKind, version: &str) {
        self.labels.insert(kind, version.into());
    }

    /// What somebody outside calls the state of this type.
    pub fn version(&self, kind: ResourceKind) -> Option<&Arc<str>> {
        self.labels.get(&kind)
    }
}

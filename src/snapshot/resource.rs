//! Encoded Envoy resources: each encoded once, named by its content, shared by every stream.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// The resource types that Tidegate serves, in the order in which a proxy must learn additions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// `envoy.extensions.transport_sockets.tls.v3.Secret`, by SDS.
    Secret,
    /// `envoy.config.cluster.v3.Cluster`, by CDS.
    Cluster,
    /// `envoy.config.endpoint.v3.ClusterLoadAssignment`, by EDS.
    Endpoint,
    /// `envoy.config.endpoint.v3.LbEndpoint`, one endpoint of a collection, by LEDS.
    LbEndpoint,
    /// `envoy.config.listener.v3.Listener`, by LDS.
    Listener,
    /// `envoy.config.route.v3.RouteConfiguration`, by RDS.
    Route,
}

impl ResourceKind {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [
        Self::Secret,
        Self::Cluster,
        Self::Endpoint,
        Self::LbEndpoint,
        Self::Listener,
        Self::Route,
    ];

    /// The type URL on the wire.
    pub const fn type_url(self) -> &'static str {
        match self {
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoint => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::LbEndpoint => "type.googleapis.com/envoy.config.endpoint.v3.LbEndpoint",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            Self::Secret => "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
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

    /// Is a client that asks for one which is not there left waiting, rather than told so? Envoy 1.40
    /// takes up a listener at once when it is told that its secret does not exist, in the place of the
    /// one that works, and then closes each connection.
    pub const fn is_waited_for(self) -> bool {
        matches!(self, Self::Secret)
    }
}

impl fmt::Display for ResourceKind {
    /// The word for people and metric labels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cluster => "cluster",
            Self::Endpoint => "endpoint",
            Self::LbEndpoint => "lb_endpoint",
            Self::Listener => "listener",
            Self::Route => "route",
            Self::Secret => "secret",
        })
    }
}

/// One encoded resource. Its version is a hash of its content, so it is equal on every replica and
/// after every restart, and an unchanged resource is never sent twice.
#[derive(PartialEq, Eq)]
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
    /// Where it only says which collections to ask for.
    pub reference: Option<Box<Reference>>,
}

/// What a resource refers to in place of saying it.
#[derive(Debug, PartialEq, Eq)]
pub struct Reference {
    /// The names of the collections that its holder asks for next, as `xdstp://…/*`.
    pub collections: Vec<Arc<str>>,
    /// The same resource with all that it refers to in it. A client must be told this first, and again
    /// whenever what it holds of the collections may be out of date.
    pub whole: Arc<Resource>,
}

impl Resource {
    /// Is there no difference to `other`, in itself and in what it stands for?
    pub fn is_same(&self, other: &Self) -> bool {
        self.version == other.version && self.whole_version() == other.whole_version()
    }

    fn whole_version(&self) -> Option<&str> {
        let reference = self.reference.as_ref()?;
        Some(&reference.whole.version)
    }
}

impl fmt::Debug for Resource {
    /// Without its content, which may be a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resource({} {}, ", self.name, self.version)?;
        write!(f, "{} bytes)", self.delta_field.len())
    }
}

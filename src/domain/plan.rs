//! The plan: weights and endpoint states that should hold now, as one immutable value.
//!
//! It is all that `snapshot` needs to build every Envoy resource, so the same plan gives the same
//! bytes on every replica and after every restart.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{
    Delivery, Gateway, HealthCheck, HostAddress, InstanceId, Locality, Overlay, Protocol,
    ServiceName, Sessions, Span, UpstreamTls, VersionName, Weight,
};

/// The number of a published plan. It only grows.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Generation(pub u64);

impl Generation {
    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What should hold now on every proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its number.
    pub generation: Generation,
    /// Who gets what, sorted by name.
    pub gateways: Vec<Gateway>,
    /// Every service that a gateway may name, sorted by name.
    pub services: Vec<ServicePlan>,
}

impl Plan {
    /// The part of one service.
    pub fn service(&self, name: &ServiceName) -> Option<&ServicePlan> {
        let found = self
            .services
            .binary_search_by(|service| service.name.cmp(name));
        found.ok().map(|index| &self.services[index])
    }
}

/// One service's part of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePlan {
    /// The service.
    pub name: ServiceName,
    /// What its instances speak.
    pub protocol: Protocol,
    /// The health check that each Envoy runs as well.
    pub health: HealthCheck,
    /// Envoy's slow start window; zero for none.
    pub warm_up: Span,
    /// How its sessions are kept, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<Sessions>,
    /// How proxies are told its endpoints.
    #[serde(default, skip_serializing_if = "Delivery::is_together")]
    pub delivery: Delivery,
    /// Who is believed to be a host that is spoken to by TLS.
    #[serde(default)]
    pub tls: UpstreamTls,
    /// The user's own Envoy settings.
    pub overlay: Option<Overlay>,
    /// One cluster each, in the order in which the versions were first seen; the order never changes
    /// while a version is routed.
    pub versions: Vec<VersionPlan>,
}

impl ServicePlan {
    /// The versions that routes name. Their weights sum to 10,000, or there are none at all.
    pub fn routed(&self) -> impl Iterator<Item = &VersionPlan> {
        self.versions.iter().filter(|version| version.routed)
    }
}

/// One version's part of a plan: one Envoy cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionPlan {
    /// The version.
    pub name: VersionName,
    /// Do routes name it? A version that no route names still has its cluster, until every proxy
    /// has acknowledged routes without it.
    pub routed: bool,
    /// Its share of the traffic.
    pub weight: Weight,
    /// It gets copies of this share of the requests; nobody waits for its answers.
    #[serde(default)]
    pub mirrored: Weight,
    /// Its instances at addresses of their own, sorted by id.
    pub endpoints: Vec<Endpoint>,
    /// Its instance that is known by the name of a host, if it is such a version: its cluster resolves
    /// the name, and requests get it as their host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<NamedEndpoint>,
}

impl VersionPlan {
    /// Has it anybody who takes new requests?
    pub fn takes_requests(&self) -> bool {
        let mut endpoints = self.endpoints.iter();
        let host = self.host.as_ref().and_then(|host| host.state);
        host == Some(EndpointState::Healthy)
            || endpoints.any(|endpoint| endpoint.state == EndpointState::Healthy)
    }
}

/// An instance that is known by the name of a host. Proxies are not told when it drains: it has all of its
/// version's requests, so they end with the version's weight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedEndpoint {
    /// The instance.
    pub id: InstanceId,
    /// Its name, and how to speak to it.
    pub host: HostAddress,
    /// Where it stands.
    pub locality: Locality,
    /// Does it get new requests? `None` where it is not to be used yet, or not any more; its cluster is
    /// there all the same, so that it is warm when its weight comes.
    pub state: Option<EndpointState>,
}

/// One instance's part of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The instance.
    pub id: InstanceId,
    /// Where it answers.
    pub address: SocketAddr,
    /// Where it stands.
    pub locality: Locality,
    /// Its share within its version's cluster, in requests per second; never zero.
    pub capacity: u32,
    /// Does it get new requests?
    pub state: EndpointState,
}

/// What a proxy is told of an endpoint. Absence is the third state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointState {
    /// Takes new requests.
    Healthy,
    /// Finishes what it has, takes nothing new.
    Draining,
}

//! Listeners and routes for the proxies that a gateway selects: its audience.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{GatewayName, Overlay, ProxyIdentity, ServiceName};

/// A gateway as its document declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// Its name.
    pub name: GatewayName,
    /// Which proxies it is for.
    pub proxies: ProxySelector,
    /// What they listen on; empty for proxies that have listeners of their own.
    pub listeners: Vec<Listener>,
    /// Services whose routes and clusters the proxies may take although no listener here names them.
    pub services: Vec<ServiceName>,
    /// The user's own Envoy settings, merged into each generated listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Overlay>,
}

impl Gateway {
    /// Every service that a proxy of this gateway may send traffic to, sorted, each once.
    pub fn reachable(&self) -> std::collections::BTreeSet<&ServiceName> {
        let routed = self
            .listeners
            .iter()
            .flat_map(|l| &l.routes)
            .map(|r| &r.service);
        routed.chain(&self.services).collect()
    }
}

/// Selects proxies by what their node says of itself. Every condition given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxySelector {
    /// `node.cluster`.
    pub cluster: Option<String>,
    /// Top-level strings of `node.metadata`.
    pub metadata: BTreeMap<String, String>,
    /// `node.locality.region`.
    pub region: Option<String>,
    /// `node.locality.zone`.
    pub zone: Option<String>,
}

impl ProxySelector {
    /// Is `proxy` one of those selected?
    pub fn selects(&self, proxy: &ProxyIdentity) -> bool {
        self.cluster
            .as_ref()
            .is_none_or(|cluster| *cluster == proxy.cluster)
            && self
                .region
                .as_ref()
                .is_none_or(|region| *region == proxy.locality.region)
            && self
                .zone
                .as_ref()
                .is_none_or(|zone| *zone == proxy.locality.zone)
            && self
                .metadata
                .iter()
                .all(|(key, value)| proxy.metadata.get(key) == Some(value))
    }
}

/// One listening port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The address bound on each proxy.
    pub address: String,
    /// The port bound on each proxy; 0 lets the proxy's host choose.
    pub port: u16,
    /// Where requests go: the first route that matches.
    pub routes: Vec<Route>,
    /// The user's own Envoy settings; they win over the gateway's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Overlay>,
}

/// Requests of some hosts under some path go to a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Host names, `*` for any; empty means any.
    pub hosts: Vec<String>,
    /// The path's beginning.
    pub prefix: String,
    /// The service that answers.
    pub service: ServiceName,
    /// The user's own Envoy settings; they win over the service's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Overlay>,
}

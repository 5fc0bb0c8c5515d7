//! Which proxies send requests to a service, and which of them cannot show that an instance is idle.

use serde::Serialize;

use crate::domain::{Documents, ProxyId, Service, ServiceName, ThenDo};
use crate::engine::{ProxyView, View};

/// The proxies of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProxyForecast {
    /// So many there are.
    pub of: usize,
    /// So many are connected.
    pub connected: usize,
    /// Their programs, each once.
    pub agents: Vec<String>,
    /// Those that cannot prove a drain.
    pub cannot_prove: Vec<CannotProve>,
}

/// A proxy that cannot prove a drain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CannotProve {
    /// Which.
    pub proxy: ProxyId,
    /// Why not, and what follows.
    pub why: String,
}

impl ProxyForecast {
    /// Of a made-up fleet, in which all are as they should be.
    pub(super) fn assumed(documents: &Documents, service: &ServiceName, each: u32) -> Self {
        let gateways = documents.gateways.values();
        let reaching = gateways.filter(|gateway| gateway.reachable().contains(service));
        let of = reaching.count() * each as usize;
        Self {
            of,
            connected: of,
            ..Self::default()
        }
    }

    /// Of those that a control plane knows.
    pub(super) fn known(view: &View, service: &Service) -> Self {
        let proxies = view.proxies.iter();
        let proxies = proxies.filter(|proxy| proxy.services.contains(&service.name));
        let proxies: Vec<&ProxyView> = proxies.collect();
        let mut agents: Vec<String> = proxies.iter().map(|proxy| proxy.agent.clone()).collect();
        agents.sort();
        agents.dedup();
        let cannot_prove = proxies.iter().filter_map(|proxy| {
            let (proxy, why) = (proxy.id.clone(), why_not(proxy, service)?);
            Some(CannotProve { proxy, why })
        });
        Self {
            of: proxies.len(),
            connected: proxies.iter().filter(|proxy| proxy.connected).count(),
            agents,
            cannot_prove: cannot_prove.collect(),
        }
    }
}

fn why_not(proxy: &ProxyView, service: &Service) -> Option<String> {
    let drain = &service.drain;
    let at_most = drain.at_most;
    if !proxy.connected {
        let wait = drain.lost_proxies.wait;
        return Some(match drain.lost_proxies.then {
            ThenDo::Ignore => format!("it is not connected, and is ignored after {wait}"),
            ThenDo::Pause => "it is not connected, and holds the rollout until it is back or \
                `tidegate proxies forget` says that it is gone for good"
                .to_owned(),
        });
    }
    if let Some(nack) = &proxy.nack {
        return Some(format!("it refuses what it is told: {}", nack.message));
    }
    proxy.last_report.is_none().then(|| {
        format!(
            "it has not reported requests in progress yet, so drains would take {at_most} \
             (is it started from `tidegate bootstrap`?)"
        )
    })
}

//! What a proxy is asked to report, and how often.
//!
//! Slowly by default, for an Envoy's report costs 61 KB; fast while an instance drains that the proxy
//! can reach. A client that can is asked for all of its clusters, so that the answer does not change
//! with the plan; any other is told their names.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::message::LoadStatsResponse;
use crate::domain::{EndpointState, Generation, Plan, ProxyIdentity, ServiceName, Span};

/// While nothing drains: 6 KB per second and Envoy.
pub(super) const SLOW: Span = Span::secs(10);

/// While something does. A proof takes two of these at least, after the proxy's ACK. Requests that
/// wait for a connection are in no report, and none waits for longer than the cluster's connect
/// timeout: 1 s, unless an overlay says otherwise.
pub(super) const FAST: Span = Span::millis(600);

/// Most clusters that are named to a client that cannot report all.
pub(super) const CLUSTERS_ASKED_MAX: usize = 10_000;

/// A client that can report all clusters says so.
pub(super) const ALL_CLUSTERS_FEATURE: &str = "envoy.lrs.supports_send_all_clusters";

/// What is wanted of one proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    /// `None` for all.
    clusters: Option<Vec<String>>,
    pub(super) interval: Span,
}

impl Ask {
    /// What to ask of a proxy that can reach `services`, now that `draining` have instances that drain.
    pub(super) fn of(
        plan: &Plan,
        services: &BTreeSet<ServiceName>,
        draining: &BTreeSet<ServiceName>,
        can_send_all: bool,
    ) -> Self {
        let interval = if services.is_disjoint(draining) {
            SLOW
        } else {
            FAST
        };
        let clusters = || {
            let services_of = plan.services.iter();
            let reachable = services_of.filter(|service| services.contains(&service.name));
            let names = reachable.flat_map(|service| {
                let versions = service.versions.iter();
                versions.map(|version| format!("{}/{}", service.name, version.name))
            });
            names.take(CLUSTERS_ASKED_MAX).collect()
        };
        Self {
            clusters: (!can_send_all).then(clusters),
            interval,
        }
    }

    pub(super) fn response(&self) -> LoadStatsResponse {
        LoadStatsResponse {
            clusters: self.clusters.clone().unwrap_or_default(),
            load_reporting_interval: Some(self.interval.into()),
            report_endpoint_granularity: true,
            send_all_clusters: self.clusters.is_none(),
        }
    }
}

/// The services that a proxy can reach.
pub(super) fn reachable(plan: &Plan, proxy: &ProxyIdentity) -> BTreeSet<ServiceName> {
    let gateways = plan.gateways.iter();
    let gateways = gateways.filter(|gateway| gateway.proxies.selects(proxy));
    let services = gateways.flat_map(|gateway| gateway.reachable());
    services.cloned().collect()
}

type Found = (Generation, Arc<BTreeSet<ServiceName>>);

/// The services with instances that drain, found once for all streams.
#[derive(Debug, Default)]
pub(super) struct Draining {
    /// Held while they are looked for, never over an await.
    newest: Mutex<Option<Found>>,
}

impl Draining {
    pub(super) fn of(&self, plan: &Plan) -> Arc<BTreeSet<ServiceName>> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((generation, found)) = &*newest
            && *generation == plan.generation
        {
            return Arc::clone(found);
        }
        let draining = plan.services.iter().filter(|service| {
            let endpoints = service.versions.iter().flat_map(|it| &it.endpoints);
            let mut states = endpoints.map(|endpoint| endpoint.state);
            states.any(|state| state == EndpointState::Draining)
        });
        let draining = draining.map(|service| service.name.clone());
        let found = Arc::new(draining.collect());
        *newest = Some((plan.generation, Arc::clone(&found)));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn fast_while_something_drains_that_the_proxy_reaches() {
        let cart: BTreeSet<ServiceName> = ["cart".parse().unwrap()].into();
        let nothing = BTreeSet::new();
        let calm = Plan {
            generation: Generation(2),
            ..samples::calm()
        };
        let draining = Draining::default();
        for (plan, reached, all, interval, clusters) in [
            (&samples::plan(), &cart, true, FAST, &[][..]),
            (&samples::plan(), &nothing, true, SLOW, &[]),
            (&calm, &cart, true, SLOW, &[]),
            (&samples::plan(), &cart, false, FAST, &["cart/v1"]),
        ] {
            let ask = Ask::of(plan, reached, &draining.of(plan), all);
            let response = ask.response();
            assert_eq!(ask.interval, interval);
            assert_eq!(response.clusters, clusters);
            assert_eq!(response.send_all_clusters, all);
            assert!(response.report_endpoint_granularity);
        }
    }
}

//! What a stream's reports count, added up: each report says what was added since the one before.
//!
//! In go reports, the first of a stream included; out come counts that only grow while the stream lasts, as
//! metrics have them, so whatever becomes of a reading, nothing is lost or counted twice. They are attempts, not what clients
//! were answered in the end, of two kinds: answered, and failed, which is 5xx, refused, reset or late. Of a
//! connection that was refused Envoy tells that it failed and nothing more.

use std::collections::BTreeMap;

use super::Counted;
use super::message::ClusterStats;
use crate::domain::{InstanceId, Plan, ServiceName, VersionName, VersionPlan};
use crate::engine::{Attempts, Completed};

/// What one stream has counted, of versions and endpoints that the plan has; others are forgotten.
#[derive(Debug, Default)]
pub(super) struct Totals {
    versions: BTreeMap<(ServiceName, VersionName), OfVersion>,
}

#[derive(Debug, Default)]
struct OfVersion {
    all: Counted,
    /// By instance and address.
    endpoints: BTreeMap<(InstanceId, String), Counted>,
}

impl Totals {
    /// Adds what a cluster of a report says of a version.
    pub(super) fn add(
        &mut self,
        cluster: &ClusterStats,
        service: &ServiceName,
        version: &VersionPlan,
    ) {
        let key = (service.clone(), version.name.clone());
        let total = self.versions.entry(key).or_default();
        for place in &cluster.upstream_locality_stats {
            total.all.add(Counted {
                succeeded: place.total_successful_requests,
                failed: place.total_error_requests,
            });
            for stats in &place.upstream_endpoint_stats {
                let address = stats.socket_address();
                let mut endpoints = version.endpoints.iter();
                let endpoint = endpoints.find(|it| Some(it.address) == address);
                let Some(endpoint) = endpoint else { continue };
                let key = (endpoint.id.clone(), endpoint.address.to_string());
                total.endpoints.entry(key).or_default().add(Counted {
                    succeeded: stats.total_successful_requests,
                    failed: stats.total_error_requests,
                });
            }
        }
    }

    /// Forgets what the plan does not have.
    pub(super) fn retain(&mut self, plan: &Plan) {
        self.versions.retain(|(service, version), total| {
            let services = &plan.services;
            let found = services.binary_search_by(|it| it.name.cmp(service));
            let versions = found.ok().map(|at| &services[at].versions);
            let mut versions = versions.into_iter().flatten();
            let Some(version) = versions.find(|it| it.name == *version) else {
                return false;
            };
            let is_there = |id: &InstanceId| version.endpoints.iter().any(|it| it.id == *id);
            total.endpoints.retain(|(id, _), _| is_there(id));
            true
        });
    }

    /// All of it: by version, and by endpoint.
    pub(super) fn said(&self) -> (Vec<Completed>, Vec<Attempts>) {
        let completed = self.versions.iter().map(|((service, version), total)| {
            let Counted { succeeded, failed } = total.all;
            let mut said = Completed::nothing_of(service.clone(), version.clone());
            said.total = Some(succeeded.saturating_add(failed));
            (said.codes, said.by_class) = (vec![(200, succeeded), (500, failed)], true);
            said
        });
        let attempts = self
            .versions
            .iter()
            .flat_map(|((service, version), total)| {
                let endpoints = total.endpoints.iter();
                endpoints.map(|((instance, address), counted)| Attempts {
                    service: service.clone(),
                    version: version.clone(),
                    instance: instance.clone(),
                    address: address.clone(),
                    ok: Some(counted.succeeded),
                    failed: Some(counted.failed),
                })
            });
        (completed.collect(), attempts.collect())
    }
}

impl Counted {
    fn add(&mut self, more: Self) {
        self.succeeded = self.succeeded.saturating_add(more.succeeded);
        self.failed = self.failed.saturating_add(more.failed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{
        Address, SocketAddress, UpstreamEndpointStats, UpstreamLocalityStats,
    };
    use super::super::samples;
    use super::*;

    fn cluster(succeeded: u64, failed: u64, port: u32) -> ClusterStats {
        let socket_address = Some(SocketAddress {
            address: "127.0.0.1".into(),
            port_value: port,
        });
        let stats = UpstreamEndpointStats {
            address: Some(Address { socket_address }),
            total_successful_requests: succeeded,
            total_error_requests: failed,
            ..UpstreamEndpointStats::default()
        };
        let place = UpstreamLocalityStats {
            total_successful_requests: succeeded,
            total_error_requests: failed,
            upstream_endpoint_stats: vec![stats],
            ..UpstreamLocalityStats::default()
        };
        ClusterStats {
            cluster_name: "cart/v1".into(),
            upstream_locality_stats: vec![place],
            load_report_interval: None,
        }
    }

    #[test]
    fn reports_add_up_while_the_plan_has_what_they_speak_of() {
        let mut plan = samples::plan();
        let service = plan.services[0].clone();
        let mut totals = Totals::default();
        for (succeeded, failed, port) in [(5, 1, 1), (3, 0, 1), (2, 2, 5), (1, 0, 999)] {
            let report = cluster(succeeded, failed, port);
            totals.add(&report, &service.name, &service.versions[0]);
        }
        let (completed, attempts) = totals.said();
        assert_eq!(completed[0].total, Some(14));
        assert_eq!(completed[0].codes, [(200, 11), (500, 3)]);
        let said: Vec<_> = attempts
            .iter()
            .map(|it| (it.instance.as_str(), it.ok, it.failed))
            .collect();
        assert_eq!(said, [("i1", Some(8), Some(1)), ("i5", Some(2), Some(2))]);

        plan.services[0].versions[0].endpoints.remove(0);
        totals.retain(&plan);
        assert_eq!(totals.said().1.len(), 1);
        plan.services[0].versions.clear();
        totals.retain(&plan);
        assert_eq!(totals.said(), (Vec::new(), Vec::new()));
    }
}

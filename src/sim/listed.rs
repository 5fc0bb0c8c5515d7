//! Instances that a document lists: there for as long as it does, and started and stopped by nobody. Those that
//! are hosts by name are endpoints like others here; that each proxy resolves them is not played.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::process::Process;
use super::world::Sim;
use crate::domain::{Endpoint, InstanceSource, Plan, Service, ServiceName, VersionPlan};

/// Where a host answers is of no matter here.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Does the document list the service's instances?
pub(super) fn is_listed(service: &Service) -> bool {
    matches!(service.source, InstanceSource::Listed { .. })
}

impl Sim<'_> {
    /// Does the document list them?
    pub(super) fn lists(&self, service: &ServiceName) -> bool {
        let service = self.setup.documents.services.get(service);
        service.is_some_and(is_listed)
    }

    /// All that a document lists is there.
    pub(super) fn launch_listed(&mut self, service: &Service) {
        for instance in service.listed() {
            let key = (service.name.clone(), instance.id.clone());
            let process = Process::there(instance, self.now, false);
            self.processes.insert(key, process);
        }
    }
}

/// The plan with hosts as endpoints of their versions.
pub(super) fn with_hosts(plan: &Arc<Plan>) -> Arc<Plan> {
    let versions = plan.services.iter().flat_map(|planned| &planned.versions);
    if versions.clone().all(|version| version.host.is_none()) {
        return Arc::clone(plan);
    }
    let mut plan = Plan::clone(plan);
    let services = plan.services.iter_mut();
    for version in services.flat_map(|planned| &mut planned.versions) {
        let host = endpoint(version);
        version.endpoints.extend(host);
    }
    Arc::new(plan)
}

fn endpoint(version: &VersionPlan) -> Option<Endpoint> {
    let host = version.host.as_ref()?;
    Some(Endpoint {
        id: host.id.clone(),
        address: NOWHERE,
        locality: host.locality.clone(),
        capacity: 1,
        state: host.state?,
    })
}

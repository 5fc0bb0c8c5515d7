//! From a plan to its snapshot: lint, encode each resource once, share it between audiences.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message;

use super::lint::{LintError, lint};
use super::overlay::OverlayError;
use super::{Audience, Resource, ResourceKind, ResourceSet, Snapshot};
use super::{assignment, cluster, encode, listener, route};
use crate::domain::{Gateway, Plan, Protocol, ServiceName, ServicePlan};

/// Why a plan has no snapshot. Nothing may be published then; the last snapshot stays.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The plan contradicts itself.
    #[error("generation {generation} may not be published")]
    Lint {
        /// The plan's number.
        generation: crate::domain::Generation,
        /// What is wrong with it.
        source: LintError,
    },
    /// A service's overlay does not fit a cluster.
    #[error("the overlay of service `{service}` does not fit")]
    Overlay {
        /// The service.
        service: ServiceName,
        /// Why not.
        source: OverlayError,
    },
}

/// The snapshot of a plan: one audience per gateway.
pub fn compile(plan: &Plan) -> Result<Snapshot, CompileError> {
    let generation = plan.generation;
    lint(plan).map_err(|source| CompileError::Lint { generation, source })?;

    let mut services = BTreeMap::new();
    for service in &plan.services {
        services.insert(&service.name, service_resources(plan, service)?);
    }
    let audience = |gateway: &Gateway| {
        let mut set = ResourceSet::new(generation);
        let reachable = gateway.reachable().into_iter();
        for (kind, resource) in reachable.filter_map(|name| services.get(name)).flatten() {
            set.insert(*kind, Arc::clone(resource));
        }
        add_listeners(plan, gateway, &mut set);
        Audience {
            selector: gateway.proxies.clone(),
            resources: Arc::new(set),
        }
    };
    Ok(Snapshot::new(
        generation,
        plan.gateways.iter().map(audience).collect(),
    ))
}

type Resources = Vec<(ResourceKind, Arc<Resource>)>;

/// What every gateway that reaches the service needs of it.
fn service_resources(plan: &Plan, service: &ServicePlan) -> Result<Resources, CompileError> {
    let mut all = Resources::new();
    let mut add = |kind, name: &str, encoded| {
        all.push((kind, encode::resource(kind, name, encoded)));
    };
    let clusters = cluster::clusters(service).map_err(|source| CompileError::Overlay {
        service: service.name.clone(),
        source,
    })?;
    for (name, encoded) in clusters {
        add(ResourceKind::Cluster, &name, encoded);
    }
    for version in &service.versions {
        let assignment = assignment::assignment(&service.name, version);
        let name = &assignment.cluster_name;
        add(ResourceKind::Endpoint, name, assignment.encode_to_vec());
    }
    if service.protocol != Protocol::Tcp {
        let routes = route::service_routes(plan, &service.name);
        add(ResourceKind::Route, &routes.name, routes.encode_to_vec());
    }
    Ok(all)
}

/// A gateway's own listeners, and the routes of those that speak HTTP.
fn add_listeners(plan: &Plan, gateway: &Gateway, set: &mut ResourceSet) {
    let mut add = |kind, name: &str, encoded| {
        set.insert(kind, encode::resource(kind, name, encoded));
    };
    for (name, declared) in listener::named(gateway) {
        let tcp = listener::tcp_service(declared, |service| plan.service(service));
        let listener = if let Some(service) = tcp {
            listener::tcp(&name, declared, service)
        } else {
            let routes = route::listener_routes(plan, name.clone(), &declared.routes);
            add(ResourceKind::Route, &name, routes.encode_to_vec());
            listener::http(&name, declared)
        };
        add(ResourceKind::Listener, &name, listener.encode_to_vec());
    }
}

#[cfg(test)]
mod tests;

//! From a plan to its snapshot: lint, encode each resource once, share it between audiences.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prost::Message;

use super::lint::{LintError, lint};
use super::overlay::OverlayError;
use super::{Audience, Resource, ResourceKind, ResourceSet, Snapshot};
use super::{assignment, cluster, encode, grpc, listener, route};
use crate::domain::{Client, Gateway, Plan, Protocol, ServiceName, ServicePlan};

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
    let flavour = |gateway: &Gateway, client| {
        let mut set = ResourceSet::new(generation);
        let reachable = gateway.reachable().into_iter();
        let reachable = reachable.filter_map(|name| services.get(name)?.get(&client));
        for (kind, resource) in reachable.flatten() {
            set.insert(*kind, Arc::clone(resource));
        }
        if client == Client::Envoy {
            add_listeners(plan, gateway, &mut set);
        }
        (client, Arc::new(set))
    };
    let audience = |gateway: &Gateway| Audience {
        selector: gateway.proxies.clone(),
        resources: Client::ALL.map(|client| flavour(gateway, client)).into(),
    };
    Ok(Snapshot::new(
        generation,
        plan.gateways.iter().map(audience).collect(),
    ))
}

type Resources = Vec<(ResourceKind, Arc<Resource>)>;

/// What every gateway that reaches the service needs of it, for each kind of client that can call it.
fn service_resources(
    plan: &Plan,
    service: &ServicePlan,
) -> Result<BTreeMap<Client, Resources>, CompileError> {
    let for_envoy = envoy_resources(plan, service)?;
    let mut all = BTreeMap::new();
    if service.protocol == Protocol::Grpc {
        all.insert(Client::Grpc, grpc_resources(service, &for_envoy));
    }
    all.insert(Client::Envoy, for_envoy);
    Ok(all)
}

fn envoy_resources(plan: &Plan, service: &ServicePlan) -> Result<Resources, CompileError> {
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

/// Assignments are the bulk; gRPC clients share an Envoy's wherever both are told the same.
fn grpc_resources(service: &ServicePlan, for_envoy: &Resources) -> Resources {
    let mut all = Resources::new();
    let mut add = |kind, name: &str, encoded| {
        all.push((kind, encode::resource(kind, name, encoded)));
    };
    let listener = grpc::listener(&service.name);
    add(
        ResourceKind::Listener,
        &listener.name,
        listener.encode_to_vec(),
    );
    let routes = grpc::routes(service);
    add(ResourceKind::Route, &routes.name, routes.encode_to_vec());
    for version in &service.versions {
        let cluster = grpc::cluster(&service.name, &version.name);
        add(
            ResourceKind::Cluster,
            &cluster.name,
            cluster.encode_to_vec(),
        );
        if !grpc::shares_assignment(version) {
            let assignment = grpc::assignment(&service.name, version);
            let name = &assignment.cluster_name;
            add(ResourceKind::Endpoint, name, assignment.encode_to_vec());
        }
    }
    let own: BTreeSet<_> = all
        .iter()
        .map(|(kind, it)| (*kind, Arc::clone(&it.name)))
        .collect();
    let shared = for_envoy.iter().filter(|(kind, it)| {
        *kind == ResourceKind::Endpoint && !own.contains(&(*kind, Arc::clone(&it.name)))
    });
    all.extend(shared.cloned());
    all
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

//! The encoded resources of one service, and of one gateway's own listeners.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prost::Message;

use super::{CompileError, Flavours, Resources};
use crate::domain::{Client, Gateway, Plan, Protocol, ServicePlan};
use crate::snapshot::{ResourceKind, assignment, cluster, encode, grpc, listener, route};

/// What every gateway that reaches the service needs of it, for each kind of client that can call it.
pub(super) fn service_resources(
    plan: &Plan,
    service: &ServicePlan,
) -> Result<Flavours, CompileError> {
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
    let misfit = |source| CompileError::Overlay {
        object: format!("service `{}`", service.name),
        source,
    };
    for (name, encoded) in cluster::clusters(service).map_err(misfit)? {
        add(ResourceKind::Cluster, &name, encoded);
    }
    for version in &service.versions {
        let assignment = assignment::assignment(&service.name, version);
        let name = &assignment.cluster_name;
        add(ResourceKind::Endpoint, name, assignment.encode_to_vec());
    }
    if service.protocol != Protocol::Tcp {
        let routes = route::service_routes(plan, &service.name).map_err(misfit)?;
        add(ResourceKind::Route, service.name.as_str(), routes);
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
pub(super) fn gateway_resources(plan: &Plan, gateway: &Gateway) -> Result<Resources, CompileError> {
    let misfit = |source| CompileError::Overlay {
        object: format!("gateway `{}`", gateway.name),
        source,
    };
    let mut all = Resources::new();
    let mut add = |kind, name: &str, encoded| {
        all.push((kind, encode::resource(kind, name, encoded)));
    };
    for (name, declared) in listener::named(gateway) {
        let tcp = listener::tcp_service(declared, |service| plan.service(service));
        let listener = if let Some(service) = tcp {
            listener::tcp(&name, gateway, declared, service)
        } else {
            let routes = route::listener_routes(plan, &name, &declared.routes).map_err(misfit)?;
            add(ResourceKind::Route, &name, routes);
            listener::http(&name, gateway, declared)
        };
        add(ResourceKind::Listener, &name, listener.map_err(misfit)?);
    }
    Ok(all)
}

//! The encoded resources of one service, and of one gateway's own listeners.

use std::collections::BTreeSet;
use std::sync::Arc;

use prost::Message;

use super::{CompileError, Flavours, Resources};
use crate::domain::{Client, Gateway, Plan, Protocol, ServicePlan};
use crate::snapshot::{
    OverlayError, ResourceKind, assignment, cluster, encode, grpc, listener, route,
};

/// What every gateway that reaches the service needs of it, for each kind of client that can call it.
pub(super) fn service_resources(
    plan: &Plan,
    service: &ServicePlan,
) -> Result<Flavours, CompileError> {
    let for_envoy = envoy_resources(plan, service)?;
    let by_lrs = clusters(service, Client::EnvoyByLrs)?;
    let others = for_envoy.iter();
    let others = others.filter(|(kind, _)| *kind != ResourceKind::Cluster);
    let by_lrs = by_lrs.into_iter().chain(others.cloned());
    let mut all: Flavours = [(Client::EnvoyByLrs, by_lrs.collect())].into();
    if service.protocol == Protocol::Grpc {
        all.insert(Client::Grpc, grpc_resources(service, &for_envoy));
    }
    all.insert(Client::Envoy, for_envoy);
    Ok(all)
}

fn envoy_resources(plan: &Plan, service: &ServicePlan) -> Result<Resources, CompileError> {
    let mut all = clusters(service, Client::Envoy)?;
    let mut add = |kind, name: &str, encoded| {
        all.push((kind, encode::resource(kind, name, encoded)));
    };
    let misfit = |source| misfit(service, source);
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

fn misfit(service: &ServicePlan, source: OverlayError) -> CompileError {
    CompileError::Overlay {
        object: format!("service `{}`", service.name),
        source,
    }
}

fn clusters(service: &ServicePlan, client: Client) -> Result<Resources, CompileError> {
    let clusters = cluster::clusters(service, client);
    let clusters = clusters.map_err(|source| misfit(service, source))?;
    let resource = |(name, encoded): (String, _)| {
        let kind = ResourceKind::Cluster;
        (kind, encode::resource(kind, &name, encoded))
    };
    Ok(clusters.into_iter().map(resource).collect())
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

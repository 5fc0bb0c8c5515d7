//! The encoded resources of one service, and of one gateway's own listeners.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prost::Message;

use super::{CompileError, CompiledService, Flavours, Resources};
use crate::domain::{
    Client, Delivery, Gateway, Plan, Protocol, ServicePlan, VersionName, VersionPlan,
};
use crate::snapshot::collection::Member;
use crate::snapshot::secret::asked_by;
use crate::snapshot::{
    Dialect, OverlayError, ResourceKind, assignment, cluster, collection, encode, grpc, listener,
    route,
};

/// What every gateway that reaches the service needs of it, in each way of saying it.
pub(super) fn compiled_service(
    plan: &Plan,
    service: &ServicePlan,
    before: Option<&CompiledService>,
) -> Result<CompiledService, CompileError> {
    let for_envoy = envoy_resources(plan, service)?;
    let by_lrs = clusters(service, Client::EnvoyByLrs)?;
    let all_but_clusters = |all: &Resources| -> Resources {
        let others = all.iter();
        let others = others.filter(|(kind, _)| *kind != ResourceKind::Cluster);
        others.cloned().collect()
    };
    let one_by_one = |client| Dialect {
        client,
        delivery: Delivery::OneByOne,
    };
    let mut resources = Flavours::new();
    let mut members = BTreeMap::new();
    let weighs = cluster::weighs_localities(service);
    if service.delivery == Delivery::OneByOne && !weighs.map_err(|e| misfit(service, e))? {
        members = all_members(service, before);
        let envoy = one_by_one_resources(service, &for_envoy, &members);
        let lrs = [by_lrs.clone(), all_but_clusters(&envoy)].concat();
        resources.insert(one_by_one(Client::EnvoyByLrs), lrs);
        resources.insert(one_by_one(Client::Envoy), envoy);
    }
    // To gRPC clients a name means nothing: they would speak to it without TLS.
    let is_named = service
        .versions
        .iter()
        .any(|version| version.host.is_some());
    if service.protocol == Protocol::Grpc && !is_named {
        let grpc = grpc_resources(service, &for_envoy);
        resources.insert(Dialect::plain(Client::Grpc), grpc);
    }
    let by_lrs = [by_lrs, all_but_clusters(&for_envoy)].concat();
    resources.insert(Dialect::plain(Client::EnvoyByLrs), by_lrs);
    resources.insert(Dialect::plain(Client::Envoy), for_envoy);
    Ok(CompiledService {
        plan: service.clone(),
        resources,
        asks: match before {
            Some(before) if before.plan.overlay == service.overlay => before.asks.clone(),
            _ => asked_by(service.overlay.as_ref()),
        },
        members,
    })
}

/// The endpoints of each version, one by one.
fn all_members(
    service: &ServicePlan,
    before: Option<&CompiledService>,
) -> BTreeMap<VersionName, Vec<Arc<Member>>> {
    let of = |version: &VersionPlan| {
        let before = before.and_then(|before| before.members.get(&version.name));
        let before = before.map_or(&[][..], Vec::as_slice);
        let members = collection::members(&service.name, version, before);
        (version.name.clone(), members)
    };
    service.versions.iter().map(of).collect()
}

/// The same resources, with assignments that refer to the endpoints, and these beside them. One that
/// has none stays as it is.
fn one_by_one_resources(
    service: &ServicePlan,
    together: &Resources,
    members: &BTreeMap<VersionName, Vec<Arc<Member>>>,
) -> Resources {
    let mut all = together.clone();
    let assignments = all.iter_mut();
    let assignments = assignments.filter(|(kind, _)| *kind == ResourceKind::Endpoint);
    let versions = service.versions.iter().filter(|v| v.host.is_none());
    for (version, (_, assignment)) in versions.zip(assignments) {
        let members = &members[&version.name];
        if !members.is_empty() {
            *assignment = collection::assignment(&service.name, version, members, assignment);
        }
    }
    let members = members.values().flatten();
    let members = members.map(|it| (ResourceKind::LbEndpoint, Arc::clone(&it.resource)));
    all.extend(members);
    all
}

fn envoy_resources(plan: &Plan, service: &ServicePlan) -> Result<Resources, CompileError> {
    let mut all = clusters(service, Client::Envoy)?;
    let mut add = |kind, name: &str, encoded| {
        all.push((kind, encode::resource(kind, name, encoded)));
    };
    let misfit = |source| misfit(service, source);
    for version in service.versions.iter().filter(|v| v.host.is_none()) {
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
            listener::http(&name, gateway, declared, |service| plan.service(service))
        };
        add(ResourceKind::Listener, &name, listener.map_err(misfit)?);
    }
    Ok(all)
}

//! Instances: where they stand, and the leases that keep them known.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use super::Shared;
use super::error::ApiError;
use super::extract::{Ask, Body, parsed};
use crate::domain::{Address, Instance, Locality, Rps, ServiceName, Span, VersionName};
use crate::engine::{Answer, InstanceView};

/// A shorter lease would end in every hiccup of a network.
const LEASE_MIN: Span = Span::secs(1);

/// A longer lease would keep a dead instance known for too long.
const LEASE_MAX: Span = Span::secs(60 * 60);

/// The body that begins or renews a lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Where the instance answers: an IP address and a port, or the URL of a host.
    pub address: Address,
    /// The build it runs.
    pub version: VersionName,
    /// Its region.
    #[serde(default)]
    pub region: String,
    /// Its zone.
    #[serde(default)]
    pub zone: String,
    /// Without renewal the lease ends after this long.
    pub ttl: Span,
    /// What it carries, where that differs from its service's `capacity`.
    #[serde(default)]
    pub capacity: Option<Rps>,
    /// All that is to be known of it besides.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// An instance with its service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocatedInstance {
    /// The service.
    pub service: ServiceName,
    /// The instance.
    #[serde(flatten)]
    pub instance: InstanceView,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfService {
    service: Option<String>,
}

pub(super) async fn list(
    State(shared): State<Shared>,
    Ask(of): Ask<OfService>,
) -> Json<Vec<LocatedInstance>> {
    let view = shared.view();
    let services = view.services.iter();
    let wanted = services.filter(|s| of.service.as_ref().is_none_or(|n| n == s.name.as_str()));
    let located = wanted.flat_map(|service| {
        service.instances.iter().map(|instance| LocatedInstance {
            service: service.name.clone(),
            instance: instance.clone(),
        })
    });
    Json(located.collect())
}

pub(super) async fn register(
    State(shared): State<Shared>,
    Path((service, id)): Path<(String, String)>,
    Body(lease): Body<Lease>,
) -> Result<Json<Answer>, ApiError> {
    if !(LEASE_MIN..=LEASE_MAX).contains(&lease.ttl) {
        return Err(ApiError::invalid(
            format!("a lease of {} is not possible", lease.ttl),
            format!("use a ttl from {LEASE_MIN} to {LEASE_MAX}, and renew each third of it"),
        ));
    }
    let instance = Instance {
        id: parsed(&id)?,
        address: lease.address,
        version: lease.version,
        locality: Locality {
            region: lease.region,
            zone: lease.zone,
        },
        capacity: lease.capacity,
        lease: Some(lease.ttl),
        labels: lease.labels,
    };
    let service = parsed(&service)?;
    Ok(Json(
        shared
            .control
            .register(service, instance, lease.ttl)
            .await?,
    ))
}

pub(super) async fn deregister(
    State(shared): State<Shared>,
    Path((service, id)): Path<(String, String)>,
) -> Result<Json<Answer>, ApiError> {
    let (service, id) = (parsed(&service)?, parsed(&id)?);
    Ok(Json(shared.control.deregister(service, id).await?))
}

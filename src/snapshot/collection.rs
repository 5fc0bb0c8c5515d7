//! Endpoints one by one: an assignment that only says which collections to ask for, and the members
//! of these (LEDS).
//!
//! In goes a version's part of the plan; out come the same endpoints, with the same weights and states
//! as in an assignment that holds them, each a resource of its own. What did not change since the
//! plan before is not encoded again.
//!
//! Measured on Envoy 1.40, and the reason for what stands here:
//!
//! - An endpoint without an IP address ends the process, where in an assignment it would be refused.
//!   So endpoints are made from socket addresses alone.
//! - Of two endpoints with one address an arbitrary one counts. So each address comes once.
//! - A collection that does not come in time counts as empty, and the hosts are gone. So the time is
//!   endless; until a collection has come, Envoy keeps the hosts that it had.
//! - Each change of the assignment itself has all collections sent anew. So it is the same for as long
//!   as there is an endpoint in the same localities. Their weights are left equal: Envoy heeds them in
//!   clusters that weigh localities only, and those are not delivered in this way.

use std::collections::BTreeSet;
use std::sync::Arc;

use envoy_types::pb::envoy::config::endpoint::v3::locality_lb_endpoints::LbConfig;
use envoy_types::pb::envoy::config::endpoint::v3::{
    LedsClusterLocalityConfig, LocalityLbEndpoints,
};
use prost::Message;

use super::assignment::{envoy_locality, lb_endpoint, of_localities, one_by_address};
use super::proto::{ads, number};
use super::resource::Reference;
use super::{Resource, ResourceKind, encode};
use crate::domain::{Endpoint, Locality, ServiceName, Span, VersionPlan};

/// How the names of all collections begin.
const COLLECTIONS: &str = "xdstp://tidegate/envoy.config.endpoint.v3.LbEndpoint";

/// Hex digits that stand for a text that cannot be part of a name.
const DIGITS: usize = 16;

/// One endpoint and the resource that says it.
#[derive(Debug)]
pub(super) struct Member {
    endpoint: Endpoint,
    pub(super) resource: Arc<Resource>,
}

/// The endpoints of a version, by id. Those that are equal in `before` are taken from there.
pub(super) fn members(
    service: &ServiceName,
    version: &VersionPlan,
    before: &[Arc<Member>],
) -> Vec<Arc<Member>> {
    let mut before = before.iter().peekable();
    let endpoints = one_by_address(&version.endpoints).into_iter();
    let member = |endpoint: &Endpoint| {
        while before.next_if(|it| it.endpoint.id < endpoint.id).is_some() {}
        let same = before.next_if(|it| it.endpoint == *endpoint);
        same.map_or_else(|| Arc::new(new(service, version, endpoint)), Arc::clone)
    };
    endpoints.map(member).collect()
}

fn new(service: &ServiceName, version: &VersionPlan, endpoint: &Endpoint) -> Member {
    let directory = directory(service, version, &endpoint.locality);
    // Only the directory has to be plain: this is all that a proxy compares.
    let name = format!("{directory}/{}", endpoint.id);
    let encoded = lb_endpoint(endpoint).encode_to_vec();
    Member {
        endpoint: endpoint.clone(),
        resource: encode::resource(ResourceKind::LbEndpoint, &name, encoded),
    }
}

/// The assignment that refers to these endpoints, of which there is at least one. `whole` is the one
/// that holds them.
pub(super) fn assignment(
    service: &ServiceName,
    version: &VersionPlan,
    members: &[Arc<Member>],
    whole: &Arc<Resource>,
) -> Arc<Resource> {
    let places = members.iter().map(|member| &member.endpoint.locality);
    let places: BTreeSet<&Locality> = places.collect();
    let collection = |place: &Locality| format!("{}/*", directory(service, version, place));
    let locality = |place: &Locality| LocalityLbEndpoints {
        locality: Some(envoy_locality(place)),
        load_balancing_weight: Some(number(1)),
        lb_config: Some(LbConfig::LedsClusterLocalityConfig(
            LedsClusterLocalityConfig {
                leds_config: Some(ads(Some(Span::ZERO))),
                leds_collection_name: collection(place),
            },
        )),
        ..LocalityLbEndpoints::default()
    };
    let localities = places.iter().map(|place| locality(place));
    let assignment = of_localities(service, version, localities.collect());
    let reference = Reference {
        collections: places.iter().map(|it| collection(it).into()).collect(),
        whole: Arc::clone(whole),
    };
    let (name, encoded) = (&assignment.cluster_name, assignment.encode_to_vec());
    encode::referring(ResourceKind::Endpoint, name, encoded, reference)
}

/// The names of a locality's endpoints begin so.
fn directory(service: &ServiceName, version: &VersionPlan, place: &Locality) -> String {
    let path = [
        service.as_str(),
        version.name.as_str(),
        &place.region,
        &place.zone,
    ];
    format!("{COLLECTIONS}/{}", path.map(segment).join("/"))
}

/// A text as one segment of a name. Envoy rewrites all but the plainest characters, even a `~`, and
/// would ask for a collection that is not there; so a hash stands for a text that has others.
fn segment(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("_{}", &blake3::hash(text.as_bytes()).to_hex()[..DIGITS])
    }
}

#[cfg(test)]
mod tests;

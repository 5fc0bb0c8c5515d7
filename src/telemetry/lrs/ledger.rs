//! From what a report says of places and addresses to requests in progress per instance.
//!
//! An address finds its instance through the plan that was published last; a host that is known by its
//! name is the only one of its cluster, so that all of it counts. Some clients count per
//! locality only: what they have in progress there and no address explains may be on any instance of
//! that locality, so it counts against each one that drains, and nothing is said of the others. What a
//! report leaves out is idle, unchanged or unknown, by the client's [`Habits`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;

use super::habits::Habits;
use super::message::ClusterStats;
use crate::domain::{
    Endpoint, EndpointState, InstanceId, Locality, Plan, ServiceName, ServicePlan, VersionPlan,
};
use crate::engine::InstanceLoad;

/// What one stream has said.
#[derive(Debug)]
pub(super) struct Ledger {
    habits: Habits,
    /// Requests in progress by cluster and locality, for clients that leave out what is unchanged.
    /// No more clusters than the plan has.
    unchanged: BTreeMap<String, BTreeMap<Locality, u64>>,
}

/// One cluster of a report, summed up.
#[derive(Debug, Default)]
struct Seen {
    by_place: BTreeMap<Locality, Counts>,
    by_address: HashMap<SocketAddr, u64>,
}

#[derive(Debug, Default)]
struct Counts {
    in_progress: u64,
    /// The part of it that has an address.
    explained: u64,
}

impl Ledger {
    pub(super) fn new(habits: Habits) -> Self {
        Self {
            habits,
            unchanged: BTreeMap::new(),
        }
    }

    /// What a report says of the instances of `services`, which are those that its proxy can reach.
    pub(super) fn take(
        &mut self,
        report: &[ClusterStats],
        plan: &Plan,
        services: &BTreeSet<ServiceName>,
    ) -> Vec<InstanceLoad> {
        let mut seen = BTreeMap::<&str, Seen>::new();
        for cluster in report {
            seen.entry(&cluster.cluster_name).or_default().add(cluster);
        }
        let reachable = plan.services.iter();
        let versions = reachable
            .filter(|service| services.contains(&service.name))
            .flat_map(|service| {
                service
                    .versions
                    .iter()
                    .map(move |version| (service, version))
            });
        let mut loads = Vec::new();
        let mut unchanged = BTreeMap::new();
        for (service, version) in versions {
            let cluster = format!("{}/{}", service.name, version.name);
            let said = seen.get(cluster.as_str());
            let idle = Seen::default();
            match (self.habits, said) {
                (Habits::Idle | Habits::IdleAndSilent, Some(seen)) => {
                    let all = Some(seen.all());
                    tell(&mut loads, service, version, all, |endpoint| {
                        seen.of(endpoint)
                    });
                }
                (Habits::IdleAndSilent, None) => {
                    let all = Some(idle.all());
                    tell(&mut loads, service, version, all, |endpoint| {
                        idle.of(endpoint)
                    });
                }
                (Habits::Idle, None) => {}
                (Habits::Unchanged, said) => {
                    let mut places = self.unchanged.remove(&cluster).unwrap_or_default();
                    let news = said.into_iter().flat_map(|seen| &seen.by_place);
                    places.extend(news.map(|(place, counts)| (place.clone(), counts.in_progress)));
                    let all = (!places.is_empty()).then(|| places.values().sum());
                    tell(&mut loads, service, version, all, |endpoint| {
                        let in_progress = *places.get(&endpoint.locality)?;
                        of_place(in_progress, endpoint)
                    });
                    unchanged.insert(cluster, places);
                }
            }
        }
        self.unchanged = unchanged;
        loads
    }
}

fn tell(
    loads: &mut Vec<InstanceLoad>,
    service: &ServicePlan,
    version: &VersionPlan,
    all: Option<u64>,
    of: impl Fn(&Endpoint) -> Option<u64>,
) {
    let load = |instance: &InstanceId, in_progress| InstanceLoad {
        service: service.name.clone(),
        version: version.name.clone(),
        instance: instance.clone(),
        in_progress,
        healthy: None,
    };
    let endpoints = version.endpoints.iter();
    loads.extend(endpoints.filter_map(|endpoint| Some(load(&endpoint.id, of(endpoint)?))));
    let named = version.host.iter();
    loads.extend(named.filter_map(|named| Some(load(&named.id, all?))));
}

/// What is known of an endpoint when so many requests are in progress somewhere in its locality.
fn of_place(in_progress: u64, endpoint: &Endpoint) -> Option<u64> {
    let counts = in_progress == 0 || endpoint.state == EndpointState::Draining;
    counts.then_some(in_progress)
}

impl Seen {
    fn add(&mut self, cluster: &ClusterStats) {
        for place in &cluster.upstream_locality_stats {
            let counts = self.by_place.entry(place.place()).or_default();
            counts.in_progress = counts
                .in_progress
                .saturating_add(place.total_requests_in_progress);
            for endpoint in &place.upstream_endpoint_stats {
                let Some(address) = endpoint.socket_address() else {
                    continue;
                };
                let more = endpoint.total_requests_in_progress;
                let own = self.by_address.entry(address).or_default();
                *own = own.saturating_add(more);
                counts.explained = counts.explained.saturating_add(more);
            }
        }
    }

    /// All that the cluster has in progress.
    fn all(&self) -> u64 {
        self.by_place.values().map(|it| it.in_progress).sum()
    }

    fn of(&self, endpoint: &Endpoint) -> Option<u64> {
        let own = self.by_address.get(&endpoint.address);
        let counts = self.by_place.get(&endpoint.locality);
        let unexplained = counts.map_or(0, |it| it.in_progress.saturating_sub(it.explained));
        let unexplained = of_place(unexplained, endpoint)?;
        Some(own.copied().unwrap_or(0).saturating_add(unexplained))
    }
}

#[cfg(test)]
mod tests;

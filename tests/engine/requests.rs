//! Requests that a proxy sends by its plan, answered well or not, and counted as an Envoy counts them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate::domain::{EndpointState, InstanceId, Plan, ServiceName, VersionName};
use tidegate::engine::{Attempts, Completed, Times};
use tidegate::sim::Chance;

/// Edges of the histogram, in milliseconds.
const EDGES: [f64; 8] = [20.0, 40.0, 60.0, 80.0, 100.0, 200.0, 400.0, 800.0];

/// How requests go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Habit {
    /// So many a second, over all versions.
    pub(crate) rps: u64,
    /// Of a million, so many fail whoever answers.
    pub(crate) fails: u64,
    /// Of a million, so many more fail by version.
    pub(crate) version_fails: BTreeMap<String, u64>,
    /// Of a million, so many more fail by instance.
    pub(crate) instance_fails: BTreeMap<String, u64>,
    /// Versions that take half as long again.
    pub(crate) slow: Vec<String>,
    /// Nobody says how long they take, as in load reports.
    pub(crate) untimed: bool,
}

/// What a proxy has counted.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    versions: BTreeMap<(ServiceName, VersionName), OfVersion>,
    endpoints: BTreeMap<(ServiceName, VersionName, InstanceId), (u64, u64)>,
}

#[derive(Debug, Default)]
struct OfVersion {
    ok: u64,
    failed: u64,
    times: [u64; EDGES.len() + 1],
}

impl Counted {
    /// Sends the requests of one period, of which a second has so many.
    pub(crate) fn send(
        &mut self,
        habit: &Habit,
        plan: &Plan,
        per_second: u64,
        chance: &mut Chance,
    ) {
        for service in &plan.services {
            for _ in 0..habit.rps / per_second {
                let mut at = chance.below(10_000);
                let version = service.versions.iter().find(|version| {
                    let share = u64::from(version.weight.get());
                    let is_it = at < share;
                    at = at.saturating_sub(share);
                    is_it
                });
                let Some(version) = version else { continue };
                let takes = |state: &EndpointState| *state == EndpointState::Healthy;
                let open: Vec<_> = version
                    .endpoints
                    .iter()
                    .filter(|it| takes(&it.state))
                    .collect();
                let Some(instance) = chance.pick(&open) else {
                    continue;
                };
                let more =
                    |by: &BTreeMap<String, u64>, name: &str| by.get(name).copied().unwrap_or(0);
                let fails = habit.fails
                    + more(&habit.version_fails, version.name.as_str())
                    + more(&habit.instance_fails, instance.id.as_str());
                let failed = chance.below(1_000_000) < fails;
                let time = 10 + chance.below(100) + if chance.percent(2) { 300 } else { 0 };
                let is_slow = habit.slow.iter().any(|slow| slow == version.name.as_str());
                let time = if is_slow { time * 3 / 2 } else { time };
                let key = (service.name.clone(), version.name.clone());
                let counted = self.versions.entry(key.clone()).or_default();
                let slot = EDGES.partition_point(|edge| *edge < time as f64);
                counted.times[slot] += 1;
                let endpoint = (key.0, key.1, instance.id.clone());
                let endpoint = self.endpoints.entry(endpoint).or_default();
                if failed {
                    counted.failed += 1;
                    endpoint.1 += 1;
                } else {
                    counted.ok += 1;
                    endpoint.0 += 1;
                }
            }
        }
    }

    /// So many requests of a version.
    pub(crate) fn of(&self, version: &str) -> u64 {
        let counted = self
            .versions
            .iter()
            .filter(|((_, name), _)| name.as_str() == version);
        counted
            .map(|(_, counted)| counted.ok + counted.failed)
            .sum()
    }

    /// All of it so far, for the versions of a plan: zeros are said, too.
    pub(crate) fn say(&mut self, habit: &Habit, plan: &Plan) -> (Vec<Completed>, Vec<Attempts>) {
        let edges: Arc<[f64]> = EDGES.into();
        for service in &plan.services {
            for version in &service.versions {
                let key = (service.name.clone(), version.name.clone());
                self.versions.entry(key.clone()).or_default();
                for endpoint in &version.endpoints {
                    let key = (key.0.clone(), key.1.clone(), endpoint.id.clone());
                    self.endpoints.entry(key).or_default();
                }
            }
        }
        let completed = self
            .versions
            .iter()
            .map(|((service, version), counted)| Completed {
                total: Some(counted.ok + counted.failed),
                codes: vec![(200, counted.ok), (503, counted.failed)],
                times: (!habit.untimed).then(|| Times {
                    bounds_ms: Arc::clone(&edges),
                    counts: counted.times.to_vec(),
                }),
                ..Completed::nothing_of(service.clone(), version.clone())
            });
        let attempts = self
            .endpoints
            .iter()
            .map(|((service, version, instance), (ok, failed))| Attempts {
                service: service.clone(),
                version: version.clone(),
                instance: instance.clone(),
                address: "127.0.0.1:1".to_owned(),
                ok: Some(*ok),
                failed: Some(*failed),
            });
        (completed.collect(), attempts.collect())
    }
}

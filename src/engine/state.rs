//! The durable state: a fold over the journal, and nothing else.
//!
//! Everything that decides what proxies are told is in here, so a restarted control plane has the
//! same plan, byte for byte, before it has heard from anybody. What is only observed (health,
//! connections, requests in progress) is in [`super::facts`] and starts empty.

mod asks;
mod documents;
mod gates;
mod hooks;
mod requests;
mod rollout;
mod roster;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use asks::{AskState, AskStatus, Asks};
pub use gates::GateState;
pub use hooks::{HookState, HookStatus, Hooks};
pub use requests::Requests;
pub use rollout::{Bake, Batch, Lane, Pause, Report, RolloutState, Started};
pub use roster::{Roster, Stand};

use super::stage::StageKind;
use super::{Entry, Record, Split, Stage};
use crate::domain::{
    Documents, Generation, Instance, InstanceId, ProxyId, ProxyIdentity, RolloutName, Service,
    ServiceName, Time, VersionName,
};

/// What the journal says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The documents in force.
    pub documents: Documents,
    /// The newest published plan.
    pub generation: Generation,
    /// Every proxy that holds configuration of ours, connected or not.
    pub proxies: BTreeMap<ProxyId, ProxyIdentity>,
    /// Services that a proxy could reach before an edit and cannot any more, with the generation that
    /// tells it so. Until it has acknowledged that, it may go on sending.
    pub held: BTreeMap<ProxyId, BTreeMap<ServiceName, Generation>>,
    /// Somebody has frozen everything, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<(Time, Pause)>,
    /// What was asked for by requests that may come again.
    #[serde(default, skip_serializing_if = "Requests::is_empty")]
    pub requests: Requests,
    /// Rollouts, ended ones too.
    pub rollouts: BTreeMap<RolloutName, RolloutState>,
    /// Services that are or were declared, while something of them is left.
    pub services: BTreeMap<ServiceName, ServiceState>,
}

/// A service's part of the state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceState {
    /// The newest generation in which something of this service changed.
    pub changed: Generation,
    /// The version that answers for it.
    pub stable: Option<VersionName>,
    /// Versions with a cluster, in the order in which they were routed.
    pub versions: Vec<VersionState>,
    /// How the traffic is split, if not by what instances carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// Old instances that stay for an undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
    /// Instances that are known.
    pub instances: Roster,
    /// Instances that vanished while proxies might still use them; one that comes back under its id
    /// may have requests from before.
    pub lost: BTreeSet<InstanceId>,
}

/// Old instances that stay for a while after a rollout, so that it can be undone in one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The rollout.
    pub rollout: RolloutName,
    /// Until then.
    pub until: Time,
}

/// A version with a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionState {
    /// The version.
    pub name: VersionName,
    /// The generation whose routes left it out, when that has happened.
    pub unrouted: Option<Generation>,
}

/// A known instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceState {
    /// As its source describes it.
    pub instance: Instance,
    /// Where it stands.
    pub stage: Stage,
    /// Since when.
    pub since: Time,
    /// Has any proxy ever been told of it?
    pub told: bool,
}

/// A record that does not fit the state: a bug of ours, or a journal of something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal says `{record}`, which cannot follow what it said before: {why}")]
pub struct IllegalRecord {
    record: String,
    why: String,
}

/// Lost instances remembered per service.
const LOST_MAX: usize = 10_000;

impl State {
    /// The state after one more entry.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), IllegalRecord> {
        let at = entry.at;
        match &entry.record {
            Record::DocumentsApplied { documents, .. } => self.put_in_force(documents),
            Record::Published {
                generation,
                services,
            } => {
                if *generation <= self.generation {
                    return Err(illegal(&entry.record, "generations only grow"));
                }
                self.generation = *generation;
                for name in services {
                    self.services.entry(name.clone()).or_default().changed = *generation;
                }
            }
            Record::InForce { took, .. } => {
                let running = self.rollouts.values_mut().filter(|r| r.runs());
                running.for_each(|rollout| rollout.report.acknowledged(*took));
            }
            Record::ProxySeen { identity } => {
                let known = self.proxies.get(&identity.id);
                let before = known.map(|known| self.reach(known)).unwrap_or_default();
                self.proxies.insert(identity.id.clone(), identity.clone());
                self.hold(identity, before);
            }
            Record::ProxyForgotten { proxy, .. } => {
                self.proxies.remove(proxy);
                self.held.remove(proxy);
            }
            Record::StableChosen { service, version } => {
                self.service_mut(service).stable = Some(version.clone());
            }
            Record::VersionRouted { service, version } => self.route(service, version),
            Record::VersionUnrouted {
                service,
                version,
                generation,
            } => {
                let found = self.service_mut(service).versions.iter_mut();
                for state in found.filter(|state| state.name == *version) {
                    state.unrouted = Some(*generation);
                }
            }
            Record::VersionTornDown { service, version } => {
                self.service_mut(service)
                    .versions
                    .retain(|state| state.name != *version);
            }
            Record::InstanceSeen { service, instance } => self.see(service, instance, at),
            Record::InstanceGone { service, instance } => {
                self.take_out(service, instance);
            }
            Record::InstanceLost {
                service, instance, ..
            } => {
                self.take_out(service, instance);
                let state = self.service_mut(service);
                state.lost.insert(instance.clone());
                while state.lost.len() > LOST_MAX {
                    state.lost.pop_first();
                }
                for rollout in self.running_on(service) {
                    rollout.report.lost.push(instance.clone());
                }
                self.measure(service);
            }
            Record::InstanceMoved {
                service,
                instance,
                to,
                ..
            } => {
                self.r#move(service, instance, to, at)
                    .map_err(|why| illegal(&entry.record, &why))?;
            }
            Record::RolloutPlanned {
                spec, origin, by, ..
            } => {
                let mut state = RolloutState::new((**spec).clone(), *origin, by.clone(), at);
                // Asked for anew before it has begun, it is the same rollout still.
                if let Some(waiting) = self.rollouts.get(&spec.name).filter(|r| !r.over()) {
                    (state.planned, state.paused) = (waiting.planned, waiting.paused.clone());
                }
                self.rollouts.insert(spec.name.clone(), state);
            }
            Record::RolloutForgotten { rollout } => {
                self.rollouts.remove(rollout);
            }
            // Who asked for what follows.
            Record::DrainAsked { .. } => {}
            Record::UndrainAsked {
                service, instance, ..
            } => self.may_be_stopped_again(service, instance),
            Record::WeightsChosen { service, split, .. } => {
                self.service_mut(service).split = Some(split.clone());
            }
            Record::WeightsReleased { service } => self.service_mut(service).split = None,
            Record::Frozen(pause) => self.frozen = Some((at, pause.clone())),
            Record::Unfrozen(_) => self.frozen = None,
            Record::KeepEnded { service } => self.service_mut(service).kept = None,
            about_a_rollout => {
                if let Record::RolloutSuperseded { rollout, by } = about_a_rollout {
                    self.hand_over(rollout, by);
                }
                if let Record::RolloutStarted { rollout, .. } = about_a_rollout {
                    self.take_over_kept(rollout);
                }
                if let Record::RolloutEnded {
                    rollout,
                    keep_until: Some(until),
                    ..
                } = about_a_rollout
                {
                    self.keep(rollout, *until);
                }
                let Some(name) = about_a_rollout.rollout() else {
                    return Err(illegal(about_a_rollout, "it names no rollout"));
                };
                match self.rollouts.get_mut(name) {
                    Some(rollout) => rollout.apply(about_a_rollout, at),
                    None => return Err(illegal(about_a_rollout, "there is no such rollout")),
                }
            }
        }
        self.requests.note(entry);
        Ok(())
    }

    /// The declared service of that name.
    pub fn service(&self, name: &ServiceName) -> Option<&Service> {
        self.documents.services.get(name)
    }

    /// The rollout that moves `service`, if one does.
    pub fn running(&self, service: &ServiceName) -> Option<&RolloutState> {
        let mut rollouts = self.rollouts.values();
        rollouts.find(|r| r.spec.service == *service && r.runs())
    }

    /// The rollouts of `service` that have not begun, in the order in which they would: what was asked
    /// for last takes precedence, and what was asked for together goes by name.
    pub fn waiting(&self, service: &ServiceName) -> Vec<&RolloutState> {
        let rollouts = self.rollouts.values();
        let waiting = rollouts.filter(|r| r.spec.service == *service);
        let mut waiting: Vec<_> = waiting
            .filter(|r| !r.over() && r.started.is_none())
            .collect();
        waiting.sort_by_key(|r| (Reverse(r.planned), r.spec.name.clone()));
        waiting
    }

    /// The services that a proxy may send requests to by the documents in force.
    pub fn reach(&self, proxy: &ProxyIdentity) -> BTreeSet<ServiceName> {
        let gateways = self.documents.gateways.values();
        gateways
            .filter(|gateway| gateway.proxies.selects(proxy))
            .flat_map(|gateway| gateway.reachable().into_iter().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// Notes what a proxy can reach no more, and that it has yet to hear of it.
    fn hold(&mut self, proxy: &ProxyIdentity, before: BTreeSet<ServiceName>) {
        let now = self.reach(proxy);
        let told_by = self.generation.next();
        let held = self.held.entry(proxy.id.clone()).or_default();
        let gone = before.into_iter().filter(|service| !now.contains(service));
        held.extend(gone.map(|service| (service, told_by)));
        held.retain(|service, _| !now.contains(service));
        if held.is_empty() {
            self.held.remove(&proxy.id);
        }
    }

    fn hand_over(&mut self, from: &RolloutName, to: &RolloutName) {
        if let Some(mut known) = self.rollouts.remove(from) {
            if let Some(to) = self.rollouts.get_mut(to) {
                to.inherit(&mut known);
            }
            self.rollouts.insert(from.clone(), known);
        }
    }

    /// What stayed for an undo of an earlier rollout is now this one's to deal with.
    fn take_over_kept(&mut self, by: &RolloutName) {
        let Some(service) = self.rollouts.get(by).map(|r| r.spec.service.clone()) else {
            return;
        };
        if let Some(kept) = self.service_mut(&service).kept.take() {
            self.hand_over(&kept.rollout, by);
        }
    }

    fn keep(&mut self, rollout: &RolloutName, until: Time) {
        let Some(service) = self.rollouts.get(rollout).map(|r| r.spec.service.clone()) else {
            return;
        };
        self.service_mut(&service).kept = Some(Kept {
            rollout: rollout.clone(),
            until,
        });
    }

    fn service_mut(&mut self, name: &ServiceName) -> &mut ServiceState {
        self.services.entry(name.clone()).or_default()
    }

    fn running_on<'a>(
        &'a mut self,
        service: &'a ServiceName,
    ) -> impl Iterator<Item = &'a mut RolloutState> {
        self.rollouts
            .values_mut()
            .filter(move |r| r.spec.service == *service && r.runs())
    }

    fn route(&mut self, service: &ServiceName, version: &VersionName) {
        let versions = &mut self.service_mut(service).versions;
        match versions.iter_mut().find(|state| state.name == *version) {
            Some(state) => state.unrouted = None,
            None => versions.push(VersionState {
                name: version.clone(),
                unrouted: None,
            }),
        }
    }

    fn take_out(&mut self, service: &ServiceName, instance: &InstanceId) {
        self.may_be_stopped_again(service, instance);
        self.service_mut(service).instances.remove(instance);
    }

    fn may_be_stopped_again(&mut self, service: &ServiceName, instance: &InstanceId) {
        let known = self.services.get(service);
        let known = known.and_then(|state| state.instances.get(instance));
        let Some(version) = known.map(|known| known.instance.version.clone()) else {
            return;
        };
        for rollout in self.running_on(service) {
            rollout.hooks.may_stop_again(&version, instance);
        }
    }

    fn see(&mut self, service: &ServiceName, instance: &Instance, at: Time) {
        let state = self.service_mut(service);
        let told = state.lost.remove(&instance.id);
        let known = state.instances.get(&instance.id).cloned();
        let known = known.unwrap_or_else(|| InstanceState {
            instance: instance.clone(),
            stage: Stage::Registered,
            since: at,
            told,
        });
        state.instances.put(InstanceState {
            instance: instance.clone(),
            ..known
        });
    }

    fn r#move(
        &mut self,
        service: &ServiceName,
        instance: &InstanceId,
        to: &Stage,
        at: Time,
    ) -> Result<(), String> {
        let instances = &mut self.service_mut(service).instances;
        let known = instances.get(instance).ok_or("there is no such instance")?;
        if !known.stage.may_become(to) {
            return Err(format!("{} is {}", instance, known.stage));
        }
        let (version, from) = (known.instance.version.clone(), known.stage.kind());
        instances.set_stage(instance, to, at);
        for rollout in self.running_on(service) {
            rollout.note(instance, &version, (from, to), at);
        }
        self.measure(service);
        Ok(())
    }

    /// Notes how many instances take traffic, for the reports of running rollouts.
    fn measure(&mut self, service: &ServiceName) {
        if self.running_on(service).next().is_none() {
            return;
        }
        let taking = self
            .services
            .get(service)
            .map_or(0, ServiceState::taking_traffic);
        for rollout in self.running_on(service) {
            let lowest = rollout.report.min_ready.unwrap_or(u32::MAX);
            rollout.report.min_ready = Some(lowest.min(taking));
        }
    }
}

impl ServiceState {
    /// So many instances are counted on for traffic.
    pub fn taking_traffic(&self) -> u32 {
        self.instances
            .count(|stand| matches!(stand.stage, StageKind::Serving | StageKind::Leaving))
    }
}

fn illegal(record: &Record, why: &str) -> IllegalRecord {
    IllegalRecord {
        record: format!("{record:?}"),
        why: why.to_owned(),
    }
}

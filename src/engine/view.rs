//! The whole, as people and programs see it: one serialisable value, made from state and facts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{GateView, Outcome, Proof, Stage};
use crate::domain::{
    Generation, InstanceId, Locality, Nack, ProxyId, RolloutName, ServiceName, Time, VersionName,
};

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// The moment.
    pub at: Time,
    /// The newest plan.
    pub generation: Generation,
    /// Are proxies answered?
    pub ready: bool,
    /// Why not, if not.
    pub not_ready: Option<String>,
    /// Somebody has frozen everything: no rollout begins anything more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<FrozenView>,
    /// Services by name.
    pub services: Vec<ServiceView>,
    /// Rollouts by name, ended ones too.
    pub rollouts: Vec<RolloutView>,
    /// Proxies by id.
    pub proxies: Vec<ProxyView>,
}

/// A freeze of everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenView {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub since: Time,
}

impl std::fmt::Display for FrozenView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "everything is frozen by {} since {:.0}",
            self.by, self.since
        )?;
        let mut reason = self.reason.iter();
        reason.try_for_each(|reason| write!(f, ": {reason}"))
    }
}

/// A service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceView {
    /// Its name.
    pub name: ServiceName,
    /// The version that answers for it.
    pub stable: Option<VersionName>,
    /// Its versions, in the order of the routes.
    pub versions: Vec<VersionView>,
    /// Its instances by id.
    pub instances: Vec<InstanceView>,
    /// What drains outside a rollout wait for.
    pub blockers: Vec<BlockerView>,
}

/// A version of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionView {
    /// Its name.
    pub name: VersionName,
    /// Its share of the traffic in percent.
    pub weight: f64,
    /// Do routes name it?
    pub routed: bool,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceView {
    /// Its id.
    pub id: InstanceId,
    /// Its version.
    pub version: VersionName,
    /// Where it answers.
    pub address: String,
    /// Where it stands.
    pub locality: Locality,
    /// The word of its stage.
    pub stage: String,
    /// Since when.
    pub since: Time,
    /// Does it pass its health check? `None` before the first probe.
    pub healthy: Option<bool>,
    /// What its last change of health said.
    pub health_detail: String,
    /// Requests in progress over all proxies that say; `None` if none does.
    pub in_progress: Option<u64>,
    /// How it drained, once that is decided.
    pub drain: Option<DrainView>,
}

/// How an instance drained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrainView {
    /// The instance.
    pub instance: InstanceId,
    /// Did every proxy show it?
    pub proven: bool,
    /// From the first word of DRAINING to the decision, in milliseconds.
    pub took_ms: u64,
    /// So many proxies showed it.
    pub witnesses: u32,
    /// What could not be proven.
    pub missing: Vec<String>,
}

impl DrainView {
    pub(super) fn new(instance: &InstanceId, proof: &Proof) -> Self {
        Self {
            instance: instance.clone(),
            proven: proof.is_full(),
            took_ms: u64::try_from(proof.took.duration().as_millis()).unwrap_or(u64::MAX),
            witnesses: proof.witnesses,
            missing: proof.missing.clone(),
        }
    }

    pub(super) fn of_stage(instance: &InstanceId, stage: &Stage) -> Option<Self> {
        stage.proof().map(|proof| Self::new(instance, proof))
    }
}

/// A rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolloutView {
    /// Its name.
    pub name: RolloutName,
    /// What is rolled.
    pub service: ServiceName,
    /// The version it goes from, once it has started.
    pub from: Option<VersionName>,
    /// The version it goes to.
    pub to: VersionName,
    /// Where it stands.
    pub phase: Phase,
    /// When it was asked for.
    pub planned: Time,
    /// Who asked for it.
    pub by: String,
    /// When it began to move.
    pub started: Option<Time>,
    /// When it ended.
    pub ended: Option<Time>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// So many instances are replaced.
    pub done: u32,
    /// Of so many.
    pub total: u32,
    /// The number of the batch, from 1.
    pub batch: u32,
    /// The wave or step in which it is, where it goes by these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<PartView>,
    /// What it waits for.
    pub blockers: Vec<BlockerView>,
    /// How its gates stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<GateView>,
    /// Things to know that do not stop it.
    pub notes: Vec<String>,
    /// What has been measured so far.
    pub report: ReportView,
}

/// A wave or a step of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartView {
    /// Which of the two.
    pub kind: Part,
    /// Its number, from 1.
    pub number: u32,
    /// Of so many.
    pub of: u32,
    /// The wave's name, or what the step does.
    pub what: String,
}

/// What a rollout is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// A share of the traffic, or a pause.
    Step,
    /// A part of the fleet.
    Wave,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Step => "step",
            Self::Wave => "wave",
        })
    }
}

impl std::fmt::Display for PartView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.kind;
        write!(f, "{kind} {} of {}: {}", self.number, self.of, self.what)
    }
}

/// What a rollout has measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReportView {
    /// Each instance that drained, in order.
    pub drained: Vec<DrainView>,
    /// Instances that vanished before they were drained.
    pub lost: Vec<InstanceId>,
    /// The lowest number of instances that took traffic.
    pub min_ready: Option<u32>,
    /// From each publication until all proxies concerned had acknowledged, in milliseconds.
    pub ack_ms: Vec<u64>,
}

/// Where a rollout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Wanted, not begun.
    Planned,
    /// Cannot begin yet.
    Waiting,
    /// Moves, or waits for something that moves.
    Progressing,
    /// Waits for instances to finish what they have.
    Draining,
    /// Everything is moved; it is being watched.
    Baking,
    /// A house rule holds it, or a hook.
    Held,
    /// Somebody holds it, or must say that it goes on.
    Paused,
    /// Goes back.
    RollingBack,
    /// The new version serves alone.
    Done,
    /// The old version serves alone again.
    RolledBack,
    /// A newer rollout of the service took over.
    Superseded,
    /// No progress for longer than its deadline. It goes on when the cause is gone.
    Stuck,
}

impl Phase {
    /// Is it the end?
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::RolledBack | Self::Superseded)
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Planned => "Planned",
            Self::Waiting => "Waiting",
            Self::Progressing => "Progressing",
            Self::Draining => "Draining",
            Self::Baking => "Baking",
            Self::Held => "Held",
            Self::Paused => "Paused",
            Self::RollingBack => "RollingBack",
            Self::Done => "Done",
            Self::RolledBack => "RolledBack",
            Self::Superseded => "Superseded",
            Self::Stuck => "Stuck",
        })
    }
}

/// A blocker: the typed reason, the sentence and the next command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockerView {
    /// The sentence.
    pub text: String,
    /// The next command.
    pub hint: Option<String>,
    /// Since when.
    pub since: Time,
    /// When the wait ends by itself.
    pub until: Option<Time>,
    /// The reason with its parts.
    pub on: super::Wait,
}

impl From<&super::Blocker> for BlockerView {
    fn from(blocker: &super::Blocker) -> Self {
        Self {
            text: blocker.on.to_string(),
            hint: blocker.on.hint().map(str::to_owned),
            since: blocker.since,
            until: blocker.until,
            on: blocker.on.clone(),
        }
    }
}

/// A proxy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProxyView {
    /// Its node id.
    pub id: ProxyId,
    /// Its node cluster.
    pub cluster: String,
    /// Where it stands.
    pub locality: Locality,
    /// Its metadata, as far as gateways can select by it.
    pub metadata: BTreeMap<String, String>,
    /// The program and its version.
    pub agent: String,
    /// Is a stream open?
    pub connected: bool,
    /// Since when that is so.
    pub since: Time,
    /// Everything that it subscribes to is acknowledged as of this generation.
    pub in_force: Option<Generation>,
    /// What it refuses.
    pub nack: Option<Nack>,
    /// When its last reading of requests in progress arrived.
    pub last_report: Option<Time>,
    /// The services that it may send traffic to.
    pub services: Vec<ServiceName>,
}

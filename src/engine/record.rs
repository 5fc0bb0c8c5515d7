//! The journal's words: each decision, written down before it takes effect.
//!
//! State is a fold over these ([`super::State::apply`]), so a record says all that the fold needs
//! and nothing that it could compute.

mod about;
mod sentence;

use serde::{Deserialize, Serialize};

use super::{Actor, Stage};
use crate::domain::{
    Documents, Generation, Instance, InstanceId, ProxyId, ProxyIdentity, Rollout, RolloutName,
    ServiceName, Span, Time, VersionName,
};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was decided.
    pub at: Time,
    /// What was decided.
    pub record: Record,
}

/// A decision, or a fact that decisions rest on and that must outlive a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Record {
    /// Some instances of the old version are to be replaced now.
    BatchBegan {
        /// The rollout.
        rollout: RolloutName,
        /// Which instances.
        members: Vec<InstanceId>,
    },
    /// A batch is replaced.
    BatchDone {
        /// The rollout.
        rollout: RolloutName,
    },
    /// The watch at the end began.
    BakeBegan {
        /// The rollout.
        rollout: RolloutName,
    },
    /// The watch at the end is over.
    BakeDone {
        /// The rollout.
        rollout: RolloutName,
    },
    /// A set of documents is in force.
    DocumentsApplied {
        /// The whole set.
        documents: Box<Documents>,
        /// Who changed it.
        by: Actor,
        /// What is new, changed or gone, a line each: `Rollout cart-42 created`. Not said in journals
        /// of the first versions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changes: Vec<String>,
    },
    /// An operator asked to take an instance out; what follows from it comes after.
    DrainAsked {
        /// The service.
        service: ServiceName,
        /// The instance.
        instance: InstanceId,
        /// Who.
        by: Actor,
        /// Why.
        reason: Option<String>,
    },
    /// A hook is called, perhaps again.
    HookCalled {
        /// The rollout.
        rollout: RolloutName,
        /// What for.
        call: HookCall,
        /// The how manieth attempt this is, from 1; a restart repeats one without counting it.
        #[serde(default = "once")]
        attempt: u32,
    },
    /// A hook call ended well, or was skipped by an operator.
    HookDone {
        /// The rollout.
        rollout: RolloutName,
        /// The call's idempotency key.
        key: String,
        /// What it answered, cut to a limit; empty where it said nothing.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        output: String,
    },
    /// A hook call failed.
    HookFailed {
        /// The rollout.
        rollout: RolloutName,
        /// The call's idempotency key.
        key: String,
        /// In the hook's words.
        error: String,
    },
    /// Every proxy concerned has a generation in force.
    InForce {
        /// The generation.
        generation: Generation,
        /// So many proxies.
        proxies: u32,
        /// From its publication.
        took: Span,
    },
    /// An instance is forgotten: it is gone and nothing waits for it.
    InstanceGone {
        /// The service.
        service: ServiceName,
        /// The instance.
        instance: InstanceId,
    },
    /// An instance vanished while proxies might still use it.
    InstanceLost {
        /// The service.
        service: ServiceName,
        /// The instance.
        instance: InstanceId,
        /// The stage in which it was lost.
        stage: String,
    },
    /// An instance changed its stage.
    InstanceMoved {
        /// The service.
        service: ServiceName,
        /// The instance.
        instance: InstanceId,
        /// The new stage.
        to: Stage,
        /// Why, in a few words.
        why: String,
    },
    /// An instance is new, or described anew.
    InstanceSeen {
        /// The service.
        service: ServiceName,
        /// The instance.
        instance: Instance,
    },
    /// An operator's verdict: this proxy will not come back.
    ProxyForgotten {
        /// The proxy.
        proxy: ProxyId,
        /// Who said so.
        by: Actor,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A proxy that holds configuration of ours; it counts until it is forgotten.
    ProxySeen {
        /// The proxy.
        identity: ProxyIdentity,
    },
    /// A plan is published.
    Published {
        /// Its number.
        generation: Generation,
        /// The services whose part changed.
        services: Vec<ServiceName>,
    },
    /// A rollout turns round.
    RolloutAborted {
        /// The rollout.
        rollout: RolloutName,
        /// Who.
        by: Actor,
        /// Why.
        reason: Option<String>,
    },
    /// The document of a running rollout changed; its new numbers hold from now on.
    RolloutAmended {
        /// The new spec.
        spec: Box<Rollout>,
        /// Who changed it. Not said in journals of the first versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Actor>,
    },
    /// A rollout is over.
    RolloutEnded {
        /// The rollout.
        rollout: RolloutName,
        /// How.
        outcome: Outcome,
    },
    /// A rollout that ended long ago leaves the state; what was written of it stays in the journal for
    /// as long as anything does.
    RolloutForgotten {
        /// The rollout.
        rollout: RolloutName,
    },
    /// A rollout holds on somebody's word.
    RolloutPaused {
        /// The rollout.
        rollout: RolloutName,
        /// Who.
        by: Actor,
        /// Why.
        reason: Option<String>,
    },
    /// A rollout is wanted.
    RolloutPlanned {
        /// Its spec.
        spec: Box<Rollout>,
        /// Where it comes from.
        origin: Origin,
        /// Who.
        by: Actor,
        /// Why, where it was asked for by a verb.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A rollout goes on.
    RolloutResumed {
        /// The rollout.
        rollout: RolloutName,
        /// Who.
        by: Actor,
        /// Why.
        reason: Option<String>,
    },
    /// An operator asked to try again what did not work; the deadline starts anew.
    RolloutRetried {
        /// The rollout.
        rollout: RolloutName,
        /// Who.
        by: Actor,
        /// Why.
        reason: Option<String>,
    },
    /// A rollout began to move.
    RolloutStarted {
        /// The rollout.
        rollout: RolloutName,
        /// The version it goes from.
        from: VersionName,
        /// So many instances are to be ready throughout, but for its budgets.
        desired: u32,
    },
    /// This version answers for its service.
    StableChosen {
        /// The service.
        service: ServiceName,
        /// The version.
        version: VersionName,
    },
    /// An operator passed over what a rollout waited for; what follows from it comes after.
    StepSkipped {
        /// The rollout.
        rollout: RolloutName,
        /// What was passed over.
        what: String,
        /// Who.
        by: Actor,
        /// Why.
        reason: Option<String>,
    },
    /// An operator asked to put an instance back; what follows from it comes after.
    UndrainAsked {
        /// The service.
        service: ServiceName,
        /// The instance.
        instance: InstanceId,
        /// Who.
        by: Actor,
        /// Why.
        reason: Option<String>,
    },
    /// A version gets a cluster and a place in the routes, with no weight yet.
    VersionRouted {
        /// The service.
        service: ServiceName,
        /// The version.
        version: VersionName,
    },
    /// A version's cluster goes: every proxy has routes without it.
    VersionTornDown {
        /// The service.
        service: ServiceName,
        /// The version.
        version: VersionName,
    },
    /// Routes no longer name a version.
    VersionUnrouted {
        /// The service.
        service: ServiceName,
        /// The version.
        version: VersionName,
        /// The generation without it.
        generation: Generation,
    },
}

/// Journals of the first versions do not count attempts.
const fn once() -> u32 {
    1
}

/// Where a rollout comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// A document; should that be deleted while it runs, the rollout holds.
    Document,
    /// `undo` of an earlier one.
    Undo,
}

/// How a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The new version serves alone.
    Done,
    /// The old version serves alone again.
    RolledBack,
}

/// A call that starts or stops one instance. Made at least once: the key stays the same when it is
/// made again, so that the other side can tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookCall {
    /// The idempotency key.
    pub key: String,
    /// What is to be done.
    pub action: HookAction,
    /// The service.
    pub service: ServiceName,
    /// The old instance that is replaced (`start`) or may be stopped (`stop`).
    pub instance: InstanceId,
    /// The version to start, or the version of the instance to stop.
    pub version: VersionName,
}

/// What a hook is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HookAction {
    /// Start an instance of a version in the place of another.
    Start,
    /// Stop an instance: it is safe now.
    Stop,
}

impl std::fmt::Display for HookAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Start => "start",
            Self::Stop => "stop",
        })
    }
}

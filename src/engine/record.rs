//! The journal's words: each decision, written down before it takes effect.
//!
//! State is a fold over these ([`super::State::apply`]), so a record says all that the fold needs
//! and nothing that it could compute.

mod about;
mod entry;
mod moment;
mod parts;
mod ruling;
mod sentence;

pub use entry::{Entry, Request};
pub use moment::{HookAnswer, HookAsk, Moment, Portion};
pub use parts::{HookAction, HookCall, Origin, Outcome, Split, Turned};
pub use ruling::Ruling;

use serde::{Deserialize, Serialize};

use super::{Actor, Pause, Stage};
use crate::domain::{
    Documents, Generation, Instance, InstanceId, PlaceName, ProxyId, ProxyIdentity, Rollout,
    RolloutName, RolloutStep, ServiceName, Span, Time, VersionName,
};

/// A decision, or a fact that decisions rest on and that must outlive a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Record {
    /// Somebody said that what waits for a word may go on.
    Approved {
        /// The rollout.
        rollout: RolloutName,
        /// Who.
        by: Actor,
        /// Why.
        reason: Option<String>,
    },
    /// Some instances of the old version are to be replaced now.
    BatchBegan {
        /// The rollout.
        rollout: RolloutName,
        /// The part of the fleet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lane: Option<PlaceName>,
        /// Which instances.
        members: Vec<InstanceId>,
        /// The zone of the last of them, where instances are spread over zones.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_zone: Option<String>,
    },
    /// A batch is replaced.
    BatchDone {
        /// The rollout.
        rollout: RolloutName,
        /// The part of the fleet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lane: Option<PlaceName>,
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
    /// Somebody froze everything: no rollout begins anything more.
    Frozen(Pause),
    /// Gates have decided something, or weighed.
    Ruled {
        /// The rollout.
        rollout: RolloutName,
        /// What they say.
        ruling: Ruling,
    },
    /// A hook said something new, or what it said is passed over.
    HookAnswered {
        /// The rollout.
        rollout: RolloutName,
        /// The key by which it was asked.
        key: String,
        /// Who.
        hook: String,
        /// Before or after what.
        moment: Moment,
        /// What it said.
        answer: HookAnswer,
    },
    /// A hook is asked whether a rollout may go on, perhaps again.
    HookAsked {
        /// Which of the rollout's hooks, from 0.
        hook: u32,
        /// What it is told.
        ask: Box<HookAsk>,
        /// The how manieth try in a row this is, from 1; one that holds is asked again without counting it.
        attempt: u32,
    },
    /// A hook is called, perhaps again.
    HookCalled {
        /// The rollout.
        rollout: RolloutName,
        /// What for.
        call: HookCall,
        /// The how manieth attempt this is, from 1; a restart repeats one without counting it.
        #[serde(default = "parts::once")]
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
    /// The old instances that stayed for an undo go.
    KeepEnded {
        /// The service.
        service: ServiceName,
    },
    /// A part of the fleet begins.
    LaneBegan {
        /// The rollout.
        rollout: RolloutName,
        /// Where.
        place: PlaceName,
        /// So many instances serve there.
        desired: u32,
        /// No more than so many are replaced.
        quota: Option<u32>,
    },
    /// A part of the fleet is replaced.
    LaneDone {
        /// The rollout.
        rollout: RolloutName,
        /// Where.
        place: Option<PlaceName>,
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
        /// How far, and how fast.
        #[serde(default)]
        how: Turned,
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
        /// The old instances stay until then, so that it can be undone in one step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep_until: Option<Time>,
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
        /// What they carried, in requests per second, or in instances where nobody says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capacity: Option<u64>,
        /// The shares of the traffic that it goes through, where it does.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        steps: Vec<RolloutStep>,
    },
    /// A newer rollout of the service takes over what this one has begun.
    RolloutSuperseded {
        /// The rollout that ends.
        rollout: RolloutName,
        /// The one that takes over.
        by: RolloutName,
    },
    /// From now on no house rule holds a rollout.
    RulesOverridden {
        /// The rollout.
        rollout: RolloutName,
        /// Who.
        by: Actor,
        /// Why.
        reason: String,
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
    /// A step's time is over.
    StepDone {
        /// The rollout.
        rollout: RolloutName,
        /// Its number, from 0.
        step: u32,
        /// Why it went on.
        why: String,
    },
    /// What a step asks for is in force.
    StepReached {
        /// The rollout.
        rollout: RolloutName,
        /// Its number, from 0.
        step: u32,
    },
    /// The freeze of everything is over.
    Unfrozen(Pause),
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
    /// A wave is done.
    WaveDone {
        /// The rollout.
        rollout: RolloutName,
        /// Its name.
        wave: String,
    },
    /// A wave stands where it stood before it began.
    WaveRolledBack {
        /// The rollout.
        rollout: RolloutName,
        /// Its name.
        wave: String,
    },
    /// The traffic is split by decision, and not by what instances carry.
    WeightsChosen {
        /// The service.
        service: ServiceName,
        /// The rollout that decides.
        rollout: RolloutName,
        /// The split.
        split: Split,
        /// Why.
        why: String,
    },
    /// The traffic follows what instances carry again.
    WeightsReleased {
        /// The service.
        service: ServiceName,
    },
}

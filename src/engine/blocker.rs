//! Why something waits: one typed reason, shown unchanged in `why`, the API, the table and the log.

mod sentence;

use serde::{Deserialize, Serialize};

use super::rules::{self, Rule};
use super::{HookAction, Moment, Standing};
use crate::domain::{
    Approval, GateName, Generation, InstanceId, Nack, PolicyName, ProxyId, RolloutName, Span,
    ThenDo, Time, VersionName, Weight,
};

/// A wait, and since when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blocker {
    /// What is waited for.
    pub on: Wait,
    /// Since when.
    pub since: Time,
    /// When the wait ends by itself, if it does.
    pub until: Option<Time>,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Wait {
    /// Somebody must say that it goes on.
    Approval {
        /// Who may; anybody, unless given.
        by: Option<String>,
        /// What they should look at.
        note: Option<String>,
        /// The wave that waits to begin, if it is one.
        wave: Option<String>,
        /// Without a word for so long, it goes back.
        give_up: Option<Span>,
    },
    /// The watch at the end.
    Bake {
        /// Its length.
        span: Span,
        /// So many old instances are held back for it.
        holdback: u32,
    },
    /// Connected proxies have not acknowledged a generation.
    Barrier {
        /// The generation.
        generation: Generation,
        /// Who has not.
        proxies: Vec<ProxyId>,
        /// Of so many concerned.
        of: usize,
    },
    /// A version's ready instances cannot carry the share that it is to get.
    Capacity {
        /// The version.
        version: VersionName,
        /// The share that it is to get.
        share: Weight,
        /// The share that it can carry.
        carries: Weight,
        /// So many instances are missing.
        missing: u32,
    },
    /// The rollout's document is gone.
    DocumentDeleted,
    /// The rollout's document now wants something else than what runs.
    DocumentDiffers {
        /// What it wants.
        wants: String,
    },
    /// Proxies have not shown that an instance is idle.
    Drain {
        /// The instance.
        instance: InstanceId,
        /// Each proxy that has not, and what is missing.
        gaps: Vec<String>,
    },
    /// Somebody has frozen everything.
    Frozen {
        /// Who.
        by: String,
        /// Why.
        reason: Option<String>,
    },
    /// A hook runs.
    Hook {
        /// To do what.
        action: HookAction,
        /// For which instance.
        instance: InstanceId,
    },
    /// A hook failed.
    HookFailed {
        /// To do what.
        action: HookAction,
        /// For which instance.
        instance: InstanceId,
        /// In its words.
        error: String,
    },
    /// Instances of a version have not appeared.
    Instances {
        /// The version.
        version: VersionName,
        /// So many are missing.
        missing: u32,
    },
    /// Somebody has a say, and has not let it pass.
    Moment {
        /// Before or after what.
        moment: Moment,
        /// Who.
        hook: String,
        /// What they say.
        stands: Standing,
    },
    /// Proxies that are not connected can acknowledge and prove nothing.
    LostProxies {
        /// Who.
        proxies: Vec<ProxyId>,
        /// Of so many concerned.
        of: usize,
        /// What happens when they stay away.
        then: ThenDo,
        /// How long they may.
        wait: Span,
    },
    /// A proxy refused resources.
    Nacked {
        /// Who.
        proxy: ProxyId,
        /// What, and in which words.
        nack: Nack,
    },
    /// Too few instances are ready to take one out.
    Ready {
        /// So many are.
        ready: u32,
        /// So many must stay.
        floor: u32,
        /// Is it the traffic that needs them, and not the rollout's own budget?
        by_load: bool,
        /// The zone in which that is so, where the service wants so many in each.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<String>,
    },
    /// Proxies know an instance, but do not send it requests yet: their own checks have not passed.
    NotUsed {
        /// The instance.
        instance: InstanceId,
        /// Who does not.
        proxies: Vec<ProxyId>,
        /// Of so many concerned.
        of: usize,
    },
    /// Instances are known, but not healthy for long enough.
    NotReady {
        /// The version.
        version: VersionName,
        /// Each, and what its last probe said.
        instances: Vec<String>,
    },
    /// Another rollout of the same service runs.
    OtherRollout {
        /// Which.
        rollout: RolloutName,
    },
    /// Somebody paused it.
    Paused {
        /// Who.
        by: String,
        /// Why.
        reason: Option<String>,
    },
    /// No gateway is declared, so no proxy is told anything.
    NoGateway,
    /// There is nothing to roll from.
    NoStable,
    /// A house rule holds it.
    Rule {
        /// Whose.
        policy: PolicyName,
        /// Which, and why.
        rule: Rule,
    },
    /// The document of its service now wants another version, or none in particular.
    RunDiffers {
        /// Which.
        run: Option<VersionName>,
    },
    /// A step stays for a while.
    Step {
        /// Its number, from 1.
        number: u32,
        /// Of so many.
        of: usize,
        /// How long, or how long at most.
        span: Span,
        /// What gates have not proven yet, if it may end before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        missing: Option<String>,
    },
    /// Its time is over, and a gate may still prove it.
    Unproven {
        /// What is missing.
        says: String,
    },
    /// A gate has raised an alarm, and does not know yet whether it is the version or one instance.
    Weighing {
        /// Which.
        gate: GateName,
        /// What was counted.
        says: String,
    },
    /// The service's stable version is not the one that the rollout must start from.
    WrongStart {
        /// The document's.
        wanted: VersionName,
        /// The service's.
        stable: VersionName,
    },
}

impl Wait {
    /// Somebody's word is waited for.
    pub(super) fn approval(approval: &Approval, wave: Option<&str>) -> Self {
        Self::Approval {
            by: approval.by.clone(),
            note: approval.note.clone(),
            wave: wave.map(str::to_owned),
            give_up: approval.give_up,
        }
    }

    /// The same wait as before, even if its details have moved on? Then it keeps its `since`.
    pub(super) fn continues(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::Drain { instance: a, .. }, Self::Drain { instance: b, .. })
            | (Self::NotUsed { instance: a, .. }, Self::NotUsed { instance: b, .. }) => a == b,
            (Self::Barrier { generation: a, .. }, Self::Barrier { generation: b, .. }) => a == b,
            (Self::Nacked { proxy: a, nack: m }, Self::Nacked { proxy: b, nack: n }) => {
                a == b && m == n
            }
            (
                Self::Moment {
                    moment: a, hook: h, ..
                },
                Self::Moment {
                    moment: b, hook: g, ..
                },
            ) => a == b && h == g,
            (Self::Rule { policy: a, rule: r }, Self::Rule { policy: b, rule: s }) => {
                a == b && r.continues(s)
            }
            _ => std::mem::discriminant(self) == std::mem::discriminant(before),
        }
    }

    /// Does a freeze or a house rule hold it?
    pub fn is_house_rule(&self) -> bool {
        matches!(self, Self::Frozen { .. } | Self::Rule { .. })
    }

    /// Does somebody's word hold it, by a rule or at a moment?
    pub(super) fn holds_back(&self) -> bool {
        self.is_house_rule() || matches!(self, Self::Moment { stands, .. } if stands.is_said())
    }

    /// The next command for somebody who does not want to wait.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Approval { .. } => "`tidegate rollout promote`, or `abort`",
            Self::Capacity { .. } => "start more instances of it, or wait until they are ready",
            Self::Frozen { .. } => "`tidegate unfreeze`, or `tidegate rollout override`",
            Self::Rule { .. } => rules::HINT,
            Self::Step { .. } => "`tidegate rollout promote` ends the step",
            Self::Bake { .. } | Self::Unproven { .. } => "`tidegate rollout skip` ends the bake",
            Self::Barrier { .. } => "`tidegate proxies` shows what each has acknowledged",
            Self::DocumentDeleted => "apply the document again, or `tidegate rollout abort`",
            Self::DocumentDiffers { .. } => "`tidegate rollout abort`, or use a new rollout name",
            Self::RunDiffers { .. } => {
                "`tidegate rollout abort`, or have its service's document say `run` again"
            }
            Self::Drain { .. } => "`tidegate rollout skip` releases it unproven",
            Self::HookFailed { .. } => "`tidegate rollout retry` calls it again, `skip` goes on",
            Self::Moment { .. } => "`tidegate rollout skip` goes on without it, `retry` asks again",
            Self::Instances { .. } => {
                "start them, or let `replace` in the rollout's document do it"
            }
            Self::LostProxies { .. } => {
                "bring them back, or `tidegate proxies forget NODE` if they are gone for good"
            }
            Self::Nacked { .. } => "mend what it refuses and apply, or `tidegate rollout abort`",
            Self::NotReady { .. } | Self::NotUsed { .. } => {
                "`tidegate instances` shows their health"
            }
            Self::Paused { .. } => "`tidegate rollout resume`",
            Self::NoGateway => "apply a Gateway document that selects your proxies",
            Self::NoStable => "register a healthy instance of the version that serves now",
            Self::WrongStart { .. } => "correct `from` in the rollout's document",
            Self::Weighing { .. } => {
                "`tidegate evidence` shows each instance; `tidegate rollout abort` goes back"
            }
            Self::Ready { zone: Some(_), .. } => {
                "start one more there; it comes before another goes as far as `maxSurge` allows"
            }
            Self::Hook { .. } | Self::OtherRollout { .. } | Self::Ready { .. } => return None,
        })
    }
}

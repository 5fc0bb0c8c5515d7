//! What records are made of besides the nouns of the domain.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{InstanceId, ServiceName, VersionName, Weight};

/// How a rollout turns round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Turned {
    /// All of it, as fast as the old version can take the traffic.
    #[default]
    Back,
    /// All of it, and the traffic at once, whatever the old version can take.
    AtOnce,
    /// What belongs to the present wave.
    ThisWave,
}

impl Turned {
    /// Is there something left to ask for after `before`?
    pub(in crate::engine) fn goes_further_than(self, before: Self) -> bool {
        let reach = |turned| match turned {
            Self::ThisWave => 0,
            Self::Back => 1,
            Self::AtOnce => 2,
        };
        reach(self) > reach(before)
    }
}

/// Shares of a service's traffic that were decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// By version; who is missing has none.
    pub weights: BTreeMap<VersionName, Weight>,
    /// Who gets copies, and of how much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<(VersionName, Weight)>,
}

impl Split {
    /// The share of a version.
    pub fn of(&self, version: &VersionName) -> Weight {
        self.weights.get(version).copied().unwrap_or_default()
    }
}

/// Where a rollout comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// A document; should that be deleted while it runs, the rollout holds.
    Document,
    /// The document of its service, which says what that is to run.
    Run,
    /// `undo` of an earlier one, or the revert of a commit while its old instances are kept.
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
    /// A newer one of the same service took over.
    Superseded,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// Journals of the first versions do not count attempts.
pub(super) const fn once() -> u32 {
    1
}

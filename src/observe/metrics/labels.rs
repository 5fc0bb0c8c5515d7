//! Label sets. Each value comes from a small set: stages, phases, kinds, names from documents.

use prometheus_client::encoding::EncodeLabelSet;

use crate::domain::{ServiceName, VersionName};
use crate::engine::{Proof, Wait};
use crate::secrets::SecretState;
use crate::serving::Refused;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct BlockerLabels {
    kind: &'static str,
}

impl BlockerLabels {
    /// The same words as `kind` in the API's blockers.
    pub(super) const fn new(wait: &Wait) -> Self {
        let kind = match wait {
            Wait::Approval { .. } => "approval",
            Wait::Bake { .. } => "bake",
            Wait::Barrier { .. } => "barrier",
            Wait::Capacity { .. } => "capacity",
            Wait::DocumentDeleted => "documentDeleted",
            Wait::DocumentDiffers { .. } => "documentDiffers",
            Wait::Drain { .. } => "drain",
            Wait::Frozen { .. } => "frozen",
            Wait::Hook { .. } => "hook",
            Wait::HookFailed { .. } => "hookFailed",
            Wait::Moment { .. } => "moment",
            Wait::Instances { .. } => "instances",
            Wait::LostProxies { .. } => "lostProxies",
            Wait::Nacked { .. } => "nacked",
            Wait::Ready { .. } => "ready",
            Wait::NotReady { .. } => "notReady",
            Wait::NotUsed { .. } => "notUsed",
            Wait::OtherRollout { .. } => "otherRollout",
            Wait::Paused { .. } => "paused",
            Wait::NoGateway => "noGateway",
            Wait::NoStable => "noStable",
            Wait::Rule { .. } => "rule",
            Wait::RunDiffers { .. } => "runDiffers",
            Wait::Step { .. } => "step",
            Wait::Unproven { .. } => "unproven",
            Wait::Weighing { .. } => "weighing",
            Wait::WrongStart { .. } => "wrongStart",
        };
        Self { kind }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct InstanceLabels {
    pub(super) service: String,
    pub(super) version: String,
    pub(super) stage: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct KindLabels {
    kind: String,
}

impl KindLabels {
    pub(super) fn new(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabels {
    outcome: &'static str,
}

impl OutcomeLabels {
    pub(super) const DONE: Self = Self { outcome: "done" };
    pub(super) const SUPERSEDED: Self = Self {
        outcome: "superseded",
    };
    pub(super) const ROLLED_BACK: Self = Self {
        outcome: "rolledBack",
    };

    pub(super) const fn of_read(taken: bool) -> Self {
        let outcome = if taken { "taken" } else { "broken" };
        Self { outcome }
    }

    pub(super) fn of_drain(proof: &Proof) -> Self {
        Self {
            outcome: if proof.is_full() {
                "proven"
            } else {
                "unproven"
            },
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PhaseLabels {
    pub(super) phase: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ProxyLabels {
    state: &'static str,
}

impl ProxyLabels {
    pub(super) const CONNECTED: Self = Self { state: "connected" };
    pub(super) const LOST: Self = Self { state: "lost" };
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StateLabels {
    state: String,
}

impl StateLabels {
    pub(super) fn new(state: SecretState) -> Self {
        Self {
            state: state.to_string(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct VersionLabels {
    pub(super) service: String,
    pub(super) version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    service: String,
    version: String,
    outcome: &'static str,
}

impl RequestLabels {
    pub(super) const SUCCESS: &'static str = "success";
    pub(super) const ERROR: &'static str = "error";

    pub(super) fn new(service: &ServiceName, version: &VersionName, outcome: &'static str) -> Self {
        Self {
            service: service.to_string(),
            version: version.to_string(),
            outcome,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabels {
    reason: &'static str,
}

impl ReasonLabels {
    pub(super) const fn new(why: Refused) -> Self {
        let reason = match why {
            Refused::Handshake => "handshake",
            Refused::Limit => "limit",
        };
        Self { reason }
    }
}

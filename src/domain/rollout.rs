//! One change of one service from a version to another, as its document declares it.

use serde::{Deserialize, Serialize};

use super::{
    Gate, GateName, Hook, OnUnsure, OnWorse, RolloutHook, RolloutName, ServiceName, Span, Strategy,
    VersionName,
};

/// A rollout's document, defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// Its name.
    pub name: RolloutName,
    /// What is rolled.
    pub service: ServiceName,
    /// The version it must start from, if that is to be checked; else whatever is stable.
    pub from: Option<VersionName>,
    /// The version it ends on.
    pub to: VersionName,
    /// How it gets there.
    #[serde(flatten)]
    pub strategy: Strategy,
    /// Who starts and stops instances; nobody means that Tidegate waits for them to appear.
    pub replace: Option<Hook>,
    /// Who has a say on its way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<RolloutHook>,
    /// The gates that judge it; none, and it goes by time alone.
    pub gates: Vec<GateName>,
    /// What follows when a gate says that the new version is worse, if that is not left to the gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_worse: Option<OnWorse>,
    /// What follows when a gate cannot tell, if that is not left to the gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_unsure: Option<OnUnsure>,
    /// Sessions stay with their version while this runs, also where the service keeps none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_sessions: bool,
    /// How long to watch at the end, and with how many old instances held back.
    pub bake: Bake,
    /// How long the old instances stay after the end, so that `undo` is one step. Only where both
    /// versions stand side by side.
    #[serde(default)]
    pub keep_old: Span,
    /// Without progress for this long the rollout is stuck, and says so.
    pub deadline: Span,
}

impl Rollout {
    /// What follows when this gate says that the new version is worse. That a rollback ends with the present wave
    /// makes no rollback where the gate asks for none.
    pub fn on_worse(&self, gate: &Gate) -> OnWorse {
        match (self.on_worse, gate.on_worse) {
            (Some(OnWorse::RollbackWave) | None, own @ (OnWorse::Pause | OnWorse::Report)) => own,
            (said, own) => said.unwrap_or(own),
        }
    }

    /// What follows when this gate cannot tell.
    pub fn if_unsure(&self, gate: &Gate) -> OnUnsure {
        self.if_unsure.unwrap_or(gate.if_unsure)
    }

    /// May this take the place of `before` while that runs? Numbers may change under way; what is rolled,
    /// where to and by which strategy may not, for half of it is done by then.
    pub fn amends(&self, before: &Self) -> bool {
        let same_way = self.strategy.word() == before.strategy.word();
        same_way && (&self.service, &self.to) == (&before.service, &before.to)
    }
}

/// The watch before a rollout is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bake {
    /// How long.
    pub span: Span,
    /// So many old instances stay until the end of it.
    pub holdback: u32,
}

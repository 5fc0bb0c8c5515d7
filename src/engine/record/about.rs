//! Whose record it is: the rollout, the service and the person, for whoever looks for them.

use super::{Record, Ruling};
use crate::domain::{RolloutName, ServiceName};
use crate::engine::{Actor, Cause, Pause};

impl Record {
    /// The rollout that this belongs to, if it says so.
    pub fn rollout(&self) -> Option<&RolloutName> {
        match self {
            Self::Approved { rollout, .. }
            | Self::BatchBegan { rollout, .. }
            | Self::BatchDone { rollout, .. }
            | Self::BakeBegan { rollout }
            | Self::BakeDone { rollout }
            | Self::HookAnswered { rollout, .. }
            | Self::HookCalled { rollout, .. }
            | Self::HookDone { rollout, .. }
            | Self::HookFailed { rollout, .. }
            | Self::Ruled { rollout, .. }
            | Self::LaneBegan { rollout, .. }
            | Self::LaneDone { rollout, .. }
            | Self::RolloutAborted { rollout, .. }
            | Self::RolloutEnded { rollout, .. }
            | Self::RolloutForgotten { rollout }
            | Self::RolloutPaused { rollout, .. }
            | Self::RolloutResumed { rollout, .. }
            | Self::RolloutRetried { rollout, .. }
            | Self::RolloutStarted { rollout, .. }
            | Self::RolloutSuperseded { rollout, .. }
            | Self::RulesOverridden { rollout, .. }
            | Self::StepDone { rollout, .. }
            | Self::StepReached { rollout, .. }
            | Self::StepSkipped { rollout, .. }
            | Self::WaveDone { rollout, .. }
            | Self::WaveRolledBack { rollout, .. }
            | Self::WeightsChosen { rollout, .. } => Some(rollout),
            Self::HookAsked { ask, .. } => Some(&ask.rollout),
            Self::RolloutAmended { spec, .. } | Self::RolloutPlanned { spec, .. } => {
                Some(&spec.name)
            }
            Self::InstanceMoved { to, .. } => to.cause()?.rollout(),
            _ => None,
        }
    }

    /// Is it about this service? A set of documents is about each service in it, and a record of a
    /// rollout that does not name its service is about the service that `of` says.
    pub fn concerns(
        &self,
        service: &ServiceName,
        of: impl FnOnce(&RolloutName) -> Option<ServiceName>,
    ) -> bool {
        match self {
            Self::DocumentsApplied { documents, .. } => documents.services.contains_key(service),
            Self::DrainAsked { service: of, .. }
            | Self::InstanceGone { service: of, .. }
            | Self::InstanceLost { service: of, .. }
            | Self::InstanceMoved { service: of, .. }
            | Self::InstanceSeen { service: of, .. }
            | Self::KeepEnded { service: of }
            | Self::StableChosen { service: of, .. }
            | Self::UndrainAsked { service: of, .. }
            | Self::VersionRouted { service: of, .. }
            | Self::VersionTornDown { service: of, .. }
            | Self::VersionUnrouted { service: of, .. }
            | Self::WeightsReleased { service: of } => of == service,
            Self::HookCalled { call, .. } => call.service == *service,
            Self::Published { services, .. } => services.contains(service),
            Self::RolloutAmended { spec, .. } | Self::RolloutPlanned { spec, .. } => {
                spec.service == *service
            }
            other => other
                .rollout()
                .and_then(of)
                .is_some_and(|named| named == *service),
        }
    }

    /// Is it a note that a restart goes on from, and no event?
    pub const fn is_note(&self) -> bool {
        matches!(
            self,
            Self::Ruled {
                ruling: Ruling::Weighed { .. },
                ..
            }
        )
    }

    /// Who wanted it, where it was somebody and not the engine alone.
    pub fn by(&self) -> Option<&Actor> {
        match self {
            Self::Approved { by, .. }
            | Self::DocumentsApplied { by, .. }
            | Self::DrainAsked { by, .. }
            | Self::Frozen(Pause { by, .. })
            | Self::ProxyForgotten { by, .. }
            | Self::RolloutAborted { by, .. }
            | Self::RolloutPaused { by, .. }
            | Self::RolloutPlanned { by, .. }
            | Self::RolloutResumed { by, .. }
            | Self::RolloutRetried { by, .. }
            | Self::RulesOverridden { by, .. }
            | Self::StepSkipped { by, .. }
            | Self::Unfrozen(Pause { by, .. })
            | Self::UndrainAsked { by, .. } => Some(by),
            Self::RolloutAmended { by, .. } => by.as_ref(),
            Self::InstanceMoved { to, .. } => match to.cause() {
                Some(Cause::Operator(by)) => Some(by),
                _ => None,
            },
            _ => None,
        }
    }
}

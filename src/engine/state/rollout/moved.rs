//! What a rollout notes while the instances of its service move.

use super::RolloutState;
use crate::domain::{InstanceId, Time, VersionName};
use crate::engine::{Cause, Stage, StageKind};

impl RolloutState {
    /// An instance of this version has come from one stage to another.
    pub(in crate::engine::state) fn note(
        &mut self,
        instance: &InstanceId,
        version: &VersionName,
        (from, to): (StageKind, &Stage),
        at: Time,
    ) {
        self.progress = at;
        let is_new = self.turned.is_none() && *version == self.spec.to;
        match to {
            Stage::Registered if is_new && from == StageKind::Ready => self.crashes += 1,
            Stage::Suspended if is_new => self.crashes += 1,
            Stage::Drained {
                proof,
                cause: Cause::Rollout(name),
            } if *name == self.spec.name => {
                self.report.drained.push((instance.clone(), proof.clone()));
            }
            _ => {}
        }
    }
}

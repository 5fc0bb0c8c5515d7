//! Verbs about house rules: freeze everything, let it go on, and override them for one rollout.

use super::rollouts::running;
use super::{answer, conflict};
use crate::engine::state::RolloutState;
use crate::engine::turn::Turn;
use crate::engine::{Answer, Command, Pause, Record, Refusal};

pub(super) fn freeze(turn: &mut Turn<'_>, by: &Command) -> Result<Answer, Refusal> {
    if let Some((_, before)) = &turn.state.frozen {
        return answer(format!("everything is frozen already, by {}", before.by));
    }
    turn.record(Record::Frozen(word(by)));
    answer(
        "everything is frozen: no rollout begins anything more, what has begun is finished"
            .to_owned(),
    )
}

pub(super) fn unfreeze(turn: &mut Turn<'_>, by: &Command) -> Result<Answer, Refusal> {
    if turn.state.frozen.is_none() {
        return answer("nothing is frozen".to_owned());
    }
    turn.record(Record::Unfrozen(word(by)));
    answer("rollouts go on".to_owned())
}

fn word(by: &Command) -> Pause {
    Pause {
        by: by.by.clone(),
        reason: by.reason.clone(),
    }
}

pub(super) fn override_rules(
    turn: &mut Turn<'_>,
    rollout: &RolloutState,
    by: &Command,
) -> Result<Answer, Refusal> {
    let name = running(turn, rollout, "override")?;
    if rollout.overridden.is_none() {
        let Some(reason) = by.reason.clone().filter(|reason| !reason.trim().is_empty()) else {
            return Err(conflict(
                format!("house rules are overridden for {name} with a reason only"),
                format!("`tidegate rollout override {name} --reason …`"),
            ));
        };
        turn.record(Record::RulesOverridden {
            rollout: name.clone(),
            by: by.by.clone(),
            reason,
        });
    }
    answer(format!(
        "{name} is held by no house rule and no freeze until its end"
    ))
}

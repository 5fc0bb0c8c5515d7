//! Who may do what: the policies' word on verbs, and a pause's on who ends it.
//!
//! Names and groups are what the request says. Whether that can be trusted is for whoever lets requests
//! through to the API.

use crate::domain::{Approval, MayVerb, Principal, StepAction};
use crate::engine::state::RolloutState;
use crate::engine::turn::Turn;
use crate::engine::{Command, Refusal, RolloutVerb};

/// May they, by every policy that is about the rollout's service?
pub(super) fn may(
    turn: &Turn<'_>,
    rollout: &RolloutState,
    verb: RolloutVerb,
    by: &Command,
) -> Result<(), Refusal> {
    let verb = named(verb);
    let spec = &rollout.spec;
    for policy in turn.state.documents.policies_of(&spec.service) {
        let Some(who) = policy.may.get(&verb).filter(|who| !are(who, by)) else {
            continue;
        };
        let (who, policy) = (listed(who), &policy.name);
        return Err(forbidden(
            by,
            format!(
                "may not {verb} {}: by policy {policy} only {who} may",
                spec.name
            ),
        ));
    }
    Ok(())
}

/// May they end what waits for a word now, and the pauses among so many steps from the present one on?
pub(super) fn may_approve(rollout: &RolloutState, steps: u32, by: &Command) -> Result<(), Refusal> {
    let passed = rollout.steps.iter().skip(rollout.steps_done as usize);
    let passed = passed.take(steps as usize);
    let pauses = passed.filter_map(|step| match &step.action {
        StepAction::Pause(approval) => Some(approval),
        StepAction::Weight(_) | StepAction::Mirror(_) => None,
    });
    for approval in rollout.word().into_iter().chain(pauses) {
        approves(rollout, approval, by)?;
    }
    Ok(())
}

fn approves(rollout: &RolloutState, approval: &Approval, by: &Command) -> Result<(), Refusal> {
    let Some(who) = &approval.by else {
        return Ok(());
    };
    let parsed = who.parse::<Principal>().ok();
    if parsed.is_some_and(|parsed| parsed.is(&by.by.0, &by.groups)) {
        return Ok(());
    }
    let name = &rollout.spec.name;
    Err(forbidden(
        by,
        format!("may not let {name} go on: only {who} may"),
    ))
}

fn are(who: &[Principal], by: &Command) -> bool {
    who.iter().any(|one| one.is(&by.by.0, &by.groups))
}

fn forbidden(by: &Command, what: String) -> Refusal {
    let groups = match by.groups.as_slice() {
        [] => "of no group".to_owned(),
        groups => format!("of {}", groups.join(", ")),
    };
    Refusal::Forbidden {
        what: format!("{} ({groups}) {what}", by.by),
        hint: "have one of them do it; `--groups` says to which groups you belong".to_owned(),
    }
}

fn listed(who: &[Principal]) -> String {
    let who: Vec<String> = who.iter().map(ToString::to_string).collect();
    who.join(" and ")
}

fn named(verb: RolloutVerb) -> MayVerb {
    match verb {
        RolloutVerb::Abort(_) => MayVerb::Abort,
        RolloutVerb::Override => MayVerb::Override,
        RolloutVerb::Pause => MayVerb::Pause,
        RolloutVerb::Promote { .. } => MayVerb::Promote,
        RolloutVerb::Resume => MayVerb::Resume,
        RolloutVerb::Retry => MayVerb::Retry,
        RolloutVerb::Skip { .. } => MayVerb::Skip,
        RolloutVerb::Undo => MayVerb::Undo,
    }
}

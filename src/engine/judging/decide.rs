//! What follows when a gate raises an alarm.
//!
//! Acting comes in two moves. While it is not known whether the version is worse or one instance of it, nothing
//! more begins ([`weighs`]). Then the rollout goes back, holds, or the instance is taken out and another one is
//! judged in its place; a second one in the same rollout is the version's fault.

use std::borrow::Cow;

use super::evidence::evidence;
use super::{Decision, Evidence, Follows, GateTrial, Verdict, weigh};
use crate::domain::{GateName, InstanceId, OnOneBadBox, OnWorse, RolloutName};
use crate::engine::course::Course;
use crate::engine::instances::{begin_leaving, stage_of};
use crate::engine::turn::Turn;
use crate::engine::{Actor, Cause, GateState, Record, Ruling, Turned, Wait};
use crate::gates::{Alarm, Baseline, Telling};

/// Instances that a gate takes out in one rollout before it is the version's fault.
const BOXES_MAX: usize = 1;

/// Acts on the alarms of a rollout's gates, one after the other: what one has done may have answered the others.
pub(in crate::engine) fn decide(turn: &mut Turn<'_>, name: &RolloutName) {
    for gate in judging(turn, name) {
        if let Some(alarm) = alarm(turn, name, &gate) {
            act(turn, name, &gate, alarm);
        }
    }
}

/// The gates that judge a rollout.
fn judging(turn: &Turn<'_>, name: &RolloutName) -> Vec<GateName> {
    let judged = turn.facts.judged.get(name).into_iter();
    judged.flat_map(|it| it.trials.keys()).cloned().collect()
}

/// The alarm of a gate that has not had its say yet.
fn alarm(turn: &Turn<'_>, name: &RolloutName, gate: &GateName) -> Option<Alarm> {
    let one = turn.facts.judged.get(name)?.trial(gate)?;
    let known = super::known(turn, name).filter(|known| known.rollout.turned.is_none())?;
    let decided = known.rollout.gates.get(gate);
    if decided.is_some_and(GateState::is_settled) {
        return None;
    }
    known.alarm(one)
}

fn act(turn: &mut Turn<'_>, name: &RolloutName, gate: &GateName, alarm: Alarm) {
    let state = &turn.state.rollouts[name];
    let Some(declared) = turn.state.gate_of(name, gate) else {
        return;
    };
    let on_worse = state.spec.on_worse(&declared);
    let taken_out = state.taken_out().count();
    match alarm.telling {
        Telling::Undecided => {}
        Telling::OneBox(suspect) if taken_out < BOXES_MAX => {
            let instance = suspect.instance;
            match declared.on_one_bad_box {
                OnOneBadBox::Replace => take_out(turn, name, gate, instance, alarm.says),
                OnOneBadBox::Pause => {
                    let verdict = Verdict::OneBox { instance };
                    hold(turn, name, gate, verdict, alarm.says);
                }
                OnOneBadBox::Rollback => {
                    go_back(
                        turn,
                        name,
                        gate,
                        Verdict::OneBox { instance },
                        alarm.says,
                        on_worse,
                    );
                }
            }
        }
        Telling::OnlyOne if declared.on_one_bad_box == OnOneBadBox::Pause => {
            hold(turn, name, gate, Verdict::Worse, alarm.says);
        }
        Telling::OnlyOne | Telling::OneBox(_) | Telling::Version => match on_worse {
            OnWorse::Report => record(
                turn,
                name,
                gate,
                Verdict::Worse,
                alarm.says,
                Follows::GoesOn,
            ),
            OnWorse::Pause => hold(turn, name, gate, Verdict::Worse, alarm.says),
            OnWorse::Rollback | OnWorse::RollbackWave => {
                go_back(turn, name, gate, Verdict::Worse, alarm.says, on_worse);
            }
        },
    }
}

pub(super) fn go_back(
    turn: &mut Turn<'_>,
    name: &RolloutName,
    gate: &GateName,
    verdict: Verdict,
    says: String,
    how: OnWorse,
) {
    let in_wave = turn.state.rollouts[name]
        .lanes
        .iter()
        .any(|lane| lane.place.is_some());
    let how = if how == OnWorse::RollbackWave && in_wave {
        Turned::ThisWave
    } else {
        Turned::Back
    };
    let reason = Some(says.clone());
    record(turn, name, gate, verdict, says, Follows::GoesBack);
    Course::turn_round(turn, name, by(gate), reason, how);
}

pub(super) fn hold(
    turn: &mut Turn<'_>,
    name: &RolloutName,
    gate: &GateName,
    verdict: Verdict,
    says: String,
) {
    let reason = Some(says.clone());
    record(turn, name, gate, verdict, says, Follows::Holds);
    if turn.state.rollouts[name].paused.is_none() {
        turn.record(Record::RolloutPaused {
            rollout: name.clone(),
            by: by(gate),
            reason,
        });
    }
}

/// Takes an instance out for good. The rollout stops it and starts another one, as it does with those that it replaces.
fn take_out(
    turn: &mut Turn<'_>,
    name: &RolloutName,
    gate: &GateName,
    instance: InstanceId,
    says: String,
) {
    let service = turn.state.rollouts[name].spec.service.clone();
    let verdict = Verdict::OneBox {
        instance: instance.clone(),
    };
    record(turn, name, gate, verdict, says, Follows::TakenOut);
    if let Some(judged) = turn.facts.judged.get_mut(name) {
        judged
            .trials
            .values_mut()
            .for_each(|one| one.trial.put_aside(&instance));
    }
    if let Some(stage) = stage_of(turn, &service, &instance).filter(|stage| stage.kind().stays()) {
        let why = format!("gate {gate}: it is worse than the others of its version");
        begin_leaving(
            turn,
            &service,
            &instance,
            &stage,
            Cause::Gate(name.clone()),
            &why,
        );
    }
    weigh::write(turn, name, &service);
}

/// Writes down what was decided, with its numbers.
pub(super) fn record(
    turn: &mut Turn<'_>,
    name: &RolloutName,
    gate: &GateName,
    verdict: Verdict,
    says: String,
    follows: Follows,
) {
    let Some(evidence) = evidence_of(turn, name, gate) else {
        return;
    };
    let rollout = &turn.state.rollouts[name];
    let decision = Decision {
        at: turn.now,
        verdict,
        says,
        part: (rollout.steps_done, rollout.waves_done),
        follows,
        evidence,
    };
    turn.record(Record::Ruled {
        rollout: name.clone(),
        ruling: Ruling::Decided {
            gate: gate.clone(),
            decision: Box::new(decision),
        },
    });
}

/// What a gate goes by: also one that has heard of nothing, for that is what it decides by then.
fn evidence_of(turn: &Turn<'_>, name: &RolloutName, gate: &GateName) -> Option<Evidence> {
    let judged = turn.facts.judged.get(name);
    let one = judged.and_then(|judged| judged.trial(gate));
    let one = if let Some(one) = one {
        Cow::Borrowed(one)
    } else {
        let declared = turn.state.gate_of(name, gate)?;
        Cow::Owned(GateTrial::begin(declared, &Baseline::default(), turn.now))
    };
    evidence(&super::known(turn, name)?, &one)
}

/// Who acts when a gate does.
pub(super) fn by(gate: &GateName) -> Actor {
    Actor(format!("gate {gate}"))
}

/// What a rollout waits for while a gate does not know yet whether it is the version or one instance.
pub(in crate::engine) fn weighs(turn: &Turn<'_>, name: &RolloutName) -> Option<Wait> {
    judging(turn, name).into_iter().find_map(|gate| {
        let alarm = alarm(turn, name, &gate)?;
        let says = alarm.says;
        (alarm.telling == Telling::Undecided).then_some(Wait::Weighing { gate, says })
    })
}

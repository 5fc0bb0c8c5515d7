//! The steps of a shift: what each asks for, when it is in force, and when it is over.

use super::{give, start_missing};
use crate::domain::{
    Approval, PlaceName, Rollout, RolloutStep, Span, Stay, StepAction, Strategy, Weight, When,
};
use crate::engine::capacity::{carries, missing};
use crate::engine::course::Course;
use crate::engine::judging::{self, Proven};
use crate::engine::rules::{self, Move};
use crate::engine::turn::Turn;
use crate::engine::{
    Actor, Portion, Record, ServiceState, StageKind, Stand, Turned, Wait, moments,
};

/// The steps of a rollout that begins now; none for one that replaces instance by instance. One that
/// undoes another whose old instances are still there goes back in one.
pub(in crate::engine) fn plan_steps(
    spec: &Rollout,
    known: &ServiceState,
    is_undone: bool,
) -> Vec<RolloutStep> {
    let whole = RolloutStep {
        action: StepAction::Weight(Weight::ALL),
        stay: Stay::default(),
    };
    match &spec.strategy {
        Strategy::Rolling(_) | Strategy::Waves(_) => Vec::new(),
        Strategy::Steps(_) | Strategy::BlueGreen(_) if is_undone => vec![whole],
        Strategy::Steps(steps) => {
            let mut steps = steps.steps.clone();
            if steps.last().is_none_or(|last| last.action != whole.action) {
                steps.push(whole);
            }
            steps
        }
        Strategy::BlueGreen(way) => {
            let approve = way.approve.clone().map(|approval| RolloutStep {
                action: StepAction::Pause(approval),
                stay: Stay::default(),
            });
            let shares = if way.by_zone {
                shares_by_zone(known)
            } else {
                vec![Weight::ALL]
            };
            let switch = |share| {
                approve.clone().into_iter().chain([RolloutStep {
                    action: StepAction::Weight(share),
                    ..whole.clone()
                }])
            };
            shares.into_iter().flat_map(switch).collect()
        }
    }
}

/// What one zone, two zones … have of the instances that serve.
fn shares_by_zone(known: &ServiceState) -> Vec<Weight> {
    let serves = |stand: &Stand| stand.stage == StageKind::Serving;
    let of_zone = |zone: &PlaceName| {
        let in_zone = |stand: &Stand| serves(stand) && zone.0 == stand.locality.zone;
        u64::from(known.instances.count(in_zone))
    };
    let all = u64::from(known.instances.count(serves)).max(1);
    let localities = known.instances.localities(serves);
    let mut zones: Vec<_> = localities
        .iter()
        .map(|l| PlaceName(l.zone.clone()))
        .collect();
    zones.sort();
    zones.dedup();
    let mut so_far = 0;
    let mut shares: Vec<_> = zones
        .iter()
        .map(|zone| {
            so_far += of_zone(zone);
            Weight::parts(so_far * u64::from(Weight::ALL.get()) / all)
        })
        .collect();
    shares.pop();
    shares.push(Weight::ALL);
    shares
}

/// Does what the present step asks for.
pub(in crate::engine) fn work_on(turn: &mut Turn<'_>, course: &Course, step: &RolloutStep) {
    if let StepAction::Weight(share) = &step.action
        && super::split_of(turn, &course.service).of(&course.new) < *share
        && let Some(hold) = rules::against_more(turn, course, Move::UpTo(*share))
    {
        turn.wait(course.subject(), hold);
        return;
    }
    let of_step = || Portion::Step {
        number: course.state(turn).steps_done + 1,
        what: step.action.to_string(),
    };
    let (before, after) = (of_step(), of_step());
    if course.state(turn).step_since.is_none() && !moments::pass(turn, course, When::Before, before)
    {
        return;
    }
    let in_force = match &step.action {
        StepAction::Weight(share) => {
            // Where it takes over from another rollout, the version may have more than that already.
            let has = super::split_of(turn, &course.service).of(&course.new);
            let share = has.max(*share);
            is_warm(turn, course, share) && give(turn, course, &course.new, share, None)
        }
        StepAction::Mirror(share) => {
            let has = super::split_of(turn, &course.service).of(&course.new);
            is_warm(turn, course, *share) && give(turn, course, &course.new, has, Some(*share))
        }
        StepAction::Pause(_) => fleet_is_ready(turn, course),
    };
    if !in_force {
        return;
    }
    let state = course.state(turn);
    let (rollout, number) = (course.name.clone(), state.steps_done);
    let Some(since) = state.step_since else {
        turn.record(Record::StepReached {
            rollout,
            step: number,
        });
        return;
    };
    let took = Span::between(since, turn.now);
    let over = match &step.action {
        StepAction::Pause(approval) => approved(turn, course, approval, took),
        _ => stayed(turn, course, step, took),
    };
    if let Some(why) = over.filter(|_| !course.is_held)
        && moments::pass(turn, course, When::After, after)
    {
        turn.record(Record::StepDone {
            rollout,
            step: number,
            why,
        });
    }
}

/// Is so much of the new version there as the share needs? Has the rest started.
fn is_warm(turn: &mut Turn<'_>, course: &Course, share: Weight) -> bool {
    let spec = &course.state(turn).spec;
    let (version, service) = (course.new.clone(), course.service.clone());
    let goal = match &spec.strategy {
        Strategy::Steps(steps) => {
            let wanted = u64::from(share.get()) * u64::from(steps.warm_percent) / 100;
            let wanted = Weight::parts(wanted);
            let serves = |s: &Stand| s.version == version && s.stage == StageKind::Serving;
            turn.count(&service, serves) + missing(turn, course, &version, wanted)
        }
        _ => course.desired,
    };
    if course.has_hook {
        start_missing(turn, course, goal);
        crate::engine::hooks::wait_for_open(turn, course, |_, _| true);
    }
    let serves = |s: &Stand| s.version == version && s.stage == StageKind::Serving;
    let serving = turn.count(&service, serves);
    let is_given = super::split_of(turn, &service).of(&version) >= share;
    if serving >= goal || is_given {
        return true;
    }
    course.wait_for_new(turn, goal, u32::MAX, |_| true);
    if serving > 0 {
        turn.wait(
            course.subject(),
            Wait::Capacity {
                share,
                carries: carries(turn, course, &version),
                missing: goal - serving,
                version,
            },
        );
    }
    false
}

/// For a switch that somebody approves: is there something to approve?
fn fleet_is_ready(turn: &mut Turn<'_>, course: &Course) -> bool {
    let is_switch = matches!(course.state(turn).spec.strategy, Strategy::BlueGreen(_));
    !is_switch || is_warm(turn, course, Weight::ALL)
}

/// Why a pause is over, if it is. Turns the rollout round when nobody says a word for too long.
fn approved(
    turn: &mut Turn<'_>,
    course: &Course,
    approval: &Approval,
    took: Span,
) -> Option<String> {
    if course.state(turn).approved {
        return Some("approved".to_owned());
    }
    if let Some(limit) = approval.give_up.filter(|limit| took >= *limit) {
        let why = format!("nobody approved it within {limit}");
        let by = Actor("tidegate".to_owned());
        Course::turn_round(turn, &course.name, by, Some(why), Turned::Back);
        return None;
    }
    turn.wait(course.subject(), Wait::approval(approval, None));
    None
}

/// Why a step is over, if it is.
fn stayed(turn: &mut Turn<'_>, course: &Course, step: &RolloutStep, took: Span) -> Option<String> {
    let stay = step.stay;
    let asked = stay
        .until_proven
        .filter(|_| !course.state(turn).spec.gates.is_empty());
    let span = match asked {
        None => stay.until_proven.unwrap_or_default().max(stay.at_least),
        Some(_) => stay.at_least,
    };
    let mut missing = None;
    if took >= span {
        let Some(limit) = asked else {
            return Some(if span.is_zero() {
                "in force".to_owned()
            } else {
                format!("in force for {span}")
            });
        };
        match judging::step_is_proven(turn, &course.name, took, limit) {
            Proven::Yes(why) | Proven::Unproven(why) => return Some(why),
            Proven::NotYet(says) => missing = Some(says),
            Proven::Held => return None,
        }
    }
    let state = course.state(turn);
    let (number, of) = (state.steps_done + 1, state.steps.len());
    let span = asked.unwrap_or_default().max(span);
    turn.wait(
        course.subject(),
        Wait::Step {
            number,
            of,
            span,
            missing,
        },
    );
    None
}

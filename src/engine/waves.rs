//! The fleet part by part: each wave picks places, each place is a lane that is rolled by itself, and the
//! next wave begins when this one is replaced and has been watched.

use std::collections::BTreeSet;

use super::course::Course;
use super::turn::Turn;
use super::{Outcome, Portion, Record, Stand, Turned, Wait, moments, rolling, rules, shift};
use crate::domain::{Pick, PlaceName, RolloutName, Span, Strategy, Wave, When};

/// Takes the rollout as far as it may go in this turn.
pub(super) fn advance(turn: &mut Turn<'_>, name: &RolloutName) {
    let Some(course) = Course::of(turn, name) else {
        return;
    };
    if course.state(turn).aborted() {
        return rolling::advance(turn, name);
    }
    if !shift::unwind(turn, &course) {
        return;
    }
    let state = course.state(turn);
    let Strategy::Waves(waves) = &state.spec.strategy else {
        return;
    };
    let span = state.spec.bake.span;
    let wave = waves.waves.get(state.waves_done as usize).cloned();
    if let Some(wave) = wave {
        work_on(turn, &course, &wave);
    } else if course.bake(turn, span, 0) && course.may_end(turn, Outcome::Done) {
        course.end(turn, Outcome::Done, None);
    }
}

fn work_on(turn: &mut Turn<'_>, course: &Course, wave: &Wave) {
    let back = course.turned == Some(Turned::ThisWave);
    let of_wave = || {
        let wave = wave.name.clone();
        Portion::Wave { wave }
    };
    if !back && course.state(turn).lanes.is_empty() {
        let may_begin = !course.is_held && may_begin(turn, course, wave);
        if !may_begin || !moments::pass(turn, course, When::Before, of_wave()) {
            return;
        }
    }
    let places: Vec<PlaceName> = course
        .state(turn)
        .lanes
        .iter()
        .filter(|lane| !lane.done)
        .filter_map(|lane| lane.place.clone())
        .collect();
    for place in &places {
        if rolling::advance_lane(turn, &course.name, place) {
            turn.record(Record::LaneDone {
                rollout: course.name.clone(),
                place: Some(place.clone()),
            });
        }
    }
    if course.is_past(turn) {
        return;
    }
    if back {
        if places.is_empty() {
            stand_still(turn, course, wave);
        }
        return;
    }
    let begun = begin_lanes(turn, course, wave, places.len());
    let done = places.is_empty() && !begun && course.bake(turn, wave.bake, 0);
    if done && moments::pass(turn, course, When::After, of_wave()) {
        turn.record(Record::WaveDone {
            rollout: course.name.clone(),
            wave: wave.name.clone(),
        });
    }
}

/// Has somebody let the wave begin, where somebody must?
fn may_begin(turn: &mut Turn<'_>, course: &Course, wave: &Wave) -> bool {
    let state = course.state(turn);
    let Some(approval) = &wave.approve else {
        return true;
    };
    if state.approved {
        return true;
    }
    let took = Span::between(state.progress, turn.now);
    if let Some(limit) = approval.give_up.filter(|limit| took >= *limit) {
        let why = format!("nobody let wave {} begin within {limit}", wave.name);
        let by = super::Actor("tidegate".to_owned());
        Course::turn_round(turn, &course.name, by, Some(why), Turned::Back);
        return false;
    }
    turn.wait(course.subject(), Wait::approval(approval, Some(&wave.name)));
    false
}

/// Begins as many more of the wave's places as it allows at one time. True if it began one, or none may
/// begin while others run.
fn begin_lanes(turn: &mut Turn<'_>, course: &Course, wave: &Wave, running: usize) -> bool {
    let known: BTreeSet<PlaceName> = course
        .state(turn)
        .lanes
        .iter()
        .filter_map(|lane| lane.place.clone())
        .collect();
    let room = if course.is_held {
        0
    } else {
        (wave.parallel as usize).saturating_sub(running)
    };
    let ahead: Vec<_> = places_of(turn, course, wave)
        .into_iter()
        .filter(|place| !known.contains(place))
        .collect();
    let mut begun = 0;
    for place in &ahead {
        if begun == room {
            break;
        }
        let holds = rules::against_place(turn, course.state(turn), Some(place));
        if !holds.is_empty() {
            turn.wait_all(&course.subject(), holds);
            continue;
        }
        begun += 1;
        let serves = |s: &Stand| s.stage.stays() && place.holds(&s.locality);
        let desired = course.count(turn, serves);
        let quota = match &wave.pick {
            // What earlier waves have replaced here is not counted again.
            Pick::Some(amount, _) => {
                let is_new = |s: &Stand| serves(s) && s.version == course.new;
                Some(course.count(turn, is_new) + amount.up_to(desired))
            }
            Pick::Places(_) | Pick::Rest => None,
        };
        turn.record(Record::LaneBegan {
            rollout: course.name.clone(),
            place: place.clone(),
            desired,
            quota,
        });
    }
    !ahead.is_empty()
}

/// The places of a wave that have old instances, in order.
fn places_of(turn: &Turn<'_>, course: &Course, wave: &Wave) -> Vec<PlaceName> {
    let is_old = |s: &Stand| s.version != course.new && s.stage.stays();
    let known = turn.state.services.get(&course.service);
    let localities = known.map_or_else(BTreeSet::new, |s| s.instances.localities(is_old));
    let has_old = |place: &PlaceName| localities.iter().any(|locality| place.holds(locality));
    match &wave.pick {
        Pick::Places(places) => places.iter().filter(|p| has_old(p)).cloned().collect(),
        Pick::Some(_, place) => Some(place.clone()).into_iter().filter(has_old).collect(),
        Pick::Rest => {
            let names = localities
                .iter()
                .map(|locality| PlaceName(locality.region.clone()));
            let names: BTreeSet<_> = names.collect();
            names.into_iter().collect()
        }
    }
}

/// The wave stands where it began; somebody decides how it goes on.
fn stand_still(turn: &mut Turn<'_>, course: &Course, wave: &Wave) {
    let rollout = course.name.clone();
    turn.record(Record::WaveRolledBack {
        rollout: rollout.clone(),
        wave: wave.name.clone(),
    });
    turn.record(Record::RolloutPaused {
        rollout,
        by: super::Actor("tidegate".to_owned()),
        reason: Some(format!("wave {} was rolled back", wave.name)),
    });
}

//! Counts → trials.
//!
//! Once a second, what was added to the counters is taken: for the stable version's baseline, and for the trials of
//! the rollout that runs. Answers go by the region of the proxies that were asked, since weights differ between
//! regions; attempts by the region of the instances.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::GateTrial;
use crate::domain::{
    Check, Codes, Gate, InstanceId, RolloutName, Service, ServiceName, Span, Time, VersionName,
};
use crate::engine::facts::{Facts, tally};
use crate::engine::state::{RolloutState, State};
use crate::engine::turn::Turn;
use crate::engine::{Record, Ruling, StageKind, Stand};
use crate::gates::{Answers, Baseline, Counts, Histogram, Period};

/// Counts are weighed so often.
const WEIGH_EVERY: Span = Span::secs(1);

/// Trials that go on are written down so often. What was counted since is not lost in a crash: it is counted
/// again from where counting stood then.
const WRITE_EVERY: Span = Span::secs(30);

/// While more than a quarter of the new instances are warming up, what the new version answers says more of
/// warming up than of the version.
const WARMING_MAX: u32 = 4;

/// Takes in what was counted in the last second, of every service.
pub(in crate::engine) fn weigh(turn: &mut Turn<'_>) {
    let is_due = |at: Time| Span::between(at, turn.now) >= WEIGH_EVERY;
    if !turn.facts.weighed.is_none_or(is_due) {
        return;
    }
    turn.facts.weighed = Some(turn.now);
    let documents = &turn.state.documents;
    let services: Vec<Service> = documents.services.values().cloned().collect();
    let mut kinds: Vec<Codes> = vec![Codes::default()];
    for codes in documents.gates.values().flat_map(codes_of) {
        if !kinds.contains(codes) {
            kinds.push(codes.clone());
        }
    }
    for service in &services {
        weigh_service(turn, service, &kinds);
    }
    let running = |name: &RolloutName| {
        turn.state
            .rollouts
            .get(name)
            .is_some_and(RolloutState::runs)
    };
    turn.facts.judged.retain(|name, _| running(name));
    let known = &turn.state.documents.services;
    turn.facts
        .baselines
        .retain(|name, _| known.contains_key(name));
}

fn codes_of(gate: &Gate) -> impl Iterator<Item = &Codes> {
    gate.checks.iter().filter_map(|check| match check {
        Check::Errors { codes, .. } | Check::Slo { codes, .. } => Some(codes),
        _ => None,
    })
}

fn weigh_service(turn: &mut Turn<'_>, service: &Service, kinds: &[Codes]) {
    let name = &service.name;
    let taken = turn.facts.tally.take(name);
    let rollout = turn
        .state
        .running(name)
        .filter(|rollout| rollout.turned.is_none());
    let started = rollout.and_then(|rollout| rollout.started.as_ref());
    let known = turn.state.services.get(name);
    let stable = match started {
        Some(started) => Some(started.from.clone()),
        None => known.and_then(|known| known.stable.clone()),
    };
    let Some(stable) = stable else { return };
    let mut before = std::mem::take(turn.facts.baselines.entry(name.clone()).or_default());
    if let Some((rollout, _)) = rollout.zip(started) {
        let new = rollout.spec.to.clone();
        let rollout = rollout.spec.name.clone();
        try_new(turn, service, &rollout, &taken, (&new, &stable), &before);
    }
    let mut all = Answers::default();
    for answers in taken
        .answers
        .get(&stable)
        .into_iter()
        .flat_map(BTreeMap::values)
    {
        all.add(&counted(answers));
    }
    if all.total > 0 {
        before.hear(&all, kinds);
    }
    turn.facts.baselines.insert(name.clone(), before);
}

/// Feeds the trials of a rollout, and begins those that are missing.
fn try_new(
    turn: &mut Turn<'_>,
    service: &Service,
    rollout: &RolloutName,
    taken: &tally::Taken,
    (new, stable): (&VersionName, &VersionName),
    baseline: &Baseline,
) {
    let state = &turn.state.rollouts[rollout];
    let gates: Vec<Gate> = turn.state.gates_of(state).map(Cow::into_owned).collect();
    if gates.is_empty() {
        return;
    }
    let step = state.step_since.map(|since| (state.steps_done, since));
    let second = u64::try_from(turn.now.as_second()).unwrap_or_default();
    let (periods, left_out) = periods(turn.state, turn.now, service, taken, (new, stable));
    let Facts { judged, .. } = turn.facts;
    let judged = judged.entry(rollout.clone()).or_default();
    for gate in gates {
        let known = judged
            .trials
            .remove(&gate.name)
            .filter(|known| known.gate == gate);
        let name = gate.name.clone();
        let mut one = known.unwrap_or_else(|| GateTrial::begin(gate, baseline, turn.now));
        if step.is_some() && one.step != step {
            one.trial.prove_anew();
        }
        one.step = step;
        one.trial
            .judge_again(|instance| serves(turn.state, service, new, instance));
        one.trial.hear(second, &periods, baseline);
        let codes = codes_of(&one.gate).next().cloned().unwrap_or_default();
        one.left_out += left_out.failures(&codes);
        one.over_time.note(turn.now, one.trial.ln_e());
        judged.trials.insert(name, one);
    }
    let is_due = |at: Time| Span::between(at, turn.now) >= WRITE_EVERY;
    let has_counts = judged
        .trials
        .values()
        .any(|one| one.trial.compared() != (0, 0));
    if has_counts && judged.written.is_none_or(is_due) {
        write(turn, rollout, &service.name);
    }
}

/// Does an instance of the version serve?
fn serves(state: &State, service: &Service, version: &VersionName, id: &InstanceId) -> bool {
    let known = state.services.get(&service.name);
    let known = known.and_then(|known| known.instances.get(id));
    known.is_some_and(|it| it.stage.kind() == StageKind::Serving && it.instance.version == *version)
}

/// Writes the trials down, with where counting stands.
pub(super) fn write(turn: &mut Turn<'_>, rollout: &RolloutName, service: &ServiceName) {
    let now = turn.now;
    let Some(judged) = turn.facts.judged.get_mut(rollout) else {
        return;
    };
    judged.written = Some(now);
    let trials = judged.trials.values().cloned().collect();
    let heard = turn.facts.tally.heard(service);
    let rollout = rollout.clone();
    turn.record(Record::Ruled {
        rollout,
        ruling: Ruling::Weighed { trials, heard },
    });
}

/// What came of the last second from each region; and what the new version answered that does not count, for too
/// many of its instances are warming up.
fn periods(
    state: &State,
    now: Time,
    service: &Service,
    taken: &tally::Taken,
    (new, stable): (&VersionName, &VersionName),
) -> (Vec<Period>, Answers) {
    let known = state.services.get(&service.name);
    let warms = |since: Time| Span::between(since, now) < service.warm_up;
    let serving: BTreeMap<&InstanceId, bool> = known.map_or_else(BTreeMap::new, |known| {
        let serving = known
            .instances
            .select(|s: &Stand| s.version == *new && s.stage == StageKind::Serving);
        serving
            .into_iter()
            .map(|(id, it)| (id, warms(it.since)))
            .collect()
    });
    let warming = serving.values().filter(|warms| **warms).count();
    let is_warm = warming * WARMING_MAX as usize <= serving.len();
    let mut regions: BTreeMap<&str, Period> = BTreeMap::new();
    let by_region = |version| taken.answers.get(version).into_iter().flatten();
    let mut left_out = Answers::default();
    if is_warm {
        for (region, answers) in by_region(new) {
            regions.entry(region).or_default().new = counted(answers);
        }
        for (region, answers) in by_region(stable) {
            regions.entry(region).or_default().stable = counted(answers);
        }
    } else {
        by_region(new).for_each(|(_, answers)| left_out.add(&counted(answers)));
    }
    let tried = |version| taken.tried.get(version).into_iter().flatten();
    let counts = |it: &tally::Tried| Counts::new(it.ok.saturating_add(it.failed), it.failed);
    let region_of = |id: &InstanceId| {
        let instance = known.and_then(|known| known.instances.get(id));
        instance.map_or("", |it| it.instance.locality.region.as_str())
    };
    for (id, attempts) in tried(stable) {
        regions.entry(region_of(id)).or_default().stable_attempts += counts(attempts);
    }
    for (id, attempts) in tried(new) {
        if serving.get(id) == Some(&false) {
            let period = regions.entry(region_of(id)).or_default();
            period.instances.push((id.clone(), counts(attempts)));
        }
    }
    (regions.into_values().collect(), left_out)
}

/// Answers in the words of the statistics. Where proxies have several sets of edges, the one with the most counts is
/// taken; the others cannot be added.
fn counted(answers: &tally::Answers) -> Answers {
    let sets = answers
        .times
        .iter()
        .filter_map(|times| Histogram::new(times.bounds_ms.to_vec(), times.counts.clone()));
    Answers {
        total: answers.total,
        http: answers.codes.clone(),
        grpc: answers.grpc.clone(),
        cut: answers.cut,
        times: sets.max_by_key(Histogram::total).unwrap_or_default(),
    }
}

//! What is noted while a rollout is played: its parts in their order, what held it, and where its capacity
//! was lowest. All of it is read off the engine's own records, waits and plans.

use std::collections::BTreeMap;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;

use super::calls::Calls;
use super::zones::ZonesForecast;
use crate::domain::{
    InstanceId, PlaceName, Plan, PolicyName, Rollout, RolloutName, RolloutStep, Span, Strategy,
    Time, VersionName, Weight,
};
use crate::engine::{Blocker, Entry, Outcome, Record, Rule, StageKind, Stand, State, Wait};
use crate::sim::{Proxies, Watch};

/// Notes by rollout: of those that are asked for while somebody looks.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) rollouts: BTreeMap<RolloutName, Note>,
    /// When the newest record was written.
    at: Time,
    /// Instances have moved since the last look at the state.
    moved: bool,
}

/// Of one rollout.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) spec: Rollout,
    pub(super) began: Option<Time>,
    pub(super) from: Option<VersionName>,
    pub(super) desired: u32,
    /// Instances of the old version by zone, when it began.
    pub(super) zones: BTreeMap<String, u32>,
    /// What all of them carry, in requests a second; `None` if nobody says.
    pub(super) carries: Option<u64>,
    pub(super) parts: Vec<Part>,
    pub(super) lowest: Option<Lowest>,
    /// The least that served in each zone, where so many must.
    pub(super) by_zone: Option<ZonesForecast>,
    pub(super) holds: Vec<Hold>,
    pub(super) words: Vec<Word>,
    pub(super) calls: Calls,
    /// The rollout that it took over.
    pub(super) takes_over: Option<RolloutName>,
    pub(super) ended: Option<(Time, Outcome)>,
    steps: Vec<RolloutStep>,
    /// The parts that ended since the last plan, by where they are.
    ended_last: Vec<usize>,
    /// The share of the traffic that the new version has.
    share: Weight,
}

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PartKind {
    /// Instances that are replaced together.
    Batch,
    /// A share of the traffic, copies of it, or a pause.
    Step,
    /// A part of the fleet.
    Wave,
    /// The watch at the end, or at the end of a wave.
    Bake,
}

/// One part.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) kind: PartKind,
    /// Which of its kind, from 1.
    pub(super) number: u32,
    pub(super) what: String,
    pub(super) place: Option<PlaceName>,
    pub(super) members: Vec<InstanceId>,
    pub(super) began: Time,
    pub(super) ended: Option<Time>,
    /// The new version's share of the traffic when it was in force, or was over.
    pub(super) share: Weight,
}

/// The least that took traffic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lowest {
    pub(super) ready: u32,
    pub(super) at: Time,
    /// What they carry: requests a second, or instances where nobody says.
    pub(super) carries: u64,
}

/// A house rule that held it.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) policy: Option<PolicyName>,
    /// Which of its rules.
    rule: Option<Discriminant<Rule>>,
    pub(super) text: String,
    pub(super) hint: Option<&'static str>,
    pub(super) since: Time,
    pub(super) until: Option<Time>,
    /// It did when somebody last looked.
    holds: bool,
}

/// What holds for less is the usual course of things.
const WORTH_TELLING: Span = Span::secs(1);

impl Hold {
    /// Did it hold for long enough to be told?
    pub(super) fn lasts(&self) -> bool {
        let lasted = self.until.map(|until| Span::between(self.since, until));
        lasted.is_none_or(|lasted| lasted >= WORTH_TELLING)
    }
}

/// Somebody's word that it waited for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) give_up: Option<Span>,
    pub(super) since: Time,
}

impl Watch for Notes {
    fn recorded(&mut self, entry: &Entry, _proxies: &Proxies) {
        let (at, record) = (entry.at, &entry.record);
        self.at = at;
        self.moved |= matches!(
            record,
            Record::InstanceMoved { .. }
                | Record::InstanceLost { .. }
                | Record::RolloutStarted { .. }
        );
        match record {
            Record::RolloutPlanned { spec, .. } => {
                let note = Note::new((**spec).clone());
                self.rollouts.insert(spec.name.clone(), note);
            }
            Record::RolloutAmended { spec, .. } => {
                let note = self.rollouts.entry(spec.name.clone());
                let note = note.or_insert_with(|| Note::new((**spec).clone()));
                note.spec = (**spec).clone();
            }
            Record::RolloutSuperseded { rollout, by } => {
                if let Some(note) = self.rollouts.get_mut(by) {
                    note.takes_over = Some(rollout.clone());
                }
                if let Some(note) = self.rollouts.get_mut(rollout) {
                    note.end(at, Outcome::Superseded);
                }
            }
            record => {
                let name = record.rollout();
                if let Some(note) = name.and_then(|name| self.rollouts.get_mut(name)) {
                    note.hear(record, at);
                }
            }
        }
    }

    fn published(&mut self, plan: &Arc<Plan>, _state: &State, _proxies: &Proxies, now: Time) {
        for note in self.rollouts.values_mut() {
            let planned = plan.service(&note.spec.service);
            let mut versions = planned.into_iter().flat_map(|planned| &planned.versions);
            let ours = versions.find(|version| version.name == note.spec.to);
            note.share = ours.map_or(Weight::NONE, |version| version.weight);
            // What ends in a turn ends with the plan of that turn.
            for at in std::mem::take(&mut note.ended_last) {
                let part = &mut note.parts[at];
                if part.ended == Some(now) {
                    part.share = note.share;
                }
            }
        }
    }

    fn turned(&mut self, state: &State) {
        if std::mem::take(&mut self.moved) {
            let at = self.at;
            let running = self.rollouts.values_mut().filter(|note| note.runs());
            running.for_each(|note| note.measure(state, at));
        }
    }

    fn waits(&mut self, rollout: &RolloutName, blockers: &[Blocker], now: Time) {
        if let Some(note) = self.rollouts.get_mut(rollout) {
            note.look_at(blockers, now);
        }
    }
}

impl Note {
    fn new(spec: Rollout) -> Self {
        Self {
            spec,
            began: None,
            from: None,
            desired: 0,
            zones: BTreeMap::new(),
            carries: None,
            parts: Vec::new(),
            lowest: None,
            by_zone: None,
            holds: Vec::new(),
            words: Vec::new(),
            calls: Calls::default(),
            takes_over: None,
            ended: None,
            steps: Vec::new(),
            ended_last: Vec::new(),
            share: Weight::NONE,
        }
    }

    fn runs(&self) -> bool {
        self.began.is_some() && self.ended.is_none()
    }

    fn hear(&mut self, record: &Record, at: Time) {
        self.calls.hear(record, at);
        match record {
            Record::RolloutStarted {
                from,
                desired,
                steps,
                ..
            } => {
                (self.began, self.from) = (Some(at), Some(from.clone()));
                (self.desired, self.steps) = (*desired, steps.clone());
                self.begin_step(0, at);
            }
            Record::StepReached { .. } => self.reach(),
            Record::StepDone { step, .. } => {
                self.finish(PartKind::Step, None, at);
                self.begin_step(*step as usize + 1, at);
            }
            Record::BatchBegan { lane, members, .. } => {
                let part = self.begin(PartKind::Batch, String::new(), at);
                (part.place, part.members) = (lane.clone(), members.clone());
            }
            Record::BatchDone { lane, .. } => self.finish(PartKind::Batch, lane.as_ref(), at),
            Record::LaneBegan { place, .. } => self.begin_lane(place, at),
            Record::WaveDone { .. } => self.finish(PartKind::Wave, None, at),
            Record::BakeBegan { .. } => {
                self.begin(PartKind::Bake, String::new(), at);
            }
            Record::BakeDone { .. } => self.finish(PartKind::Bake, None, at),
            Record::RolloutEnded { outcome, .. } => self.end(at, *outcome),
            _ => {}
        }
    }

    fn begin(&mut self, kind: PartKind, what: String, at: Time) -> &mut Part {
        let before = self.parts.iter().filter(|part| part.kind == kind).count();
        self.parts.push(Part {
            kind,
            number: u32::try_from(before + 1).unwrap_or(u32::MAX),
            what,
            place: None,
            members: Vec::new(),
            began: at,
            ended: None,
            share: Weight::NONE,
        });
        let last = self.parts.len() - 1;
        &mut self.parts[last]
    }

    fn begin_step(&mut self, step: usize, at: Time) {
        if let Some(step) = self.steps.get(step) {
            let what = step.action.to_string();
            self.begin(PartKind::Step, what, at);
        }
    }

    /// What a step asks for is in force. The next one may change that in the turn in which it ends.
    fn reach(&mut self) {
        let share = self.share;
        let open = |part: &&mut Part| part.kind == PartKind::Step && part.ended.is_none();
        if let Some(step) = self.parts.iter_mut().find(open) {
            step.share = share;
        }
    }

    /// A wave begins with the first of its places.
    fn begin_lane(&mut self, place: &PlaceName, at: Time) {
        let open = |part: &&mut Part| part.kind == PartKind::Wave && part.ended.is_none();
        if let Some(wave) = self.parts.iter_mut().find(open) {
            wave.what.push_str(", ");
            wave.what.push_str(&place.to_string());
            return;
        }
        let done = self.parts.iter().filter(|p| p.kind == PartKind::Wave);
        let name = match &self.spec.strategy {
            Strategy::Waves(waves) => waves.waves.get(done.count()).map(|wave| &wave.name),
            _ => None,
        };
        let what = name.map_or_else(|| place.to_string(), |name| format!("{name}: {place}"));
        self.begin(PartKind::Wave, what, at);
    }

    fn finish(&mut self, kind: PartKind, place: Option<&PlaceName>, at: Time) {
        let is_open =
            |part: &Part| part.kind == kind && part.ended.is_none() && part.place.as_ref() == place;
        if let Some(found) = self.parts.iter().position(is_open) {
            self.close(found, at);
        }
    }

    fn end(&mut self, at: Time, outcome: Outcome) {
        self.ended = Some((at, outcome));
        for number in 0..self.parts.len() {
            if self.parts[number].ended.is_none() {
                self.close(number, at);
            }
        }
    }

    fn close(&mut self, number: usize, at: Time) {
        let part = &mut self.parts[number];
        part.ended = Some(at);
        if part.kind != PartKind::Step {
            part.share = self.share;
            self.ended_last.push(number);
        }
    }

    /// Looks at what takes traffic now.
    fn measure(&mut self, state: &State, at: Time) {
        let service = &self.spec.service;
        let Some(known) = state.services.get(service) else {
            return;
        };
        let each = state.service(service).and_then(|service| service.capacity);
        let takes = |stand: &Stand| matches!(stand.stage, StageKind::Serving | StageKind::Leaving);
        if self.zones.is_empty() {
            let is_old = |s: &Stand| Some(&s.version) == self.from.as_ref() && s.stage.stays();
            for (stand, ids) in known.instances.stands(is_old) {
                let zone = self.zones.entry(stand.locality.zone.clone());
                *zone.or_default() += u32::try_from(ids.len()).unwrap_or(u32::MAX);
            }
            let mut all = known.instances.values();
            let says = each.is_some() || all.any(|known| known.instance.capacity.is_some());
            self.carries = says.then(|| known.instances.capacity(each, is_old));
        }
        let floor = state
            .service(service)
            .map_or(0, |service| service.min_per_zone);
        if floor > 0 {
            let before = self
                .by_zone
                .get_or_insert_with(|| ZonesForecast::new(floor));
            before.measure(known, self.zones.keys());
        }
        let ready = known.taking_traffic();
        if self.lowest.is_none_or(|lowest| ready < lowest.ready) {
            let carries = known.instances.capacity(each, takes);
            self.lowest = Some(Lowest { ready, at, carries });
        }
    }

    fn look_at(&mut self, blockers: &[Blocker], now: Time) {
        let held = self.holds.iter_mut();
        let held: Vec<bool> = held.map(|hold| std::mem::take(&mut hold.holds)).collect();
        for blocker in blockers {
            match &blocker.on {
                // Whoever is asked has just not answered yet.
                Wait::Rule {
                    rule: Rule::Unanswered { .. },
                    ..
                } => {}
                on if on.is_house_rule() => self.hold(blocker),
                Wait::Approval { give_up, .. } => {
                    let word = Word {
                        text: blocker.on.to_string(),
                        give_up: *give_up,
                        since: blocker.since,
                    };
                    if !self.words.contains(&word) {
                        self.words.push(word);
                    }
                }
                _ => {}
            }
        }
        for (hold, held) in self.holds.iter_mut().zip(held) {
            if held && !hold.holds {
                hold.until = Some(hold.until.map_or(now, |until| until.min(now)));
            }
        }
    }

    fn hold(&mut self, blocker: &Blocker) {
        let (policy, rule) = match &blocker.on {
            Wait::Rule { policy, rule } => (Some(policy.clone()), Some(discriminant(rule))),
            _ => (None, None),
        };
        let known = |hold: &&mut Hold| {
            hold.since == blocker.since && (&hold.policy, hold.rule) == (&policy, rule)
        };
        if let Some(hold) = self.holds.iter_mut().find(known) {
            hold.holds = true;
            return;
        }
        self.holds.push(Hold {
            policy,
            rule,
            text: blocker.on.to_string(),
            hint: blocker.on.hint(),
            since: blocker.since,
            until: blocker.until,
            holds: true,
        });
    }
}

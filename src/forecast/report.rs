//! A forecast, as people and programs get it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::calls::HookForecast;
use super::notes::{Hold, Note, Notes, Part};
use super::proxies::ProxyForecast;
use super::sessions::{self, SessionsForecast};
use super::zones::ZonesForecast;
use super::{Ask, Fleet, PartKind, measured};
use crate::domain::{
    FALSE_ALARM, Freeze, GateName, InstanceId, PolicyName, Rollout, RolloutName, ServiceName,
    Share, Span, Strategy, Time, VersionName, Weight, counted,
};
use crate::engine::{FrozenView, HEADROOM_PERCENT, Outcome};
use crate::gates::{Question, sees_within};
use crate::sim::{RolloutReport, Times};

/// What documents would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// When they would be applied.
    pub at: Time,
    /// Each rollout that they would begin or change, in the order in which they begin.
    pub rollouts: Vec<RolloutForecast>,
    /// Rollouts that run already and go on beside them.
    pub running: Vec<RolloutName>,
    /// What is taken for granted.
    pub assumes: Vec<String>,
}

/// What one rollout would do. Moments are in seconds from when it is asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RolloutForecast {
    /// Its name.
    pub name: RolloutName,
    /// What is rolled.
    pub service: ServiceName,
    /// From which version; `None` if it would never begin.
    pub from: Option<VersionName>,
    /// To which.
    pub to: VersionName,
    /// How: `rolling`, `steps`, `blueGreen` or `waves`.
    pub strategy: &'static str,
    /// So many instances are replaced.
    pub instances: u32,
    /// The same by zone.
    pub zones: BTreeMap<String, u32>,
    /// The rollout that it would take over.
    pub takes_over: Option<RolloutName>,
    /// When it would begin.
    pub begins_s: Option<f64>,
    /// When it would end.
    pub ends_s: Option<f64>,
    /// How it would end; `None` if it would wait for ever.
    pub outcome: Option<Outcome>,
    /// What it would wait for then: the sentence, and the next command.
    pub waits: Vec<String>,
    /// Its parts, in order.
    pub parts: Vec<PartForecast>,
    /// Where its capacity would be lowest.
    pub capacity: Option<CapacityForecast>,
    /// So long something would be held up by them.
    pub held_s: f64,
    /// What house rules would hold up.
    pub holds: Vec<HoldForecast>,
    /// Whose word it would wait for; it is taken to be given at once.
    pub words: Vec<WordForecast>,
    /// The hooks that would be called; they are taken to work, and to let it pass.
    pub hooks: Vec<HookForecast>,
    /// Who would have to acknowledge each step.
    pub proxies: ProxyForecast,
    /// What becomes of clients' sessions, where the service keeps any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<SessionsForecast>,
    /// The gates that are to judge it.
    pub gates: Vec<GateName>,
    /// The chance of an alarm about a good version that detection times are reckoned with.
    pub false_alarm: Share,
}

/// A part of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartForecast {
    /// What it is.
    pub kind: PartKind,
    /// Which of its kind, from 1.
    pub number: u32,
    /// The wave and its places, or what the step does.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub what: String,
    /// Where, for a batch of a wave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The old instances that are replaced in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<InstanceId>,
    /// When it begins.
    pub begins_s: f64,
    /// How long it takes; `None` if it would not end.
    pub takes_s: Option<f64>,
    /// The new version's share of the traffic when it is over, in percent; `None` if it would not end.
    pub share: Option<f64>,
    /// With that share a gate would see a worse version within this; `None` where it is unknown how many
    /// requests there are, or there is nothing to compare.
    pub sees_within_s: Option<f64>,
}

/// Where the capacity is lowest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CapacityForecast {
    /// So many instances take traffic at that moment.
    pub lowest: u32,
    /// Of so many.
    pub of: u32,
    /// When that is, for the first time.
    pub at_s: f64,
    /// What they carry, in requests a second, where a capacity is declared.
    pub carries_rps: Option<u64>,
    /// So many instances the traffic needs, with headroom, where both are known.
    pub needs: Option<u32>,
    /// Is the lowest enough?
    pub enough: Option<bool>,
    /// Where so many must serve in each zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zones: Option<ZonesForecast>,
}

/// Something that a house rule would hold up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HoldForecast {
    /// Whose rule; `None` for a freeze of everything.
    pub policy: Option<PolicyName>,
    /// Which, and why.
    pub text: String,
    /// From when.
    pub begins: Time,
    /// Until when, if that is known.
    pub until: Option<Time>,
    /// For somebody who cannot wait.
    pub hint: Option<String>,
}

/// Somebody's word that would be waited for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WordForecast {
    /// Whose, and what for.
    pub text: String,
    /// When it would be asked for.
    pub at_s: f64,
    /// Without it for so long, the rollout goes back.
    pub give_up_s: Option<f64>,
}

/// So much more of the requests fails on the version that is to be found out.
pub const WORSE_BY: f64 = 0.01;

/// Until bursts are measured, errors are taken to be independent.
const DISPERSION: f64 = 1.0;

/// Writes a forecast.
pub(super) struct Writer<'a> {
    pub(super) ask: &'a Ask,
    pub(super) asked: Time,
    /// What was measured before.
    pub(super) times: BTreeMap<ServiceName, Times>,
    pub(super) frozen: Option<FrozenView>,
    /// How each rollout stood in the end.
    pub(super) played: Vec<RolloutReport>,
}

impl Writer<'_> {
    pub(super) fn write(self, notes: Notes) -> Forecast {
        let mut rollouts: Vec<_> = notes
            .rollouts
            .values()
            .map(|note| self.rollout(note))
            .collect();
        rollouts.sort_by(|a, b| {
            let at = |rollout: &RolloutForecast| rollout.begins_s.unwrap_or(f64::MAX);
            at(a).total_cmp(&at(b)).then_with(|| a.name.cmp(&b.name))
        });
        let running = match &self.ask.fleet {
            Fleet::MadeUp { .. } => Vec::new(),
            Fleet::Known { state, .. } => {
                let open = state.rollouts.values().filter(|rollout| !rollout.over());
                let open = open.map(|rollout| rollout.spec.name.clone());
                let is_other = |name: &RolloutName| {
                    let mut planned = notes.rollouts.values();
                    let is_planned = notes.rollouts.contains_key(name);
                    !is_planned && !planned.any(|note| note.takes_over.as_ref() == Some(name))
                };
                open.filter(is_other).collect()
            }
        };
        Forecast {
            at: self.ask.now,
            assumes: self.assumes(&rollouts),
            rollouts,
            running,
        }
    }

    fn rollout(&self, note: &Note) -> RolloutForecast {
        let Rollout {
            name, service, to, ..
        } = &note.spec;
        let played = self.played.iter().find(|played| played.name == *name);
        let false_alarm = self.false_alarm(&note.spec);
        let question = self.ask.rps.map(|rps| Question {
            rps: f64::from(rps),
            errors: f64::from(self.ask.errors.millionths()) / 1e6,
            worse_by: WORSE_BY,
            false_alarm: f64::from(false_alarm.millionths()) / 1e6,
            dispersion: DISPERSION,
        });
        let lasting = note.holds.iter().filter(|hold| hold.lasts());
        let mut holds: Vec<_> = lasting.map(HoldForecast::new).collect();
        if let Some(frozen) = &self.frozen {
            holds.insert(0, HoldForecast::of_everything(frozen));
        }
        RolloutForecast {
            name: name.clone(),
            service: service.clone(),
            from: note.from.clone(),
            to: to.clone(),
            strategy: match &note.spec.strategy {
                Strategy::Rolling(_) => "rolling",
                Strategy::Steps(_) => "steps",
                Strategy::BlueGreen(_) => "blueGreen",
                Strategy::Waves(_) => "waves",
            },
            instances: note.desired,
            zones: note.zones.clone(),
            takes_over: note.takes_over.clone(),
            begins_s: note.began.map(|at| self.seconds_to(at)),
            ends_s: note.ended.map(|(at, _)| self.seconds_to(at)),
            outcome: note.ended.map(|(_, outcome)| outcome),
            waits: played.map_or_else(Vec::new, |played| played.waits.clone()),
            parts: note
                .parts
                .iter()
                .map(|part| self.part(part, question.as_ref()))
                .collect(),
            capacity: self.capacity(note),
            held_s: seconds(held(&note.holds)),
            holds,
            words: note
                .words
                .iter()
                .map(|word| WordForecast {
                    text: word.text.clone(),
                    at_s: self.seconds_to(word.since),
                    give_up_s: word.give_up.map(seconds),
                })
                .collect(),
            hooks: note.calls.forecast(|at| self.seconds_to(at)),
            proxies: self.proxies(service),
            sessions: sessions::forecast(&self.ask.documents, note),
            gates: note.spec.gates.clone(),
            false_alarm,
        }
    }

    /// The strictest of its gates.
    fn false_alarm(&self, rollout: &Rollout) -> Share {
        let gates = rollout.gates.iter();
        let gates = gates.filter_map(|name| self.ask.documents.gate(name));
        gates
            .map(|gate| gate.false_alarm)
            .min()
            .unwrap_or(FALSE_ALARM)
    }

    fn part(&self, part: &Part, question: Option<&Question>) -> PartForecast {
        let share = f64::from(part.share.get()) / f64::from(Weight::ALL.get());
        let sees = question.filter(|_| part.ended.is_some());
        let sees = sees.and_then(|question| sees_within(question, share));
        PartForecast {
            kind: part.kind,
            number: part.number,
            what: part.what.clone(),
            place: part.place.as_ref().map(ToString::to_string),
            instances: part.members.clone(),
            begins_s: self.seconds_to(part.began),
            takes_s: part.ended.map(|at| seconds(Span::between(part.began, at))),
            share: part.ended.map(|_| part.share.percent()),
            sees_within_s: sees.map(seconds),
        }
    }

    fn capacity(&self, note: &Note) -> Option<CapacityForecast> {
        let lowest = note.lowest?;
        let carries = note.carries.filter(|carries| *carries > 0);
        let loaded = |carries: u64| carries * HEADROOM_PERCENT / 100;
        let known = self.ask.rps.map(u64::from).zip(carries);
        let needs = known.map(|(rps, carries)| {
            let needs = (rps * 100 * u64::from(note.desired)).div_ceil(carries * HEADROOM_PERCENT);
            u32::try_from(needs).unwrap_or(u32::MAX)
        });
        Some(CapacityForecast {
            lowest: lowest.ready,
            of: note.desired,
            at_s: self.seconds_to(lowest.at),
            carries_rps: carries.map(|_| lowest.carries),
            needs,
            enough: known.map(|(rps, _)| loaded(lowest.carries) >= rps),
            zones: note.by_zone.clone(),
        })
    }

    fn proxies(&self, service: &ServiceName) -> ProxyForecast {
        let documents = &self.ask.documents;
        match &self.ask.fleet {
            Fleet::MadeUp { proxies, .. } => ProxyForecast::assumed(documents, service, *proxies),
            Fleet::Known { view, .. } => {
                let service = documents.services.get(service);
                service.map_or_else(ProxyForecast::default, |service| {
                    ProxyForecast::known(view, service)
                })
            }
        }
    }

    fn assumes(&self, rollouts: &[RolloutForecast]) -> Vec<String> {
        let mut assumes = Vec::new();
        if let Fleet::MadeUp {
            instances, proxies, ..
        } = &self.ask.fleet
        {
            let (instances, proxies) =
                (counted(*instances, "instance"), counted(*proxies, "proxy"));
            assumes.push(format!(
                "a made-up fleet: {instances} of each service, {proxies} of each gateway, all well"
            ));
        }
        let mut services: Vec<_> = rollouts.iter().map(|rollout| &rollout.service).collect();
        services.sort();
        services.dedup();
        assumes.extend(self.unasked(&services));
        for service in services {
            let times = self.times.get(service);
            let ready = times.and_then(|times| measured::spread(&times.ready));
            let drains = times.and_then(|times| measured::spread(&times.drains));
            assumes.push(match ready {
                Some(ready) => format!("{service}: new instances get ready in {ready}"),
                None => format!("{service}: new instances answer within 5s; none was measured"),
            });
            assumes.push(match drains {
                Some(drains) => format!("{service}: drains take {drains}"),
                None => format!(
                    "{service}: requests last up to 10s, and drains as long; none was measured"
                ),
            });
        }
        assumes.push(
            "new instances appear within 3s of being missed, or are started by the hook at once"
                .to_owned(),
        );
        if self.ask.rps.is_some() {
            let errors = self.ask.errors;
            assumes.push(format!(
                "{errors} of the requests fail anyway, and not in bursts"
            ));
        }
        if self.ask.rps.is_none() && rollouts.iter().any(|it| !it.gates.is_empty()) {
            let proof = "gates prove each part in its least time; `--rps` says how long they need";
            assumes.push(proof.to_owned());
        }
        assumes.push("nothing goes wrong, and whoever is asked says yes at once".to_owned());
        assumes
    }

    /// What house rules ask of addresses, which nobody asks for a plan.
    fn unasked(&self, services: &[&ServiceName]) -> Vec<String> {
        let documents = &self.ask.documents;
        let services = services.iter();
        let policies = services.flat_map(|service| documents.policies_of(service));
        let questions = policies.flat_map(|policy| {
            policy.freezes.iter().filter_map(|freeze| match freeze {
                Freeze::Question(question) => Some((&policy.name, question)),
                Freeze::Calendar(_) => None,
            })
        });
        let lines = questions.map(|(policy, question)| {
            let (name, url) = (&question.name, &question.url);
            format!("policy {policy}: {url} says that {name} holds nothing")
        });
        lines.collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn seconds_to(&self, at: Time) -> f64 {
        seconds(Span::between(self.asked, at))
    }
}

impl HoldForecast {
    fn new(hold: &Hold) -> Self {
        Self {
            policy: hold.policy.clone(),
            text: hold.text.clone(),
            begins: hold.since,
            until: hold.until,
            hint: hold.hint.map(str::to_owned),
        }
    }

    fn of_everything(frozen: &FrozenView) -> Self {
        Self {
            policy: None,
            text: frozen.to_string(),
            begins: frozen.since,
            until: None,
            hint: Some("`tidegate unfreeze`; what follows is for then".to_owned()),
        }
    }
}

/// How long at least one of them holds.
fn held(holds: &[Hold]) -> Span {
    let spans = holds
        .iter()
        .filter_map(|hold| Some((hold.since, hold.until?)));
    let mut spans: Vec<(Time, Time)> = spans.collect();
    spans.sort();
    let (mut sum, mut upto) = (Duration::ZERO, Time::UNIX_EPOCH);
    for (since, until) in spans {
        sum += Span::between(since.max(upto), until).duration();
        upto = upto.max(until);
    }
    sum.into()
}

/// Seconds, to the millisecond.
fn seconds(span: Span) -> f64 {
    (span.duration().as_secs_f64() * 1000.0).round() / 1000.0
}

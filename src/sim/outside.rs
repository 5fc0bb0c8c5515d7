//! Everybody around the control plane: whoever answers hooks, brings instances that are missed, stops those
//! that are released, and says yes when asked.

use std::collections::BTreeMap;

use super::world::{Happening, Sim};
use crate::domain::{Locality, Principal, RolloutName, ServiceName, Span, Time, VersionName};
use crate::engine::{
    Actor, Blocker, Command, Event, HookAction, HookAnswer, HookCall, Inquiry, Reading,
    RolloutVerb, Said, Stage, StageKind, Verb, Wait,
};

/// Hooks and addresses answer within this.
const ANSWERS_WITHIN: Span = Span::secs(1);

/// Somebody sees within this that instances are missed, or may be stopped.
const SEEN_WITHIN: Span = Span::secs(3);

/// Instances that are still missed after this long are brought by hand, whatever hook there is.
const HOOK_DOES_NOT: Span = Span::secs(120);

/// What was not missed for so long is missed anew.
const MISSED_ANEW: Span = Span::secs(60);

/// So many times as many instances of a version as there were at first are started at most.
const BROUGHT_MAX: u32 = 10;

/// Who asks for things in a simulation.
pub(super) const OPERATOR: &str = "sim";

impl Sim<'_> {
    /// A hook is called, perhaps again: what it does is done once.
    pub(super) fn called(&mut self, call: HookCall) {
        if let Some(engine) = &self.engine {
            let (state, proxies) = (engine.state(), &self.proxies);
            self.watch.called(&call, state, proxies, self.now);
        }
        let works = !self.hooks_fail;
        if works && self.hooks_heard.insert(call.key.clone()) {
            let key = (call.service.clone(), call.instance.clone());
            match call.action {
                HookAction::Start => {
                    let place = self.stood.get(&key).cloned().unwrap_or_default();
                    self.soon(
                        Span::ZERO,
                        Happening::Bring(call.service, call.version, place),
                    );
                }
                HookAction::Stop => {
                    if let Some(process) = self.processes.get_mut(&key) {
                        process.stopping = true;
                    }
                    self.soon(Span::ZERO, Happening::Stop(key));
                }
            }
        }
        let after = self.chance.up_to(ANSWERS_WITHIN);
        self.soon(after, Happening::HookAnswers(call.key, works));
    }

    /// An address is asked whether rollouts may go on: they may.
    pub(super) fn asked(&mut self, url: String) {
        let after = self.chance.up_to(ANSWERS_WITHIN);
        let answer = Ok(false);
        self.soon(
            after,
            Happening::Heard(Box::new(Event::Answered { url, answer })),
        );
    }

    /// Somebody is asked for the check of a gate: there is nothing against the new version.
    pub(super) fn inquired(&mut self, inquiry: Inquiry) {
        let after = self.chance.up_to(ANSWERS_WITHIN);
        let Inquiry { of, number, .. } = inquiry;
        let said = Said::Verdict(Reading::Good);
        self.soon(
            after,
            Happening::Heard(Box::new(Event::Measured { of, number, said })),
        );
    }

    /// Looks at what rollouts wait for, and does what somebody would do about it.
    pub(super) fn help(&mut self) {
        let Some(engine) = &self.engine else { return };
        let running = engine.state().rollouts.values().filter(|r| !r.over());
        let waits: Vec<(RolloutName, ServiceName, Vec<Blocker>)> = running
            .map(|rollout| {
                let name = rollout.spec.name.clone();
                let blockers = engine.blockers(&name).to_vec();
                (name, rollout.spec.service.clone(), blockers)
            })
            .collect();
        for (rollout, service, blockers) in waits {
            self.timeline.wait(&rollout, &blockers, self.now);
            self.watch.waits(&rollout, &blockers, self.now);
            for blocker in blockers {
                match blocker.on {
                    Wait::Instances { version, missing }
                    | Wait::Capacity {
                        version, missing, ..
                    } => {
                        let waits = self.missed_for(&service, &version);
                        self.bring_missing(&rollout, &service, &version, missing, waits);
                    }
                    Wait::Approval { by, .. } => self.approve(&rollout, by, blocker.since),
                    _ => {}
                }
            }
        }
        self.stop_released();
    }

    fn approve(&mut self, rollout: &RolloutName, by: Option<String>, since: Time) {
        let Some(after) = self.setup.approve_after else {
            return;
        };
        let due = after.after(since);
        if due > self.now {
            return self.tick_by(due);
        }
        let (name, verb) = (
            rollout.clone(),
            RolloutVerb::Promote {
                all: false,
                step: None,
            },
        );
        self.command(Verb::Rollout { name, verb }, by.as_deref());
    }

    /// How long instances of a version are missed. That a rollout has something else to wait for in between does not
    /// bring them.
    fn missed_for(&mut self, service: &ServiceName, version: &VersionName) -> Span {
        let key = (service.clone(), version.clone());
        let (since, seen) = self.missed.entry(key).or_insert((self.now, self.now));
        if Span::between(*seen, self.now) >= MISSED_ANEW {
            *since = self.now;
        }
        *seen = self.now;
        Span::between(*since, self.now)
    }

    /// Starts instances that are missed, unless they are on their way or a hook starts them in time.
    fn bring_missing(
        &mut self,
        rollout: &RolloutName,
        service: &ServiceName,
        version: &VersionName,
        missing: u32,
        waits: Span,
    ) {
        let Some(engine) = &self.engine else { return };
        let state = &engine.state().rollouts[rollout];
        let key = (service.clone(), version.clone());
        let coming = self.coming.get(&key).copied().unwrap_or(0);
        let hook_does_it = state.spec.replace.is_some() && waits < HOOK_DOES_NOT;
        // Where so many have not helped, more do not.
        let started = self.numbers.get(&key).copied().unwrap_or(0);
        let enough = self.setup.instances.saturating_mul(BROUGHT_MAX);
        if started > enough {
            return;
        }
        if hook_does_it || coming > 0 || self.lists(service) {
            return;
        }
        let known = engine.state().services.get(service);
        let batches = state.lanes.iter().filter_map(|lane| lane.batch.as_ref());
        let members = batches.flat_map(|batch| &batch.members);
        let stood = members.filter_map(|id| self.stood.get(&(service.clone(), id.clone())));
        let mut places: Vec<Locality> = stood.cloned().collect();
        if places.is_empty() {
            // As many in each place as there were before, one place after the other.
            let mut counts = BTreeMap::<Locality, i64>::new();
            for (stand, ids) in known
                .iter()
                .flat_map(|known| known.instances.stands(|_| true))
            {
                let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
                let is_new = stand.version == *version;
                let counts = counts.entry(stand.locality.clone()).or_default();
                if !is_new && stand.stage.stays() {
                    *counts += count;
                } else if is_new && !stand.stage.goes() {
                    *counts -= count;
                }
            }
            for _ in 0..missing {
                let most = counts.iter_mut().max_by_key(|(_, count)| **count);
                if let Some((place, count)) = most {
                    places.push(place.clone());
                    *count -= 1;
                }
            }
        }
        for _ in 0..missing {
            let at = self.brought % places.len().max(1);
            let place = places.get(at).cloned().unwrap_or_default();
            self.brought += 1;
            *self.coming.entry(key.clone()).or_default() += 1;
            let after = self.chance.up_to(SEEN_WITHIN);
            let bring = Happening::BringMissing(service.clone(), version.clone(), place);
            self.soon(after, bring);
        }
    }

    /// Ends the processes of released instances, where no hook of a running rollout does.
    fn stop_released(&mut self) {
        let Some(engine) = &self.engine else { return };
        let state = engine.state();
        let mut due = Vec::new();
        for (service, known) in state.services.iter().filter(|(name, _)| !self.lists(name)) {
            let is_released = |stand: &crate::engine::Stand| stand.stage == StageKind::Released;
            for (_, ids) in known.instances.stands(is_released) {
                for id in ids {
                    let hooked = match &known.instances[id].stage {
                        Stage::Released { cause, .. } => cause
                            .rollout()
                            .and_then(|by| state.rollouts.get(by))
                            .is_some_and(|r| r.runs() && r.spec.replace.is_some()),
                        _ => false,
                    };
                    let key = (service.clone(), id.clone());
                    let stands = self.processes.get(&key).is_some_and(|p| !p.stopping);
                    if stands && !hooked {
                        due.push(key);
                    }
                }
            }
        }
        for key in due {
            if let Some(process) = self.processes.get_mut(&key) {
                process.stopping = true;
            }
            let after = self.chance.up_to(SEEN_WITHIN);
            self.soon(after, Happening::Stop(key));
        }
    }

    /// Somebody asks for something: `who`, where it must be somebody in particular. They belong to every group
    /// that the documents name.
    pub(super) fn command(&mut self, verb: Verb, who: Option<&str>) {
        let who = who.and_then(|who| who.parse::<Principal>().ok());
        let policies = self.setup.documents.policies.values();
        let named = policies.flat_map(|policy| policy.may.values().flatten());
        let (mut by, mut groups) = (OPERATOR.to_owned(), Vec::new());
        for principal in named.chain(&who) {
            match principal {
                Principal::Group(group) => groups.push(group.clone()),
                Principal::Name(name) => by.clone_from(name),
            }
        }
        let overrides = |verb: &RolloutVerb| *verb == RolloutVerb::Override;
        let asks_why = matches!(&verb, Verb::Rollout { verb, .. } if overrides(verb));
        let command = Command {
            verb,
            by: Actor(by),
            groups,
            reason: asks_why.then(|| "to see what comes of it".to_owned()),
            key: None,
        };
        let now = self.now;
        let Some(engine) = &mut self.engine else {
            return;
        };
        let (effects, answer) = engine.command(command.clone(), now);
        self.watch.answered(&command.verb, &answer);
        if let Err(refusal) = answer {
            self.timeline.say(now, format!("refused: {refusal}"));
        }
        self.carry_out(effects);
    }

    /// A hook is asked whether a rollout may go on: it may.
    pub(super) fn consulted(&mut self, key: String) {
        let after = self.chance.up_to(ANSWERS_WITHIN);
        self.soon(after, Happening::HookSays(key));
    }

    pub(super) fn hook_says(&mut self, key: String) {
        let answer = HookAnswer::Passes(String::new());
        self.event(Event::HookSaid { key, answer });
    }

    pub(super) fn hook_answers(&mut self, key: String, worked: bool) {
        let result = if worked {
            Ok(String::new())
        } else {
            Err("it does not work now".to_owned())
        };
        self.event(Event::HookDone { key, result });
    }
}

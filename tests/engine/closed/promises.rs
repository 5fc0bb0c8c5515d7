//! What must hold in the small world: of each turn, of each world, and of each way from there to the end.
//!
//! The numbers are the promises of the design. What a turn decides is judged as in every simulation
//! ([`crate::seen`], [`crate::decisions`]); of the world it is asked what proxies and processes really do. Whatever
//! is broken panics with its number, and the world keeps that.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use tidegate::domain::{InstanceId, Plan, ProxyId, VersionName};
use tidegate::engine::{
    Effect, HookCall, Record, RolloutState, RolloutVerb, Stage, StageKind, State, Turned,
    check_plan,
};

use super::{Closed, Edge, command, next};
use crate::decisions::{carried, judge};
use crate::seen::{idle, may_stop, still_there, true_to_capacity};

/// Steps to the end from wherever things stand, if nothing more goes wrong.
const ENDS_WITHIN: usize = 1_000;

/// Worlds from which all ends, without what may still go wrong.
pub(crate) type Ends = Mutex<BTreeSet<u64>>;

// --- of a turn

impl Closed {
    /// The records of a turn: each is legal, and together they are all that has changed.
    pub(super) fn judge_records(
        &self,
        mut before: State,
        effects: &[Effect],
        proxies: &BTreeMap<ProxyId, Edge>,
    ) {
        for effect in effects {
            let Effect::Record(entry) = effect else {
                continue;
            };
            judge(&before, entry);
            if let Err(illegal) = before.apply(entry) {
                panic!("7: {illegal}");
            }
            if let Record::InstanceMoved {
                service,
                instance,
                to: Stage::Drained { proof, .. } | Stage::Released { proof, .. },
                ..
            } = &entry.record
            {
                assert!(proof.is_full(), "3: {instance} is given up: {proof}");
                idle((service, instance), proof, proxies, &before, self.now);
            }
        }
        let state = self.engine.state();
        assert_eq!(before, *state, "7: the journal adds up to the state");
    }

    /// A plan that is about to be told.
    pub(super) fn judge_plan(&self, plan: &Plan, proxies: &BTreeMap<ProxyId, Edge>) {
        let written = self.engine.state().generation;
        assert_eq!(
            plan.generation, written,
            "7: published before it is written"
        );
        let before = self.published.as_ref().map(|told| told.plan.generation);
        assert!(
            before.is_none_or(|before| before < plan.generation),
            "8: generation {} comes again",
            plan.generation
        );
        self.judge_shares(plan, proxies);
    }

    /// A plan, whether or not it was told before.
    pub(super) fn judge_shares(&self, plan: &Plan, proxies: &BTreeMap<ProxyId, Edge>) {
        check_plan(plan).unwrap_or_else(|violation| panic!("{violation}"));
        let state = self.engine.state();
        for service in &plan.services {
            let known = &state.services[&service.name];
            true_to_capacity(service, known);
            carried(service, known, state);
        }
        let before = self.published.iter().flat_map(|told| &told.plan.services);
        for service in before {
            still_there(service, plan, state, proxies, self.now);
        }
    }

    /// A hook call that is about to be made, perhaps again.
    pub(super) fn judge_call(&self, call: &HookCall, proxies: &BTreeMap<ProxyId, Edge>) {
        let written = self.rollout().and_then(|it| it.hooks.get(&call.key));
        assert!(
            written.is_some(),
            "7: {} is called before it is written",
            call.key
        );
        may_stop(call, proxies, self.engine.state(), self.now);
    }

    pub(super) fn proxies(&self) -> BTreeMap<ProxyId, Edge> {
        let edges = self.edges.iter();
        edges.map(|edge| (edge.id.clone(), edge.clone())).collect()
    }
}

// --- of a world

impl Closed {
    /// What proxies and processes do at this moment, and what people are told of it.
    pub(super) fn hold(&self) {
        let state = self.engine.state();
        let rollout = self.rollout();
        let at_once = rollout.is_some_and(|it| it.turned == Some(Turned::AtOnce));
        let started = rollout.and_then(|rollout| rollout.started.as_ref());
        let desired = started.map_or(0, |started| started.desired as usize);
        for edge in &self.edges {
            let takers = edge.takers();
            for taker in &takers {
                let runs = self.instances.contains_key(taker);
                assert!(
                    runs,
                    "2: {} sends requests to {taker}, which is gone",
                    edge.id
                );
            }
            let few = takers.len() < desired && !at_once;
            assert!(!few, "1: {} can send requests to {takers:?} alone", edge.id);
            if let Some(instance) = &edge.request {
                let runs = self.instances.contains_key(instance);
                assert!(
                    runs,
                    "3: {instance} was stopped with a request of {}",
                    edge.id
                );
            }
        }
        let known = state.services.values().next();
        let told = known.map_or(0, |known| {
            known.instances.count(|s| s.stage.endpoint().is_some()) as usize
        });
        let most = desired + 1;
        assert!(
            desired == 0 || told <= most,
            "1: {told} are told, {most} may be"
        );
        if self.looked && rollout.is_some_and(|rollout| !rollout.over()) {
            self.is_said();
        }
    }

    /// Whatever waits says for what, and a proxy that refuses is named.
    fn is_said(&self) {
        let blockers = self.engine.blockers(&next());
        assert!(
            !blockers.is_empty(),
            "10: nobody says what it waits for: {}",
            self.stages()
        );
    }

    fn stages(&self) -> String {
        let known = self.engine.state().services.values();
        let instances = known.flat_map(|known| known.instances.iter());
        let stages: Vec<String> = instances
            .map(|(id, it)| format!("{id} {}", it.stage))
            .collect();
        stages.join(", ")
    }

    /// Can it be held at this moment? Whether it can be turned round is seen where it is.
    pub(crate) fn obeys(&self) -> bool {
        let over = self.rollout().is_none_or(RolloutState::over);
        let mut engine = self.engine.clone();
        over || engine
            .command(command(RolloutVerb::Pause), self.now)
            .1
            .is_ok()
    }

    /// Is it over, and all said and done?
    pub(crate) fn is_over(&self) -> bool {
        self.rollout().is_some_and(RolloutState::over) && self.calm_steps().is_empty()
    }

    /// The version that has all instances at the end.
    pub(crate) fn ended_as(&self) -> Option<&VersionName> {
        let known = self.engine.state().services.values().next()?;
        known.stable.as_ref().filter(|_| self.is_over())
    }

    // --- of the way to the end

    /// If nothing more goes wrong, does it end, and as it should? Takes the first step that changes something,
    /// until it is over or comes to where it has been seen to end.
    pub(crate) fn ends(&self, known: &Ends) -> Result<(), String> {
        let mut world = self.clone();
        world.trouble = super::Trouble::default();
        world.essence = world.fingerprint();
        let mut way = Vec::new();
        while !lock(known).contains(&world.essence) {
            way.push(world.essence);
            if way.len() > ENDS_WITHIN {
                return Err(format!("10: it goes on and on: {}", world.waits()));
            }
            if world.is_over() {
                world.is_well()?;
                break;
            }
            let steps = world.calm_steps();
            let mut onward = steps.iter().map(|step| world.after(step));
            let onward = onward.find(|after| after.essence != world.essence);
            let Some(onward) = onward else {
                return Err(format!("10: it does not go on: {}", world.waits()));
            };
            if let Some(broken) = onward.broken {
                return Err(broken);
            }
            world = onward;
        }
        lock(known).extend(way);
        Ok(())
    }

    /// All is as large as before, and of the other version nothing is left that a proxy was ever told of. What a hook
    /// has started and no source had shown when the rollout ended is nobody's.
    fn is_well(&self) -> Result<(), String> {
        let known = self.engine.state().services.values().next();
        let known = known.ok_or("10: the service is gone")?;
        let told = |id: &InstanceId| known.instances.get(id).is_some_and(|it| it.told);
        let running = self.instances.values().filter(|it| told(&it.id));
        let versions: BTreeSet<&VersionName> = running.map(|it| &it.version).collect();
        let started = self.rollout().and_then(|rollout| rollout.started.as_ref());
        let desired = started.map_or(0, |started| started.desired);
        let (serving, clusters) = (self.count(StageKind::Serving), known.versions.len());
        let as_many = desired == 0 || serving == desired;
        if as_many && versions.len() == 1 && clusters == 1 {
            return Ok(());
        }
        Err(format!(
            "10: it ends with {serving} of {desired}, and {clusters} clusters: {}",
            self.stages()
        ))
    }

    fn waits(&self) -> String {
        let blockers = self.engine.blockers(&next());
        let waits: Vec<String> = blockers.iter().map(|wait| wait.on.to_string()).collect();
        format!("{waits:?}")
    }
}

fn lock(known: &Ends) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
    known
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What somebody said who panicked.
pub(super) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}

//! What really holds, against what the engine says: the numbers are the invariants of the design.
//!
//! Every check panics with the number and the cause; the story that led there is in the hands of
//! whoever runs the world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidegate::domain::{
    Address, EndpointState, InstanceId, Plan, ServiceName, ServicePlan, Span, Time, VersionName,
};
use tidegate::engine::{
    Entry, HookCall, Record, RolloutState, Stage, StageKind, State, check_plan,
};
use tidegate::snapshot::compile;

use crate::decisions::{carried, judge};
use crate::seen::{All, Seen, idle, still_there, true_to_capacity};
use crate::sessions::Walks;

/// On the very first start an answer may come without every service being ready after this long.
const FIRST_ANSWER_AFTER: Span = Span::secs(10);

/// Entries from one checkpoint to the next; no rollout has its steps in this rhythm.
const CHECKPOINT_EVERY: usize = 37;

impl Seen for tidegate::sim::Proxy {
    fn connected(&self) -> bool {
        self.connected()
    }

    fn since(&self) -> Time {
        self.since()
    }

    fn in_progress(&self, service: &ServiceName, instance: &InstanceId, now: Time) -> usize {
        self.in_progress(service, instance, now)
    }

    fn may_start_on(&self, service: &ServiceName, instance: &InstanceId) -> bool {
        self.may_start_on(service, instance)
    }

    fn routes_to(&self, service: &ServiceName, version: &VersionName) -> bool {
        self.routes_to(service, version.as_str())
    }
}

/// What has been said so far.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) journal: Vec<Entry>,
    /// The journal, read back from its JSON.
    replayed: State,
    /// A state in between as JSON, and how many entries it rests on.
    checkpoint: (usize, Vec<u8>),
    pub(crate) published: Option<Arc<Plan>>,
    /// How clients of `cart` that are dealt by a hash have gone from version to version.
    pub(crate) walks: Walks,
    /// Each process that has once been seen healthy, and whether it was when it was last looked at.
    healthy: BTreeMap<(InstanceId, Address), bool>,
    /// Instances that were released, and have not been put back.
    released: BTreeSet<(ServiceName, InstanceId, Address)>,
    /// Each hook call by its key.
    called: BTreeMap<String, HookCall>,
    /// Nothing fails here, so budgets hold at each moment.
    pub(crate) calm: bool,
    pub(crate) started: Time,
}

impl Truth {
    pub(crate) fn new(calm: bool, started: Time) -> Self {
        Self {
            journal: Vec::new(),
            replayed: State::default(),
            checkpoint: (0, json(&State::default())),
            published: None,
            walks: Walks::default(),
            healthy: BTreeMap::new(),
            released: BTreeSet::new(),
            called: BTreeMap::new(),
            calm,
            started,
        }
    }

    /// What the journal adds up to so far.
    pub(crate) fn state(&self) -> &State {
        &self.replayed
    }

    /// A process was probed.
    pub(crate) fn probe(&mut self, instance: &InstanceId, address: &Address, healthy: bool) {
        let process = (instance.clone(), address.clone());
        if healthy {
            self.healthy.insert(process, true);
        } else if let Some(known) = self.healthy.get_mut(&process) {
            *known = false;
        }
    }

    /// Invariants 1 to 4 and 7, of one record.
    pub(crate) fn hear<P: Seen>(&mut self, entry: &Entry, proxies: &All<P>) {
        let read: Entry = serde_json::from_slice(&json(entry)).expect("JSON is an entry");
        assert_eq!(read, *entry, "7: an entry is read back as it was written");
        judge(&self.replayed, entry);
        self.moves(entry);
        if let Err(illegal) = self.replayed.apply(&read) {
            panic!("7: {illegal}");
        }
        if let Record::InstanceMoved {
            service,
            instance,
            to: Stage::Drained { proof, .. } | Stage::Released { proof, .. },
            ..
        } = &entry.record
            && self.replayed.services[service].instances[instance].told
        {
            let of = (service, instance);
            idle(of, proof, proxies, &self.replayed, entry.at);
        }
        self.journal.push(entry.clone());
        if self.journal.len().is_multiple_of(CHECKPOINT_EVERY) {
            self.checkpoint = (self.journal.len(), json(&self.replayed));
        }
    }

    /// Invariants 2, 4, 6, 8 and 11, of one plan.
    pub(crate) fn see<P: Seen>(
        &mut self,
        plan: &Arc<Plan>,
        state: &State,
        proxies: &All<P>,
        now: Time,
    ) {
        check_plan(plan).unwrap_or_else(|violation| panic!("{violation}"));
        compile(plan).unwrap_or_else(|error| panic!("{error}: {plan:?}"));
        let before = self.published.replace(Arc::clone(plan));
        let grows = before
            .as_ref()
            .is_none_or(|b| b.generation < plan.generation);
        assert!(grows, "8: generation {} comes again", plan.generation);
        let written = self.replayed.generation;
        assert_eq!(
            plan.generation, written,
            "7: published before it is written"
        );
        if before.is_none() {
            let every = state.documents.services.keys();
            let all_stable = every.into_iter().all(|name| {
                let known = state.services.get(name);
                known.is_some_and(|known| known.stable.is_some())
            });
            let late = Span::between(self.started, now) >= FIRST_ANSWER_AFTER;
            assert!(all_stable || late, "11: published before anything is known");
        }
        for service in &plan.services {
            self.walks.see(service);
            self.only_once_healthy(service);
            if let Some(known) = state.services.get(&service.name) {
                true_to_capacity(service, known);
                carried(service, known, state);
            }
        }
        for service in before.iter().flat_map(|before| &before.services) {
            still_there(service, plan, state, proxies, now);
        }
    }

    /// Invariants 2 and 3, of an instance that moves.
    fn moves(&mut self, entry: &Entry) {
        let Record::InstanceMoved {
            service,
            instance,
            to,
            ..
        } = &entry.record
        else {
            return;
        };
        let known = &self.replayed.services[service].instances[instance];
        let address = known.instance.address.clone();
        let comes = matches!(
            (&known.stage, to),
            (_, Stage::Joining { .. }) | (Stage::Joining { .. }, Stage::Serving)
        );
        let process = (instance.clone(), address.clone());
        let is_well = self.healthy.get(&process) == Some(&true);
        assert!(!comes || is_well, "2: {instance} is sick, and is {to}");
        let process = (service.clone(), instance.clone(), address);
        if to.kind() == StageKind::Released {
            assert!(
                self.released.insert(process),
                "3: {instance} is released twice"
            );
        } else {
            self.released.remove(&process);
        }
    }

    /// Invariant 7, of a hook call that is made, perhaps again.
    pub(crate) fn call(&mut self, call: &HookCall) {
        let mut rollouts = self.replayed.rollouts.values();
        let is_written = rollouts.any(|rollout| rollout.hooks.get(&call.key).is_some());
        assert!(is_written, "7: {} is called before it is written", call.key);
        let before = self.called.insert(call.key.clone(), call.clone());
        let same = before.is_none_or(|before| before == *call);
        assert!(same, "7: {} was the key of another call", call.key);
    }

    fn only_once_healthy(&self, service: &ServicePlan) {
        let endpoints = service.versions.iter().flat_map(|v| &v.endpoints);
        for endpoint in endpoints.filter(|e| e.state == EndpointState::Healthy) {
            let key = (endpoint.id.clone(), endpoint.address.into());
            assert!(
                self.healthy.contains_key(&key),
                "2: {} never was ready",
                endpoint.id
            );
        }
    }

    /// Invariants 1 and 7, at the end of a turn.
    pub(crate) fn settle(&self, state: &State) {
        assert_eq!(self.replayed, *state, "7: the journal adds up to the state");
        if !self.calm {
            return;
        }
        for rollout in state.rollouts.values().filter(|rollout| rollout.runs()) {
            self.within_budget(rollout, state);
        }
    }

    fn within_budget(&self, rollout: &RolloutState, state: &State) {
        let service = &rollout.spec.service;
        let Some(rolling) = rollout.spec.strategy.rolling() else {
            return;
        };
        let desired = rollout.started.as_ref().map_or(0, |s| s.desired);
        let surge = rolling.max_surge.up_to(desired);
        let unavailable = rolling.max_unavailable.within(desired);
        let floor = desired - unavailable.max(u32::from(surge == 0)).min(desired);
        let serving = state.services[service]
            .instances
            .count(|stand| stand.stage == StageKind::Serving);
        assert!(serving >= floor, "1: {serving} serve, {floor} must");
        let planned = self.published.as_ref().and_then(|p| p.service(service));
        let told: usize = planned.map_or(0, |planned| {
            planned.versions.iter().map(|v| v.endpoints.len()).sum()
        });
        let ceiling = (desired + surge) as usize;
        assert!(told <= ceiling, "1: {told} are told, {ceiling} may be");
    }

    /// The journal as it is read back from the disk: as a whole, and from a checkpoint on.
    pub(crate) fn replay(&self) -> State {
        let whole = fold(State::default(), &self.journal);
        let (entries, bytes) = &self.checkpoint;
        let checkpoint = serde_json::from_slice(bytes).expect("JSON is a state");
        let rest = fold(checkpoint, &self.journal[*entries..]);
        assert_eq!(rest, whole, "7: entry {entries} and the rest are the whole");
        whole
    }
}

fn fold(mut state: State, entries: &[Entry]) -> State {
    for entry in entries {
        let entry = serde_json::from_slice(&json(entry)).expect("JSON is an entry");
        state
            .apply(&entry)
            .unwrap_or_else(|illegal| panic!("{illegal}"));
    }
    state
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("it is JSON")
}

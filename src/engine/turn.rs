//! One turn of the engine: what it has decided so far, with the state already moved on.
//!
//! A turn collects the records of one event's consequences. Whatever changes what proxies are told
//! marks its service as touched; at the end of the turn all of it becomes one new generation.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Facts;
use super::invariants::check_record;
use super::{Effect, Entry, InstanceState, Record, Request, Stage, Stand, State, Wait};
use crate::domain::{Generation, InstanceId, RolloutName, ServiceName, Time};

/// Whose wait it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// A rollout's.
    Rollout(RolloutName),
    /// A service's: drains that an operator asked for.
    Service(ServiceName),
}

/// A turn in the making.
pub(super) struct Turn<'a> {
    pub(super) state: &'a mut State,
    pub(super) facts: &'a mut Facts,
    pub(super) now: Time,
    pub(super) effects: Vec<Effect>,
    pub(super) touched: BTreeSet<ServiceName>,
    pub(super) waits: BTreeMap<Subject, Vec<Wait>>,
    /// What is being carried out by its key; the first record says so.
    pub(super) request: Option<Request>,
    /// What every proxy has in force, as of the end of the facts.
    pub(super) everywhere: Option<Generation>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(state: &'a mut State, facts: &'a mut Facts, now: Time) -> Self {
        Self {
            state,
            facts,
            now,
            effects: Vec::new(),
            touched: BTreeSet::new(),
            waits: BTreeMap::new(),
            request: None,
            everywhere: None,
        }
    }

    /// Decides: the record goes to the journal, and the state is what it says.
    ///
    /// # Panics
    /// If the record does not fit the state or breaks an invariant, which is a bug of the engine;
    /// nothing of the turn has been persisted then.
    pub(super) fn record(&mut self, record: Record) {
        if let Err(violation) = check_record(self.state, &record) {
            panic!("{violation}");
        }
        let entry = Entry {
            at: self.now,
            request: self.request.take(),
            record,
        };
        if let Err(illegal) = self.state.apply(&entry) {
            panic!("the engine decided what it may not: {illegal}");
        }
        self.effects.push(Effect::Record(entry));
    }

    /// Decides that an instance changes its stage.
    pub(super) fn move_to(
        &mut self,
        service: &ServiceName,
        instance: &InstanceId,
        to: Stage,
        why: impl Into<String>,
    ) {
        let from = self
            .state
            .services
            .get(service)
            .and_then(|s| s.instances.get(instance));
        let told_before = from.map(|known| told(&known.stage));
        // A stage that names a generation waits for it, so there must be one, even if it says
        // nothing new: an instance that joins, or is suspended, may be taken out as it is.
        if told_before != Some(told(&to)) || to.needs() == Some(self.next_generation()) {
            self.touch(service);
        }
        if !matches!(to, Stage::Draining { .. }) {
            self.facts
                .witnesses
                .remove(&(service.clone(), instance.clone()));
        }
        let (service, instance) = (service.clone(), instance.clone());
        self.record(Record::InstanceMoved {
            service,
            instance,
            to,
            why: why.into(),
        });
    }

    /// The instance as it stands now.
    pub(super) fn instance(
        &self,
        service: &ServiceName,
        instance: &InstanceId,
    ) -> Option<&InstanceState> {
        self.state.services.get(service)?.instances.get(instance)
    }

    /// The instances of `service` that stand as wanted, by id.
    pub(super) fn select(
        &self,
        service: &ServiceName,
        wanted: impl Fn(&Stand) -> bool,
    ) -> BTreeMap<&InstanceId, &InstanceState> {
        let known = self.state.services.get(service);
        known.map_or_else(BTreeMap::new, |state| state.instances.select(wanted))
    }

    /// Their ids, so that the turn may move each while it looks at them.
    pub(super) fn ids(
        &self,
        service: &ServiceName,
        wanted: impl Fn(&Stand) -> bool,
    ) -> Vec<InstanceId> {
        let known = self.state.services.get(service);
        let groups = known
            .into_iter()
            .flat_map(|state| state.instances.stands(&wanted));
        let mut ids: Vec<InstanceId> = groups.flat_map(|(_, ids)| ids.cloned()).collect();
        // Each group is in order, so this is a merge.
        ids.sort();
        ids
    }

    /// So many instances of `service` stand as wanted.
    pub(super) fn count(&self, service: &ServiceName, wanted: impl Fn(&Stand) -> bool) -> u32 {
        let known = self.state.services.get(service);
        known.map_or(0, |state| state.instances.count(wanted))
    }

    /// Notes that proxies must be told something new about a service.
    pub(super) fn touch(&mut self, service: &ServiceName) {
        self.touched.insert(service.clone());
    }

    /// The number that the plan of this turn will have.
    pub(super) fn next_generation(&self) -> Generation {
        self.state.generation.next()
    }

    /// Notes several things that `subject` waits for.
    pub(super) fn wait_all(&mut self, subject: &Subject, waits: Vec<Wait>) {
        for wait in waits {
            self.wait(subject.clone(), wait);
        }
    }

    /// Notes what `subject` waits for.
    pub(super) fn wait(&mut self, subject: Subject, wait: Wait) {
        let waits = self.waits.entry(subject).or_default();
        if !waits.contains(&wait) {
            waits.push(wait);
        }
    }
}

/// What a stage means for the proxies: the endpoint's state, and whether its capacity counts.
fn told(stage: &Stage) -> (Option<crate::domain::EndpointState>, bool) {
    (stage.endpoint(), matches!(stage, Stage::Serving))
}

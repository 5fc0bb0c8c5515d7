//! A proxy of the small world: what it has in force, what is on its way to it, and its word on the way back.
//!
//! Newer plans take the place of what waits, and one at a time is answered, as on a real stream.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use tidegate::domain::{
    Endpoint, EndpointState, Generation, InstanceId, Plan, ProxyId, ServiceName, ServicePlan, Time,
    VersionName, VersionPlan, Weight,
};
use tidegate::engine::{InstanceLoad, LoadReport, Source};

use crate::seen::Seen;

/// A plan, and what tells it from others.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) plan: Arc<Plan>,
    pub(crate) says: Arc<str>,
}

/// What a proxy has to say of a plan.
#[derive(Clone, Debug)]
pub(crate) enum Word {
    Accepts(Generation),
    Refuses(Generation),
}

/// A proxy.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) id: ProxyId,
    pub(crate) connected: bool,
    pub(crate) since: Time,
    pub(crate) in_force: Option<Told>,
    /// On its way down. What is newer takes the place of what waits.
    pub(crate) told: Option<Told>,
    /// On its way up; nothing new is put in force before it has arrived.
    pub(crate) word: Option<Word>,
    /// It has refused what it was told last, and the control plane has heard so.
    pub(crate) refused: bool,
    /// A request that lasts, and where.
    pub(crate) request: Option<InstanceId>,
}

impl Told {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        let mut says = String::new();
        for version in plan.services.iter().flat_map(|service| &service.versions) {
            let endpoints = version.endpoints.iter();
            let endpoints: Vec<_> = endpoints.map(|e| (e.id.as_str(), e.state)).collect();
            let (routed, weight) = (version.routed, version.weight.get());
            let _ = write!(says, "{} {routed} {weight} {endpoints:?};", version.name);
        }
        let says = says.into();
        Self { plan, says }
    }
}

impl Edge {
    pub(crate) fn new(id: ProxyId, now: Time) -> Self {
        Self {
            id,
            connected: false,
            since: now,
            in_force: None,
            told: None,
            word: None,
            refused: false,
            request: None,
        }
    }

    /// Its stream is open, and begins with the newest plan.
    pub(crate) fn connect(&mut self, published: Option<Told>, now: Time) {
        (self.connected, self.since) = (true, now);
        (self.told, self.refused) = (published, false);
    }

    /// Its stream breaks, and all that is on its way is lost. What is in force stays so.
    pub(crate) fn lose(&mut self, now: Time) {
        (self.connected, self.since) = (false, now);
        (self.told, self.word) = (None, None);
    }

    /// Puts what it is told in force.
    pub(crate) fn take(&mut self) {
        self.in_force = self.told.take();
        let told = self.in_force.as_ref();
        self.word = told.map(|told| Word::Accepts(told.plan.generation));
    }

    /// Keeps what it has.
    pub(crate) fn refuse(&mut self) {
        let told = self.told.take();
        self.word = told.map(|told| Word::Refuses(told.plan.generation));
    }

    /// What is in progress on what its plan lists, and what it uses.
    pub(crate) fn report(&self, now: Time) -> LoadReport {
        let services = self.in_force.iter().flat_map(|told| &told.plan.services);
        let of_service =
            |service: &ServiceName, version: &VersionPlan, e: &Endpoint| InstanceLoad {
                service: service.clone(),
                version: version.name.clone(),
                instance: e.id.clone(),
                in_progress: u64::from(self.request.as_ref() == Some(&e.id)),
                healthy: Some(e.state == EndpointState::Healthy),
            };
        let mut instances = Vec::new();
        for service in services {
            for version in &service.versions {
                let endpoints = version.endpoints.iter();
                instances.extend(endpoints.map(|e| of_service(&service.name, version, e)));
            }
        }
        LoadReport {
            source: Source::Otlp,
            read_at_ns: u64::try_from(now.as_nanosecond()).unwrap_or(0),
            instances,
            since: None,
            completed: Vec::new(),
            attempts: Vec::new(),
        }
    }

    /// The instances that a new request may go to.
    pub(crate) fn takers(&self) -> BTreeSet<InstanceId> {
        let plan = self.in_force.iter().flat_map(|told| &told.plan.services);
        let versions = plan.flat_map(ServicePlan::routed);
        let versions = versions.filter(|version| version.weight > Weight::NONE);
        let endpoints = versions.flat_map(|version| &version.endpoints);
        let healthy = endpoints.filter(|e| e.state == EndpointState::Healthy);
        healthy.map(|endpoint| endpoint.id.clone()).collect()
    }
}

impl Seen for Edge {
    fn connected(&self) -> bool {
        self.connected
    }

    fn since(&self) -> Time {
        self.since
    }

    fn in_progress(&self, _: &ServiceName, instance: &InstanceId, _: Time) -> usize {
        usize::from(self.request.as_ref() == Some(instance))
    }

    fn may_start_on(&self, _: &ServiceName, instance: &InstanceId) -> bool {
        self.takers().contains(instance)
    }

    fn routes_to(&self, service: &ServiceName, version: &VersionName) -> bool {
        let plan = self.in_force.as_ref().map(|told| &told.plan);
        let planned = plan.and_then(|plan| plan.service(service));
        let mut routed = planned.into_iter().flat_map(ServicePlan::routed);
        routed.any(|planned| planned.name == *version)
    }
}

//! What a simulation is made of.

use std::collections::{BTreeMap, BTreeSet};

use super::standing::SETTLES_WITHIN;
use super::{Deed, Fault, Standing, Times};
use crate::domain::{
    Documents, Gateway, InstanceSource, Locality, Pick, ProxyId, ProxyIdentity, Rollout, Rps,
    ServiceName, Span, Strategy, Time, VersionName,
};

/// All that a simulation depends on.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What is rolled, and how.
    pub documents: Documents,
    /// So many instances each service has.
    pub instances: u32,
    /// So many proxies each gateway has.
    pub proxies: u32,
    /// Where instances stand, in turn.
    pub places: Vec<Locality>,
    /// Requests to each service.
    pub rps: u32,
    /// What instances say that they carry; one of these by chance.
    pub capacities: Vec<Option<Rps>>,
    /// Their labels, in turn.
    pub labels: Vec<BTreeMap<String, String>>,
    /// What goes wrong.
    pub faults: BTreeSet<Fault>,
    /// Draws everything that is left to chance.
    pub seed: u64,
    /// Whoever is asked for approval gives it after this long, if at all.
    pub approve_after: Option<Span>,
    /// What people do, each so long after the first rollout has begun.
    pub deeds: Vec<(Span, Deed)>,
    /// Where the control plane ends besides.
    pub crashes: Vec<Crash>,
    /// When it begins.
    pub begins: Time,
    /// The fleet that there is; without it one is made up, of so many instances and proxies.
    pub standing: Option<Box<Standing>>,
    /// Proxies report this often.
    pub report_every: Span,
    /// How long things took, by service.
    pub times: BTreeMap<ServiceName, Times>,
}

/// The end of a control plane at a write to the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// The how manieth write, from 0, counted from when the rollouts are asked for.
    pub write: u64,
    /// Did the write get through?
    pub written: bool,
}

/// Why nothing can be simulated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// Nothing is to be rolled.
    #[error(
        "there is neither a Rollout nor a Service with `run` in what was given, so there is nothing to play"
    )]
    NoRollout,
    /// Nobody would be told anything.
    #[error("there is no Gateway in what was given, so there is no proxy to simulate")]
    NoGateway,
    /// The service of a rollout cannot be reached.
    #[error("no Gateway reaches the service {service} of the rollout {rollout}")]
    Unreachable {
        /// The rollout.
        rollout: String,
        /// Its service.
        service: ServiceName,
    },
    /// There would be nobody.
    #[error("a simulation needs at least one instance and one proxy")]
    Empty,
}

/// The first moment, where none is given; no moment in a simulation is a round number.
const BEGINNING: Span = Span::millis(1_767_225_600_123);

/// What a fleet is of before its first rollout, where the documents do not say; the second where the
/// first is what it is rolled to.
const BEFORE: [&str; 2] = ["before", "before-that"];

impl Setup {
    /// As many instances as a service usually has.
    pub const INSTANCES: u32 = 20;
    /// Enough for proxies to differ.
    pub const PROXIES: u32 = 3;
    /// As often as an Envoy reports that was started from our bootstrap.
    pub const REPORT_EVERY: Span = Span::secs(1);
    /// Requests a second to each service.
    pub const RPS: u32 = 100;
    /// Instances at most; what is simulated has to fit into memory.
    pub const INSTANCES_MAX: u32 = 100_000;
    /// Proxies at most.
    pub const PROXIES_MAX: u32 = 10_000;

    /// A usual fleet for `documents`, in which nothing goes wrong.
    pub fn new(documents: Documents) -> Self {
        let places = places_of(&documents);
        Self {
            documents,
            instances: Self::INSTANCES,
            proxies: Self::PROXIES,
            places,
            rps: Self::RPS,
            capacities: vec![None],
            labels: Vec::new(),
            faults: BTreeSet::new(),
            seed: 1,
            approve_after: None,
            deeds: Vec::new(),
            crashes: Vec::new(),
            begins: BEGINNING.after(Time::UNIX_EPOCH),
            standing: None,
            report_every: Self::REPORT_EVERY,
            times: BTreeMap::new(),
        }
    }

    /// The same, with a fleet that there is; what is asked for is asked for `now`.
    #[must_use]
    pub fn from(self, standing: Standing, now: Time) -> Self {
        Self {
            begins: now.checked_sub(SETTLES_WITHIN.duration()).unwrap_or(now),
            standing: Some(Box::new(standing)),
            ..self
        }
    }

    /// Can it be played?
    pub(super) fn check(&self) -> Result<(), SetupError> {
        if self.standing.is_some() {
            // It may stand still; that is for whoever asks to see.
            return Ok(());
        }
        let documents = &self.documents;
        if documents.asked_for().next().is_none() {
            return Err(SetupError::NoRollout);
        }
        if documents.gateways.is_empty() {
            return Err(SetupError::NoGateway);
        }
        if self.instances == 0 || self.proxies == 0 {
            return Err(SetupError::Empty);
        }
        let reaches =
            |gateway: &Gateway, rollout: &Rollout| gateway.reachable().contains(&rollout.service);
        let lost = documents.asked_for().find(|rollout| {
            let mut gateways = documents.gateways.values();
            !gateways.any(|gateway| reaches(gateway, rollout))
        });
        match lost {
            None => Ok(()),
            Some(rollout) => Err(SetupError::Unreachable {
                rollout: rollout.name.to_string(),
                service: rollout.service.clone(),
            }),
        }
    }

    /// The version that each service has before its rollouts.
    pub(super) fn versions_before(&self) -> BTreeMap<ServiceName, VersionName> {
        let services = self.documents.services.values();
        let before = services.filter_map(|service| {
            let mut asked = self.documents.asked_for();
            let first = asked.find(|r| r.service == service.name);
            let is_other = |version: &VersionName| first.is_none_or(|r| r.to != *version);
            let said = first.and_then(|rollout| rollout.from.clone());
            let version = service
                .first
                .clone()
                .or(said)
                .or_else(|| match &service.source {
                    InstanceSource::Listed { versions } => {
                        versions.keys().find(|version| is_other(version)).cloned()
                    }
                    InstanceSource::Api | InstanceSource::File { .. } => {
                        let words = BEFORE.iter().filter_map(|word| word.parse().ok());
                        words.into_iter().find(is_other)
                    }
                });
            Some((service.name.clone(), version?))
        });
        before.collect()
    }

    /// The documents before anything is asked for.
    pub(super) fn documents_before(&self) -> Documents {
        let mut before = self.documents.clone();
        before.rollouts.clear();
        let services = before.services.values_mut();
        services.for_each(|service| service.run = None);
        before
    }

    /// A proxy that `gateway` selects.
    pub(super) fn identity(gateway: &Gateway, number: u32) -> Option<ProxyIdentity> {
        let selector = &gateway.proxies;
        let id: ProxyId = format!("{}-{}", gateway.name, number + 1).parse().ok()?;
        Some(ProxyIdentity {
            id,
            cluster: selector.cluster.clone().unwrap_or_default(),
            metadata: selector.metadata.clone(),
            locality: Locality {
                region: selector.region.clone().unwrap_or_default(),
                zone: selector.zone.clone().unwrap_or_default(),
            },
            agent: "envoy 1.40.0".to_owned(),
        })
    }
}

/// The places that waves name, and two more.
fn places_of(documents: &Documents) -> Vec<Locality> {
    let mut named = BTreeSet::new();
    for rollout in documents.asked_for() {
        let Strategy::Waves(waves) = &rollout.strategy else {
            continue;
        };
        for wave in &waves.waves {
            match &wave.pick {
                Pick::Places(places) => named.extend(places.iter().map(|place| place.0.clone())),
                Pick::Some(_, place) => drop(named.insert(place.0.clone())),
                Pick::Rest => {}
            }
        }
    }
    let named = named.into_iter().chain(["a".to_owned(), "b".to_owned()]);
    named.map(place).collect()
}

/// A zone that is a region of its own.
fn place(name: String) -> Locality {
    Locality {
        region: name.clone(),
        zone: name,
    }
}

//! What a rollout would do, before anything is changed: its parts and their order, how long it takes, where
//! capacity is lowest, what the house rules hold up, and how soon a gate would see that a version is worse.
//!
//! ```text
//! documents, a fleet that there is or is made up ──▶ sim plays them, by the engine itself, without faults
//!                                     notes of its records, waits and plans ──▶ Forecast
//! ```
//!
//! Nothing is planned a second time here: what is forecast is what the engine decided while it was played, so
//! the two cannot disagree. What is made up or assumed is said in the forecast. Knows no clock and no I/O.

mod calls;
mod measured;
mod notes;
mod proxies;
mod report;
mod sessions;
mod zones;

pub use calls::HookForecast;
pub use notes::PartKind;
pub use proxies::{CannotProve, ProxyForecast};
pub use report::{
    CapacityForecast, Forecast, HoldForecast, PartForecast, RolloutForecast, WORSE_BY, WordForecast,
};
pub use sessions::SessionsForecast;
pub use zones::ZonesForecast;

use crate::domain::{BUILT_IN_GATE, Documents, Gate, Locality, Share, Span, Time};
use crate::engine::{Entry, StageKind, State, View};
use crate::sim::{Setup, SetupError, Standing, Times, simulate};
use notes::Notes;
use report::Writer;
use std::borrow::Cow;

/// What a forecast is made from.
#[derive(Clone, Debug)]
pub struct Ask {
    /// All documents that are to be in force.
    pub documents: Documents,
    /// When they would be applied.
    pub now: Time,
    /// Which fleet they are for.
    pub fleet: Fleet,
    /// Requests a second to each service, if that is known.
    pub rps: Option<u32>,
    /// The share of the requests that fails anyway.
    pub errors: Share,
}

/// A fleet.
#[derive(Clone, Debug)]
pub enum Fleet {
    /// A usual one, with nothing wrong.
    MadeUp {
        /// So many instances of each service.
        instances: u32,
        /// So many proxies of each gateway.
        proxies: u32,
        /// Where instances stand, in turn; those that waves name, and two more, if there are none.
        places: Vec<Locality>,
    },
    /// That of a control plane.
    Known {
        /// What its journal adds up to.
        state: Box<State>,
        /// What it sees.
        view: Box<View>,
        /// The newest part of the journal, for what was measured; more of it tells more.
        journal: Vec<Entry>,
    },
}

/// Plays what the documents ask for, and says what happened.
pub fn forecast(ask: Ask) -> Result<Forecast, SetupError> {
    let mut setup = Setup::new(ask.documents.clone());
    setup.approve_after = Some(Span::ZERO);
    setup.rps = ask.rps.unwrap_or(setup.rps);
    if ask.rps.is_none() {
        prove_at_once(&mut setup.documents);
    }
    let mut frozen = None;
    match &ask.fleet {
        Fleet::MadeUp {
            instances,
            proxies,
            places,
        } => {
            (setup.instances, setup.proxies) = (*instances, *proxies);
            setup.begins = ask.now;
            if !places.is_empty() {
                setup.places.clone_from(places);
            }
        }
        Fleet::Known {
            state,
            view,
            journal,
        } => {
            setup.times = measured::times(view, journal);
            setup.report_every = Times::report_every(&setup.times);
            let mut standing = standing(state, view);
            if ask.rps.is_none() {
                prove_at_once(&mut standing.state.documents);
            }
            // It is said, and the plan is that for afterwards.
            standing.state.frozen = None;
            frozen.clone_from(&view.frozen);
            setup = setup.from(standing, ask.now);
        }
    }
    let times = setup.times.clone();
    let mut notes = Notes::default();
    let outcome = simulate(setup, &mut notes)?;
    Ok(Writer {
        ask: &ask,
        asked: outcome.asked,
        times,
        frozen,
        played: outcome.report.rollouts,
    }
    .write(notes))
}

/// How long a proof takes depends on the traffic. Where that is not known, none is waited for, and the plan says so.
fn prove_at_once(documents: &mut Documents) {
    let built_in = BUILT_IN_GATE.parse().ok();
    let built_in = built_in.and_then(|name| documents.gate(&name).map(Cow::into_owned));
    let declared = std::mem::take(&mut documents.gates).into_values();
    let asked_for_nothing = declared.chain(built_in).map(|gate| {
        let checks = Vec::new();
        (gate.name.clone(), Gate { checks, ..gate })
    });
    documents.gates = asked_for_nothing.collect();
}

/// The fleet with what is only observed of it.
fn standing(state: &State, view: &View) -> Standing {
    let connected = view.proxies.iter().filter(|proxy| proxy.connected);
    let silent = connected.clone().filter(|p| p.last_report.is_none());
    // One that is new and not ready yet may well become so.
    let sick = state.services.iter().flat_map(|(service, known)| {
        let suspended = known.instances.select(|s| s.stage == StageKind::Suspended);
        let ids = suspended.into_keys();
        ids.map(|id| (service.clone(), id.clone()))
            .collect::<Vec<_>>()
    });
    Standing {
        state: state.clone(),
        connected: connected.map(|proxy| proxy.id.clone()).collect(),
        silent: silent.map(|proxy| proxy.id.clone()).collect(),
        sick: sick.collect(),
    }
}

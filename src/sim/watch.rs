//! Whoever looks on while a simulation runs: at each decision, with the fleet as it is at that moment.

use std::sync::Arc;

use super::Proxies;
use crate::domain::{Address, InstanceId, Plan, RolloutName, Time};
use crate::engine::{Answer, Blocker, Engine, Entry, HookCall, Refusal, State, Verb};

/// Looks on. It may panic, but changes nothing.
pub trait Watch {
    /// Something was written to the journal.
    fn recorded(&mut self, _entry: &Entry, _proxies: &Proxies) {}

    /// A plan goes out.
    fn published(&mut self, _plan: &Arc<Plan>, _state: &State, _proxies: &Proxies, _now: Time) {}

    /// A hook is called.
    fn called(&mut self, _call: &HookCall, _state: &State, _proxies: &Proxies, _now: Time) {}

    /// All effects of a turn are carried out.
    fn turned(&mut self, _state: &State) {}

    /// What a rollout that has not ended waits for at this moment, looked at now and then.
    fn waits(&mut self, _rollout: &RolloutName, _blockers: &[Blocker], _now: Time) {}

    /// Somebody has asked for something; nothing that follows is written down yet.
    fn answered(&mut self, _verb: &Verb, _answer: &Result<Answer, Refusal>) {}

    /// Time has passed, and nothing follows from it.
    fn quiet(&mut self, _engine: &Engine, _now: Time) {}

    /// The prober has seen whether a process is healthy.
    fn probed(&mut self, _instance: &InstanceId, _address: &Address, _healthy: bool) {}

    /// A control plane goes on from what the journal adds up to.
    fn recovered(&mut self, _state: &State, _proxies: &Proxies, _now: Time) {}
}

/// Does not look.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl Watch for Nobody {}

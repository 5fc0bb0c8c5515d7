//! A fleet that there is: the simulation goes on from what a control plane's journal adds up to, and makes
//! up no other one. What was only observed there comes in beside it.

use std::collections::{BTreeMap, BTreeSet};

use super::process::Process;
use super::proxy::{Key, Proxy};
use super::world::Sim;
use crate::domain::{ProxyId, ServiceName, Span};
use crate::engine::{Stage, State};

/// A fleet, as far as a simulation must know it.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// What the journal adds up to.
    pub state: State,
    /// The proxies that are connected; the others stay away.
    pub connected: BTreeSet<ProxyId>,
    /// Those of them that never say what is in progress.
    pub silent: BTreeSet<ProxyId>,
    /// Instances that fail their health check, and go on doing so.
    pub sick: BTreeSet<Key>,
}

/// Proxies, sources and probers have all spoken within this.
pub(super) const SETTLES_WITHIN: Span = Span::secs(5);

impl Sim<'_> {
    /// Goes on with that fleet, and lets everybody speak once.
    pub(super) fn go_on_with(&mut self, standing: Standing) {
        let Standing {
            state,
            connected,
            silent,
            sick,
        } = standing;
        let mut reach = BTreeMap::<ServiceName, u64>::new();
        for service in state.proxies.values().flat_map(|proxy| state.reach(proxy)) {
            *reach.entry(service).or_default() += 1;
        }
        let all = u64::from(self.setup.rps) * 1000;
        for identity in state.proxies.values() {
            let rates = state.reach(identity).into_iter();
            let rates = rates.map(|service| {
                let share = all / reach[&service].max(1);
                (service, share)
            });
            let rates = rates.collect();
            let mut proxy = Proxy::new(identity.clone(), rates, &mut self.chance, self.now);
            proxy.silent = silent.contains(&identity.id);
            self.proxies.insert(identity.id.clone(), proxy);
        }
        for (service, known) in &state.services {
            for (id, known) in &known.instances {
                // Whatever is released may be gone by now, and nobody waits for it.
                let is_released = matches!(known.stage, Stage::Released { .. });
                if is_released && !self.lists(service) {
                    continue;
                }
                let key = (service.clone(), id.clone());
                let is_sick = sick.contains(&key);
                let process = Process::there(known.instance.clone(), self.now, is_sick);
                let usual = self.usual.entry(service.clone());
                usual.or_insert(known.instance.capacity);
                let place = known.instance.locality.clone();
                self.stood.insert(key.clone(), place);
                self.processes.insert(key, process);
            }
        }
        let ids = connected.into_iter();
        let ids = ids.filter(|id| self.proxies.contains_key(id));
        let ids: Vec<ProxyId> = ids.collect();
        self.take_up(state, ids);
        let settled = SETTLES_WITHIN.after(self.now);
        while self.now < settled && self.happen_next() {}
    }
}

//! What a new set of documents does to the state: what proxies keep although it is gone, and gates.

use std::borrow::Cow;

use super::{RolloutState, State};
use crate::domain::{Documents, Gate, GateName, RolloutName};

impl State {
    pub(super) fn put_in_force(&mut self, documents: &Documents) {
        let known: Vec<_> = self.proxies.values().cloned().collect();
        let before: Vec<_> = known.iter().map(|proxy| self.reach(proxy)).collect();
        let gone = std::mem::replace(&mut self.documents, documents.clone());
        for (proxy, before) in known.iter().zip(before) {
            self.hold(proxy, before);
        }
        for rollout in self.rollouts.values_mut().filter(|it| !it.over()) {
            rollout.keep_gates(&gone, documents);
        }
    }

    /// The gates that judge a rollout, as they are now: an edit holds from then on, as new numbers of its own
    /// document do. One whose document is gone stays as it was for whoever named it before.
    pub fn gates_of<'a>(
        &'a self,
        rollout: &'a RolloutState,
    ) -> impl Iterator<Item = Cow<'a, Gate>> {
        rollout.spec.gates.iter().filter_map(|name| {
            let mut kept = rollout.gates_kept.iter();
            let kept = kept.find(|gate| gate.name == *name).map(Cow::Borrowed);
            kept.or_else(|| self.documents.gate(name))
        })
    }

    /// One of them.
    pub fn gate_of(&self, rollout: &RolloutName, gate: &GateName) -> Option<Gate> {
        let mut gates = self.gates_of(self.rollouts.get(rollout)?);
        gates.find(|known| known.name == *gate).map(Cow::into_owned)
    }
}

impl RolloutState {
    fn keep_gates(&mut self, before: &Documents, after: &Documents) {
        self.gates_kept
            .retain(|gate| !after.gates.contains_key(&gate.name));
        let named = self.spec.gates.iter();
        let gone = named.filter(|name| !after.gates.contains_key(name));
        let kept = gone.filter_map(|name| before.gates.get(name)).cloned();
        self.gates_kept.extend(kept);
    }
}

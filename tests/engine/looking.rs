//! What a story looks at: phases, stages, weights, and the sentences of what is waited for.

use tidegate::domain::InstanceId;
use tidegate::engine::{Phase, RolloutView, StageKind};

use crate::sample::name;
use crate::world::World;

impl World {
    /// Invariant 10: what does not end names what it waits for.
    pub(crate) fn nobody_waits_in_silence(&self) {
        let view = self.engine.view(self.now);
        let stages = view.services.iter().flat_map(|service| &service.instances);
        let stages: Vec<String> = stages.map(|i| format!("{} {}", i.id, i.stage)).collect();
        for rollout in view.rollouts.iter().filter(|r| r.ended.is_none()) {
            let (name, phase) = (&rollout.name, rollout.phase);
            let silent = rollout.blockers.is_empty();
            assert!(
                !silent,
                "10: {name} is {phase} and waits in silence: {stages:?}"
            );
        }
    }

    pub(crate) fn rollout(&self, called: &str) -> RolloutView {
        let view = self.engine.view(self.now);
        let mut rollouts = view.rollouts.into_iter();
        let found = rollouts.find(|rollout| rollout.name.as_str() == called);
        found.unwrap_or_else(|| panic!("there is no rollout {called}"))
    }

    pub(crate) fn phase(&self, rollout: &str) -> Phase {
        self.rollout(rollout).phase
    }

    /// The sentences of what a rollout waits for.
    pub(crate) fn why(&self, rollout: &str) -> String {
        let blockers = self.rollout(rollout).blockers;
        let sentences: Vec<String> = blockers.into_iter().map(|b| b.text).collect();
        sentences.join(" / ")
    }

    /// The word of an instance's stage; `gone` when it is not known.
    pub(crate) fn stage(&self, id: &str) -> String {
        let cart = self.engine.state().services.get(&name("cart"));
        let known = cart.and_then(|cart| cart.instances.get(&name(id)));
        known.map_or("gone".to_owned(), |known| known.stage.to_string())
    }

    pub(crate) fn serving(&self, version: &str) -> u32 {
        let cart = self.engine.state().services.get(&name("cart"));
        cart.map_or(0, |cart| {
            cart.instances
                .count(|s| s.version.as_str() == version && s.stage == StageKind::Serving)
        })
    }

    /// Who of a version serves.
    pub(crate) fn serving_ids(&self, version: &str) -> Vec<InstanceId> {
        let cart = self.engine.state().services.get(&name("cart"));
        cart.map_or_else(Vec::new, |cart| {
            let serving = cart
                .instances
                .select(|s| s.version.as_str() == version && s.stage == StageKind::Serving);
            serving.into_keys().cloned().collect()
        })
    }

    /// The journal in sentences.
    pub(crate) fn history(&self) -> Vec<String> {
        self.truth
            .journal
            .iter()
            .map(|entry| entry.record.to_string())
            .collect()
    }

    /// `version:weight` of each routed version as last published, in order.
    pub(crate) fn weights(&self) -> String {
        let plan = self.truth.published.as_ref();
        let cart = plan.and_then(|plan| plan.service(&name("cart")));
        let routed = cart
            .into_iter()
            .flat_map(tidegate::domain::ServicePlan::routed);
        let shown = routed.map(|v| format!("{}:{}", v.name, v.weight));
        shown.collect::<Vec<_>>().join(" ")
    }
}

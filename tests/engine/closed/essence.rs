//! What makes two worlds alike: all that anything can depend on from here, without times, and with generations by
//! their order.
//!
//! The state is taken apart field by field, so a new one does not compile until somebody has said whether it counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::discriminant;

use tidegate::engine::{InstanceState, RolloutState, ServiceState, State};

use super::{Closed, Edge};

impl Closed {
    /// A fingerprint; what may still go wrong is part of it.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.trouble.hash(&mut hasher);
        hash_by_order(&self.essence(), &mut hasher);
        hasher.finish()
    }

    fn essence(&self) -> String {
        let Self {
            engine,
            now: _,
            // A function of the state.
            published: _,
            edges,
            instances,
            // Names are not used again.
            launched: _,
            calls,
            heard,
            looked,
            trouble: _,
            broken: _,
            essence: _,
        } = self;
        let (calls, instances) = (calls.keys(), instances.keys());
        let mut text = format!("{calls:?}{heard:?}{instances:?}{looked}");
        of_state(&mut text, engine.state());
        for edge in edges {
            of_edge(&mut text, edge);
        }
        text + &engine.observed()
    }
}

fn of_state(text: &mut String, state: &State) {
    let State {
        documents: _,
        generation,
        proxies,
        held,
        frozen,
        // Nobody asks twice.
        requests: _,
        rollouts,
        services,
    } = state;
    let (proxies, frozen) = (proxies.keys(), frozen.is_some());
    let _ = write!(text, "{generation:?}{proxies:?}{held:?}{frozen}");
    for known in services.values() {
        of_service(text, known);
    }
    for rollout in rollouts.values() {
        of_rollout(text, rollout);
    }
}

fn of_service(text: &mut String, known: &ServiceState) {
    let ServiceState {
        changed,
        stable,
        versions,
        split,
        kept,
        instances,
        lost,
    } = known;
    let kept = kept.is_some();
    let _ = write!(
        text,
        "{changed:?}{stable:?}{versions:?}{split:?}{kept}{lost:?}"
    );
    for (id, known) in instances {
        let InstanceState {
            instance: _,
            stage,
            since: _,
            told,
        } = known;
        let (needs, cause) = (stage.needs(), stage.cause());
        let missing = stage.proof().map(|proof| &proof.missing);
        let _ = write!(text, "{id} {stage} {told}{needs:?}{cause:?}{missing:?};");
    }
}

fn of_rollout(text: &mut String, rollout: &RolloutState) {
    let RolloutState {
        spec: _,
        origin: _,
        by: _,
        planned: _,
        started,
        paused,
        overridden,
        turned,
        // No gate judges here: proxies count no answers.
        gates_kept: _,
        gates: _,
        heard: _,
        crashes: _,
        lanes,
        waves_done,
        waves_undone,
        steps,
        steps_done,
        step_since,
        approved,
        hooks,
        asks,
        superseded,
        batches_done,
        bake,
        ended,
        progress: _,
        // Nothing is decided by what was measured.
        report: _,
    } = rollout;
    let started = started
        .as_ref()
        .map(|it| (&it.from, it.desired, it.capacity));
    let ended = ended.as_ref().map(|(_, outcome)| outcome);
    let held = (
        paused.is_some(),
        overridden.is_some(),
        approved,
        asks.is_empty(),
    );
    let _ = write!(
        text,
        "{started:?}{ended:?}{held:?}{turned:?}{lanes:?}{superseded:?}"
    );
    let done = (waves_done, waves_undone, steps_done, batches_done);
    let (since, bake) = (step_since.is_some(), discriminant(bake));
    let _ = write!(text, "{done:?}{steps:?}{since}{bake:?}");
    for hook in hooks {
        let _ = write!(text, "{} {:?}{};", hook.call.key, hook.status, hook.past);
    }
}

fn of_edge(text: &mut String, edge: &Edge) {
    let Edge {
        id: _,
        connected,
        since: _,
        in_force,
        told,
        word,
        refused,
        request,
    } = edge;
    for told in [in_force, told] {
        let told = told.as_ref().map(|told| (told.plan.generation, &told.says));
        let _ = write!(text, "{told:?}");
    }
    let _ = write!(text, "{connected}{word:?}{refused}{request:?};");
}

/// Only the order of generations counts: worlds in which one was skipped go on alike.
fn hash_by_order(text: &str, hasher: &mut DefaultHasher) {
    let parts: Vec<&str> = text.split("Generation(").collect();
    let number = |part: &str| -> Option<(u64, usize)> {
        let end = part.find(')')?;
        Some((part[..end].parse().ok()?, end))
    };
    let (first, rest) = parts.split_first().unwrap_or((&"", &[]));
    let numbers = rest.iter().filter_map(|part| number(part));
    let numbers: BTreeSet<u64> = numbers.map(|(number, _)| number).collect();
    let order: BTreeMap<u64, usize> = numbers.into_iter().zip(0..).collect();
    first.hash(hasher);
    for part in rest {
        match number(part) {
            Some((number, end)) => (order[&number], &part[end..]).hash(hasher),
            None => part.hash(hasher),
        }
    }
}

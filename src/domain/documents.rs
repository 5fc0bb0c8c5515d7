//! The set of documents, valid as a whole: what users want, apart from what they do.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    BUILT_IN_GATE, Gate, GateName, Gateway, GatewayName, Policy, PolicyName, Rollout, RolloutName,
    Service, ServiceName,
};

/// Every document in force. References between them have been checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Documents {
    /// Gateways by name.
    pub gateways: BTreeMap<GatewayName, Gateway>,
    /// Services by name.
    pub services: BTreeMap<ServiceName, Service>,
    /// Gates by name.
    pub gates: BTreeMap<GateName, Gate>,
    /// Rollouts by name.
    pub rollouts: BTreeMap<RolloutName, Rollout>,
    /// Policies by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<PolicyName, Policy>,
}

impl Documents {
    /// Services of which each comes after the next by a policy, the last after the first; and the policy
    /// that says so of the first.
    pub fn circle(&self) -> Option<(&PolicyName, Vec<&ServiceName>)> {
        let mut clear = BTreeSet::new();
        let mut services = self.services.keys();
        services.find_map(|service| {
            let circle = self.circle_from(service, &mut Vec::new(), &mut clear)?;
            let first = circle.first()?;
            let next = circle.get(1).unwrap_or(first);
            let mut policies = self.policies_of(first);
            let policy = policies.find(|policy| policy.after.contains(next))?;
            Some((&policy.name, circle))
        })
    }

    fn circle_from<'a>(
        &'a self,
        service: &'a ServiceName,
        path: &mut Vec<&'a ServiceName>,
        clear: &mut BTreeSet<&'a ServiceName>,
    ) -> Option<Vec<&'a ServiceName>> {
        if let Some(begin) = path.iter().position(|before| *before == service) {
            return Some(path[begin..].to_vec());
        }
        if clear.contains(service) {
            return None;
        }
        path.push(service);
        for policy in self.policies_of(service) {
            for first in policy.after.iter().filter(|first| *first != service) {
                if let Some(circle) = self.circle_from(first, path, clear) {
                    return Some(circle);
                }
            }
        }
        path.pop();
        clear.insert(service);
        None
    }

    /// The policies that are about a service.
    pub fn policies_of(
        &self,
        service: &ServiceName,
    ) -> impl Iterator<Item = &Policy> + Clone + use<'_> {
        let service = self.services.get(service);
        let policies = self.policies.values();
        policies.filter(move |policy| service.is_some_and(|it| policy.applies_to(it)))
    }

    /// The gate of this name. One exists without a document.
    pub fn gate(&self, name: &GateName) -> Option<Cow<'_, Gate>> {
        let declared = self.gates.get(name).map(Cow::Borrowed);
        let built_in = || Cow::Owned(Gate::built_in(name.clone()));
        declared.or_else(|| (name.as_str() == BUILT_IN_GATE).then(built_in))
    }

    /// The rollouts that they ask for: those with a document of their own, and what services are to run.
    pub fn asked_for(&self) -> impl Iterator<Item = &Rollout> {
        let runs = self.services.values();
        let runs = runs.filter_map(|service| service.run.as_deref());
        self.rollouts.values().chain(runs)
    }

    /// What is new, changed or gone in `after`, a line each: `Rollout cart-42 created`.
    pub fn changes(&self, after: &Self) -> impl Iterator<Item = String> + use<> {
        let kinds = [
            changes(Kind::Gateway, &self.gateways, &after.gateways),
            changes(Kind::Service, &self.services, &after.services),
            changes(Kind::Gate, &self.gates, &after.gates),
            changes(Kind::Policy, &self.policies, &after.policies),
            changes(Kind::Rollout, &self.rollouts, &after.rollouts),
        ];
        kinds.into_iter().flatten()
    }
}

fn changes<K: Ord + fmt::Display, V: PartialEq>(
    kind: Kind,
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, document) in after {
        match before.get(name) {
            None => lines.push(format!("{kind} {name} created")),
            Some(known) if known != document => lines.push(format!("{kind} {name} changed")),
            Some(_) => {}
        }
    }
    let gone = before.keys().filter(|name| !after.contains_key(name));
    lines.extend(gone.map(|name| format!("{kind} {name} deleted")));
    lines
}

/// The kinds of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// What "no worse" means.
    Gate,
    /// Listeners and routes for some proxies.
    Gateway,
    /// House rules.
    Policy,
    /// One change.
    Rollout,
    /// What callers call.
    Service,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Gate,
        Self::Gateway,
        Self::Policy,
        Self::Rollout,
        Self::Service,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Gate => "Gate",
            Self::Gateway => "Gateway",
            Self::Policy => "Policy",
            Self::Rollout => "Rollout",
            Self::Service => "Service",
        })
    }
}

//! What differs between the documents wanted and those in force, and between what services are to run and
//! what serves. Pure, and the very value that programs get.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::{Kind, RolloutName, Service, ServiceName, VersionName};
use crate::engine::{Outcome, Phase, RolloutView, View};
use crate::spec::{Entry, Loaded};

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Drift {
    /// Is there any?
    #[serde(rename = "drift")]
    pub(crate) any: bool,
    /// Documents that differ.
    pub(crate) documents: Vec<DocumentDrift>,
    /// Services whose document says what they run.
    pub(crate) services: Vec<ServiceDrift>,
}

/// A document that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DocumentDrift {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) change: Change,
    /// Where it stands: in the files, or else where it was applied from.
    pub(crate) source: String,
    /// What is wanted, as it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wanted: Option<String>,
    /// What is in force, as it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) in_force: Option<String>,
}

/// How it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Change {
    /// It says something else.
    Changed,
    /// It is in the files alone.
    NotInForce,
    /// It is in force alone.
    NotInFiles,
}

/// A service, and what its document says that it runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceDrift {
    pub(crate) service: ServiceName,
    /// What it is to run.
    pub(crate) run: VersionName,
    /// What answers for it.
    pub(crate) stable: Option<VersionName>,
    /// The rollout that moves it, or that last should have brought it there.
    pub(crate) rollout: Option<RolloutName>,
    /// Where that stands.
    pub(crate) phase: Option<Phase>,
    /// Is it neither there nor on its way?
    pub(crate) drift: bool,
    /// The same in a sentence.
    pub(crate) message: String,
}

impl Drift {
    /// What differs.
    pub(crate) fn between(wanted: &Loaded, in_force: &Loaded, view: &View) -> Self {
        let documents = documents(wanted, in_force);
        let services = wanted.documents.services.values();
        let services = services.filter_map(|service| {
            let known = in_force.documents.services.get(&service.name);
            ServiceDrift::of(service, known.and_then(Service::runs), view)
        });
        let services: Vec<_> = services.collect();
        let any = !documents.is_empty() || services.iter().any(|service| service.drift);
        Self {
            any,
            documents,
            services,
        }
    }
}

fn documents(wanted: &Loaded, in_force: &Loaded) -> Vec<DocumentDrift> {
    let by_name = |loaded: &Loaded| {
        let entries = loaded.index.iter();
        let entries = entries.map(|entry| ((entry.kind, entry.name.clone()), entry.clone()));
        entries.collect::<BTreeMap<(Kind, String), Entry>>()
    };
    let before = by_name(in_force);
    let mut drift = Vec::new();
    for ((kind, name), entry) in &by_name(wanted) {
        let known = before.get(&(*kind, name.clone()));
        let change = match known {
            None => Change::NotInForce,
            Some(_) if is_same(wanted, in_force, *kind, name) => continue,
            Some(_) => Change::Changed,
        };
        drift.push(DocumentDrift {
            kind: *kind,
            name: name.clone(),
            change,
            source: format!("{}:{}", entry.file, entry.line),
            wanted: Some(entry.yaml.clone()),
            in_force: known.map(|known| known.yaml.clone()),
        });
    }
    let is_wanted = |entry: &Entry| {
        let mut wanted = wanted.index.iter();
        wanted.any(|it| (it.kind, &it.name) == (entry.kind, &entry.name))
    };
    let alone = before.into_values().filter(|entry| !is_wanted(entry));
    drift.extend(alone.map(|entry| DocumentDrift {
        kind: entry.kind,
        name: entry.name,
        change: Change::NotInFiles,
        source: entry.file,
        wanted: None,
        in_force: Some(entry.yaml),
    }));
    drift
}

/// Do both mean the same, however it is written?
fn is_same(wanted: &Loaded, in_force: &Loaded, kind: Kind, name: &str) -> bool {
    fn same<K: std::str::FromStr + Ord, V: PartialEq>(
        wanted: &BTreeMap<K, V>,
        in_force: &BTreeMap<K, V>,
        name: &str,
    ) -> bool {
        let key = name.parse::<K>().ok();
        key.is_some_and(|key| wanted.get(&key) == in_force.get(&key))
    }
    let (wanted, in_force) = (&wanted.documents, &in_force.documents);
    match kind {
        Kind::Gate => same(&wanted.gates, &in_force.gates, name),
        Kind::Gateway => same(&wanted.gateways, &in_force.gateways, name),
        Kind::Policy => same(&wanted.policies, &in_force.policies, name),
        Kind::Rollout => same(&wanted.rollouts, &in_force.rollouts, name),
        Kind::Service => same(&wanted.services, &in_force.services, name),
    }
}

impl ServiceDrift {
    fn of(service: &Service, in_force: Option<&VersionName>, view: &View) -> Option<Self> {
        let run = service.runs()?.clone();
        let known = view.services.iter().find(|it| it.name == service.name);
        let stable = known.and_then(|known| known.stable.clone());
        let rollouts = view.rollouts.iter().filter(|r| r.service == service.name);
        let open = rollouts.clone().filter(|rollout| rollout.ended.is_none());
        let open = open.max_by_key(|rollout| rollout.planned);
        let last = rollouts.filter(|rollout| rollout.to == run);
        let last = last.max_by_key(|rollout| rollout.ended);
        let serves = stable.as_ref().map_or_else(
            || "nothing serves yet".to_owned(),
            |stable| format!("{stable} serves"),
        );
        let (rollout, drift, message) = match open {
            Some(open) if *heads_for(open) == run => {
                let (name, phase) = (&open.name, open.phase);
                let at = format!("{name} is {phase}, {}/{}", open.done, open.total);
                (Some(open), false, format!("on its way to {run}: {at}"))
            }
            Some(open) => {
                let to = heads_for(open);
                let message = format!("`run: {run}`, and {} takes it to {to}", open.name);
                (Some(open), true, message)
            }
            None if stable.as_ref() == Some(&run) => (None, false, format!("{run} serves")),
            None if in_force != Some(&run) => {
                let message = format!("`run: {run}` is not in force, and {serves}");
                (None, true, message)
            }
            None => {
                let how = last.map_or_else(String::new, |last| {
                    format!(": {} {}", last.name, ended(last))
                });
                (last, true, format!("`run: {run}`, and {serves}{how}"))
            }
        };
        Some(Self {
            service: service.name.clone(),
            rollout: rollout.map(|rollout| rollout.name.clone()),
            phase: rollout.map(|rollout| rollout.phase),
            run,
            stable,
            drift,
            message,
        })
    }
}

/// The version that it ends on as it goes now.
fn heads_for(rollout: &RolloutView) -> &VersionName {
    match (&rollout.from, rollout.phase) {
        (Some(from), Phase::RollingBack) => from,
        _ => &rollout.to,
    }
}

fn ended(rollout: &RolloutView) -> &'static str {
    match rollout.outcome {
        Some(Outcome::RolledBack) => "was rolled back",
        Some(Outcome::Superseded) => "was superseded",
        Some(Outcome::Done) => "was done, and another one followed",
        None => "has not ended",
    }
}

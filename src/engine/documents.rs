//! How a set of documents becomes rollouts.

use super::turn::Turn;
use super::{Actor, Origin, Record, wanted};
use crate::domain::{Documents, Rollout, ServiceName, VersionName};

/// Puts a set in force. A Rollout with a new name, or with another spec than when it last ran,
/// starts one; the same spec again does nothing. A running rollout takes over new numbers; where
/// its document wants another service, version or strategy, it holds and says so. A Service whose `run`
/// names another version than before is a rollout, too.
pub(super) fn apply(turn: &mut Turn<'_>, documents: Documents, by: &Actor) {
    if turn.state.documents == documents {
        return;
    }
    let ran = runs(&turn.state.documents);
    let rollouts: Vec<Rollout> = documents.rollouts.values().cloned().collect();
    let known: Vec<_> = turn.state.services.keys().cloned().collect();
    let changes = turn.state.documents.changes(&documents);
    turn.record(Record::DocumentsApplied {
        documents: Box::new(documents),
        by: by.clone(),
        changes: changes.collect(),
    });
    // Who is told what may have changed for every service, and each must be shown to be in force.
    let declared: Vec<_> = turn.state.documents.services.keys().cloned().collect();
    known
        .iter()
        .chain(&declared)
        .for_each(|service| turn.touch(service));
    for spec in rollouts {
        let running = turn.state.rollouts.get(&spec.name);
        let record = match running {
            Some(rollout) if rollout.spec == spec => continue,
            Some(rollout) if rollout.runs() => {
                if !spec.amends(&rollout.spec) {
                    continue;
                }
                Record::RolloutAmended {
                    spec: Box::new(spec),
                    by: Some(by.clone()),
                }
            }
            _ => Record::RolloutPlanned {
                spec: Box::new(spec),
                origin: Origin::Document,
                by: by.clone(),
                reason: None,
            },
        };
        turn.record(record);
    }
    for (service, run) in runs(&turn.state.documents) {
        if !ran.contains(&(service.clone(), run)) {
            wanted::follow(turn, &service, by);
        }
        wanted::amend(turn, &service, by);
    }
}

/// The versions that services are to run, as far as their documents say so.
fn runs(documents: &Documents) -> Vec<(ServiceName, VersionName)> {
    let services = documents.services.values();
    let runs = services.filter_map(|service| Some((service.name.clone(), service.runs()?.clone())));
    runs.collect()
}

//! How long things took in earlier rollouts, as far as a control plane still knows them.

use std::collections::{BTreeMap, btree_map};

use crate::domain::{InstanceId, ServiceName, Span, Time, VersionName};
use crate::engine::{Entry, Record, RolloutView, Stage, View};
use crate::sim::Times;

/// Measurements of one kind per service; the newest say best how it is now.
const NEWEST_MAX: usize = 500;

/// What was measured, by service: drains by what rollouts report, starts by what the journal says.
pub(super) fn times(view: &View, journal: &[Entry]) -> BTreeMap<ServiceName, Times> {
    let mut all = BTreeMap::<ServiceName, Times>::new();
    for (service, took) in starts(view, journal).into_iter().rev() {
        let times = all.entry(service).or_default();
        if times.ready.len() < NEWEST_MAX {
            times.ready.push(took);
        }
    }
    let mut rollouts: Vec<&RolloutView> = view.rollouts.iter().collect();
    rollouts.sort_by_key(|rollout| std::cmp::Reverse(rollout.started));
    for rollout in rollouts {
        let times = all.entry(rollout.service.clone()).or_default();
        // One that was not proven says how long somebody was willing to wait.
        let drained = rollout.report.drained.iter().rev();
        let drained = drained.filter(|drain| drain.proven);
        let drained = drained.map(|drain| Span::millis(drain.took_ms));
        times.drains.extend(drained);
        times.drains.truncate(NEWEST_MAX);
    }
    all
}

/// From the first sight of each instance that came in a rollout to its being ready, in order. The others may
/// have been there before anybody looked.
fn starts(view: &View, journal: &[Entry]) -> Vec<(ServiceName, Span)> {
    let came_in = |service: &ServiceName, version: &VersionName, at: Time| {
        let mut rollouts = view.rollouts.iter();
        rollouts.any(|rollout| {
            let began = rollout.started.is_some_and(|began| began <= at);
            let goes_on = rollout.ended.is_none_or(|ended| at <= ended);
            (&rollout.service, &rollout.to) == (service, version) && began && goes_on
        })
    };
    // Until an instance first moves: since when it is known.
    let mut known = BTreeMap::<(&ServiceName, &InstanceId), Option<Time>>::new();
    let mut starts = Vec::new();
    for Entry { at, record, .. } in journal {
        match record {
            Record::InstanceSeen { service, instance } => {
                let entry = known.entry((service, &instance.id));
                if let btree_map::Entry::Vacant(new) = entry {
                    let is_ours = came_in(service, &instance.version, *at);
                    new.insert(is_ours.then_some(*at));
                }
            }
            Record::InstanceMoved {
                service,
                instance,
                to,
                ..
            } => {
                let since = known.insert((service, instance), None).flatten();
                if let (Stage::Ready, Some(since)) = (to, since) {
                    starts.push((service.clone(), Span::between(since, *at)));
                }
            }
            Record::InstanceGone { service, instance }
            | Record::InstanceLost {
                service, instance, ..
            } => {
                known.remove(&(service, instance));
            }
            _ => {}
        }
    }
    starts
}

/// `4.2s, at most 9s (median and slowest of 34 measured)`
pub(super) fn spread(times: &[Span]) -> Option<String> {
    let mut sorted = times.to_vec();
    sorted.sort();
    let median = sorted.get(sorted.len().saturating_sub(1) / 2)?;
    let (slowest, count) = (sorted.last()?, sorted.len());
    Some(format!(
        "{median}, at most {slowest} (median and slowest of {count} measured)"
    ))
}

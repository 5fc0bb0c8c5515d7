//! The waits of each subject as of the last turn, with since when each has lasted.

use std::collections::BTreeMap;

use super::turn::Subject;
use super::{Blocker, State, Wait};
use crate::domain::{Span, Time};

/// Waits by subject.
#[derive(Debug, Default, Clone)]
pub(super) struct Waits(BTreeMap<Subject, Vec<Blocker>>);

impl Waits {
    /// What `subject` waits for.
    pub(super) fn of(&self, subject: &Subject) -> &[Blocker] {
        self.0.get(subject).map_or(&[], Vec::as_slice)
    }

    /// Replaces all waits; one that continues keeps its beginning.
    pub(super) fn update(&mut self, state: &State, waits: BTreeMap<Subject, Vec<Wait>>, now: Time) {
        let before = std::mem::take(&mut self.0);
        for (subject, waits) in waits {
            let known = before.get(&subject).map_or(&[][..], Vec::as_slice);
            let blockers = waits.into_iter().map(|on| {
                let same = known.iter().find(|blocker| on.continues(&blocker.on));
                let since = same.map_or(now, |blocker| blocker.since);
                let until = ends(state, &subject, &on, since);
                Blocker { on, since, until }
            });
            let blockers = blockers.collect();
            self.0.insert(subject, blockers);
        }
    }
}

/// When a wait ends by itself, if it does.
fn ends(state: &State, subject: &Subject, wait: &Wait, since: Time) -> Option<Time> {
    let service = match subject {
        Subject::Service(service) => service,
        Subject::Rollout(rollout) => &state.rollouts.get(rollout)?.spec.service,
    };
    match wait {
        Wait::Rule { rule, .. } => rule.until(),
        Wait::Moment { stands, .. } => stands.until(),
        Wait::Bake { span, .. } | Wait::Step { span, .. } => Some(span.after(since)),
        Wait::Approval { give_up, .. } => give_up.map(|span| span.after(since)),
        Wait::Drain { instance, .. } => {
            let known = state.services.get(service)?.instances.get(instance)?;
            let at_most: Span = state.service(service)?.drain.at_most;
            Some(at_most.after(known.since))
        }
        Wait::LostProxies {
            then: crate::domain::ThenDo::Ignore,
            wait,
            ..
        } => Some(wait.after(since)),
        _ => None,
    }
}

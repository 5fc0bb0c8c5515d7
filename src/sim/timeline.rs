//! What happened, line by line: the journal's sentences, and what was waited for.

use std::collections::BTreeSet;
use std::mem::{Discriminant, discriminant};

use serde::{Serialize, Serializer};

use super::report::seconds;
use crate::domain::{RolloutName, Span, Time};
use crate::engine::{Blocker, Entry, Record, StageKind, Wait};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Since the rollouts were asked for; in seconds where it is written.
    #[serde(rename = "at_s", serialize_with = "in_seconds")]
    pub at: Span,
    /// What happened.
    pub what: String,
}

fn in_seconds<S: Serializer>(span: &Span, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(seconds(*span))
}

/// The lines so far.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    began: Option<Time>,
    pub(super) lines: Vec<Line>,
    /// Waits that have been told, so that each is told once.
    told: BTreeSet<(RolloutName, Time, String)>,
}

/// Instances that move alike at one moment and are named one by one.
const NAMED_MAX: usize = 3;

/// A wait that is over sooner is the usual course of things.
const WORTH_TELLING: Span = Span::secs(5);

impl Timeline {
    /// From now on lines are kept, and counted from here.
    pub(super) fn begin(&mut self, now: Time) {
        self.began = Some(now);
    }

    /// Something happened outside of the journal.
    pub(super) fn say(&mut self, now: Time, what: impl Into<String>) {
        let Some(began) = self.began else { return };
        let (at, what) = (Span::between(began, now), what.into());
        self.lines.push(Line { at, what });
    }

    /// The entries of one turn. Instances that move alike share a line.
    pub(super) fn write(&mut self, entries: &[Entry]) {
        if self.began.is_none() {
            return;
        }
        let mut rest = entries;
        while let Some(entry) = rest.first() {
            let key = moved(&entry.record);
            let same = rest
                .iter()
                .take_while(|e| key.is_some() && moved(&e.record) == key);
            let alike = same.count().max(1);
            let (now, later) = rest.split_at(alike);
            rest = later;
            for entry in now.iter().take(NAMED_MAX).filter(|e| is_told(&e.record)) {
                self.say(entry.at, entry.record.to_string());
            }
            if alike > NAMED_MAX {
                self.say(entry.at, format!("and {} more like it", alike - NAMED_MAX));
            }
        }
    }

    /// What `rollout` waits for now.
    pub(super) fn wait(&mut self, rollout: &RolloutName, blockers: &[Blocker], now: Time) {
        for blocker in blockers {
            if Span::between(blocker.since, now) < WORTH_TELLING {
                continue;
            }
            let which = match &blocker.on {
                Wait::Drain { instance, .. } | Wait::NotUsed { instance, .. } => {
                    instance.to_string()
                }
                _ => String::new(),
            };
            let key = format!("{:?}{which}", kind(&blocker.on));
            if self.told.insert((rollout.clone(), blocker.since, key)) {
                self.say(now, format!("{rollout}: waits: {}", blocker.on));
            }
        }
    }
}

fn kind(wait: &Wait) -> Discriminant<Wait> {
    discriminant(wait)
}

/// Every plan is published and acknowledged; what it says stands in the lines before.
fn is_told(record: &Record) -> bool {
    let is_said_otherwise = matches!(
        record,
        Record::Published { .. } | Record::InForce { .. } | Record::InstanceSeen { .. }
    );
    !is_said_otherwise && !record.is_note()
}

/// Into which stage, and why, if an instance moved.
fn moved(record: &Record) -> Option<(StageKind, &str)> {
    match record {
        Record::InstanceMoved { to, why, .. } => Some((to.kind(), why)),
        _ => None,
    }
}

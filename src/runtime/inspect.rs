//! What there is to say of a journal that nobody is using: is it whole, does it add up, to what.
//!
//! Every entry is read, and as many as can be are added up: all of them while the first is there, and what
//! comes after the checkpoint otherwise. While all are there the checkpoint must say the same as they do.

use serde::Serialize;

use super::causes::chain;
use super::checkpoint::{Checkpoint, CheckpointHeader};
use super::journal::{JournalError, Replayed, add_until};
use crate::domain::Time;
use crate::engine::{Entry, State, check_plan, plan};
use crate::store::{Held, Store, StoreError, StoredCheckpoint};

/// Entries read at once.
const READ_ENTRIES_MAX: usize = 1000;

/// What is wrong, at most so many times.
const PROBLEMS_MAX: usize = 20;

/// What was found in a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The number of the oldest entry, 0 without any.
    pub first: u64,
    /// The number of the newest.
    pub last: u64,
    /// When the oldest was written.
    pub from: Option<Time>,
    /// When the newest was written.
    pub to: Option<Time>,
    /// The checkpoint, as far as it can be read.
    pub checkpoint: Option<CheckpointHeader>,
    /// Does the checkpoint say what the entries add up to? `None` if the first of them are gone, or if
    /// either cannot be read.
    pub checkpoint_is_true: Option<bool>,
    /// What it all adds up to, where it does.
    pub sum: Option<Sum>,
    /// Everything that is wrong, at most the first twenty.
    pub problems: Vec<String>,
}

/// A state in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// The newest generation.
    pub generation: u64,
    /// Services that are known.
    pub services: usize,
    /// Their instances.
    pub instances: usize,
    /// Proxies that count.
    pub proxies: usize,
    /// Rollouts that are listed.
    pub rollouts: usize,
    /// Those of them that have not ended.
    pub unfinished: usize,
}

/// Looks at everything. Only a store that cannot be read at all is an error.
pub fn inspect(store: &dyn Store) -> Result<Inspection, StoreError> {
    let mut found = Inspection::default();
    let Some(held) = store.held()? else {
        if store.checkpoint_seq()?.is_some() {
            found.note("there is a checkpoint and no entry".to_owned());
        }
        return Ok(found);
    };
    (found.first, found.last) = (held.first, held.last);
    found.read_all(store)?;
    let checkpoint = match store.checkpoint()? {
        Some(stored) => found.read_checkpoint(&stored, held),
        None => None,
    };
    if held.first > 1 && checkpoint.is_none() && found.problems.is_empty() {
        let error = JournalError::Beginning { first: held.first };
        found.note(error.to_string());
    }
    if found.problems.is_empty()
        && let Some(state) = found.add_up(store, held, checkpoint)
    {
        found.judge(&state);
    }
    Ok(found)
}

impl Inspection {
    fn note(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }

    /// Are the numbers without gaps, and is each entry one?
    fn read_all(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let mut next = self.first;
        loop {
            let numbers = store.read_from(next, READ_ENTRIES_MAX)?;
            if numbers.is_empty() {
                return Ok(());
            }
            for (seq, bytes) in numbers {
                if seq != next {
                    let last = seq - 1;
                    self.note(match last - next {
                        0 => format!("entry {next} is missing"),
                        _ => format!("entries {next} to {last} are missing"),
                    });
                }
                next = seq + 1;
                match serde_json::from_slice::<Entry>(&bytes) {
                    Ok(entry) => {
                        self.from = self.from.or(Some(entry.at));
                        self.to = Some(entry.at);
                    }
                    Err(error) => self.note(JournalError::Entry { seq, error }.to_string()),
                }
            }
        }
    }

    fn read_checkpoint(&mut self, stored: &StoredCheckpoint, held: Held) -> Option<Checkpoint> {
        let Held { first, last } = held;
        let seq = stored.seq;
        self.checkpoint = serde_json::from_slice(&stored.bytes).ok();
        if !(first..=last).contains(&seq) {
            self.note(JournalError::Detached { seq, first, last }.to_string());
            return None;
        }
        match Checkpoint::decode(stored) {
            Ok(checkpoint) => Some(checkpoint),
            Err(error) => {
                self.note(format!("the checkpoint at entry {seq}: {}", chain(&error)));
                None
            }
        }
    }

    /// What the entries add up to, and whether the checkpoint says the same.
    fn add_up(
        &mut self,
        store: &dyn Store,
        held: Held,
        checkpoint: Option<Checkpoint>,
    ) -> Option<State> {
        let mut replayed = Replayed::default();
        let mut added = Ok(());
        match checkpoint {
            Some(checkpoint) if held.first > 1 => {
                replayed.last = checkpoint.header.seq;
                replayed.state = checkpoint.state;
            }
            Some(checkpoint) => {
                let seq = checkpoint.header.seq;
                added = add_until(store, &mut replayed, seq);
                if added.is_ok() {
                    let is_true = replayed.state == checkpoint.state;
                    self.checkpoint_is_true = Some(is_true);
                    if !is_true {
                        self.note(format!(
                            "the checkpoint at entry {seq} does not say what the entries add up to"
                        ));
                    }
                }
            }
            None => {}
        }
        match added.and_then(|()| add_until(store, &mut replayed, u64::MAX)) {
            Ok(()) => Some(replayed.state),
            Err(error) => {
                self.note(chain(&error));
                None
            }
        }
    }

    /// Counts what there is, and asks the invariants.
    fn judge(&mut self, state: &State) {
        let instances = state.services.values().map(|known| known.instances.len());
        let unfinished = state.rollouts.values().filter(|rollout| !rollout.over());
        self.sum = Some(Sum {
            generation: state.generation.0,
            services: state.services.len(),
            instances: instances.sum(),
            proxies: state.proxies.len(),
            rollouts: state.rollouts.len(),
            unfinished: unfinished.count(),
        });
        if let Err(violation) = check_plan(&plan(state, state.generation)) {
            self.note(violation.to_string());
        }
    }
}

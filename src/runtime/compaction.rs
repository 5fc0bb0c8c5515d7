//! Keeps the journal from growing for ever: makes checkpoints, and deletes what is older than its
//! retention and covered by one.
//!
//! ```text
//! mailbox ──▶ so much is written ──▶ due? ──▶ checkpoint before + entries ──▶ checkpoint ──▶ old entries go
//! ```
//!
//! It reads what is durable and never asks the engine, so the mailbox does not wait for it: a checkpoint is
//! the one before plus the entries since, folded here, beside the loop. The store writes it in parts and
//! deletes in slices, each no longer than an append, with a rest between them. What fails is said and
//! tried again at the next time; until then there is more to read at a start, and nothing is lost.
//!
//! **Kept:** every entry that is younger than the retention, every entry since the beginning of the
//! oldest rollout that has not ended, and the entry of the checkpoint.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::causes::chain;
use super::checkpoint::{Checkpoint, CheckpointError};
use super::journal::{JournalError, replay};
use crate::domain::{Retention, Time};
use crate::engine::State;
use crate::process::clock;
use crate::store::{Store, StoreError};

/// Bytes of entries after which there is a checkpoint, however few they are.
const CHECKPOINT_BYTES: u64 = 64 * 1024 * 1024;

/// Old entries are looked for this often, and after every checkpoint.
const LOOK_EVERY: Duration = Duration::from_hours(1);

/// Entries deleted in one transaction.
const DELETE_ENTRIES: usize = 500;

/// From one such transaction to the next, so that appends come in between.
const DELETE_REST: Duration = Duration::from_millis(20);

/// Entries read at once in search of the first that stays.
const READ_ENTRIES: usize = 500;

/// What has been written to the journal since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// The number of the last entry.
    pub(super) last: u64,
    /// Bytes of entries, counted from the last checkpoint before the start.
    pub(super) bytes: u64,
}

/// How the journal stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalView {
    /// The number of the oldest entry that is kept; 0 while there is none.
    pub first: u64,
    /// The number of the newest entry when this was looked at.
    pub last: u64,
    /// The last entry in the newest checkpoint; 0 while there is none.
    pub checkpoint: u64,
    /// How many bytes it takes up on the disk.
    pub bytes: u64,
    /// Why the last attempt to make a checkpoint or to delete old entries failed, if it did.
    pub problem: Option<String>,
}

/// Why the journal could not be compacted.
#[derive(Debug, thiserror::Error)]
enum CompactionError {
    #[error("no checkpoint could be made")]
    Checkpoint(#[from] CheckpointError),
    #[error("the journal cannot be read back")]
    Journal(#[from] JournalError),
    #[error("old entries could not be deleted")]
    Store(#[from] StoreError),
    #[error("it was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// Who keeps it.
pub(super) struct Compaction {
    pub(super) store: Arc<dyn Store>,
    pub(super) retention: Retention,
    pub(super) written: watch::Receiver<Written>,
    pub(super) view: watch::Sender<JournalView>,
    pub(super) stop: CancellationToken,
}

impl Compaction {
    /// Runs until the stop. `from` is what the newest checkpoint covers.
    pub(super) async fn run(mut self, from: u64) {
        let mut done = Written {
            last: from,
            bytes: 0,
        };
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let stop = self.stop.clone();
        loop {
            let is_time = tokio::select! {
                () = stop.cancelled() => return,
                changed = self.written.changed() => match changed {
                    Ok(()) => false,
                    Err(_) => return,
                },
                _ = look.tick() => true,
            };
            let written = *self.written.borrow_and_update();
            let is_due = written.last.saturating_sub(done.last) >= self.retention.checkpoint_every
                || written.bytes.saturating_sub(done.bytes) >= CHECKPOINT_BYTES;
            if !is_due && !is_time {
                continue;
            }
            let compacted = tokio::select! {
                () = stop.cancelled() => return,
                compacted = self.compact(is_due) => compacted,
            };
            if is_due {
                // Also after a failure: it is tried again after as many entries, not at once.
                done = written;
            }
            self.report(compacted.err(), is_time);
        }
    }

    async fn compact(&self, checkpoint: bool) -> Result<(), CompactionError> {
        if checkpoint {
            let store = Arc::clone(&self.store);
            let seq = blocking(move || make_checkpoint(&*store, clock::now())).await??;
            tracing::info!(seq, "Journal: checkpoint made");
        }
        let (store, retention) = (Arc::clone(&self.store), self.retention.clone());
        let keep_from =
            blocking(move || first_to_keep(&*store, &retention, clock::now())).await??;
        let mut deleted = 0;
        loop {
            let store = Arc::clone(&self.store);
            let slice = blocking(move || store.delete_before(keep_from, DELETE_ENTRIES)).await??;
            deleted += slice;
            if slice < DELETE_ENTRIES {
                break;
            }
            tokio::time::sleep(DELETE_REST).await;
        }
        if deleted > 0 {
            tracing::info!(deleted, first = keep_from, "Journal: old entries deleted");
        }
        Ok(())
    }

    fn report(&self, error: Option<CompactionError>, is_time: bool) {
        let problem = error.map(|error| {
            let problem = chain(&error);
            tracing::error!(problem, "Journal: not compacted; nothing is lost, it grows");
            problem
        });
        let mut view = look(&*self.store).unwrap_or_default();
        if is_time && view.bytes > self.retention.size_warning {
            let (bytes, warning) = (view.bytes, self.retention.size_warning);
            tracing::warn!(
                bytes,
                warning,
                "Journal: larger than `journal.sizeWarning`; a shorter `journal.retention` would make it smaller"
            );
        }
        view.problem = problem;
        self.view.send_replace(view);
    }
}

/// How the journal stands, by its store.
pub(super) fn look(store: &dyn Store) -> Result<JournalView, StoreError> {
    let held = store.held()?;
    Ok(JournalView {
        first: held.map_or(0, |held| held.first),
        last: held.map_or(0, |held| held.last),
        checkpoint: store.checkpoint_seq()?.unwrap_or(0),
        bytes: store.bytes()?,
        problem: None,
    })
}

/// Sums up everything that is durable, and returns the number of the last entry in it.
fn make_checkpoint(store: &dyn Store, now: Time) -> Result<u64, CompactionError> {
    let replayed = replay(store)?;
    let seq = replayed.last;
    Checkpoint::new(seq, replayed.state, now).store(store)?;
    Ok(seq)
}

/// The number of the first entry that must stay.
fn first_to_keep(
    store: &dyn Store,
    retention: &Retention,
    now: Time,
) -> Result<u64, CompactionError> {
    let Some(stored) = store.checkpoint()? else {
        return Ok(0);
    };
    let checkpoint = Checkpoint::decode(&stored)?;
    let old = now
        .checked_sub(retention.kept.duration())
        .unwrap_or(Time::MIN);
    let cut = unfinished_since(&checkpoint.state).map_or(old, |since| since.min(old));
    let mut next = 1;
    loop {
        let entries = store.read_from(next, READ_ENTRIES)?;
        if entries.is_empty() {
            return Ok(next.min(stored.seq));
        }
        for (seq, bytes) in entries {
            let dated: Dated = serde_json::from_slice(&bytes)
                .map_err(|error| JournalError::Entry { seq, error })?;
            if seq >= stored.seq || dated.at >= cut {
                return Ok(seq);
            }
            next = seq + 1;
        }
    }
}

/// When the oldest rollout that has not ended was asked for.
fn unfinished_since(state: &State) -> Option<Time> {
    let unfinished = state.rollouts.values().filter(|rollout| !rollout.over());
    unfinished.map(|rollout| rollout.planned).min()
}

/// As much of an entry as says how old it is.
#[derive(Deserialize)]
struct Dated {
    at: Time,
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    tokio::task::spawn_blocking(work).await
}

#[cfg(test)]
mod tests;

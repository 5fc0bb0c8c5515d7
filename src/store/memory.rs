//! A journal in memory: for tests and for runs that need not survive.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Held, Store, StoreError, StoredCheckpoint, check_sizes};

/// Entries in memory; durable as long as the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// So many entries were deleted before the first one here.
    deleted: u64,
    entries: VecDeque<Vec<u8>>,
    checkpoint: Option<StoredCheckpoint>,
}

impl Inner {
    fn last(&self) -> u64 {
        self.deleted + self.entries.len() as u64
    }
}

impl MemoryStore {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// Each change is one step on moved values, so a panic elsewhere leaves nothing half done.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn append(&self, entries: &[Vec<u8>]) -> Result<u64, StoreError> {
        check_sizes(entries)?;
        let mut inner = self.inner();
        inner.entries.extend(entries.iter().cloned());
        Ok(inner.last())
    }

    fn read_from(&self, seq: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let inner = self.inner();
        let skip = seq.saturating_sub(inner.deleted + 1);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        Ok((inner.deleted + 1..)
            .zip(inner.entries.iter().cloned())
            .skip(skip)
            .take(limit)
            .collect())
    }

    fn held(&self) -> Result<Option<Held>, StoreError> {
        let inner = self.inner();
        let held = Held {
            first: inner.deleted + 1,
            last: inner.last(),
        };
        Ok((!inner.entries.is_empty()).then_some(held))
    }

    fn checkpoint(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        Ok(self.inner().checkpoint.clone())
    }

    fn checkpoint_seq(&self) -> Result<Option<u64>, StoreError> {
        Ok(self.inner().checkpoint.as_ref().map(|kept| kept.seq))
    }

    fn put_checkpoint(&self, checkpoint: &StoredCheckpoint) -> Result<(), StoreError> {
        self.inner().checkpoint = Some(checkpoint.clone());
        Ok(())
    }

    fn delete_before(&self, seq: u64, limit: usize) -> Result<usize, StoreError> {
        let mut inner = self.inner();
        let covered = inner.checkpoint.as_ref().map_or(0, |kept| kept.seq);
        let wanted = seq.min(covered).saturating_sub(inner.deleted + 1);
        let count = usize::try_from(wanted).unwrap_or(usize::MAX);
        let count = count.min(limit).min(inner.entries.len());
        inner.entries.drain(..count);
        inner.deleted += count as u64;
        Ok(count)
    }

    fn bytes(&self) -> Result<u64, StoreError> {
        let inner = self.inner();
        let entries: usize = inner.entries.iter().map(Vec::len).sum();
        let checkpoint = inner.checkpoint.as_ref().map_or(0, |kept| kept.bytes.len());
        Ok((entries + checkpoint) as u64)
    }
}

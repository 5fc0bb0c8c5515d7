//! A journal in memory: for tests and for runs that need not survive.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Store, StoreError, check_sizes};

/// Entries in memory; durable as long as the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    entries: Mutex<Vec<Vec<u8>>>,
}

impl MemoryStore {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// An append is one `extend` of moved values, so a panic elsewhere leaves no half group.
    fn entries(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn append(&self, entries: &[Vec<u8>]) -> Result<u64, StoreError> {
        check_sizes(entries)?;
        let mut all = self.entries();
        all.extend(entries.iter().cloned());
        Ok(all.len() as u64)
    }

    fn read_from(&self, seq: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let skip = usize::try_from(seq.saturating_sub(1)).unwrap_or(usize::MAX);
        let all = self.entries();
        Ok((1..)
            .zip(all.iter().cloned())
            .skip(skip)
            .take(limit)
            .collect())
    }
}

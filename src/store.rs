//! The journal's home: an append-only sequence of opaque entries that survives a crash.
//!
//! In go groups of entries, out come sequence numbers: from 1, without gaps. A group is on disk as a
//! whole or not at all, and it is on disk when [`Store::append`] returns, so that an effect may follow.
//! What an entry means only its writer knows. Calls block: an async caller moves them off its thread.
//!
//! Beside the entries there is at most one checkpoint: what all entries up to a number add up to, in
//! bytes of the writer's. Entries before it may be deleted, the oldest first; its own entry stays, so the
//! numbers go on from there and a journal that has begun is never empty again.

mod embedded;
mod error;
mod memory;
#[cfg(test)]
mod tests;

pub use embedded::EmbeddedStore;
pub use error::StoreError;
pub use memory::MemoryStore;

/// Longest entry in bytes; a decision is a few KiB, a whole set of documents some hundred.
pub const ENTRY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a journal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The number of the oldest entry.
    pub first: u64,
    /// The number of the newest.
    pub last: u64,
}

/// What all entries up to a number add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// The number of the last entry that is in it.
    pub seq: u64,
    /// In its writer's words.
    pub bytes: Vec<u8>,
}

/// An append-only journal.
pub trait Store: Send + Sync {
    /// Appends a group of entries, all or none, and returns the sequence number of the journal's last
    /// entry: 0 while it is empty. They are durable when this returns.
    fn append(&self, entries: &[Vec<u8>]) -> Result<u64, StoreError>;

    /// At most `limit` entries in order, the first of them numbered `seq` (or 1, if `seq` is 0), with
    /// their numbers. Fewer than `limit` means that the end is reached.
    fn read_from(&self, seq: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;

    /// Which entries there are; `None` while there is none.
    fn held(&self) -> Result<Option<Held>, StoreError>;

    /// The checkpoint, if one was made.
    fn checkpoint(&self) -> Result<Option<StoredCheckpoint>, StoreError>;

    /// The number of the last entry that the checkpoint covers, if there is one.
    fn checkpoint_seq(&self) -> Result<Option<u64>, StoreError>;

    /// Puts a checkpoint in the place of the one before, all of it or nothing. It has been read back
    /// from where it is kept when this returns. An append that comes meanwhile waits for a part of it.
    fn put_checkpoint(&self, checkpoint: &StoredCheckpoint) -> Result<(), StoreError>;

    /// Deletes entries with numbers under `seq`, the oldest first and at most `limit`, and returns how
    /// many. What the checkpoint does not cover, and its own entry, is never deleted.
    fn delete_before(&self, seq: u64, limit: usize) -> Result<usize, StoreError>;

    /// How many bytes it takes up.
    fn bytes(&self) -> Result<u64, StoreError>;
}

fn check_sizes(entries: &[Vec<u8>]) -> Result<(), StoreError> {
    match entries
        .iter()
        .map(Vec::len)
        .find(|bytes| *bytes > ENTRY_BYTES_MAX)
    {
        Some(bytes) => Err(StoreError::EntryTooLarge { bytes }),
        None => Ok(()),
    }
}

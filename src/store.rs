//! The journal's home: an append-only sequence of opaque entries that survives a crash.
//!
//! In go groups of entries, out come sequence numbers: from 1, without gaps. A group is on disk as a
//! whole or not at all, and it is on disk when [`Store::append`] returns, so that an effect may follow.
//! What an entry means only its writer knows. Calls block: an async caller moves them off its thread.

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

/// An append-only journal.
pub trait Store: Send + Sync {
    /// Appends a group of entries, all or none, and returns the sequence number of the journal's last
    /// entry: 0 while it is empty. They are durable when this returns.
    fn append(&self, entries: &[Vec<u8>]) -> Result<u64, StoreError>;

    /// At most `limit` entries in order, the first of them numbered `seq` (or 1, if `seq` is 0), with
    /// their numbers. Fewer than `limit` means that the end is reached.
    fn read_from(&self, seq: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;
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

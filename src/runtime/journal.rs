//! Entries ↔ bytes, and a journal read back into the state that it adds up to.
//!
//! One entry is one JSON object, so that a journal can be read and exported without this program.

use crate::engine::{Entry, IllegalRecord, State};
use crate::store::{Store, StoreError};

/// Entries read from the store at once.
const READ_ENTRIES_MAX: usize = 1000;

/// Why a journal cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// An entry is not what this version writes.
    #[error("entry {seq} of the journal cannot be read: {error}")]
    Entry {
        /// Its number.
        seq: u64,
        /// In serde's words.
        error: serde_json::Error,
    },
    /// An entry does not follow from those before it.
    #[error("entry {seq} of the journal does not fit")]
    Illegal {
        /// Its number.
        seq: u64,
        /// Why.
        #[source]
        source: IllegalRecord,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An entry as the store keeps it.
pub(super) fn encode(entry: &Entry) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(entry)
}

/// At most `limit` entries from number `from`.
pub(super) fn read(
    store: &dyn Store,
    from: u64,
    limit: usize,
) -> Result<Vec<(u64, Entry)>, JournalError> {
    let entries = store.read_from(from, limit)?;
    let decoded = entries.into_iter().map(|(seq, bytes)| {
        let entry = serde_json::from_slice(&bytes);
        entry
            .map(|entry| (seq, entry))
            .map_err(|error| JournalError::Entry { seq, error })
    });
    decoded.collect()
}

/// The state that the whole journal adds up to, and the number of its last entry.
pub fn replay(store: &dyn Store) -> Result<(State, u64), JournalError> {
    let (mut state, mut last) = (State::default(), 0);
    loop {
        let entries = read(store, last + 1, READ_ENTRIES_MAX)?;
        if entries.is_empty() {
            return Ok((state, last));
        }
        for (seq, entry) in entries {
            state
                .apply(&entry)
                .map_err(|source| JournalError::Illegal { seq, source })?;
            last = seq;
        }
    }
}

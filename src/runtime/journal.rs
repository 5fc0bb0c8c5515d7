//! Entries ↔ bytes, and a journal read back into the state that it adds up to.
//!
//! One entry is one JSON object, so that a journal can be read and exported without this program. A start
//! reads the newest checkpoint and the entries after it. One that this release cannot read is no loss
//! while all entries are there.

use crate::engine::{Entry, IllegalRecord, State};
use crate::store::{Store, StoreError};

use super::checkpoint::{Checkpoint, CheckpointError};

/// Entries read from the store at once.
const READ_ENTRIES_MAX: usize = 1000;

/// Why a journal cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Its beginning is missing, and nothing says what it added up to.
    #[error("the journal begins at entry {first} and has no checkpoint of what came before")]
    Beginning {
        /// The number of its first entry.
        first: u64,
    },
    /// The checkpoint cannot be used, and entries before it are gone.
    #[error(
        "the journal's checkpoint at entry {seq} cannot be used, and the entries before {first} are deleted"
    )]
    Checkpoint {
        /// The number of its last entry.
        seq: u64,
        /// The oldest entry that is there.
        first: u64,
        /// What is wrong with it.
        #[source]
        source: CheckpointError,
    },
    /// The checkpoint covers entries that are not there.
    #[error(
        "the journal's checkpoint is at entry {seq}, and its entries go from {first} to {last}"
    )]
    Detached {
        /// The number of its last entry.
        seq: u64,
        /// The oldest entry.
        first: u64,
        /// The newest.
        last: u64,
    },
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
    /// A number is missing.
    #[error("entry {seq} of the journal is missing")]
    Missing {
        /// The number.
        seq: u64,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JournalError {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Checkpoint { .. } => {
                "start the tidegate that wrote it; CHANGELOG.md says from which version one can upgrade"
            }
            Self::Store(error) => error.hint().unwrap_or_default(),
            _ => {
                "`tidegate journal check DIR` says all that is wrong; docs/the-journal.md, how to restore one"
            }
        }
    }
}

/// What a journal adds up to.
#[derive(Debug, Default)]
pub struct Replayed {
    /// The state.
    pub state: State,
    /// The number of the last entry, 0 without any.
    pub last: u64,
    /// The entry of the checkpoint from which it was read, 0 if it was read from the first entry on.
    pub from: u64,
    /// Bytes of the entries that were read.
    pub bytes: u64,
    /// Why the checkpoint was passed over, if it was.
    pub passed_over: Option<CheckpointError>,
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
    let decoded = entries
        .into_iter()
        .map(|(seq, bytes)| decode(seq, &bytes).map(|entry| (seq, entry)));
    decoded.collect()
}

fn decode(seq: u64, bytes: &[u8]) -> Result<Entry, JournalError> {
    serde_json::from_slice(bytes).map_err(|error| JournalError::Entry { seq, error })
}

/// The state that the journal adds up to.
pub fn replay(store: &dyn Store) -> Result<Replayed, JournalError> {
    let Some(held) = store.held()? else {
        return Ok(Replayed::default());
    };
    let (first, last) = (held.first, held.last);
    let Some(stored) = store.checkpoint()? else {
        if first > 1 {
            return Err(JournalError::Beginning { first });
        }
        return add_up(store, Replayed::default());
    };
    let seq = stored.seq;
    if !(first..=last).contains(&seq) {
        return Err(JournalError::Detached { seq, first, last });
    }
    match Checkpoint::decode(&stored) {
        Ok(Checkpoint { header, state }) => {
            let begun = Replayed {
                state,
                last: header.seq,
                from: header.seq,
                ..Replayed::default()
            };
            add_up(store, begun)
        }
        Err(error) if first == 1 => {
            let begun = Replayed {
                passed_over: Some(error),
                ..Replayed::default()
            };
            add_up(store, begun)
        }
        Err(source) => Err(JournalError::Checkpoint { seq, first, source }),
    }
}

/// Adds every entry after the last.
fn add_up(store: &dyn Store, begun: Replayed) -> Result<Replayed, JournalError> {
    let mut replayed = begun;
    add_until(store, &mut replayed, u64::MAX)?;
    Ok(replayed)
}

/// Adds the entries after the last, up to number `until`.
pub(super) fn add_until(
    store: &dyn Store,
    replayed: &mut Replayed,
    until: u64,
) -> Result<(), JournalError> {
    while replayed.last < until {
        let entries = store.read_from(replayed.last + 1, READ_ENTRIES_MAX)?;
        if entries.is_empty() {
            return Ok(());
        }
        for (seq, bytes) in entries {
            if seq > until {
                return Ok(());
            }
            if seq != replayed.last + 1 {
                let seq = replayed.last + 1;
                return Err(JournalError::Missing { seq });
            }
            let entry = decode(seq, &bytes)?;
            replayed
                .state
                .apply(&entry)
                .map_err(|source| JournalError::Illegal { seq, source })?;
            replayed.last = seq;
            replayed.bytes += bytes.len() as u64;
        }
    }
    Ok(())
}

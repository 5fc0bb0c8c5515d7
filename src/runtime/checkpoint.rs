//! A checkpoint: the state that all entries up to a number add up to, so that a start need not read them.
//!
//! It is one JSON object. The state in it is read back and compared before it is stored, and the store
//! compares the bytes again. Which release wrote it is said in it, for the day on which this one cannot
//! read it.

use serde::{Deserialize, Serialize};

use crate::domain::Time;
use crate::engine::State;
use crate::store::{Store, StoreError, StoredCheckpoint};

/// The layout of the state within a checkpoint. Goes up when an older one would be misread; a field that
/// is new and has a default is no reason.
pub const CHECKPOINT_FORMAT: u32 = 1;

/// A state, and which entries it adds up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checkpoint {
    /// Who wrote it, and which entries it covers.
    #[serde(flatten)]
    pub header: CheckpointHeader,
    /// What they add up to.
    pub state: State,
}

/// What can be read of a checkpoint of any release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointHeader {
    /// The layout of its state.
    pub format: u32,
    /// The version of tidegate that wrote it.
    pub release: String,
    /// When it was written.
    pub at: Time,
    /// The number of the last entry that is in it.
    pub seq: u64,
}

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Its layout is another one.
    #[error(
        "it has format {} of tidegate {}, and this tidegate reads format {CHECKPOINT_FORMAT}",
        .0.format, .0.release
    )]
    Format(CheckpointHeader),
    /// It is stored under another number than it says.
    #[error("it says that it ends at entry {said}, and it is kept as one that ends at {kept}")]
    Misplaced {
        /// By its own word.
        said: u64,
        /// By the store's.
        kept: u64,
    },
    /// It is no checkpoint, or the state in it is not understood.
    #[error("it is not understood: {0}")]
    Text(#[from] serde_json::Error),
    /// What was written is not what is read back, so it was not stored.
    #[error("the state is not read back as it was written")]
    Differs,
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Checkpoint {
    /// Of a state, as of now.
    pub fn new(seq: u64, state: State, at: Time) -> Self {
        let header = CheckpointHeader {
            format: CHECKPOINT_FORMAT,
            release: env!("CARGO_PKG_VERSION").to_owned(),
            at,
            seq,
        };
        Self { header, state }
    }

    /// Reads one back.
    pub fn decode(stored: &StoredCheckpoint) -> Result<Self, CheckpointError> {
        let header: CheckpointHeader = serde_json::from_slice(&stored.bytes)?;
        if header.format != CHECKPOINT_FORMAT {
            return Err(CheckpointError::Format(header));
        }
        if header.seq != stored.seq {
            return Err(CheckpointError::Misplaced {
                said: header.seq,
                kept: stored.seq,
            });
        }
        // Not by way of the flattened whole, which would buffer the state.
        let WithState { state } = serde_json::from_slice(&stored.bytes)?;
        Ok(Self { header, state })
    }

    /// Stores it in the place of the one before, once it has proven to be read back as the same.
    pub fn store(&self, store: &dyn Store) -> Result<(), CheckpointError> {
        let stored = StoredCheckpoint {
            seq: self.header.seq,
            bytes: serde_json::to_vec(self)?,
        };
        if Self::decode(&stored)? != *self {
            return Err(CheckpointError::Differs);
        }
        Ok(store.put_checkpoint(&stored)?)
    }
}

#[derive(Deserialize)]
struct WithState {
    state: State,
}

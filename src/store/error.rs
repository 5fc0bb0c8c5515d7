//! What can go wrong with a journal.

use std::path::PathBuf;

use super::ENTRY_BYTES_MAX;

/// Why the journal could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The data directory cannot be made.
    #[error("the data directory cannot be used")]
    Directory(#[source] std::io::Error),
    /// The file is damaged, or the disk failed. After this nothing may be appended any more.
    #[error("the journal {} cannot be read or written", path.display())]
    Database {
        /// The journal's file.
        path: PathBuf,
        /// The database's words.
        #[source]
        source: Box<redb::Error>,
    },
    /// What was written is not what is read back. The checkpoint before counts on.
    #[error("a checkpoint written to {} is not read back as it was written", path.display())]
    CheckpointDiffers {
        /// The journal's file.
        path: PathBuf,
    },
    /// An entry is over [`ENTRY_BYTES_MAX`].
    #[error("an entry of {bytes} bytes is over the limit of {ENTRY_BYTES_MAX} bytes")]
    EntryTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Sequence numbers are missing.
    #[error("the journal {} goes from {first} to {last} but holds {held} entries", path.display())]
    Gap {
        /// The journal's file.
        path: PathBuf,
        /// How many entries there are.
        held: u64,
        /// The first sequence number.
        first: u64,
        /// The last sequence number.
        last: u64,
    },
    /// Another process has the file open.
    #[error("another tidegate is using {}", path.display())]
    InUse {
        /// The journal's file.
        path: PathBuf,
    },
    /// There is no such file.
    #[error("there is no journal {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file was written by a later program.
    #[error(
        "the journal {} has format {found}, this tidegate knows formats up to {known}", path.display()
    )]
    NewerFormat {
        /// The journal's file.
        path: PathBuf,
        /// The format of the file.
        found: u64,
        /// The newest format that is understood.
        known: u64,
    },
}

impl StoreError {
    /// What the user can do about it, if anything.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Database { .. } | Self::CheckpointDiffers { .. } | Self::Gap { .. } => {
                Some("restore the file from a copy, or start with an empty `--data` directory")
            }
            Self::Directory(_) => Some("name a directory that can be written with `--data`"),
            Self::EntryTooLarge { .. } => None,
            Self::InUse { .. } => {
                Some("stop the other process, or give this one its own directory with `--data`")
            }
            Self::Missing { .. } => {
                Some("name the directory that was `--data`, or the file `journal.redb` in it")
            }
            Self::NewerFormat { .. } => Some("start the newer tidegate that wrote it"),
        }
    }
}

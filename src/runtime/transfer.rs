//! A journal as lines of JSON, and back: what one exports, another imports.
//!
//! An entry is a line with its number, `{"seq":1,"at":…,"record":…}`, as the history gives it. Before them
//! stands `{"checkpoint":…}` if there is one; a journal whose beginning is deleted cannot do without.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::checkpoint::CheckpointHeader;
use super::control::Numbered;
use super::inspect::{Inspection, inspect};
use super::journal::{JournalError, encode, read};
use crate::store::{EmbeddedStore, Store, StoreError, StoredCheckpoint};

/// Entries read or written at once.
const GROUP_ENTRIES: usize = 1000;

/// Why a journal cannot be taken out or put in.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// There is a journal already.
    #[error("there is a journal {} already, with entries", path.display())]
    Exists {
        /// Its file.
        path: PathBuf,
    },
    /// Files or streams fail.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A line is none of a journal's.
    #[error("line {line}: {why}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// There is no entry in it.
    #[error("there is no entry in it")]
    Nothing,
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What came of it does not add up.
    #[error("it does not add up: {}", .0.join("; "))]
    Unsound(Vec<String>),
}

impl TransferError {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "name another directory, or move that file away first",
            Self::Io(_) => "",
            Self::Journal(_) => "`tidegate journal check DIR` says all that is wrong",
            Self::Line { .. } | Self::Nothing | Self::Unsound(_) => {
                "give all lines that `tidegate journal export` printed; nothing was imported"
            }
            Self::Store(error) => error.hint().unwrap_or_default(),
        }
    }
}

/// The line before the entries.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointLine {
    /// The checkpoint as it is kept.
    pub checkpoint: Value,
}

/// What tells its line from an entry's.
const CHECKPOINT_BEGINS: &str = "{\"checkpoint\":";

/// Writes everything, a line each.
pub fn export(store: &dyn Store, out: &mut dyn Write) -> Result<(), TransferError> {
    if let Some(stored) = store.checkpoint()? {
        out.write_all(CHECKPOINT_BEGINS.as_bytes())?;
        out.write_all(&stored.bytes)?;
        out.write_all(b"}\n")?;
    }
    let mut next = 1;
    loop {
        let entries = read(store, next, GROUP_ENTRIES)?;
        let Some((last, _)) = entries.last() else {
            return Ok(out.flush()?);
        };
        next = last + 1;
        for (seq, entry) in entries {
            serde_json::to_writer(&mut *out, &Numbered { seq, entry })
                .map_err(std::io::Error::from)?;
            out.write_all(b"\n")?;
        }
    }
}

/// Makes a journal in `directory`, which may hold an empty one, and says what is in it. It is made beside
/// its place and moved there when it has been looked at, so a failure leaves nothing behind.
pub fn import(lines: impl BufRead, directory: &Path) -> Result<Inspection, TransferError> {
    let path = EmbeddedStore::file_in(directory);
    if path.exists() {
        let store = EmbeddedStore::open_existing(&path)?;
        if store.held()?.is_some() {
            return Err(TransferError::Exists { path });
        }
    }
    fs_err::create_dir_all(directory)?;
    let partial = path.with_extension("partial");
    let made = fill(lines, &partial);
    if made.is_err() && partial.exists() {
        fs_err::remove_file(&partial)?;
    }
    let found = made?;
    fs_err::rename(&partial, &path)?;
    // The name is durable with its directory.
    fs_err::File::open(directory)?.sync_all()?;
    Ok(found)
}

fn fill(lines: impl BufRead, partial: &Path) -> Result<Inspection, TransferError> {
    if partial.exists() {
        fs_err::remove_file(partial)?;
    }
    let (mut checkpoint, mut store, mut group) = (None, None, Vec::new());
    let mut next = 0;
    for (number, line) in (1..).zip(lines.lines()) {
        let (line, wrong) = (line?, |why: String| TransferError::Line {
            line: number,
            why,
        });
        if line.trim().is_empty() {
            continue;
        }
        if line.starts_with(CHECKPOINT_BEGINS) {
            checkpoint = Some(stored(&line).map_err(|error| wrong(error.to_string()))?);
            continue;
        }
        let Numbered { seq, entry } =
            serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
        if store.is_none() {
            if seq == 0 {
                return Err(wrong("entries are numbered from 1".to_owned()));
            }
            store = Some(EmbeddedStore::create(partial, seq)?);
            next = seq;
        }
        if seq != next {
            return Err(wrong(format!("entry {seq} stands where {next} should")));
        }
        next += 1;
        group.push(encode(&entry).map_err(|error| wrong(error.to_string()))?);
        if let Some(store) = &store
            && group.len() == GROUP_ENTRIES
        {
            store.append(&group)?;
            group.clear();
        }
    }
    let store = store.ok_or(TransferError::Nothing)?;
    store.append(&group)?;
    if let Some(checkpoint) = checkpoint {
        store.put_checkpoint(&checkpoint)?;
    }
    let found = inspect(&store)?;
    if found.problems.is_empty() {
        Ok(found)
    } else {
        Err(TransferError::Unsound(found.problems))
    }
}

fn stored(line: &str) -> Result<StoredCheckpoint, serde_json::Error> {
    let CheckpointLine { checkpoint } = serde_json::from_str(line)?;
    let bytes = serde_json::to_vec(&checkpoint)?;
    let CheckpointHeader { seq, .. } = serde_json::from_value(checkpoint)?;
    Ok(StoredCheckpoint { seq, bytes })
}

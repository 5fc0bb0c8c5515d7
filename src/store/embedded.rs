//! A journal in one file, `journal.redb`, on this machine.
//!
//! Tables: `journal` maps sequence numbers to entries, `checkpoint` holds the parts of checkpoints,
//! `meta` the format's number and which checkpoint counts. One process may have the file open. It is
//! checked as a whole on opening, since a control plane that starts from a damaged journal would serve a
//! wrong state with confidence.

mod checkpoint;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use redb::{
    Builder, Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table,
    TableDefinition,
};

use super::{Held, Store, StoreError, StoredCheckpoint, check_sizes};

const FILE: &str = "journal.redb";

/// A journal that begins at entry 1. Programs from before checkpoints can read it, and they would take a
/// later beginning for damage.
const FORMAT_WHOLE: u64 = 1;

/// A journal that begins later.
const FORMAT_COMPACTED: u64 = 2;

/// The newest layout of the tables that this program reads.
const FORMAT_MAX: u64 = FORMAT_COMPACTED;

/// Memory for pages; the journal is read once, from front to back, and then only written.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const META_FORMAT: &str = "format";
/// The last number before the first entry, of a journal that was begun in the middle.
const META_BEFORE: &str = "before";

/// A journal in a data directory.
#[derive(Debug)]
pub struct EmbeddedStore {
    database: Database,
    path: PathBuf,
}

impl EmbeddedStore {
    /// Opens the journal in `directory`, which is made if it is not there.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        fs_err::create_dir_all(directory).map_err(StoreError::Directory)?;
        let path = directory.join(FILE);
        let database = builder().create(&path);
        let store = Self::opened(database, path)?;
        store.check_numbers()?;
        Ok(store)
    }

    /// Opens a journal that is there: a file, or the one in a data directory. Missing numbers are no
    /// failure yet, so that whoever looks for damage can tell what there is.
    pub fn open_existing(path: &Path) -> Result<Self, StoreError> {
        let path = if path.is_dir() {
            path.join(FILE)
        } else {
            path.to_owned()
        };
        if !path.is_file() {
            return Err(StoreError::Missing { path });
        }
        let database = builder().open(&path);
        Self::opened(database, path)
    }

    /// Makes a journal whose first entry will have the number `first`, in a file that is not there yet.
    pub fn create(path: &Path, first: u64) -> Result<Self, StoreError> {
        let database = builder().create(path);
        let store = Self::opened(database, path.to_owned())?;
        if first > 1 {
            store
                .begin_after(first - 1)
                .map_err(|error| store.failed(error))?;
        }
        Ok(store)
    }

    /// The file of the journal in a data directory.
    pub fn file_in(directory: &Path) -> PathBuf {
        directory.join(FILE)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn opened(
        database: Result<Database, redb::DatabaseError>,
        path: PathBuf,
    ) -> Result<Self, StoreError> {
        let database = match database {
            Ok(database) => database,
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => {
                return Err(StoreError::InUse { path });
            }
            Err(error) => {
                return Err(StoreError::Database {
                    path,
                    source: Box::new(error.into()),
                });
            }
        };
        let store = Self { database, path };
        let found = store.prepare().map_err(|error| store.failed(error))?;
        if found > FORMAT_MAX {
            return Err(StoreError::NewerFormat {
                path: store.path,
                found,
                known: FORMAT_MAX,
            });
        }
        Ok(store)
    }

    /// Makes the tables of a new file, and returns the format.
    fn prepare(&self) -> Result<u64, redb::Error> {
        let write = self.database.begin_write()?;
        let format = {
            let mut meta = write.open_table(META)?;
            let found = meta.get(META_FORMAT)?.map(|format| format.value());
            if let Some(format) = found.filter(|format| *format > FORMAT_MAX) {
                // The tables of a newer format are none of our business.
                return Ok(format);
            }
            if found.is_none() {
                meta.insert(META_FORMAT, FORMAT_WHOLE)?;
            }
            write.open_table(JOURNAL)?;
            checkpoint::make_table(&write)?;
            found.unwrap_or(FORMAT_WHOLE)
        };
        write.commit()?;
        Ok(format)
    }

    fn check_numbers(&self) -> Result<(), StoreError> {
        let numbers = || -> Result<_, redb::Error> {
            let journal = self.database.begin_read()?.open_table(JOURNAL)?;
            Ok((range(&journal)?, journal.len()?))
        };
        let (held, count) = numbers().map_err(|error| self.failed(error))?;
        match held {
            Some(Held { first, last }) if last - first + 1 != count => Err(StoreError::Gap {
                path: self.path.clone(),
                held: count,
                first,
                last,
            }),
            _ => Ok(()),
        }
    }

    fn begin_after(&self, before: u64) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        {
            let mut meta = write.open_table(META)?;
            meta.insert(META_BEFORE, before)?;
            meta.insert(META_FORMAT, FORMAT_COMPACTED)?;
        }
        write.commit()?;
        Ok(())
    }

    fn append_group(&self, entries: &[Vec<u8>]) -> Result<u64, redb::Error> {
        let write = self.database.begin_write()?;
        let last = {
            let mut journal = write.open_table(JOURNAL)?;
            let before = write
                .open_table(META)?
                .get(META_BEFORE)?
                .map_or(0, |seq| seq.value());
            let mut last = journal.last()?.map_or(before, |(seq, _)| seq.value());
            for entry in entries {
                last += 1;
                let replaced = journal.insert(last, entry.as_slice())?;
                assert!(replaced.is_none(), "the journal is only appended to");
            }
            last
        };
        // Commits are synced to the disk unless a transaction asks for less.
        write.commit()?;
        Ok(last)
    }

    fn read_group(&self, seq: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, redb::Error> {
        let journal = self.database.begin_read()?.open_table(JOURNAL)?;
        let mut entries = Vec::new();
        for entry in journal.range(seq..)?.take(limit) {
            let (seq, bytes) = entry?;
            entries.push((seq.value(), bytes.value().to_vec()));
        }
        Ok(entries)
    }

    fn read_held(&self) -> Result<Option<Held>, redb::Error> {
        range(&self.database.begin_read()?.open_table(JOURNAL)?)
    }

    fn delete_group(&self, seq: u64, limit: usize) -> Result<usize, redb::Error> {
        let write = self.database.begin_write()?;
        let deleted = {
            let mut meta = write.open_table(META)?;
            let covered = checkpoint::current(&meta)?.map_or(0, |(_, seq)| seq);
            let mut journal = write.open_table(JOURNAL)?;
            let deleted = delete_oldest(&mut journal, seq.min(covered), limit)?;
            if deleted > 0 {
                meta.insert(META_FORMAT, FORMAT_COMPACTED)?;
            }
            deleted
        };
        write.commit()?;
        Ok(deleted)
    }

    fn failed(&self, error: redb::Error) -> StoreError {
        StoreError::Database {
            path: self.path.clone(),
            source: Box::new(error),
        }
    }
}

impl Store for EmbeddedStore {
    fn append(&self, entries: &[Vec<u8>]) -> Result<u64, StoreError> {
        check_sizes(entries)?;
        self.append_group(entries)
            .map_err(|error| self.failed(error))
    }

    fn read_from(&self, seq: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.read_group(seq, limit)
            .map_err(|error| self.failed(error))
    }

    fn held(&self) -> Result<Option<Held>, StoreError> {
        self.read_held().map_err(|error| self.failed(error))
    }

    fn checkpoint(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        checkpoint::read(&self.database).map_err(|error| self.failed(error))
    }

    fn checkpoint_seq(&self) -> Result<Option<u64>, StoreError> {
        checkpoint::seq(&self.database).map_err(|error| self.failed(error))
    }

    fn put_checkpoint(&self, checkpoint: &StoredCheckpoint) -> Result<(), StoreError> {
        let written = checkpoint::write(&self.database, checkpoint);
        if written.map_err(|error| self.failed(error))? {
            Ok(())
        } else {
            Err(StoreError::CheckpointDiffers {
                path: self.path.clone(),
            })
        }
    }

    fn delete_before(&self, seq: u64, limit: usize) -> Result<usize, StoreError> {
        self.delete_group(seq, limit)
            .map_err(|error| self.failed(error))
    }

    fn bytes(&self) -> Result<u64, StoreError> {
        let file = fs_err::metadata(&self.path).map_err(StoreError::Directory)?;
        Ok(file.len())
    }
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true);
    builder
}

fn range(journal: &impl ReadableTable<u64, &'static [u8]>) -> Result<Option<Held>, redb::Error> {
    let (first, last) = (journal.first()?, journal.last()?);
    let held = first.zip(last).map(|((first, _), (last, _))| Held {
        first: first.value(),
        last: last.value(),
    });
    Ok(held)
}

fn delete_oldest(
    journal: &mut Table<'_, u64, &'static [u8]>,
    before: u64,
    limit: usize,
) -> Result<usize, redb::Error> {
    for deleted in 0..limit {
        let oldest = journal.first()?.map(|(seq, _)| seq.value());
        match oldest.filter(|seq| *seq < before) {
            Some(_) => journal.pop_first()?,
            None => return Ok(deleted),
        };
    }
    Ok(limit)
}

//! A journal in one file, `journal.redb`, on this machine.
//!
//! Two tables: `journal` maps sequence numbers to entries, `meta` holds the format's number. One
//! process may have the file open. The file is checked as a whole on opening, since a control plane
//! that starts from a damaged journal would serve a wrong state with confidence.

use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};

use super::{Store, StoreError, check_sizes};

const FILE: &str = "journal.redb";
/// The newest layout of the tables that this program reads, and the one it writes.
const FORMAT: u64 = 1;
/// Memory for pages; the journal is read once, from front to back, and then only written.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const META_FORMAT: &str = "format";

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
        let opened = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create(&path);
        let database = match opened {
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
        let (found, last, held) = store.prepare().map_err(|error| store.failed(error))?;
        let path = store.path.clone();
        if found > FORMAT {
            return Err(StoreError::NewerFormat {
                path,
                found,
                known: FORMAT,
            });
        }
        if last != held {
            return Err(StoreError::Gap { path, held, last });
        }
        Ok(store)
    }

    /// Makes the tables of a new file, and returns the format, the last number and how many there are.
    fn prepare(&self) -> Result<(u64, u64, u64), redb::Error> {
        let write = self.database.begin_write()?;
        let seen = {
            let mut meta = write.open_table(META)?;
            let found = meta.get(META_FORMAT)?.map(|format| format.value());
            if let Some(format) = found.filter(|format| *format > FORMAT) {
                // The tables of a newer format are none of our business.
                return Ok((format, 0, 0));
            }
            if found.is_none() {
                meta.insert(META_FORMAT, FORMAT)?;
            }
            let journal = write.open_table(JOURNAL)?;
            let last = journal.last()?.map_or(0, |(seq, _)| seq.value());
            (found.unwrap_or(FORMAT), last, journal.len()?)
        };
        write.commit()?;
        Ok(seen)
    }

    fn append_group(&self, entries: &[Vec<u8>]) -> Result<u64, redb::Error> {
        let write = self.database.begin_write()?;
        let last = {
            let mut journal = write.open_table(JOURNAL)?;
            let mut last = journal.last()?.map_or(0, |(seq, _)| seq.value());
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_format_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let database = Database::create(&path).unwrap();
        let write = database.begin_write().unwrap();
        write
            .open_table(META)
            .unwrap()
            .insert(META_FORMAT, FORMAT + 1)
            .unwrap();
        write.commit().unwrap();
        drop(database);

        for _ in 0..2 {
            let error = EmbeddedStore::open(directory.path()).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "the journal {} has format 2, this tidegate knows formats up to 1",
                    path.display()
                )
            );
        }
    }

    #[test]
    fn a_gap_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(directory.path()).unwrap();
        store.append(&[vec![1], vec![2], vec![3]]).unwrap();
        let write = store.database.begin_write().unwrap();
        write.open_table(JOURNAL).unwrap().remove(2).unwrap();
        write.commit().unwrap();
        drop(store);
        let error = EmbeddedStore::open(directory.path()).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Gap {
                    held: 2,
                    last: 3,
                    ..
                }
            ),
            "{error:?}"
        );
    }

    #[test]
    fn a_file_that_is_no_journal_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs_err::write(directory.path().join(FILE), [7_u8; 9000]).unwrap();
        let error = EmbeddedStore::open(directory.path()).unwrap_err();
        assert!(matches!(error, StoreError::Database { .. }), "{error:?}");
        assert!(error.hint().is_some());
    }

    #[test]
    fn one_process_holds_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(directory.path()).unwrap();
        let error = EmbeddedStore::open(directory.path()).unwrap_err();
        assert!(
            error.to_string().starts_with("another tidegate is using "),
            "{error}"
        );
        drop(store);
        EmbeddedStore::open(directory.path()).unwrap();
    }
}

//! The checkpoint in the journal's file: in parts, so that no transaction is longer than an append.
//!
//! Each checkpoint has an id. Its parts are written in transactions of their own, then read back and
//! compared, and at last one transaction names it in `meta` and removes all others. Before that moment
//! the one before counts, whatever happens; what an interrupted write leaves behind is removed by the next.

use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::META;
use crate::store::StoredCheckpoint;

/// Bytes of a checkpoint that are written at once.
const PART_BYTES: usize = 1024 * 1024;

/// Id and number of the part → bytes.
const CHECKPOINT: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("checkpoint");

/// The id of the checkpoint that counts.
const META_ID: &str = "checkpointId";
/// The number of the last entry that is in it.
const META_SEQ: &str = "checkpointSeq";

pub(super) fn make_table(write: &WriteTransaction) -> Result<(), redb::Error> {
    write.open_table(CHECKPOINT)?;
    Ok(())
}

/// The id of the checkpoint that counts, and the number of its last entry.
pub(super) fn current(
    meta: &impl ReadableTable<&'static str, u64>,
) -> Result<Option<(u64, u64)>, redb::Error> {
    let id = meta.get(META_ID)?.map(|id| id.value());
    let seq = meta.get(META_SEQ)?.map(|seq| seq.value());
    Ok(id.zip(seq))
}

pub(super) fn seq(database: &Database) -> Result<Option<u64>, redb::Error> {
    let meta = database.begin_read()?.open_table(META)?;
    Ok(current(&meta)?.map(|(_, seq)| seq))
}

pub(super) fn read(database: &Database) -> Result<Option<StoredCheckpoint>, redb::Error> {
    let read = database.begin_read()?;
    let Some((id, seq)) = current(&read.open_table(META)?)? else {
        return Ok(None);
    };
    let bytes = whole(&read.open_table(CHECKPOINT)?, id)?;
    Ok(Some(StoredCheckpoint { seq, bytes }))
}

/// Writes it. `false` if it is not read back as it was written; the one before counts on then.
pub(super) fn write(
    database: &Database,
    checkpoint: &StoredCheckpoint,
) -> Result<bool, redb::Error> {
    let id = begin(database)?;
    for (number, part) in (0..).zip(checkpoint.bytes.chunks(PART_BYTES)) {
        let write = database.begin_write()?;
        write.open_table(CHECKPOINT)?.insert((id, number), part)?;
        write.commit()?;
    }
    let written = whole(&database.begin_read()?.open_table(CHECKPOINT)?, id)?;
    if written != checkpoint.bytes {
        return Ok(false);
    }
    let write = database.begin_write()?;
    {
        let mut meta = write.open_table(META)?;
        meta.insert(META_ID, id)?;
        meta.insert(META_SEQ, checkpoint.seq)?;
        remove_others(&mut write.open_table(CHECKPOINT)?, id)?;
    }
    write.commit()?;
    Ok(true)
}

/// Removes what an interrupted write has left, and returns a new id.
fn begin(database: &Database) -> Result<u64, redb::Error> {
    let write = database.begin_write()?;
    let id = {
        let id = current(&write.open_table(META)?)?.map_or(0, |(id, _)| id);
        remove_others(&mut write.open_table(CHECKPOINT)?, id)?;
        id
    };
    write.commit()?;
    Ok(id + 1)
}

fn remove_others(
    table: &mut Table<'_, (u64, u64), &'static [u8]>,
    id: u64,
) -> Result<(), redb::Error> {
    table.retain(|(of, _), _| of == id)?;
    Ok(())
}

fn whole(
    table: &impl ReadableTable<(u64, u64), &'static [u8]>,
    id: u64,
) -> Result<Vec<u8>, redb::Error> {
    let mut bytes = Vec::new();
    for part in table.range((id, 0)..(id + 1, 0))? {
        bytes.extend_from_slice(part?.1.value());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_was_interrupted_leaves_the_one_before_in_force_and_is_cleared_away() {
        let directory = tempfile::tempdir().unwrap();
        let store = super::super::EmbeddedStore::open(directory.path()).unwrap();
        let database = &store.database;
        let long = |seed: u8| StoredCheckpoint {
            seq: u64::from(seed),
            bytes: (0..PART_BYTES * 2 + 7)
                .map(|at| seed ^ at.to_le_bytes()[0])
                .collect(),
        };
        assert_eq!(read(database).unwrap(), None);
        assert!(write(database, &long(1)).unwrap());
        assert_eq!(read(database).unwrap(), Some(long(1)));

        let id = begin(database).unwrap();
        let torn = database.begin_write().unwrap();
        let mut table = torn.open_table(CHECKPOINT).unwrap();
        table.insert((id, 0), &[9_u8; 9][..]).unwrap();
        table.insert((id, 5), &[9_u8; 9][..]).unwrap();
        drop(table);
        torn.commit().unwrap();
        assert_eq!(read(database).unwrap(), Some(long(1)));

        assert!(write(database, &long(2)).unwrap());
        assert_eq!(read(database).unwrap(), Some(long(2)));
        let parts = database.begin_read().unwrap();
        let parts = parts.open_table(CHECKPOINT).unwrap();
        assert_eq!(parts.iter().unwrap().count(), 3);
    }
}

//! What every journal keeps, and what the one on disk keeps through a crash.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;

/// Set for the process that is to be killed: the directory of its journal.
const CHILD_DIRECTORY: &str = "TIDEGATE_TEST_JOURNAL";
const GROUP: u64 = 3;

/// Long enough to span pages, and different for each number.
fn entry(seq: u64) -> Vec<u8> {
    seq.to_le_bytes().repeat(500)
}

#[test]
fn entries_come_back_in_order_and_numbered() {
    let directory = tempfile::tempdir().unwrap();
    let embedded = EmbeddedStore::open(directory.path()).unwrap();
    let memory = MemoryStore::new();
    for store in [&embedded as &dyn Store, &memory] {
        assert_eq!(store.append(&[]).unwrap(), 0);
        assert_eq!(store.read_from(0, 10).unwrap(), []);
        assert_eq!(store.append(&[entry(1), entry(2)]).unwrap(), 2);
        assert_eq!(store.append(&[entry(3)]).unwrap(), 3);
        assert_eq!(store.append(&[]).unwrap(), 3);
        for (seq, limit, want) in [
            (0, 10, vec![1, 2, 3]),
            (1, 2, vec![1, 2]),
            (3, 2, vec![3]),
            (4, 2, vec![]),
            (1, 0, vec![]),
        ] {
            let want: Vec<_> = want.into_iter().map(|seq| (seq, entry(seq))).collect();
            assert_eq!(
                store.read_from(seq, limit).unwrap(),
                want,
                "{limit} from {seq}"
            );
        }
        let error = store
            .append(&[entry(4), vec![0; ENTRY_BYTES_MAX + 1]])
            .unwrap_err();
        assert!(matches!(error, StoreError::EntryTooLarge { .. }));
        assert_eq!(
            store.append(&[]).unwrap(),
            3,
            "a refused group leaves nothing behind"
        );
    }
}

#[test]
fn a_reopened_journal_has_it_all_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    EmbeddedStore::open(directory.path())
        .unwrap()
        .append(&[entry(1), entry(2)])
        .unwrap();
    let store = EmbeddedStore::open(directory.path()).unwrap();
    assert_eq!(
        store.read_from(1, 10).unwrap(),
        [(1, entry(1)), (2, entry(2))]
    );
    assert_eq!(store.append(&[entry(3)]).unwrap(), 3);
}

#[test]
fn what_a_checkpoint_covers_may_go_the_oldest_first() {
    let directory = tempfile::tempdir().unwrap();
    let embedded = EmbeddedStore::open(directory.path()).unwrap();
    let memory = MemoryStore::new();
    let held = |first, last| Some(Held { first, last });
    let checkpoint = |seq| StoredCheckpoint {
        seq,
        bytes: entry(seq),
    };
    for store in [&embedded as &dyn Store, &memory] {
        assert_eq!(store.held().unwrap(), None);
        assert_eq!(store.checkpoint().unwrap(), None);
        let all: Vec<_> = (1..=9).map(entry).collect();
        store.append(&all).unwrap();
        assert_eq!(store.delete_before(9, 9).unwrap(), 0, "nothing covers them");

        store.put_checkpoint(&checkpoint(4)).unwrap();
        store.put_checkpoint(&checkpoint(6)).unwrap();
        assert_eq!(store.checkpoint().unwrap(), Some(checkpoint(6)));
        for (seq, limit, deleted, first) in [
            (0, 9, 0, 1),
            (1, 9, 0, 1),
            (3, 9, 2, 3),
            (9, 1, 1, 4),
            (9, 9, 2, 6),
            (9, 9, 0, 6),
        ] {
            assert_eq!(store.delete_before(seq, limit).unwrap(), deleted);
            assert_eq!(store.held().unwrap(), held(first, 9));
        }
        assert_eq!(store.read_from(0, 1).unwrap(), [(6, entry(6))]);
        assert_eq!(store.read_from(7, 1).unwrap(), [(7, entry(7))]);
        assert_eq!(store.append(&[entry(10)]).unwrap(), 10);
        assert!(store.bytes().unwrap() > 5 * 4000);
    }
    drop(embedded);
    let again = EmbeddedStore::open(directory.path()).unwrap();
    assert_eq!(again.held().unwrap(), held(6, 10));
    assert_eq!(again.checkpoint().unwrap(), Some(checkpoint(6)));
}

#[test]
fn a_journal_can_be_made_that_begins_in_the_middle() {
    let directory = tempfile::tempdir().unwrap();
    let path = EmbeddedStore::file_in(directory.path());
    let missing = EmbeddedStore::open_existing(&path).unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }), "{missing}");
    let store = EmbeddedStore::create(&path, 41).unwrap();
    assert_eq!(store.append(&[entry(41), entry(42)]).unwrap(), 42);
    drop(store);
    let store = EmbeddedStore::open(directory.path()).unwrap();
    assert_eq!(store.append(&[entry(43)]).unwrap(), 43);
    assert_eq!(
        store.held().unwrap(),
        Some(Held {
            first: 41,
            last: 43
        })
    );
    drop(store);
    EmbeddedStore::open_existing(directory.path()).unwrap();
}

/// The process to be killed runs this very test, by way of [`append_for_ever`].
#[test]
fn a_killed_process_leaves_whole_groups_and_all_that_it_reported() {
    if let Some(directory) = std::env::var_os(CHILD_DIRECTORY) {
        append_for_ever(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("store::tests::a_killed_process_leaves_whole_groups_and_all_that_it_reported")
        .env(CHILD_DIRECTORY, directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut reported, mut covered) = (0, 0);
    for line in lines {
        let Ok(line) = line else { break };
        covered += u64::from(line.starts_with("covered "));
        let Some(seq) = line.strip_prefix("durable ") else {
            continue;
        };
        reported = seq.parse().unwrap();
        if reported >= 20 * GROUP && covered >= 3 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(reported >= 20 * GROUP, "{reported}");

    let store = EmbeddedStore::open(directory.path()).unwrap();
    let held = store.held().unwrap().unwrap();
    assert!(held.last >= reported, "{held:?}, {reported} was reported");
    assert_eq!(held.last % GROUP, 0);
    let checkpoint = store.checkpoint().unwrap().unwrap();
    assert!((held.first..=held.last).contains(&checkpoint.seq));
    assert_eq!(checkpoint.bytes, covering(checkpoint.seq));
    let entries = store.read_from(1, usize::MAX).unwrap();
    assert_eq!(entries.len() as u64, held.last - held.first + 1);
    for (want, (seq, bytes)) in (held.first..).zip(entries) {
        assert_eq!((seq, bytes), (want, entry(want)));
    }
}

/// A checkpoint of several parts.
fn covering(seq: u64) -> Vec<u8> {
    seq.to_le_bytes().repeat(300_000)
}

/// Appends, and makes checkpoints and deletes beside that, so that the end comes anywhere in between.
fn append_for_ever(directory: &Path) -> ! {
    let store = EmbeddedStore::open(directory).unwrap();
    let store = std::sync::Arc::new(store);
    let compacted = std::sync::Arc::clone(&store);
    std::thread::spawn(move || {
        loop {
            let Some(Held { last: seq, .. }) = compacted.held().unwrap() else {
                continue;
            };
            let bytes = covering(seq);
            compacted
                .put_checkpoint(&StoredCheckpoint { seq, bytes })
                .unwrap();
            println!("covered {seq}");
            while compacted.delete_before(seq, 2).unwrap() > 0 {}
        }
    });
    let mut last = 0;
    loop {
        let group: Vec<_> = (last + 1..=last + GROUP).map(entry).collect();
        last = store.append(&group).unwrap();
        println!("durable {last}");
    }
}

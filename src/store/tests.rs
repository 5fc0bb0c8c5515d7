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
    let mut reported = 0;
    for line in lines {
        let Ok(line) = line else { break };
        let Some(seq) = line.strip_prefix("durable ") else {
            continue;
        };
        reported = seq.parse().unwrap();
        if reported == 20 * GROUP {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(reported >= 20 * GROUP, "{reported}");

    let store = EmbeddedStore::open(directory.path()).unwrap();
    let entries = store.read_from(1, usize::MAX).unwrap();
    assert!(
        entries.len() as u64 >= reported,
        "{} of {reported}",
        entries.len()
    );
    assert_eq!(entries.len() as u64 % GROUP, 0);
    for (want, (seq, bytes)) in (1..).zip(entries) {
        assert_eq!((seq, bytes), (want, entry(want)));
    }
}

fn append_for_ever(directory: &Path) -> ! {
    let store = EmbeddedStore::open(directory).unwrap();
    let mut last = 0;
    loop {
        let group: Vec<_> = (last + 1..=last + GROUP).map(entry).collect();
        last = store.append(&group).unwrap();
        println!("durable {last}");
    }
}

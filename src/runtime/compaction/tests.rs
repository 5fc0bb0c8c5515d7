//! Which entries go and which stay, and that a start adds up to the same from wherever it reads.

use super::*;
use crate::domain::{Generation, Rollout, Span};
use crate::engine::{Actor, Entry, Origin, Outcome, Record};
use crate::runtime::{CHECKPOINT_FORMAT, journal};
use crate::spec::{self, Source};
use crate::store::{Held, MemoryStore, StoredCheckpoint};

const YAML: &str = "\
kind: Service
name: cart
spec:
  instances: { from: api }
---
kind: Rollout
name: cart-2
spec: { service: cart, to: v2 }
";

fn rollout() -> Rollout {
    let source = Source {
        name: "test".to_owned(),
        text: YAML.to_owned(),
    };
    let loaded = spec::load(&[source], |_, _| Vec::new()).unwrap();
    loaded.documents.rollouts.into_values().next().unwrap()
}

/// So many days after the first entry.
fn day(days: u64) -> Time {
    Span::secs(days * 24 * 3600).after(Time::UNIX_EPOCH)
}

fn published(days: u64) -> Entry {
    Entry {
        at: day(days),
        request: None,
        record: Record::Published {
            generation: Generation(days + 1),
            services: Vec::new(),
        },
    }
}

fn planned(days: u64) -> Entry {
    Entry {
        at: day(days),
        request: None,
        record: Record::RolloutPlanned {
            spec: Box::new(rollout()),
            origin: Origin::Document,
            by: Actor("ada".to_owned()),
            reason: None,
        },
    }
}

fn ended(days: u64) -> Entry {
    Entry {
        at: day(days),
        request: None,
        record: Record::RolloutEnded {
            rollout: "cart-2".parse().unwrap(),
            outcome: Outcome::Done,
            keep_until: None,
        },
    }
}

fn store(entries: &[Entry]) -> MemoryStore {
    let store = MemoryStore::new();
    let encoded: Vec<_> = entries
        .iter()
        .map(|entry| journal::encode(entry).unwrap())
        .collect();
    store.append(&encoded).unwrap();
    store
}

fn kept(days: u64) -> Retention {
    Retention {
        kept: Span::secs(days * 24 * 3600),
        ..Retention::default()
    }
}

#[test]
fn a_start_adds_up_to_the_same_from_any_checkpoint_and_after_any_deletion() {
    let entries = [
        published(0),
        planned(1),
        published(2),
        ended(3),
        published(4),
    ];
    let whole = replay(&store(&entries)).unwrap();
    assert_eq!((whole.from, whole.last), (0, 5));
    for until in 1..=entries.len() {
        let store = store(&entries[..until]);
        let seq = make_checkpoint(&store, day(9)).unwrap();
        assert_eq!(seq, until as u64);
        let rest: Vec<_> = entries[until..]
            .iter()
            .map(|entry| journal::encode(entry).unwrap())
            .collect();
        store.append(&rest).unwrap();
        for before in 1..=seq {
            store.delete_before(before, 1).unwrap();
            let again = replay(&store).unwrap();
            assert_eq!((again.from, again.last), (seq, 5));
            assert_eq!(again.state, whole.state);
            assert!(again.passed_over.is_none());
        }
    }
}

#[test]
fn a_checkpoint_that_is_not_understood_is_passed_over_while_all_entries_are_there() {
    let header = |format: u32, seq: u64| {
        serde_json::json!({
            "format": format, "release": "9.9.9", "at": day(1), "seq": seq,
        })
        .to_string()
    };
    for (text, says) in [
        ("no JSON".to_owned(), "it is not understood: "),
        (
            header(CHECKPOINT_FORMAT + 1, 3),
            "it has format 2 of tidegate 9.9.9, and this tidegate reads format 1",
        ),
        (
            header(CHECKPOINT_FORMAT, 2),
            "it says that it ends at entry 2, and it is kept as one that ends at 3",
        ),
        (
            header(CHECKPOINT_FORMAT, 3),
            "it is not understood: missing field `state`",
        ),
    ] {
        let store = store(&[published(0), published(1), published(2), published(3)]);
        let bytes = text.into_bytes();
        store
            .put_checkpoint(&StoredCheckpoint { seq: 3, bytes })
            .unwrap();
        let replayed = replay(&store).unwrap();
        assert_eq!((replayed.from, replayed.last), (0, 4));
        let said = replayed.passed_over.unwrap().to_string();
        assert!(said.starts_with(says), "{said}");

        store.delete_before(2, 1).unwrap();
        let error = replay(&store).unwrap_err();
        let said = chain(&error);
        assert!(
            said.starts_with(
                "the journal's checkpoint at entry 3 cannot be used, and the entries before 2 are deleted: "
            ) && said.contains(says),
            "{said}"
        );
        assert!(error.hint().starts_with("start the tidegate that wrote it"));
        assert!(
            make_checkpoint(&store, day(9)).is_err(),
            "nor is it replaced"
        );
    }
}

#[test]
fn entries_go_when_they_are_old_covered_and_of_no_rollout_that_still_runs() {
    let quiet = [published(0), published(1), published(2), published(3)];
    let running = [published(0), planned(1), published(2), published(3)];
    let over = [planned(0), published(1), ended(2), published(3)];
    for (entries, today, retention, first) in [
        (&quiet, 3, 90, 1),
        (&quiet, 90, 90, 1),
        (&quiet, 91, 90, 2),
        (&quiet, 92, 90, 3),
        (&quiet, 1000, 90, 4),
        (&running, 1000, 90, 2),
        (&over, 1000, 90, 4),
        (&over, 1000, 9999, 1),
    ] {
        let store = store(entries);
        let retention = kept(retention);
        assert_eq!(first_to_keep(&store, &retention, day(today)).unwrap(), 0);
        make_checkpoint(&store, day(today)).unwrap();
        let keep = first_to_keep(&store, &retention, day(today)).unwrap();
        assert_eq!(keep, first, "on day {today} of {entries:?}");
    }
}

#[tokio::test]
async fn what_is_written_is_summed_up_and_what_is_old_goes() {
    let store = Arc::new(store(&[published(0), published(1)]));
    let (write, written) = watch::channel(Written { last: 2, bytes: 9 });
    let (view, mut seen) = watch::channel(JournalView::default());
    let stop = CancellationToken::new();
    let compaction = Compaction {
        store: Arc::clone(&store) as Arc<dyn Store>,
        retention: Retention {
            checkpoint_every: 3,
            ..kept(1)
        },
        written,
        view,
        stop: stop.clone(),
    };
    let tasks = crate::process::Tasks::new();
    tasks.spawn("compaction", compaction.run(0));
    let begun = seen.wait_for(|view| view.last == 2).await.unwrap().clone();
    assert_eq!((begun.first, begun.checkpoint), (1, 0));

    let more = journal::encode(&published(2)).unwrap();
    let last = store.append(&[more]).unwrap();
    write.send_modify(|written| written.last = last);
    let made = seen.wait_for(|view| view.checkpoint == 3).await.unwrap();
    assert_eq!((made.first, made.last, &made.problem), (3, 3, &None));
    drop(made);
    assert_eq!(store.held().unwrap(), Some(Held { first: 3, last: 3 }));

    // What cannot be read is said, and costs nothing.
    let last = store.append(&vec![b"no entry".to_vec(); 3]).unwrap();
    write.send_modify(|written| written.last = last);
    let failed = seen.wait_for(|view| view.problem.is_some()).await.unwrap();
    let problem = failed.problem.clone().unwrap();
    assert!(
        problem.starts_with("the journal cannot be read back: entry 4 of the journal"),
        "{problem}"
    );
    drop(failed);
    assert_eq!(store.checkpoint_seq().unwrap(), Some(3));
    stop.cancel();
    tasks.shutdown(Duration::from_secs(30)).await;
}

//! What the file refuses.

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
        .insert(META_FORMAT, FORMAT_MAX + 1)
        .unwrap();
    write.commit().unwrap();
    drop(database);

    for _ in 0..2 {
        let error = EmbeddedStore::open(directory.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the journal {} has format 3, this tidegate knows formats up to 2",
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
                first: 1,
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

//! Users' documents as text: whatever it is, it is read or refused, and what was read means the same when
//! it is read again.

use std::path::Path;

use tidegate::snapshot::check_overlay;
use tidegate::spec::{Source, load, load_server, split};

pub(crate) fn run(bytes: &[u8]) {
    let source = Source {
        name: "fuzz.yaml".to_owned(),
        text: String::from_utf8_lossy(bytes).into_owned(),
    };
    let words = |refusal: &tidegate::spec::Refusal| {
        assert!(!refusal.to_string().is_empty(), "refused without a word");
    };
    match split(&source, check_overlay) {
        Ok(entries) => drop(entries),
        Err(refusal) => words(&refusal),
    }
    match load(std::slice::from_ref(&source), check_overlay) {
        Ok(loaded) => {
            // Each document as it was written, in a file of its own.
            let apart: Vec<_> = loaded
                .index
                .iter()
                .map(|entry| Source {
                    name: format!("{}-{}.yaml", entry.kind, entry.name),
                    text: entry.yaml.clone(),
                })
                .collect();
            let again = load(&apart, check_overlay);
            let again = again.unwrap_or_else(|refusal| panic!("taken, then refused: {refusal}"));
            assert_eq!(again.documents, loaded.documents);
        }
        Err(refusal) => words(&refusal),
    }
    if let Err(refusal) = load_server(&source, Path::new("/")) {
        words(&refusal);
    }
}

//! Documents from files and directories, for commands that need no control plane to read them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Context;
use super::failure::Failure;
use crate::runtime::DocumentView;
use crate::snapshot::check_overlay;
use crate::spec::{self, Loaded, Source};

/// Reads and checks all of them as one set; what is wrong is shown, and there is at least one document.
pub(super) fn load(paths: &[PathBuf], context: &Context) -> Result<Loaded, Failure> {
    let loaded = spec::load(&read_all(paths)?, check_overlay);
    let loaded = loaded.map_err(|refusal| context.refused(&refusal))?;
    if loaded.index.is_empty() {
        return Err(nothing());
    }
    Ok(loaded)
}

/// The same, in the place of those `in_force` that have the same kind and name, and with all others.
pub(super) fn load_over<'a>(
    paths: &[PathBuf],
    in_force: impl Iterator<Item = &'a DocumentView>,
    context: &Context,
) -> Result<Loaded, Failure> {
    let mut sources = read_all(paths)?;
    let mut given = BTreeSet::new();
    for source in &sources {
        let documents = spec::split(source, check_overlay);
        let documents = documents.map_err(|refusal| context.refused(&refusal))?;
        given.extend(documents.into_iter().map(|entry| (entry.kind, entry.name)));
    }
    if given.is_empty() {
        return Err(nothing());
    }
    let others = in_force.filter(|known| !given.contains(&(known.kind, known.name.clone())));
    sources.extend(others.map(|known| Source {
        name: format!("in force: {}", known.source),
        text: known.yaml.clone(),
    }));
    let loaded = spec::load(&sources, check_overlay);
    loaded.map_err(|refusal| context.refused(&refusal))
}

fn nothing() -> Failure {
    Failure::News {
        what: "there is no document in what was given".to_owned(),
        hint: "a directory's documents are its *.yaml and *.yml files".to_owned(),
    }
}

fn read_all(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let sources = paths.iter().map(|path| read(path));
    let sources: Vec<Vec<Source>> = sources.collect::<Result<_, _>>()?;
    Ok(sources.concat())
}

/// The texts of a file, or of those in a directory.
pub(super) fn read(path: &Path) -> Result<Vec<Source>, Failure> {
    if path.is_dir() {
        return spec::read_directory(path).map_err(Failure::Input);
    }
    let text = fs_err::read_to_string(path).map_err(Failure::Input)?;
    let name = path.display().to_string();
    Ok(vec![Source { name, text }])
}

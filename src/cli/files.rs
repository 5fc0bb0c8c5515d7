//! Documents from files and directories, for commands that need no control plane to read them.

use std::path::{Path, PathBuf};

use super::Context;
use super::failure::Failure;
use crate::snapshot::check_overlay;
use crate::spec::{self, Loaded, Source};

/// Reads and checks all of them as one set; what is wrong is shown, and there is at least one document.
pub(super) fn load(paths: &[PathBuf], context: &Context) -> Result<Loaded, Failure> {
    let mut sources = Vec::new();
    for path in paths {
        sources.extend(read(path)?);
    }
    let loaded = spec::load(&sources, check_overlay);
    let loaded = loaded.map_err(|refusal| context.refused(&refusal))?;
    if loaded.index.is_empty() {
        return Err(Failure::News {
            what: "there is no document in what was given".to_owned(),
            hint: "a directory's documents are its *.yaml and *.yml files".to_owned(),
        });
    }
    Ok(loaded)
}

fn read(path: &Path) -> Result<Vec<Source>, Failure> {
    if path.is_dir() {
        return spec::read_directory(path).map_err(Failure::Input);
    }
    let text = fs_err::read_to_string(path).map_err(Failure::Input)?;
    let name = path.display().to_string();
    Ok(vec![Source { name, text }])
}

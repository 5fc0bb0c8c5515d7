//! Texts that documents are read from, and where in them something stands.

use std::io::{self, Read as _};
use std::path::Path;

use super::{FILE_BYTES_MAX, FILES_MAX};

/// One file, or one body of a request, with documents in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What it is called in messages.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// Reads the `*.yaml` and `*.yml` files of a directory, sorted by name; hidden files and
/// directories are left out. A file that is too large is cut just above the limit, so that
/// [`super::load`] refuses it by name.
pub fn read_directory(path: &Path) -> io::Result<Vec<Source>> {
    let mut paths = Vec::new();
    for entry in fs_err::read_dir(path)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        if is_yaml && !name.starts_with('.') && path.is_file() {
            paths.push((name, path));
        }
    }
    paths.sort();
    // One more than allowed is enough for `load` to say that there are too many.
    paths.truncate(FILES_MAX + 1);
    paths
        .into_iter()
        .map(|(name, path)| {
            Ok(Source {
                name,
                text: read(&path)?,
            })
        })
        .collect()
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(FILE_BYTES_MAX + 1).unwrap_or(u64::MAX);
    fs_err::File::open(path)?
        .take(limit)
        .read_to_end(&mut bytes)?;
    let cut = bytes.len() > FILE_BYTES_MAX;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        // The cut may have split a character; the text is refused for its length anyway.
        Err(error) if cut => Ok(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        Err(error) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("`{}` is not UTF-8: {}", path.display(), error.utf8_error()),
        )),
    }
}

/// A stretch of a source: bytes for markers, line and column (from 1) for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) offset: usize,
    pub(super) bytes: usize,
}

impl Place {
    /// Where a text begins; for what concerns a whole file.
    pub(super) const START: Self = Self {
        line: 1,
        column: 1,
        offset: 0,
        bytes: 0,
    };

    /// As numbers, to travel through serde's data model.
    pub(super) const fn parts(self) -> [usize; 4] {
        [self.line, self.column, self.offset, self.bytes]
    }

    /// The inverse of [`Self::parts`].
    pub(super) const fn from_parts([line, column, offset, bytes]: [usize; 4]) -> Self {
        Self {
            line,
            column,
            offset,
            bytes,
        }
    }
}

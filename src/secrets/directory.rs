//! The files of all secrets, as they are at one moment.
//!
//! In goes a directory, out come the contents of `tls.crt`, `tls.key` and `ca.crt` of each
//! subdirectory; subdirectories and files may be symbolic links. What begins with a dot is skipped:
//! Kubernetes keeps its own there, and so do those who move files into their places.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::fault::Fault;
use crate::domain::SecretName;

/// Largest file, in bytes; what a Kubernetes secret can hold.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Most subdirectories.
pub(super) const SECRETS_MAX: usize = 1000;

/// Files by subdirectory.
pub(super) type Found = BTreeMap<SecretName, Files>;

/// What a subdirectory has; `None` for a file that is not there.
pub(super) struct Files {
    pub(super) certificate: Content,
    pub(super) key: Content,
    pub(super) ca: Content,
}

type Content = Result<Option<Vec<u8>>, Fault>;

/// The paths of a secret's files.
pub(super) struct Paths {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) ca: PathBuf,
}

impl Paths {
    pub(super) fn of(directory: &Path, name: &SecretName) -> Self {
        let directory = directory.join(name.as_str());
        Self {
            certificate: directory.join("tls.crt"),
            key: directory.join("tls.key"),
            ca: directory.join("ca.crt"),
        }
    }
}

/// The subdirectories that may be secrets, and what stands beside them that never can be.
pub(super) fn list(directory: &Path) -> io::Result<(Vec<SecretName>, Vec<String>)> {
    let (mut names, mut strange) = (Vec::new(), Vec::new());
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_directory = fs_err::metadata(entry.path()).is_ok_and(|it| it.is_dir());
        if name.starts_with('.') || !is_directory {
            continue;
        }
        match name.parse() {
            Ok(name) => names.push(name),
            Err(_) => strange.push(name),
        }
    }
    if names.len() > SECRETS_MAX {
        let count = names.len();
        let message = format!("it has {count} subdirectories, over the limit of {SECRETS_MAX}");
        return Err(io::Error::other(message));
    }
    names.sort_unstable();
    strange.sort_unstable();
    Ok((names, strange))
}

/// Reads the files of these.
pub(super) fn read(directory: &Path, names: Vec<SecretName>) -> Found {
    let files = |name: SecretName| {
        let paths = Paths::of(directory, &name);
        let files = Files {
            certificate: content(&paths.certificate),
            key: content(&paths.key),
            ca: content(&paths.ca),
        };
        (name, files)
    };
    names.into_iter().map(files).collect()
}

fn content(path: &Path) -> Content {
    let unreadable = |cause: String| Fault::Read {
        path: path.to_owned(),
        cause,
    };
    let mut bytes = Vec::new();
    let read = || {
        // Of a pipe nobody may ever write the end.
        if !fs_err::metadata(path)?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let file = fs_err::File::open(path)?;
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)
    };
    match { read }() {
        Ok(_) if bytes.len() as u64 > FILE_BYTES_MAX => Err(Fault::TooLarge {
            path: path.to_owned(),
            max: FILE_BYTES_MAX,
        }),
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(error.kind().to_string())),
    }
}

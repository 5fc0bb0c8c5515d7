//! Instances from a file in YAML or JSON (`from: file`).
//!
//! In goes a path, out come whole sets, or why there is none. The file is a list:
//!
//! ```yaml
//! - { id: cart-1, address: "10.0.0.7:8080", zone: a, labels: { version: v1, service: cart } }
//! ```
//!
//! The address may be the URL of a host, which is then the only instance of its version. The id is the address unless given; the version is `version`, or else the label that the service
//! names. Entries without the labels that the service asks for are not its own. The file counts as a
//! whole: one bad entry and the last good set stays.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::domain::{Address, Instance, InstanceId, Locality, Rps, Service, VersionName, excluded};
use crate::process::DirectoryWatch;

/// Longest file in bytes.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Most entries in a file.
const ENTRIES_MAX: usize = 20_000;

/// Why a file gives no instances.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("the address {address} cannot serve as an id; give the entry an `id`")]
    BadId { address: Address },
    #[error("two entries have the id `{id}`; give each its own `id`")]
    DuplicateId { id: InstanceId },
    #[error("it is empty; write `[]` if there are no instances")]
    Empty,
    #[error(
        "`{other}` and `{id}` are of one version, and one of them is the URL of a host; such a version \
         has no other instance"
    )]
    Excluded { id: InstanceId, other: InstanceId },
    #[error("`{id}` has no version; add `version` or the label `{label}`")]
    NoVersion { id: InstanceId, label: String },
    #[error("{0}")]
    Read(#[from] std::io::Error),
    #[error("{0}")]
    Syntax(String),
    #[error("it is longer than {FILE_BYTES_MAX} bytes")]
    TooLong,
    #[error("it has {entries} entries, over the limit of {ENTRIES_MAX}")]
    TooMany { entries: usize },
    #[error("`{id}`: its label `{label}` is no version: {reason}")]
    VersionLabel {
        id: InstanceId,
        label: String,
        reason: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Option<InstanceId>,
    address: Address,
    version: Option<VersionName>,
    #[serde(default)]
    region: String,
    #[serde(default)]
    zone: String,
    capacity: Option<Rps>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Reads `path` now and whenever it changes, and tells what it says, for ever.
pub(crate) async fn follow(
    service: Service,
    path: PathBuf,
    heard: impl Fn(Result<Vec<Instance>, String>) + Send,
) {
    // An empty parent is the working directory's name in a relative path.
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let mut watch = DirectoryWatch::new(parent.unwrap_or(Path::new(".")).to_owned());
    let mut problem: Option<String> = None;
    loop {
        let (asked, from) = (service.clone(), path.clone());
        let read = tokio::task::spawn_blocking(move || read(&from, &asked)).await;
        let read = match read {
            Ok(read) => read.map_err(|error| format!("{}: {error}", path.display())),
            Err(_) => return,
        };
        let reason = read.as_ref().err().cloned();
        if let Some(reason) = reason
            .as_ref()
            .filter(|reason| problem.as_ref() != Some(reason))
        {
            let service = &service.name;
            tracing::warn!(%service, %reason, "Instances file is of no use; the last good set stays");
        }
        problem = reason;
        heard(read);
        watch.changed().await;
    }
}

fn read(path: &Path, service: &Service) -> Result<Vec<Instance>, FileError> {
    let mut text = String::new();
    fs_err::File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(FileError::TooLong);
    }
    parse(&text, service)
}

fn parse(text: &str, service: &Service) -> Result<Vec<Instance>, FileError> {
    if text.trim().is_empty() {
        // As a writer leaves it that truncates first and writes then.
        return Err(FileError::Empty);
    }
    let entries: Vec<Entry> = serde_saphyr::from_str(text)
        .map_err(|error| FileError::Syntax(error.without_snippet().to_string()))?;
    if entries.len() > ENTRIES_MAX {
        return Err(FileError::TooMany {
            entries: entries.len(),
        });
    }
    let mut ids = BTreeSet::new();
    let mut instances = Vec::new();
    for entry in entries {
        if !service
            .matches
            .iter()
            .all(|(label, value)| entry.labels.get(label) == Some(value))
        {
            continue;
        }
        let instance = entry.into_instance(&service.version_label.0)?;
        if !ids.insert(instance.id.clone()) {
            return Err(FileError::DuplicateId { id: instance.id });
        }
        instances.push(instance);
    }
    instances.sort_by(|a, b| a.id.cmp(&b.id));
    if let Some((one, other)) = excluded(&instances) {
        let (other, id) = (one.id.clone(), other.id.clone());
        return Err(FileError::Excluded { id, other });
    }
    Ok(instances)
}

impl Entry {
    fn into_instance(self, version_label: &str) -> Result<Instance, FileError> {
        let Self {
            id,
            address,
            version,
            region,
            zone,
            capacity,
            labels,
        } = self;
        let bad_id = |_| FileError::BadId {
            address: address.clone(),
        };
        let id = id.map_or_else(|| address.as_id().parse().map_err(bad_id), Ok)?;
        let version = match (version, labels.get(version_label)) {
            (Some(version), _) => version,
            (None, Some(text)) => text.parse().map_err(|error| FileError::VersionLabel {
                id: id.clone(),
                label: version_label.to_owned(),
                reason: format!("{error}"),
            })?,
            (None, None) => {
                return Err(FileError::NoVersion {
                    id,
                    label: version_label.to_owned(),
                });
            }
        };
        Ok(Instance {
            id,
            address,
            version,
            locality: Locality { region, zone },
            capacity,
            lease: None,
            labels,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::tests::service;

    /// `id address version region/zone capacity`, line by line, or the error.
    fn show(text: &str) -> String {
        let mut cart = service("cart");
        cart.matches.insert("service".to_owned(), "cart".to_owned());
        let line = |i: Instance| {
            let capacity = i
                .capacity
                .map(|rate| format!(" {rate}"))
                .unwrap_or_default();
            let Locality { region, zone } = &i.locality;
            format!(
                "{} {} {} {region}/{zone}{capacity}",
                i.id, i.address, i.version
            )
        };
        match parse(text, &cart) {
            Ok(instances) => instances
                .into_iter()
                .map(line)
                .collect::<Vec<_>>()
                .join("\n"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn files_are_read_as_a_whole_or_not_at_all() {
        for (text, want) in [
            ("[]", ""),
            (
                "- {address: '10.0.0.1:80', version: v1, labels: {service: shop}}",
                "",
            ),
            (
                "- {address: '10.0.0.2:80', labels: {service: cart, version: 17}}\n\
                 - {id: a, address: '[::1]:80', version: v2, region: eu, zone: b, capacity: 60rps, \
                    labels: {service: cart, version: v1}}",
                "10.0.0.2:80 10.0.0.2:80 17 /\na [::1]:80 v2 eu/b 60rps",
            ),
            (
                r#"[{"id": "i-1", "address": "10.0.0.1:80", "version": "v1", "labels": {"service": "cart"}}]"#,
                "i-1 10.0.0.1:80 v1 /",
            ),
            ("  \n", "it is empty; write `[]` if there are no instances"),
            (
                "- {id: i-1, address: '10.0.0.1:80', labels: {service: cart}}",
                "`i-1` has no version; add `version` or the label `version`",
            ),
            (
                "- {id: i-1, address: '10.0.0.1:80', labels: {service: cart, version: a/b}}",
                "`i-1`: its label `version` is no version: a version may not contain '/'; use \
                 letters, digits and `-._+`",
            ),
            (
                "- {id: i-1, address: '10.0.0.1:80', version: v1, labels: {service: cart}}\n\
                 - {id: i-1, address: '10.0.0.2:80', version: v1, labels: {service: cart}}",
                "two entries have the id `i-1`; give each its own `id`",
            ),
        ] {
            assert_eq!(show(text), want, "{text}");
        }
        for text in [
            "- {adress: '10.0.0.1:80'}",
            "- {address: cart.internal}",
            "{",
            "a: 1",
        ] {
            let error = show(text);
            assert!(
                error.contains("line 1") && !error.contains('\n'),
                "{text}: {error}"
            );
        }
    }
}

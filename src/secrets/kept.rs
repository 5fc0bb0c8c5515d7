//! The last good one of each secret, and what is wrong with the newest.
//!
//! In goes what is found in the files, look by look; what is equal to the last look is not judged again.
//! What is good replaces what was good; what is not leaves it in force and is remembered as a fault.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::CA_SUFFIX;
use super::directory::{Files, Found, Paths};
use super::fault::Fault;
use super::pem::{Authorities, File, Pair, Validity};
use super::view::{SecretKind, SecretState, SecretView};
use crate::domain::Time;
use crate::snapshot::{ByName, Resource, SecretUsers, tls_certificate, validation_context};

/// All secrets that there are or were, by the name that settings ask for.
#[derive(Default)]
pub(super) struct Kept(BTreeMap<String, Entry>);

struct Entry {
    kind: SecretKind,
    /// What was judged last.
    seen: Option<blake3::Hash>,
    good: Option<Good>,
    fault: Option<Fault>,
}

struct Good {
    resource: Arc<Resource>,
    validity: Validity,
}

/// Files that are to be one secret.
struct Candidate<'a> {
    name: String,
    kind: SecretKind,
    /// The certificate and its key, or the CAs; or why there is no judging them.
    files: Result<Vec<File<'a>>, Fault>,
}

impl Kept {
    /// Takes what the files say now.
    pub(super) fn take(&mut self, directory: &Path, found: &Found) {
        let paths: Vec<_> = found
            .iter()
            .map(|(name, files)| (name, files, Paths::of(directory, name)))
            .collect();
        let candidates: Vec<_> = paths
            .iter()
            .flat_map(|(name, files, paths)| {
                [
                    certificate(name.as_str(), files, paths),
                    ca(name.as_str(), files, paths),
                ]
            })
            .flatten()
            .collect();
        let is_there = |name: &String| candidates.iter().any(|it| it.name == *name);
        self.0.retain(|name, entry| {
            if !is_there(name) {
                entry.seen = None;
                entry.fault = Some(gone(directory, name));
            }
            is_there(name) || entry.good.is_some()
        });
        for candidate in candidates {
            self.judge(candidate);
        }
    }

    /// Forgets those whose files are gone, if nobody asks for them any more.
    pub(super) fn forget_unused(&mut self, users: &SecretUsers) {
        self.0.retain(|name, entry| {
            !matches!(entry.fault, Some(Fault::Gone { .. })) || users.contains_key(name)
        });
    }

    /// The good ones.
    pub(super) fn resources(&self) -> ByName {
        let good = self.0.values().filter_map(|entry| entry.good.as_ref());
        good.map(|good| (Arc::clone(&good.resource.name), Arc::clone(&good.resource)))
            .collect()
    }

    /// How each stands.
    pub(super) fn view(&self, now: Time) -> Vec<SecretView> {
        let view = |(name, entry): (&String, &Entry)| entry.view(name, now);
        self.0.iter().map(view).collect()
    }

    fn judge(&mut self, candidate: Candidate<'_>) {
        let Candidate { name, kind, files } = candidate;
        let entry = self.0.entry(name.clone()).or_insert(Entry {
            kind,
            seen: None,
            good: None,
            fault: None,
        });
        let files = match files {
            Ok(files) => files,
            Err(fault) => {
                (entry.seen, entry.fault) = (None, Some(fault));
                return;
            }
        };
        let seen = hash(&files);
        if entry.seen.replace(seen) == Some(seen) {
            return;
        }
        match parse(&name, &files) {
            Ok(good) => (entry.good, entry.fault) = (Some(good), None),
            Err(fault) => entry.fault = Some(fault),
        }
    }
}

impl Entry {
    fn view(&self, name: &str, now: Time) -> SecretView {
        let validity = self.good.as_ref().map(|good| good.validity);
        let hint = |fault: &Fault| fault.hint().to_owned();
        let (state, problem, hint) = match (&self.fault, validity) {
            (Some(fault), Some(_)) => (
                SecretState::Kept,
                Some(fault.to_string()),
                Some(hint(fault)),
            ),
            (Some(fault), None) => (
                SecretState::Broken,
                Some(fault.to_string()),
                Some(hint(fault)),
            ),
            (None, Some(validity)) if validity.ends <= now => (
                SecretState::Expired,
                Some(format!("it expired at {:.0}", validity.ends)),
                Some("renew it; proxies are told of it all the same".to_owned()),
            ),
            (None, Some(validity)) if now < validity.begins => (
                SecretState::Current,
                Some(format!("it is not valid before {:.0}", validity.begins)),
                Some("proxies are told of it all the same".to_owned()),
            ),
            (None, _) => (SecretState::Current, None, None),
        };
        let resource = self.good.as_ref().map(|good| &good.resource);
        SecretView {
            name: name.to_owned(),
            kind: self.kind,
            state,
            version: resource.map(|resource| resource.version.to_string()),
            expires: validity.map(|validity| validity.ends),
            used_by: Vec::new(),
            problem,
            hint,
        }
    }
}

fn parse(name: &str, files: &[File<'_>]) -> Result<Good, Fault> {
    match *files {
        [certificate, key] => {
            let pair = Pair::parse(certificate, key)?;
            Ok(Good {
                resource: tls_certificate(name, &pair.chain, &pair.key),
                validity: pair.validity,
            })
        }
        [ref ca, ..] => {
            let authorities = Authorities::parse(*ca)?;
            Ok(Good {
                resource: validation_context(name, &authorities.cas),
                validity: authorities.validity,
            })
        }
        [] => unreachable!("a candidate has files"),
    }
}

/// The pair of a subdirectory, if it has any of it.
fn certificate<'a>(name: &str, files: &'a Files, paths: &'a Paths) -> Option<Candidate<'a>> {
    let missing = |path: &PathBuf| Err(Fault::Missing { path: path.clone() });
    let pair = match (&files.certificate, &files.key) {
        (Ok(None), Ok(None)) => return None,
        (Err(fault), _) | (_, Err(fault)) => Err(fault.clone()),
        (Ok(None), _) => missing(&paths.certificate),
        (_, Ok(None)) => missing(&paths.key),
        (Ok(Some(certificate)), Ok(Some(key))) => Ok(vec![
            file(&paths.certificate, certificate),
            file(&paths.key, key),
        ]),
    };
    Some(Candidate {
        name: name.to_owned(),
        kind: SecretKind::Certificate,
        files: pair,
    })
}

/// The CAs of a subdirectory, if it has any. Kubernetes secrets may have an empty file for none.
fn ca<'a>(name: &str, files: &'a Files, paths: &'a Paths) -> Option<Candidate<'a>> {
    let cas = match &files.ca {
        Ok(None) => return None,
        Ok(Some(bytes)) if bytes.trim_ascii().is_empty() => return None,
        Ok(Some(bytes)) => Ok(vec![file(&paths.ca, bytes)]),
        Err(fault) => Err(fault.clone()),
    };
    Some(Candidate {
        name: format!("{name}{CA_SUFFIX}"),
        kind: SecretKind::Ca,
        files: cas,
    })
}

fn file<'a>(path: &'a Path, content: &'a [u8]) -> File<'a> {
    File { path, content }
}

fn gone(directory: &Path, name: &str) -> Fault {
    let path = match name.strip_suffix(CA_SUFFIX) {
        Some(of) => directory.join(of).join("ca.crt"),
        None => directory.join(name).join("tls.crt"),
    };
    Fault::Gone { path }
}

fn hash(files: &[File<'_>]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for file in files {
        hasher.update(&(file.content.len() as u64).to_le_bytes());
        hasher.update(file.content);
    }
    hasher.finalize()
}

//! How each secret stands, for people and programs: never what it is.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::CA_SUFFIX;
use super::directory::Paths;
use crate::domain::{SecretName, Time};
use crate::snapshot::SecretUsers;

/// All secrets, those that are asked for in vain among them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretsView {
    /// The directory that they are read from; `None` if the server has none.
    pub directory: Option<String>,
    /// What is wrong with the directory itself.
    pub problem: Option<String>,
    /// Each secret, by name.
    pub secrets: Vec<SecretView>,
}

/// One secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretView {
    /// Its name, as settings ask for it.
    pub name: String,
    /// What it is.
    pub kind: SecretKind,
    /// How it stands.
    pub state: SecretState,
    /// The version that is in force: a hash, as proxies acknowledge it.
    pub version: Option<String>,
    /// When what is in force expires; of several CAs, when the last of them does.
    pub expires: Option<Time>,
    /// Whose settings ask for it: `gateway edge`, `service cart`.
    pub used_by: Vec<String>,
    /// What is wrong.
    pub problem: Option<String>,
    /// What would help.
    pub hint: Option<String>,
}

/// What a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretKind {
    /// CAs to trust, Envoy's `validation_context`.
    Ca,
    /// A certificate and its key, Envoy's `tls_certificate`.
    Certificate,
}

/// How a secret stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretState {
    /// Its files are of no use, and there is no earlier one: whoever asks for it waits.
    Broken,
    /// What its files say is in force.
    Current,
    /// What its files say is in force, and has expired.
    Expired,
    /// Its files are of no use or gone; the last good one is in force.
    Kept,
    /// Somebody asks for it, and there are no such files: whoever asks for it waits.
    Missing,
}

impl SecretState {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Broken,
        Self::Current,
        Self::Expired,
        Self::Kept,
        Self::Missing,
    ];
}

impl fmt::Display for SecretKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ca => "CA",
            Self::Certificate => "certificate",
        })
    }
}

impl fmt::Display for SecretState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Broken => "broken",
            Self::Current => "current",
            Self::Expired => "expired",
            Self::Kept => "kept",
            Self::Missing => "missing",
        })
    }
}

impl SecretsView {
    /// The same secrets, if these are who asks for them.
    #[must_use]
    pub fn asked_by(&self, users: &SecretUsers) -> Self {
        let mut view = self.clone();
        view.secrets.retain(|it| it.state != SecretState::Missing);
        for secret in &mut view.secrets {
            let of_it = users.get(&secret.name).into_iter().flatten();
            secret.used_by = of_it.cloned().collect();
        }
        let is_known = |name: &String| view.secrets.iter().any(|it| it.name == *name);
        let unknown = users.iter().filter(|(name, _)| !is_known(name));
        let missing: Vec<_> = unknown
            .map(|(name, users)| view.missing(name, users.iter().cloned().collect()))
            .collect();
        view.secrets.extend(missing);
        view.secrets.sort_by(|a, b| a.name.cmp(&b.name));
        view
    }

    /// What whoever looks after the documents should know: one line for each secret that is asked for
    /// and is not as it should be.
    pub fn warnings(&self) -> Vec<String> {
        let asked = self.secrets.iter().filter(|it| !it.used_by.is_empty());
        asked.filter_map(SecretView::warning).collect()
    }

    fn missing(&self, name: &str, used_by: Vec<String>) -> SecretView {
        let (of, kind) = match name.strip_suffix(CA_SUFFIX) {
            Some(of) => (of, SecretKind::Ca),
            None => (name, SecretKind::Certificate),
        };
        let ca = format!("{name}{CA_SUFFIX}");
        let has_ca = self.secrets.iter().any(|it| it.name == ca);
        let (problem, hint) = match (&self.directory, of.parse::<SecretName>()) {
            (None, _) => (
                "the server has no directory of secrets".to_owned(),
                "name one by `secrets` in the server's file; see docs/secrets.md".to_owned(),
            ),
            (_, Err(error)) => (error.to_string(), "see docs/secrets.md".to_owned()),
            (Some(directory), Ok(of)) => {
                let paths = Paths::of(Path::new(directory), &of);
                match kind {
                    SecretKind::Ca => (
                        format!("there is no `{}`", paths.ca.display()),
                        "it is taken as soon as it is there".to_owned(),
                    ),
                    SecretKind::Certificate => (
                        format!(
                            "there is no `{}` and `tls.key`",
                            paths.certificate.display()
                        ),
                        if has_ca {
                            format!("the CAs beside it are the secret `{ca}`")
                        } else {
                            "they are taken as soon as they are there".to_owned()
                        },
                    ),
                }
            }
        };
        SecretView {
            name: name.to_owned(),
            kind,
            state: SecretState::Missing,
            version: None,
            expires: None,
            used_by,
            problem: Some(problem),
            hint: Some(hint),
        }
    }
}

impl SecretView {
    /// Its problem as a sentence of those who ask for it.
    fn warning(&self) -> Option<String> {
        let (name, problem) = (&self.name, self.problem.as_ref()?);
        let does = match self.state {
            SecretState::Broken | SecretState::Missing => "waits for",
            SecretState::Current | SecretState::Expired => "uses",
            SecretState::Kept => "goes on with the last good one of",
        };
        let hint = self.hint.as_ref().map(|hint| format!("; {hint}"));
        let (who, hint) = (self.used_by.join(", "), hint.unwrap_or_default());
        Some(format!("{who} {does} the secret `{name}`: {problem}{hint}"))
    }
}

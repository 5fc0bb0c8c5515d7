//! House rules over many rollouts: when nothing may begin, how much at once, what comes before what, and
//! who may do what.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{PlaceName, PolicyName, Principal, Service, ServiceName, Share, Window};

/// A policy as its document declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Its name.
    pub name: PolicyName,
    /// The labels of the services that it is about; all services without any.
    pub applies: BTreeMap<String, String>,
    /// When nothing may begin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<Freeze>,
    /// So many rollouts at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// Groups of places of which one is rolled at a time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub never_both: Vec<Vec<PlaceName>>,
    /// So much of all capacity may be off the stable version, in rollouts that have not proven themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blast_radius: Option<Share>,
    /// Services whose rollouts come first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<ServiceName>,
    /// Who may do what; anybody where nobody is named.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub may: BTreeMap<MayVerb, Vec<Principal>>,
}

impl Policy {
    /// Is it about this service?
    pub fn applies_to(&self, service: &Service) -> bool {
        let mut wanted = self.applies.iter();
        wanted.all(|(name, value)| service.labels.get(name) == Some(value))
    }
}

/// A reason for which nothing may begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Freeze {
    /// The calendar says so.
    Calendar(Window),
    /// An address says so.
    Question(Question),
}

/// Something that is asked of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// What people call it.
    pub name: String,
    /// Where it is asked.
    pub url: String,
    /// Without an answer, may rollouts go on?
    pub go_if_unknown: bool,
}

impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calendar(window) => window.fmt(f),
            Self::Question(question) => f.write_str(&question.name),
        }
    }
}

/// What a policy may reserve for some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MayVerb {
    /// Turn it round.
    Abort,
    /// Have no house rule hold it.
    Override,
    /// Hold it.
    Pause,
    /// Say the word that it waits for, or end its step.
    Promote,
    /// Let it go on.
    Resume,
    /// Try again what failed.
    Retry,
    /// Pass over what it waits for.
    Skip,
    /// Go back after the end.
    Undo,
}

impl fmt::Display for MayVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Abort => "abort",
            Self::Override => "override",
            Self::Pause => "pause",
            Self::Promote => "promote",
            Self::Resume => "resume",
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::Undo => "undo",
        })
    }
}

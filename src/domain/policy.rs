//! House rules over many rollouts: when nothing may begin, and how much at once.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{PolicyName, Service, Window};

/// A policy as its document declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calendar(window) => window.fmt(f),
        }
    }
}

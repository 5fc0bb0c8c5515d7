//! Who may do something: a person or a program by name, or whoever belongs to a group.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Somebody, as documents write it: `group:edge-oncall`, `ada`, or `ada@laptop`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Principal {
    /// Whoever belongs to this group.
    Group(String),
    /// Whoever has this name, at any host unless it names one.
    Name(String),
}

/// A text that names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names nobody; write it like `group:edge-oncall` or `ada`")]
pub struct BadPrincipal(String);

impl Principal {
    /// Is it whoever goes by this name and belongs to these groups?
    pub fn is(&self, name: &str, groups: &[String]) -> bool {
        match self {
            Self::Group(group) => groups.contains(group),
            Self::Name(wanted) => {
                let rest = name.strip_prefix(wanted.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
            }
        }
    }
}

impl FromStr for Principal {
    type Err = BadPrincipal;

    fn from_str(text: &str) -> Result<Self, BadPrincipal> {
        let named = match text.strip_prefix("group:") {
            Some(group) => Self::Group(group.to_owned()),
            None => Self::Name(text.to_owned()),
        };
        let (Self::Group(name) | Self::Name(name)) = &named;
        let is_name = !name.is_empty() && !name.contains([',', ' ']);
        is_name
            .then_some(named)
            .ok_or_else(|| BadPrincipal(text.to_owned()))
    }
}

impl TryFrom<String> for Principal {
    type Error = BadPrincipal;

    fn try_from(text: String) -> Result<Self, BadPrincipal> {
        text.parse()
    }
}

impl From<Principal> for String {
    fn from(principal: Principal) -> Self {
        principal.to_string()
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(group) => write!(f, "group:{group}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_known_by_name_and_by_group() {
        let groups = ["edge-oncall".to_owned()];
        for (text, is) in [
            ("ada", true),
            ("ada@laptop", true),
            ("ad", false),
            ("ada@", false),
            ("bob", false),
            ("group:edge-oncall", true),
            ("group:edge", false),
        ] {
            let principal: Principal = text.parse().unwrap();
            assert_eq!(principal.is("ada@laptop", &groups), is, "{text}");
            assert_eq!(principal.to_string(), text);
        }
        for text in ["", "group:", "a, b"] {
            assert!(text.parse::<Principal>().is_err(), "{text:?}");
        }
    }
}

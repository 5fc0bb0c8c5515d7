//! Names of things: validated once, compared and ordered cheaply, never mixed up.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// The text is empty.
    #[error("a {what} may not be empty")]
    Empty {
        /// The kind of name, for the message.
        what: &'static str,
    },
    /// The text is longer than [`NAME_BYTES_MAX`].
    #[error("a {what} may have at most {NAME_BYTES_MAX} bytes, this one has {bytes}")]
    TooLong {
        /// The kind of name, for the message.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// A character that would not survive as an Envoy resource name, a label or a file name.
    #[error("a {what} may not contain {found:?}; use letters, digits and `{allowed}`")]
    Character {
        /// The kind of name, for the message.
        what: &'static str,
        /// The first character that does not fit.
        found: char,
        /// Punctuation that would fit.
        allowed: &'static str,
    },
}

/// Longest name in bytes; Envoy's own default bound for stat names is far above two of these.
const NAME_BYTES_MAX: usize = 128;

fn check(text: &str, what: &'static str, allowed: &'static str) -> Result<(), BadName> {
    if text.is_empty() {
        return Err(BadName::Empty { what });
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(BadName::TooLong {
            what,
            bytes: text.len(),
        });
    }
    match text
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !allowed.contains(*c))
    {
        Some(found) => Err(BadName::Character {
            what,
            found,
            allowed,
        }),
        None => Ok(()),
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident($what:literal, $allowed:literal);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                check(text, $what, $allowed).map(|()| Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )*};
}

names! {
    /// By which a request is known that comes again since its answer was lost.
    RequestKey("request key", "-._:/+=~");
    /// A name of a service's own, under which callers get versions and weights of its own.
    AliasName("name of an alias", "-._");
    /// A Gate document.
    GateName("gate name", "-._");
    /// A Gateway document.
    GatewayName("gateway name", "-._");
    /// One instance; the address is a legal id, so nobody has to invent one.
    InstanceId("instance id", "-._:[]@");
    /// A Policy document.
    PolicyName("policy name", "-._");
    /// The node id that a proxy claims.
    ProxyId("proxy id", "-._:/[]@~=");
    /// A Rollout document.
    RolloutName("rollout name", "-._");
    /// A directory of a secret's files, and the secret in it.
    SecretName("secret name", "-._");
    /// A Service document, as `thumbnail`; or one of its aliases, as `thumbnail@live`.
    ServiceName("service name", "-._@");
    /// A build of a service.
    VersionName("version", "-._+");
}

impl RolloutName {
    /// The name of a rollout of `service` to `version` that nobody gave a name: `cart-v42`.
    pub fn derived(service: &ServiceName, version: &VersionName) -> Result<Self, BadName> {
        // A version may hold a `+` and an alias holds an `@`, a rollout's name may not.
        format!("{service}-{version}")
            .replace(['+', AT], "-")
            .parse()
    }

    /// The name for the `number`th time, from 1: `cart-v42`, `cart-v42-2`.
    pub fn numbered(&self, number: u32) -> Result<Self, BadName> {
        match number {
            1 => Ok(self.clone()),
            _ => format!("{self}-{number}").parse(),
        }
    }
}

/// Stands between a service and its alias.
const AT: char = '@';

impl ServiceName {
    /// The service under this alias.
    ///
    /// # Errors
    /// Where both together are too long for a name.
    pub fn with(&self, alias: &AliasName) -> Result<Self, BadName> {
        format!("{}{AT}{alias}", self.pool()).parse()
    }

    /// The service whose instances answer: itself, or the one that it is an alias of.
    #[must_use]
    pub fn pool(&self) -> Self {
        match self.0.split_once(AT) {
            Some((pool, _)) => Self(pool.into()),
            None => self.clone(),
        }
    }

    /// Is it an alias of another?
    pub fn is_alias(&self) -> bool {
        self.0.contains(AT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_where_they_enter() {
        for (text, error) in [
            ("cart", None),
            ("2026-11-23.4", None),
            ("", Some("a service name may not be empty")),
            (
                "a/b",
                Some("a service name may not contain '/'; use letters, digits and `-._@`"),
            ),
        ] {
            let got = text.parse::<ServiceName>().err().map(|e| e.to_string());
            assert_eq!(got.as_deref(), error, "{text:?}");
        }
        let derived = RolloutName::derived(&"cart".parse().unwrap(), &"v4+2".parse().unwrap());
        let numbered = [1, 2].map(|n| derived.clone().unwrap().numbered(n).unwrap().to_string());
        assert_eq!(numbered, ["cart-v4-2", "cart-v4-2-2"]);
        assert!("127.0.0.1:8080".parse::<InstanceId>().is_ok());
        let service: ServiceName = "thumbnail".parse().unwrap();
        let live = service.with(&"live".parse().unwrap()).unwrap();
        assert_eq!(live.as_str(), "thumbnail@live");
        assert_eq!(
            (live.pool(), service.pool()),
            (service.clone(), service.clone())
        );
        assert!(live.is_alias() && !service.is_alias());
        assert!("x".repeat(129).parse::<ServiceName>().is_err());
    }
}

//! Sessions: what keeps a client with the version that it began with, while shares move from one to the other.

use serde::{Deserialize, Serialize};

use super::{ServiceName, Span};

/// How a service's sessions are kept. A session belongs to a version; that it also stays with one instance is not
/// there yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// Who moves when shares do.
    #[serde(default)]
    pub moves: Moves,
    /// What a client is known by.
    #[serde(default)]
    pub key: SessionKey,
    /// How long a client keeps Tidegate's own cookie, from when it got it; until it ends itself unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
}

/// Who moves when shares do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Moves {
    /// As few sessions as the shares need, each once: those of a client are always the same side of a boundary that
    /// moves.
    #[default]
    Minimal,
    /// None before its version has no share any more; only new sessions follow the shares.
    NewOnly,
}

/// What a client is known by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SessionKey {
    /// A cookie that the proxies give it with their first answer.
    #[default]
    Auto,
    /// A cookie that the application gives it; until then one of the proxies.
    Cookie(String),
    /// A header that it sends. Requests without it are no sessions.
    Header(String),
}

impl Sessions {
    /// The cookie by which clients of a service are known.
    pub fn cookie(service: &ServiceName) -> String {
        format!("tidegate-{}", in_cookie(service))
    }

    /// The cookie that says which version of a service a session began with.
    pub fn version_cookie(service: &ServiceName) -> String {
        format!("tidegate-{}-version", in_cookie(service))
    }
}

/// An alias has an `@` in its name, which the name of a cookie may not have (RFC 6265, 4.1.1).
fn in_cookie(service: &ServiceName) -> String {
    service.as_str().replace('@', ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_named_by_service_and_alias() {
        let service: ServiceName = "thumbnail@live".parse().unwrap();
        assert_eq!(Sessions::cookie(&service), "tidegate-thumbnail.live");
        let version = Sessions::version_cookie(&service);
        assert_eq!(version, "tidegate-thumbnail.live-version");
    }
}

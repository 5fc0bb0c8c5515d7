//! Who is at the other end of a connection, and for which nodes it may speak.
//!
//! In go a certificate and the policy of the server; out comes an answer to "may this peer be that
//! node of that cluster?". A verified certificate that no rule fits may speak for nobody. Knows no
//! socket and no TLS: that a certificate is genuine has been proven before it comes here.

mod certificate;
mod pattern;
mod policy;

use std::fmt;
use std::sync::Arc;

pub use certificate::{BadCertificate, Names};
pub use pattern::{BadPattern, Pattern};
pub use policy::{Policy, Rule, San};

/// Whom a peer says that it speaks for.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The node's id.
    pub node: &'a str,
    /// The node's cluster; `None` where only the id is said, as in reports.
    pub cluster: Option<&'a str>,
}

impl fmt::Display for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {:?}", self.node)?;
        match self.cluster {
            Some(cluster) => write!(f, " of cluster {cluster:?}"),
            None => Ok(()),
        }
    }
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub enum Peer {
    /// It has proven its names, and the policy says what they are good for.
    Named(Names, Arc<Policy>),
    /// It was asked for nothing: the connection is plaintext, which the operator has allowed.
    Unasked,
}

/// A peer may not speak for a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the certificate of {names} may not speak for {claim}; a rule under `identity` in the server's configuration must allow it"
)]
pub struct Denied {
    names: String,
    claim: String,
}

impl Peer {
    /// Says whether this peer may be, or report for, that node.
    pub fn may_speak_for(&self, claim: Claim<'_>) -> Result<(), Denied> {
        match self {
            Self::Named(names, policy) if !policy.allows(names, claim) => Err(Denied {
                names: names.to_string(),
                claim: claim.to_string(),
            }),
            Self::Named(..) | Self::Unasked => Ok(()),
        }
    }
}

//! Who sent a request, and how its stream and its connection end.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::future::AbortHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::codegen::http::Extensions;

use super::Observer;
use super::seldom::Seldom;
use crate::peer::{Claim, Peer};
use crate::process::clock;

/// Why a connection is ended by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has reached its age.
    Aged,
    /// The server stops.
    Draining,
    /// It never sent a request.
    Silent,
    /// The CAs have changed and its certificate does not pass any more.
    Untrusted,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aged => "this connection has reached its age (`connections.ageMax`); connect again",
            Self::Draining => "this server shuts down; connect again, to another replica if there is one",
            Self::Silent => "no request came in time (`limits.firstRequestTime`)",
            Self::Untrusted => "the certificate of this connection is not trusted any more; connect again with a new one",
        })
    }
}

/// What all requests of a connection share.
pub(super) struct Shared {
    peer: Peer,
    ending: CancellationToken,
    end: OnceLock<End>,
    has_called: AtomicBool,
    denials: Arc<Seldom>,
    observer: Arc<dyn Observer>,
}

impl Shared {
    pub(super) fn new(peer: Peer, denials: Arc<Seldom>, observer: Arc<dyn Observer>) -> Self {
        Self {
            peer,
            ending: CancellationToken::new(),
            end: OnceLock::new(),
            has_called: AtomicBool::new(false),
            denials,
            observer,
        }
    }

    /// Tells every stream to end.
    pub(super) fn end(&self, why: End) {
        // The first reason stands.
        let _ = self.end.set(why);
        self.ending.cancel();
    }

    /// Has a request ever come?
    pub(super) fn has_called(&self) -> bool {
        self.has_called.load(Ordering::Relaxed)
    }

    /// A request has come.
    pub(super) fn called(&self) {
        self.has_called.store(true, Ordering::Relaxed);
    }
}

/// Who sent a request; an extension of every request that comes through the port.
#[derive(Clone)]
pub struct Caller {
    connection: Arc<Shared>,
    cut: AbortHandle,
}

impl Caller {
    pub(super) const fn new(connection: Arc<Shared>, cut: AbortHandle) -> Self {
        Self { connection, cut }
    }

    /// The caller of a request. One that did not come through the port is nobody's, and refused.
    pub fn of(extensions: &Extensions) -> Result<Self, Status> {
        let caller = extensions.get::<Self>().cloned();
        caller.ok_or_else(|| {
            Status::internal("the request came past the port, so its caller is unknown")
        })
    }

    /// Has the caller shown who it is? If not, its connection is plaintext, which the operator allows.
    pub fn is_named(&self) -> bool {
        matches!(self.connection.peer, Peer::Named(..))
    }

    /// Says whether the caller may be, or report for, a node; PERMISSION_DENIED if not, which is
    /// logged and counted.
    pub fn may_speak_for(&self, claim: Claim<'_>) -> Result<(), Status> {
        self.connection.peer.may_speak_for(claim).map_err(|denied| {
            self.connection.observer.denied();
            if let Some(passed_over) = self.connection.denials.passed_over(clock::now()) {
                tracing::warn!(passed_over, "Permission denied: {denied}");
            }
            Status::permission_denied(denied.to_string())
        })
    }

    /// Returns when the stream should end because its connection does, with what to say to the peer.
    pub async fn ending(&self) -> Status {
        self.connection.ending.cancelled().await;
        let why = self.connection.end.get().copied().unwrap_or(End::Draining);
        Status::unavailable(why.to_string())
    }

    /// Resets the stream, even one whose peer reads nothing and that is therefore never polled.
    pub fn cutter(&self) -> AbortHandle {
        self.cut.clone()
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = &self.connection.peer;
        f.debug_struct("Caller")
            .field("peer", peer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Caller {
    /// One who was asked for nothing.
    pub(crate) fn unasked() -> Self {
        Self::of_peer(Peer::Unasked)
    }

    /// One with these names, of which a DNS name must fit the pattern.
    pub(crate) fn named(names: crate::peer::Names, dns: &str) -> Self {
        let rule = crate::peer::Rule {
            san: crate::peer::San::Dns(dns.parse().unwrap()),
            node: None,
            cluster: None,
        };
        let policy = crate::peer::Policy { rules: vec![rule] };
        Self::of_peer(Peer::Named(names, Arc::new(policy)))
    }

    fn of_peer(peer: Peer) -> Self {
        let shared = Shared::new(peer, Arc::default(), Arc::new(super::NoObserver));
        Self::new(Arc::new(shared), AbortHandle::new_pair().0)
    }
}

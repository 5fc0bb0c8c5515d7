//! What metrics may want to know of connections.

/// Why a connection came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The TLS handshake failed or took too long.
    Handshake,
    /// There were as many connections as may be.
    Limit,
}

/// Told of what happens to connections; called from their tasks, so it must not block.
pub trait Observer: Send + Sync {
    /// The certificate files changed: they were taken, or are broken.
    fn certificates_read(&self, _taken: bool) {}
    /// A connection serves requests.
    fn connection_opened(&self) {}
    /// It serves no more.
    fn connection_closed(&self) {}
    /// A connection came to nothing.
    fn connection_refused(&self, _why: Refused) {}
    /// A caller wanted to speak for a node that it may not speak for.
    fn denied(&self) {}
}

/// Looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}

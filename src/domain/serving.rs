//! What the port for proxies is set to: its limits, the life of its connections, its certificates.

use std::path::PathBuf;

use super::Span;

/// Bounds on what proxies may use up. Beyond each there is a defined answer: a stream ends with
/// RESOURCE_EXHAUSTED and the name of the limit, and where there is no stream yet the connection is
/// closed and counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// TLS handshakes at one time; others wait for their turn.
    pub handshakes: usize,
    /// How long a TLS handshake may take.
    pub handshake_time: Span,
    /// How long the first request of a connection, and that of a stream, may be awaited.
    pub first_request_time: Span,
    /// Open discovery streams.
    pub streams: usize,
    /// Open discovery streams of one node id.
    pub streams_per_node: usize,
    /// Bytes of one request.
    pub request_bytes: usize,
    /// Bytes that are kept of one node.
    pub node_bytes: usize,
    /// Names of one type on one stream.
    pub names_per_type: usize,
    /// How long a response may wait for its ACK or NACK.
    pub ack_time: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            handshakes: 256,
            handshake_time: Span::secs(10),
            first_request_time: Span::secs(15),
            streams: 50_000,
            // An Envoy that takes each cluster's endpoints by a stream of its own has one per cluster.
            streams_per_node: 2_000,
            // An Envoy that comes back lists every name and version that it holds.
            request_bytes: 32 * 1024 * 1024,
            node_bytes: 64 * 1024,
            names_per_type: 50_000,
            ack_time: Span::secs(60),
        }
    }
}

/// How long connections live, and how they end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Age at which a connection is ended, so that proxies spread over replicas again.
    pub age_max: Span,
    /// Each connection gets up to so much more, so that a fleet does not come back at once.
    pub age_jitter: Span,
    /// From the polite end of a connection to its hard one.
    pub grace: Span,
    /// On shutdown, connections are ended at random moments within this window.
    pub drain_window: Span,
    /// A connection is pinged this often.
    pub keepalive_interval: Span,
    /// Without an answer to a ping for this long, its peer is gone.
    pub keepalive_timeout: Span,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            age_max: Span::secs(10 * 60 * 60),
            age_jitter: Span::secs(2 * 60 * 60),
            grace: Span::secs(5),
            drain_window: Span::secs(10),
            keepalive_interval: Span::secs(30),
            keepalive_timeout: Span::secs(10),
        }
    }
}

/// The PEM files of a server that asks its clients who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and those between it and its CA.
    pub certificate: PathBuf,
    /// The server's private key.
    pub key: PathBuf,
    /// The CAs that sign clients' certificates.
    pub client_ca: PathBuf,
}

//! One connection: requests to services, until the peer or the server has had enough.
//!
//! The server ends it politely: GOAWAY, so that no stream is added; every stream is told to end; and
//! what has not ended after the grace is dropped with the socket. HTTP/2's own settings are here too.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::once;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower_service::Service;

use super::caller::{Caller, End, Shared};
use super::certificates::Trust;
use super::patience::Patient;
use super::streams::{Streams, cutter};
use crate::domain::Lifetimes;
use crate::process::Belled;

/// Room that a peer has for one request before it must wait for it to be read. A request may be
/// larger; it then takes several turns.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;

/// Room that a peer has for all its requests.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// Streams at one time; a proxy that has more opens another connection.
const STREAMS_MAX: u32 = 1_024;

/// Of one response, this much at most waits in the connection, unless one piece alone is larger.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Headers of one request; Envoy's are a few hundred bytes.
const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;

/// Streams that a peer opened and reset before they were served, and that it may have at one time.
const RESET_STREAMS_MAX: usize = 32;

/// How this server speaks HTTP/2.
pub(super) fn http2(streams: Streams, lifetimes: &Lifetimes) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
        .keep_alive_interval(lifetimes.keepalive_interval.duration())
        .keep_alive_timeout(lifetimes.keepalive_timeout.duration());
    builder
}

/// What ends a connection, as it was drawn for this one.
pub(super) struct Life {
    /// Its age at most, jitter included.
    pub(super) age_max: Duration,
    /// Cancelled when the server begins to drain.
    pub(super) draining: CancellationToken,
    /// How long after that it is this one's turn.
    pub(super) turn: Duration,
    /// How long its first request may be awaited.
    pub(super) first_request: Duration,
    /// From its polite end to its hard one.
    pub(super) grace: Duration,
    /// How long its peer may read nothing of what it is sent.
    pub(super) unread: Duration,
    /// Whose certificates are trusted, and which this peer has shown.
    pub(super) proof: Option<Proof>,
}

/// What a peer has proven its names with.
pub(super) struct Proof {
    /// Its own certificate first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// By whom it was trusted.
    pub(super) trusted_by: Arc<Trust>,
    /// By whom it must be.
    pub(super) trust: watch::Receiver<Arc<Trust>>,
}

/// Serves a connection until it has ended. What it consists of is on the heap, each part once: a
/// future that is moved into another leaves its room behind in both.
pub(super) fn serve<I>(
    io: I,
    http2: &http2::Builder<Streams>,
    routes: Routes,
    shared: Arc<Shared>,
    life: Life,
) -> impl Future<Output = ()> + Send + use<I>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let of_requests = Arc::clone(&shared);
    let service = service_fn(move |mut request| {
        of_requests.called();
        let (mut routes, shared) = (routes.clone(), Arc::clone(&of_requests));
        // Its room is needed until the response begins, and a stream lasts for hours.
        Box::pin(async move {
            // Polled by the task of the stream, so what cuts that task cuts this stream.
            let caller = Caller::new(shared, cutter());
            hyper::Request::<hyper::body::Incoming>::extensions_mut(&mut request).insert(caller);
            Ok::<_, Infallible>(infallible(routes.call(request).await))
        })
    });
    let io = Patient::new(io, life.unread);
    let mut connection = Box::pin(http2.serve_connection(TokioIo::new(io), service));
    let grace = life.grace;
    let of_end = Arc::clone(&shared);
    let mut end = Belled::new(once(async move { end(life, &of_end).await }));
    async move {
        let why = tokio::select! {
            biased;
            ended = connection.as_mut() => return log(ended),
            Some(why) = poll_fn(|cx| end.poll_next(cx)) => why,
        };
        tracing::debug!(?why, "Ending a connection");
        connection.as_mut().graceful_shutdown();
        shared.end(why);
        tokio::select! {
            biased;
            ended = connection => log(ended),
            () = sleep(grace) => tracing::debug!("A connection did not end in time and was dropped"),
        }
    }
}

fn infallible<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// Peers vanish in many ways, and their streams tell of it where it matters.
fn log(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "A connection broke");
    }
}

/// Returns when the server should end the connection, and why.
async fn end(life: Life, shared: &Shared) -> End {
    let Life {
        age_max,
        draining,
        turn,
        first_request,
        proof,
        ..
    } = life;
    let drained = async {
        draining.cancelled().await;
        sleep(turn).await;
    };
    let silent = async {
        sleep(first_request).await;
        if shared.has_called() {
            std::future::pending::<()>().await;
        }
    };
    let distrusted = async {
        match proof {
            // Where nobody is asked who it is, there need be no room for that either.
            Some(proof) => Box::pin(distrust(proof)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = sleep(age_max) => End::Aged,
        () = drained => End::Draining,
        () = silent => End::Silent,
        () = distrusted => End::Untrusted,
    }
}

/// Returns when the certificate of the peer is not trusted any more.
async fn distrust(mut proof: Proof) {
    while proof.trust.changed().await.is_ok() {
        let trust = Arc::clone(&proof.trust.borrow_and_update());
        if !trust.accepts(&proof.chain, &proof.trusted_by, UnixTime::now()) {
            return;
        }
        proof.trusted_by = trust;
    }
    // Nobody reads the certificates any more: what is trusted stays so.
    std::future::pending::<()>().await;
}

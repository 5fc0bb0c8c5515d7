//! The accept loop: each connection gets a task before anything is awaited of it, so that a slow one
//! delays no other.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::caller::Shared;
use super::certificates::Trust;
use super::connection::{self, Life, Proof};
use super::seldom::Seldom;
use super::streams::Streams;
use super::{Observer, Refused};
use crate::domain::{Lifetimes, Limits, Span};
use crate::peer::{BadCertificate, Names, Peer, Policy};
use crate::process::{Swarm, clock};

/// Connections that wait to be accepted. The kernel cuts it to `net.core.somaxconn`.
const BACKLOG: u32 = 16_384;

/// How long no connection is accepted when the process is out of file descriptors.
const OUT_OF_FILES_PAUSE: Duration = Duration::from_millis(100);

/// Listens with room for a whole fleet that comes back at once.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // After a restart, connections of the process before are still on their way out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What a port is opened with.
pub struct PortOptions {
    /// What is too much.
    pub limits: Limits,
    /// How long connections live.
    pub lifetimes: Lifetimes,
    /// Without it, nobody is asked who it is.
    pub tls: Option<TlsOptions>,
    /// Told of what happens.
    pub observer: Arc<dyn Observer>,
    /// Where the jitter begins.
    pub seed: u64,
}

/// How peers prove who they are, and what that is good for.
#[derive(Clone)]
pub struct TlsOptions {
    /// What handshakes are done with.
    pub trust: watch::Receiver<Arc<Trust>>,
    /// Which certificates speak for which nodes.
    pub policy: Arc<Policy>,
}

/// The port, ready to serve.
pub struct Port {
    options: PortOptions,
    routes: Routes,
    draining: CancellationToken,
    slots: Arc<Semaphore>,
    handshakes: Semaphore,
    http2: hyper::server::conn::http2::Builder<Streams>,
    denials: Arc<Seldom>,
    failures: Seldom,
    refusals: Seldom,
}

impl Port {
    /// A port for these services. Once `draining` is cancelled, it accepts nothing and ends what
    /// there is, one connection after the other.
    pub fn new(options: PortOptions, routes: Routes, draining: CancellationToken) -> Self {
        let streams = Streams(Swarm::new("xds stream"));
        Self {
            http2: connection::http2(streams, &options.lifetimes),
            slots: Arc::new(Semaphore::new(options.limits.connections)),
            handshakes: Semaphore::new(options.limits.handshakes),
            routes: routes.prepare(),
            options,
            draining,
            denials: Arc::default(),
            failures: Seldom::default(),
            refusals: Seldom::default(),
        }
    }

    /// Serves until the drain is over: after its window and the grace, no connection is left.
    pub async fn serve(self, listener: TcpListener) {
        let port = Arc::new(self);
        let connections = Swarm::new("xds connection");
        let mut jitter = StdRng::seed_from_u64(port.options.seed);
        loop {
            let accepted = tokio::select! {
                biased;
                () = port.draining.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, from)) => {
                    if let Ok(slot) = Arc::clone(&port.slots).try_acquire_owned() {
                        let jitter = (jitter.random(), jitter.random());
                        let port = Arc::clone(&port);
                        connections.spawn(port.take(socket, from, slot, jitter));
                    } else {
                        port.too_many(from);
                    }
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if let Some(passed_over) = port.refusals.passed_over(clock::now()) {
                        tracing::error!(%error, passed_over, "Cannot accept connections of proxies");
                    }
                    sleep(OUT_OF_FILES_PAUSE).await;
                }
            }
        }
        // Whoever is still in the queue is turned away and finds another replica.
        drop(listener);
        connections.ended().await;
    }

    fn too_many(&self, from: SocketAddr) {
        self.options.observer.connection_refused(Refused::Limit);
        if let Some(passed_over) = self.refusals.passed_over(clock::now()) {
            tracing::warn!(
                %from, passed_over,
                "Closed a new connection: there are {} (`limits.connections`); add a replica",
                self.options.limits.connections,
            );
        }
    }

    /// Serves one connection that came without a listener, such as a pipe in memory. Nobody is asked
    /// who is at its other end.
    pub async fn serve_one<I>(&self, io: I)
    where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let life = self.life((0.0, 0.0), None);
        self.connected(io, Peer::Unasked, life).await;
    }

    /// Finds out who it is, then serves it. `jitter` has two numbers from 0 to 1.
    async fn take(
        self: Arc<Self>,
        socket: TcpStream,
        from: SocketAddr,
        _slot: OwnedSemaphorePermit,
        jitter: (f64, f64),
    ) {
        // A response is written whole; waiting for more would only delay it.
        let _ = socket.set_nodelay(true);
        let served: Option<Served> = match &self.options.tls {
            None => {
                let life = self.life(jitter, None);
                Some(Box::pin(self.connected(socket, Peer::Unasked, life)))
            }
            // On the heap, so that its room is free once it is over.
            Some(tls) => Box::pin(self.secured(socket, from, tls, jitter)).await,
        };
        if let Some(served) = served {
            served.await;
        }
    }

    /// The same behind TLS, unless it comes to nothing.
    async fn secured(
        &self,
        socket: TcpStream,
        from: SocketAddr,
        tls: &TlsOptions,
        jitter: (f64, f64),
    ) -> Option<Served> {
        let shaken = tokio::select! {
            // Nothing is lost yet: whoever is still shaking hands goes elsewhere.
            () = self.draining.cancelled() => return None,
            shaken = self.shake_hands(socket, tls) => shaken,
        };
        match shaken {
            Ok((stream, peer, proof)) => {
                let life = self.life(jitter, Some(proof));
                Some(Box::pin(self.connected(stream, peer, life)))
            }
            Err(error) => {
                self.options.observer.connection_refused(Refused::Handshake);
                if let Some(passed_over) = self.failures.passed_over(clock::now()) {
                    tracing::warn!(%from, %error, passed_over, "TLS handshake failed");
                }
                None
            }
        }
    }

    fn life(&self, (of_age, of_turn): (f64, f64), proof: Option<Proof>) -> Life {
        let Lifetimes {
            age_max,
            age_jitter,
            grace,
            drain_window,
            keepalive_interval,
            keepalive_timeout,
        } = self.options.lifetimes;
        Life {
            age_max: age_max.duration() + part(age_jitter, of_age),
            draining: self.draining.clone(),
            turn: part(drain_window, of_turn),
            first_request: self.options.limits.first_request_time.duration(),
            grace: grace.duration(),
            // As long as it takes to find out that a peer is gone.
            unread: keepalive_interval.duration() + keepalive_timeout.duration(),
            proof,
        }
    }

    fn connected<I>(
        &self,
        io: I,
        peer: Peer,
        life: Life,
    ) -> impl Future<Output = ()> + Send + use<I>
    where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let observer = &self.options.observer;
        let shared = Shared::new(peer, Arc::clone(&self.denials), Arc::clone(observer));
        let counted = Counted::new(Arc::clone(observer));
        let (routes, shared) = (self.routes.clone(), Arc::new(shared));
        let served = connection::serve(io, &self.http2, routes, shared, life);
        async move {
            served.await;
            drop(counted);
        }
    }

    async fn shake_hands(
        &self,
        socket: TcpStream,
        tls: &TlsOptions,
    ) -> Result<(TlsStream<TcpStream>, Peer, Proof), HandshakeError> {
        let Limits {
            first_request_time,
            handshake_time,
            ..
        } = self.options.limits;
        // Whoever says nothing takes no one's turn.
        timeout(first_request_time.duration(), socket.peek(&mut [0]))
            .await
            .map_err(|_| HandshakeError::Silent(first_request_time))??;
        let _turn = self.handshakes.acquire().await;
        let mut trust = tls.trust.clone();
        let trusted_by = Arc::clone(&trust.borrow_and_update());
        let acceptor = TlsAcceptor::from(Arc::clone(&trusted_by.config));
        let stream = timeout(handshake_time.duration(), acceptor.accept(socket))
            .await
            .map_err(|_| HandshakeError::Slow(handshake_time))??;
        let chain = stream.get_ref().1.peer_certificates();
        let chain: Vec<_> = chain
            .unwrap_or_default()
            .iter()
            .cloned()
            .map(CertificateDer::into_owned)
            .collect();
        let own = chain.first().ok_or(HandshakeError::NoCertificate)?;
        let peer = Peer::Named(Names::of_certificate(own)?, Arc::clone(&tls.policy));
        let proof = Proof {
            chain,
            trusted_by,
            trust,
        };
        Ok((stream, peer, proof))
    }
}

/// A connection that is being served.
type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the peer has shown no certificate")]
    NoCertificate,
    #[error("the peer said nothing within {0} (`limits.firstRequestTime`)")]
    Silent(Span),
    #[error("it took longer than {0} (`limits.handshakeTime`)")]
    Slow(Span),
}

/// So much of a span, from 0 to 1.
fn part(span: Span, share: f64) -> Duration {
    span.duration().mul_f64(share.clamp(0.0, 1.0))
}

/// The peer was gone before it was accepted; the next one may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

/// An open connection, as the observer counts them.
struct Counted(Arc<dyn Observer>);

impl Counted {
    fn new(observer: Arc<dyn Observer>) -> Self {
        observer.connection_opened();
        Self(observer)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connection_closed();
    }
}

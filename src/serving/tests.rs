//! Stories of the port, with real sockets and certificates, and what they are told with.

mod life;
mod tls;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::http::{Extensions, HeaderMap};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;

use super::{Caller, Observer, Port, PortOptions, Refused, TlsOptions, listen};
use crate::domain::{Lifetimes, Limits, Span};
use crate::peer::Claim;

/// Whatever takes longer has failed.
const DEADLINE: Duration = Duration::from_mins(1);

/// Waits for what must come.
pub(super) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("in time")
}

/// Waits until something holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, wait).await;
    assert!(waited.is_ok(), "waited in vain until {what}");
}

/// Counts.
#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    opened: AtomicUsize,
    over_limit: AtomicUsize,
    handshakes_failed: AtomicUsize,
    denied: AtomicUsize,
    taken: AtomicUsize,
    broken: AtomicUsize,
}

impl Counts {
    fn of(count: &AtomicUsize) -> usize {
        count.load(Ordering::SeqCst)
    }
}

impl Observer for Counts {
    fn certificates_read(&self, taken: bool) {
        let count = if taken { &self.taken } else { &self.broken };
        count.fetch_add(1, Ordering::SeqCst);
    }

    fn connection_opened(&self) {
        self.open.fetch_add(1, Ordering::SeqCst);
        self.opened.fetch_add(1, Ordering::SeqCst);
    }

    fn connection_closed(&self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    fn connection_refused(&self, why: Refused) {
        let count = match why {
            Refused::Handshake => &self.handshakes_failed,
            Refused::Limit => &self.over_limit,
        };
        count.fetch_add(1, Ordering::SeqCst);
    }

    fn denied(&self) {
        self.denied.fetch_add(1, Ordering::SeqCst);
    }
}

/// A port that serves.
struct World {
    address: SocketAddr,
    counts: Arc<Counts>,
    draining: CancellationToken,
    served: tokio::task::JoinHandle<()>,
    _end: DropGuard,
}

impl World {
    fn new(limits: Limits, lifetimes: Lifetimes) -> Self {
        Self::with(limits, lifetimes, None, Arc::default())
    }

    #[expect(clippy::disallowed_methods, reason = "a test is its own supervisor")]
    fn with(
        limits: Limits,
        lifetimes: Lifetimes,
        tls: Option<TlsOptions>,
        counts: Arc<Counts>,
    ) -> Self {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let draining = CancellationToken::new();
        let options = PortOptions {
            limits,
            lifetimes,
            tls,
            observer: Arc::clone(&counts) as _,
            seed: 1,
        };
        let port = Port::new(options, Routes::from(services()), draining.clone());
        Self {
            address,
            counts,
            served: tokio::spawn(port.serve(listener)),
            _end: draining.clone().drop_guard(),
            draining,
        }
    }

    async fn connect(&self) -> Client {
        Client::over(TcpStream::connect(self.address).await.unwrap()).await
    }

    async fn until_open(&self, count: usize) {
        let what = format!("{count} connections are open");
        until(&what, || Counts::of(&self.counts.open) == count).await;
    }
}

/// Lifetimes in which nothing ends on its own, and a drain is quick.
fn calm() -> Lifetimes {
    Lifetimes {
        drain_window: Span::ZERO,
        ..Lifetimes::default()
    }
}

/// Serves on loopback without certificates, until the guard is dropped; for the tests of services.
#[expect(clippy::disallowed_methods, reason = "a test is its own supervisor")]
pub(crate) fn serve_plaintext(routes: Routes, limits: Limits) -> (SocketAddr, DropGuard) {
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let draining = CancellationToken::new();
    let options = PortOptions {
        limits,
        lifetimes: calm(),
        tls: None,
        observer: Arc::new(super::NoObserver),
        seed: 1,
    };
    let port = Port::new(options, routes, draining.clone());
    tokio::spawn(port.serve(listener));
    (address, draining.drop_guard())
}

/// A connection of HTTP/2.
struct Client {
    sender: SendRequest<Empty<Bytes>>,
    /// Resolves when the connection has ended.
    ended: tokio::task::JoinHandle<()>,
}

impl Client {
    #[expect(clippy::disallowed_methods, reason = "a test is its own supervisor")]
    async fn over<I>(io: I) -> Self
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = soon(handshake(TokioExecutor::new(), TokioIo::new(io)))
            .await
            .unwrap();
        let ended = tokio::spawn(async {
            let _ = connection.await;
        });
        Self { sender, ended }
    }

    async fn call(&self, path: &str) -> hyper::Result<hyper::Response<Incoming>> {
        let request = hyper::Request::post(format!("http://port{path}"))
            .body(Empty::new())
            .unwrap();
        soon(self.sender.clone().send_request(request)).await
    }

    /// The gRPC status in the headers of an answer that has no body.
    async fn status_of(&self, path: &str) -> String {
        let answer = self.call(path).await.unwrap();
        let header = |name| {
            let value: Option<&hyper::header::HeaderValue> = answer.headers().get(name);
            value.map_or("", |value| value.to_str().unwrap()).to_owned()
        };
        format!("{} {}", header("grpc-status"), header("grpc-message"))
    }
}

/// The words of the trailers that a response ends with.
async fn trailers(answer: hyper::Response<Incoming>) -> String {
    let body = soon(answer.into_body().collect()).await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    trailers["grpc-message"]
        .to_str()
        .unwrap()
        .replace("%20", " ")
}

/// What a test asks whether it may speak for.
#[derive(Deserialize)]
struct Node {
    node: String,
    cluster: String,
}

fn services() -> Router {
    let may = async |Query(node): Query<Node>, extensions: Extensions| {
        let claim = Claim {
            node: &node.node,
            cluster: Some(&node.cluster),
        };
        match Caller::of(&extensions).unwrap().may_speak_for(claim) {
            Ok(()) => tonic::Status::ok("yes").into_http(),
            Err(denied) => denied.into_http::<tonic::body::Body>(),
        }
    };
    // Says nothing until the connection is to end.
    let hold = async |extensions: Extensions| {
        let caller = Caller::of(&extensions).unwrap();
        let end = async move {
            let mut trailers = HeaderMap::new();
            caller.ending().await.add_header(&mut trailers).unwrap();
            Ok::<_, Infallible>(Frame::<Bytes>::trailers(trailers))
        };
        Response::new(axum::body::Body::new(StreamBody::new(stream::once(end))))
    };
    // Says more than anybody takes, until it is cut by another call.
    let cutter = Arc::new(std::sync::Mutex::new(None));
    let to_cut = Arc::clone(&cutter);
    let flood = async move |extensions: Extensions| {
        let caller = Caller::of(&extensions).unwrap();
        *to_cut.lock().unwrap() = Some(caller.cutter());
        let piece = Bytes::from(vec![0; 1024 * 1024]);
        let frames = stream::repeat_with(move || Ok::<_, Infallible>(Frame::data(piece.clone())));
        Response::new(axum::body::Body::new(StreamBody::new(frames)))
    };
    let cut = async move || {
        let cutter = cutter.lock().unwrap().take();
        cutter.unwrap().abort();
    };
    Router::new()
        .route("/may", post(may))
        .route("/hold", post(hold))
        .route("/flood", post(flood))
        .route("/cut", post(cut))
        .route("/panic", post(async || -> () { panic!("on purpose") }))
}

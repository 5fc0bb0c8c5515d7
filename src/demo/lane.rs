//! One keep-alive connection that asks for one thing at a steady pace.
//!
//! A lane never has two requests in progress, so the pace of a slow class comes from many lanes.
//! A lane that is late because its last answer was catches up at once, but only by
//! [`BEHIND_MAX`]; what it could not send is never counted, neither as sent nor as failed.
//! Nothing is ever sent twice: only a request that certainly never left goes to a new connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::app::VERSION;
use super::clock::now;
use super::outcome::{Class, NOBODY, Outcome, Tally};

/// What a lane is to do.
#[derive(Debug)]
pub(super) struct Lane {
    /// The proxy's listener.
    pub(super) target: SocketAddr,
    /// What to ask for.
    pub(super) class: Class,
    /// How long before the first request; spreads the lanes over one interval.
    pub(super) first: Duration,
    /// From one request to the next.
    pub(super) interval: Duration,
    /// Where ends are counted.
    pub(super) tally: Arc<Tally>,
    /// No further request after this.
    pub(super) stop: CancellationToken,
}

impl Lane {
    /// Sends until told to stop; the request in progress then still ends and counts.
    pub(super) async fn run(self) {
        let mut connection = None;
        let mut due = now() + self.first;
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep_until(due) => {}
            }
            let sent = now();
            let ended = tokio::time::timeout(DEADLINE, self.exchange(&mut connection)).await;
            let (outcome, version) = ended.unwrap_or((Outcome::Timeout, None));
            if outcome == Outcome::Timeout {
                connection = None;
            }
            let version = version
                .as_ref()
                .and_then(|v| v.to_str().ok())
                .unwrap_or(NOBODY);
            let ended = now();
            self.tally
                .record(self.class, &outcome, version, ended - sent);
            due += self.interval;
            if due + BEHIND_MAX < ended {
                due = ended;
            }
        }
    }

    /// One request and its whole answer.
    async fn exchange(&self, kept: &mut Option<Connection>) -> (Outcome, Option<HeaderValue>) {
        for _ in 0..CONNECTS_MAX {
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => match Connection::open(self.target).await {
                    Some(connection) => connection,
                    None => return (Outcome::Connect, None),
                },
            };
            // A connection that the proxy closed in between is no failure.
            if connection.sender.ready().await.is_err() {
                continue;
            }
            match connection.sender.send_request(self.request()).await {
                Ok(response) => {
                    let version = response.headers().get(VERSION).cloned();
                    let outcome = read(response).await;
                    if !matches!(outcome, Outcome::Truncated) {
                        *kept = Some(connection);
                    }
                    return (outcome, version);
                }
                Err(error) if error.is_canceled() => {}
                Err(_) => return (Outcome::Reset, None),
            }
        }
        (Outcome::Connect, None)
    }

    fn request(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = Uri::from_static(self.class.path());
        request
            .headers_mut()
            .insert(HOST, HeaderValue::from_static("tidegate.demo"));
        request
    }
}

/// Reads to the end; keeps the beginning of what is no success.
async fn read(response: Response<Incoming>) -> Outcome {
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut beginning = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) if status != 200 && beginning.len() < BODY_BYTES_MAX => {
                beginning.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            }
            Ok(_) => {}
            Err(_) => return Outcome::Truncated,
        }
    }
    Outcome::of_answer(status, &String::from_utf8_lossy(&beginning))
}

/// A connection, with the task that moves its bytes.
struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    /// Dropped with the connection, which ends the task and closes the socket.
    _driver: JoinSet<()>,
}

impl Connection {
    async fn open(target: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(target).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // Whoever waits for an answer sees the same error.
            let _ = connection.await;
        });
        Some(Self {
            sender,
            _driver: driver,
        })
    }
}

/// A request has failed after this long.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// A lane makes up for at most this much lost time.
const BEHIND_MAX: Duration = Duration::from_secs(1);
/// Connections tried for one request that has not left yet.
const CONNECTS_MAX: usize = 3;
const BODY_BYTES_MAX: usize = 1024;

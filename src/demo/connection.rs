//! A keep-alive connection to a proxy that has one request in progress at most, and sends nothing twice: only a request
//! that certainly never left goes to a new one.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::outcome::Outcome;

/// Where requests go, and the connection there, if one is open.
#[derive(Debug)]
pub(super) struct Line {
    target: SocketAddr,
    kept: Option<Connection>,
}

impl Line {
    /// To a proxy's listener, with no connection yet.
    pub(super) const fn new(target: SocketAddr) -> Self {
        Self { target, kept: None }
    }

    /// One request and its whole answer, within the deadline.
    pub(super) async fn ask(
        &mut self,
        request: impl Fn() -> Request<Empty<Bytes>>,
    ) -> (Outcome, HeaderMap) {
        let ended = tokio::time::timeout(DEADLINE, self.exchange(request)).await;
        ended.unwrap_or_else(|_| {
            self.kept = None;
            (Outcome::Timeout, HeaderMap::new())
        })
    }

    async fn exchange(
        &mut self,
        request: impl Fn() -> Request<Empty<Bytes>>,
    ) -> (Outcome, HeaderMap) {
        for _ in 0..CONNECTS_MAX {
            let mut connection = match self.kept.take() {
                Some(connection) => connection,
                None => match Connection::open(self.target).await {
                    Some(connection) => connection,
                    None => return (Outcome::Connect, HeaderMap::new()),
                },
            };
            // A connection that the proxy closed in between is no failure.
            if connection.sender.ready().await.is_err() {
                continue;
            }
            match connection.sender.send_request(request()).await {
                Ok(response) => {
                    let headers = response.headers().clone();
                    let outcome = read(response).await;
                    if !matches!(outcome, Outcome::Truncated) {
                        self.kept = Some(connection);
                    }
                    return (outcome, headers);
                }
                Err(error) if error.is_canceled() => {}
                Err(_) => return (Outcome::Reset, HeaderMap::new()),
            }
        }
        (Outcome::Connect, HeaderMap::new())
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
#[derive(Debug)]
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
/// Connections tried for one request that has not left yet.
const CONNECTS_MAX: usize = 3;
const BODY_BYTES_MAX: usize = 1024;

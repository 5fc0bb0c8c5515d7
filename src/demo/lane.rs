//! One keep-alive connection that asks for one thing at a steady pace.
//!
//! A lane never has two requests in progress, so the pace of a slow class comes from many lanes.
//! A lane that is late because its last answer was catches up at once, but only by
//! [`BEHIND_MAX`]; what it could not send is never counted, neither as sent nor as failed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Uri};
use tokio_util::sync::CancellationToken;

use super::app::VERSION;
use super::clock::now;
use super::connection::Line;
use super::outcome::{Class, NOBODY, Tally};

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
        let mut line = Line::new(self.target);
        let mut due = now() + self.first;
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep_until(due) => {}
            }
            let sent = now();
            let (outcome, headers) = line.ask(|| self.request()).await;
            let version = headers.get(VERSION).and_then(|v| v.to_str().ok());
            let ended = now();
            self.tally.record(
                self.class,
                &outcome,
                version.unwrap_or(NOBODY),
                ended - sent,
            );
            due += self.interval;
            if due + BEHIND_MAX < ended {
                due = ended;
            }
        }
    }

    fn request(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = Uri::from_static(self.class.path());
        request
            .headers_mut()
            .insert(HOST, HeaderValue::from_static(NAME));
        request
    }
}

/// What the demo's service is called by.
pub(super) const NAME: &str = "tidegate.demo";
/// A lane makes up for at most this much lost time.
const BEHIND_MAX: Duration = Duration::from_secs(1);

//! Clients with cookie jars: each asks time and again, through one proxy and then another, and remembers which version
//! answered. They share few connections, as browsers behind a content delivery network do.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::header::{COOKIE, HOST, HeaderValue, SET_COOKIE};
use hyper::{HeaderMap, Request, Uri};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::app::VERSION;
use super::clock::now;
use super::connection::{DEADLINE, Line};
use super::lane::NAME;
use super::outcome::{Class, Outcome};

/// What became of the sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Clients that were answered.
    pub(super) sessions: usize,
    /// Those that went to another version once.
    pub(super) moved_once: usize,
    /// Those that went more often.
    pub(super) moved_more: usize,
    /// Those that came back to a version that they had left.
    pub(super) went_back: usize,
    /// Moves while no share had changed for some time.
    pub(super) flips_without_change: usize,
    /// Requests of theirs, and those that failed.
    pub(super) session_requests: u64,
    /// The latter.
    pub(super) session_failures: u64,
}

/// Clients that ask. They stop when dropped.
#[derive(Debug)]
pub(super) struct Clients {
    seen: Arc<Mutex<Seen>>,
    stop: CancellationToken,
    lanes: JoinSet<()>,
}

/// What was seen of all of them.
#[derive(Debug, Default)]
struct Seen {
    requests: u64,
    failures: u64,
    /// The versions of each client, each with when it was first and last seen.
    walks: BTreeMap<usize, Vec<Visit>>,
    /// When shares were seen to change.
    changes: Vec<Instant>,
}

#[derive(Debug)]
struct Visit {
    version: String,
    first: Instant,
    last: Instant,
}

impl Clients {
    /// So many of them begin to ask.
    pub(super) fn start(count: usize, targets: &[SocketAddr]) -> Self {
        let (seen, stop) = (Arc::default(), CancellationToken::new());
        let mut lanes = JoinSet::new();
        for lane in 0..LANES {
            let clients = (lane..count).step_by(LANES).map(Client::new);
            lanes.spawn(ask(
                clients.collect(),
                targets.iter().copied().map(Line::new).collect(),
                Arc::clone(&seen),
                stop.clone(),
            ));
        }
        Self { seen, stop, lanes }
    }

    /// The shares were seen to change.
    pub(super) fn shares_changed(&self) {
        lock(&self.seen).changes.push(now());
    }

    /// Each of them has been answered so often, on average.
    pub(super) fn rounds(&self) -> u64 {
        let seen = lock(&self.seen);
        seen.requests / (seen.walks.len() as u64).max(1)
    }

    /// So many have been answered.
    pub(super) fn count(&self) -> usize {
        lock(&self.seen).walks.len()
    }

    /// How many have been to this version last.
    pub(super) fn on(&self, version: &str) -> usize {
        let seen = lock(&self.seen);
        let last = seen.walks.values().filter_map(|walk| walk.last());
        last.filter(|visit| visit.version == version).count()
    }

    /// They stop; what became of them.
    pub(super) async fn stop(&mut self) -> Counts {
        self.stop.cancel();
        let ended = async { while self.lanes.join_next().await.is_some() {} };
        if tokio::time::timeout(DEADLINE * 2, ended).await.is_err() {
            self.lanes.abort_all();
        }
        lock(&self.seen).counts()
    }
}

impl Seen {
    fn counts(&self) -> Counts {
        let mut counts = Counts {
            sessions: self.walks.len(),
            session_requests: self.requests,
            session_failures: self.failures,
            ..Counts::default()
        };
        for walk in self.walks.values() {
            match walk.len() {
                0 | 1 => {}
                2 => counts.moved_once += 1,
                _ => counts.moved_more += 1,
            }
            let is_back = |(at, visit): (usize, &Visit)| {
                let before = &walk[..at];
                before.iter().any(|it| it.version == visit.version)
            };
            counts.went_back += usize::from(walk.iter().enumerate().any(is_back));
            let moves = walk.windows(2).filter(|pair| {
                let (left, came) = (pair[0].last, pair[1].first);
                !self.changed_between(left, came)
            });
            counts.flips_without_change += moves.count();
        }
        counts
    }

    /// Were shares seen to change between these, or close to it?
    fn changed_between(&self, left: Instant, came: Instant) -> bool {
        let mut changes = self.changes.iter();
        changes.any(|change| *change + SEEN_WITHIN >= left && *change <= came + SEEN_WITHIN)
    }

    fn take(&mut self, client: usize, outcome: &Outcome, version: &str) {
        self.requests += 1;
        if *outcome != Outcome::Ok {
            self.failures += 1;
            return;
        }
        let (walk, now) = (self.walks.entry(client).or_default(), now());
        match walk.last_mut() {
            Some(visit) if visit.version == version => visit.last = now,
            _ => walk.push(Visit {
                version: version.to_owned(),
                first: now,
                last: now,
            }),
        }
    }
}

/// One of them.
#[derive(Debug)]
struct Client {
    number: usize,
    cookies: BTreeMap<String, String>,
}

impl Client {
    fn new(number: usize) -> Self {
        Self {
            number,
            cookies: BTreeMap::new(),
        }
    }

    fn request(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = Uri::from_static(Class::Fast.path());
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_static(NAME));
        let pairs = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let cookies = pairs.collect::<Vec<_>>().join("; ");
        if let (false, Ok(cookies)) = (cookies.is_empty(), HeaderValue::from_str(&cookies)) {
            headers.insert(COOKIE, cookies);
        }
        request
    }

    /// Puts what was set into the jar.
    fn keep(&mut self, headers: &HeaderMap) {
        let set = headers.get_all(SET_COOKIE).iter();
        let pairs = set.filter_map(|set| set.to_str().ok()?.split(';').next()?.split_once('='));
        for (name, value) in pairs {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// Has some clients ask one after the other, each time the next through another proxy.
async fn ask(
    mut clients: Vec<Client>,
    mut lines: Vec<Line>,
    seen: Arc<Mutex<Seen>>,
    stop: CancellationToken,
) {
    let mut turn = 0;
    loop {
        turn += 1;
        for client in &mut clients {
            if stop.is_cancelled() || lines.is_empty() {
                return;
            }
            let at = (client.number + turn) % lines.len();
            let (outcome, headers) = lines[at].ask(|| client.request()).await;
            client.keep(&headers);
            let version = headers.get(VERSION).and_then(|it| it.to_str().ok());
            lock(&seen).take(client.number, &outcome, version.unwrap_or_default());
            tokio::time::sleep(PACE).await;
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// So many ask at the same time.
const LANES: usize = 20;
/// From an answer to the next client's request.
const PACE: Duration = Duration::from_millis(20);
/// A change of shares is in force, and was seen, within this.
const SEEN_WITHIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(start: Instant, visits: &[(&str, u64, u64)]) -> Vec<Visit> {
        let visits = visits.iter().map(|(version, first, last)| Visit {
            version: (*version).to_owned(),
            first: start + Duration::from_secs(*first),
            last: start + Duration::from_secs(*last),
        });
        visits.collect()
    }

    #[test]
    fn moves_are_counted_by_client() {
        let start = now();
        let walks = [
            walk(start, &[("v1", 0, 60)]),
            walk(start, &[("v1", 0, 29), ("v2", 31, 60)]),
            walk(start, &[("v1", 0, 40), ("v2", 41, 60)]),
            walk(start, &[("v1", 0, 29), ("v2", 30, 31), ("v1", 32, 60)]),
        ];
        let seen = Seen {
            requests: 9,
            failures: 1,
            walks: walks.into_iter().enumerate().collect(),
            changes: vec![start + Duration::from_secs(30)],
        };
        let wanted = Counts {
            sessions: 4,
            moved_once: 2,
            moved_more: 1,
            went_back: 1,
            flips_without_change: 1,
            session_requests: 9,
            session_failures: 1,
        };
        assert_eq!(seen.counts(), wanted);
    }
}

//! What the simulated proxies have seen, counted.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::oneshot;

/// Counts for all proxies of the process.
#[derive(Debug)]
pub(super) struct Tally {
    /// Proxies in all, and those of them that acknowledge what is new.
    streams: usize,
    obedient: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    synced: Awaited,
    returned: Awaited,
    round: Awaited,
    kind: String,
    /// Connections that could not be opened, or broke.
    failures: u64,
    responses: u64,
    resources: u64,
    bytes: u64,
}

/// Moments, until there are enough of them.
#[derive(Debug, Default)]
struct Awaited {
    times: Vec<u64>,
    enough: usize,
    done: Option<oneshot::Sender<Value>>,
}

impl Awaited {
    fn begin(&mut self, enough: usize) -> oneshot::Receiver<Value> {
        let (done, receiver) = oneshot::channel();
        *self = Self {
            times: Vec::with_capacity(enough),
            enough,
            done: Some(done),
        };
        receiver
    }

    fn add(&mut self, at: u64) {
        self.times.push(at);
        if self.times.len() == self.enough
            && let Some(done) = self.done.take()
        {
            // Whoever waits may have gone with the process.
            let _ = done.send(summary(&mut self.times));
        }
    }
}

impl Tally {
    pub(super) fn new(streams: usize, obedient: usize) -> Self {
        Self {
            streams,
            obedient,
            counts: Mutex::default(),
        }
    }

    pub(super) fn when_synced(&self) -> oneshot::Receiver<Value> {
        self.lock().synced.begin(self.streams)
    }

    pub(super) fn when_returned(&self) -> oneshot::Receiver<Value> {
        self.lock().returned.begin(self.streams)
    }

    /// Each proxy is about to acknowledge one response of a type, which the URL ends with.
    pub(super) fn round(&self, kind: &str) -> oneshot::Receiver<Value> {
        let mut counts = self.lock();
        kind.clone_into(&mut counts.kind);
        counts.round.begin(self.obedient)
    }

    pub(super) fn count(&self) -> Value {
        let mut counts = self.lock();
        let counted = json!({
            "failures": counts.failures,
            "responses": counts.responses,
            "resources": counts.resources,
            "bytes": counts.bytes,
        });
        (counts.responses, counts.resources, counts.bytes) = (0, 0, 0);
        counted
    }

    pub(super) fn synced(&self) {
        self.lock().synced.add(crate::machine::monotonic());
    }

    pub(super) fn returned(&self) {
        self.lock().returned.add(crate::machine::monotonic());
    }

    pub(super) fn failed(&self) {
        self.lock().failures += 1;
    }

    pub(super) fn received(&self, resources: usize) {
        let mut counts = self.lock();
        counts.responses += 1;
        counts.resources += resources as u64;
    }

    pub(super) fn bytes(&self, bytes: u64) {
        self.lock().bytes += bytes;
    }

    /// A response was acknowledged.
    pub(super) fn acked(&self, type_url: &[u8]) {
        let mut counts = self.lock();
        if type_url.ends_with(counts.kind.as_bytes()) {
            counts.round.add(crate::machine::monotonic());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When it was reached for how many.
fn summary(times: &mut [u64]) -> Value {
    times.sort_unstable();
    let at = |share: f64| {
        let last = times.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length"
        )]
        let place = (last as f64 * share).round() as usize;
        times.get(place).copied().unwrap_or_default()
    };
    json!({ "p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "last": at(1.0) })
}

//! Steady requests through an Envoy: each lane sends one after the other, over a connection that it
//! keeps, and never again what has failed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde::Deserialize;
use tidegate::process::clock;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::http::{Answer, Client, runtime};
use super::wait::{SOON, eventually, if_so};

/// What `cart` is called by; the examples route this name only.
const HOST: &str = "cart.internal";
/// The pause between two requests of a lane, so that a few lanes do not fill the machine.
const PACE: Duration = Duration::from_millis(4);
/// Failures that are told in full.
const TOLD_MAX: usize = 20;

/// What has come back so far.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    /// The first failures in words, with when they came.
    pub(crate) told: Vec<String>,
    pub(crate) by_version: BTreeMap<String, u64>,
    pub(crate) by_instance: BTreeMap<String, u64>,
}

impl Tally {
    /// Answers of an instance.
    pub(crate) fn of(&self, instance: &str) -> u64 {
        self.by_instance.get(instance).copied().unwrap_or_default()
    }

    /// Not one may have failed.
    pub(crate) fn assert_no_loss(&self) {
        assert_eq!(
            self.failed, 0,
            "of {} requests: {:#?}",
            self.requests, self.told
        );
    }

    fn take(&mut self, outcome: Result<Answer, String>) {
        self.requests += 1;
        let failure = match outcome {
            Ok(answer) if answer.status == 200 => {
                let version = answer.header("x-version");
                let instance = answer.header("x-instance");
                *self.by_version.entry(version).or_default() += 1;
                *self.by_instance.entry(instance).or_default() += 1;
                return;
            }
            Ok(answer) => format!("{} {}", answer.status, answer.body),
            Err(error) => error,
        };
        self.failed += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(format!("{} {failure}", clock::now()));
        }
    }
}

/// Load that is being sent.
pub(crate) struct Load {
    tally: Arc<Mutex<Tally>>,
    stop: CancellationToken,
    lanes: Vec<JoinHandle<()>>,
}

impl Load {
    /// The usual mix: three lanes of fast requests, and two that are always in progress for a while.
    pub(crate) fn start(through: SocketAddr) -> Self {
        let paths = ["/fast", "/fast", "/fast", "/slow300", "/slow300"];
        Self::of(through, &paths)
    }

    /// One lane for each path.
    pub(crate) fn of(through: SocketAddr, paths: &[&'static str]) -> Self {
        let tally = Arc::<Mutex<Tally>>::default();
        let stop = CancellationToken::new();
        let lane = |path| lane(through, path, Arc::clone(&tally), stop.clone());
        let lanes = paths.iter().map(|path| runtime().spawn(lane(path)));
        let lanes = lanes.collect();
        Self { tally, stop, lanes }
    }

    /// What has come back so far.
    pub(crate) fn so_far(&self) -> Tally {
        self.tally.lock().unwrap().clone()
    }

    /// Waits until so many more requests have been answered.
    pub(crate) fn until_more(&self, more: u64) {
        let wanted = self.so_far().requests + more;
        eventually(SOON, &format!("{more} more requests"), || {
            let tally = self.so_far();
            if_so(tally.requests >= wanted, format!("{tally:?}"))
        });
    }

    /// Sends nothing more, waits for what is in progress, and says what came back.
    pub(crate) fn stop(mut self) -> Tally {
        self.stop.cancel();
        for lane in self.lanes.drain(..) {
            runtime().block_on(lane).unwrap();
        }
        self.so_far()
    }

    /// The same; not one may have failed.
    pub(crate) fn stop_without_loss(self) -> Tally {
        let tally = self.stop();
        tally.assert_no_loss();
        tally
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn lane(
    through: SocketAddr,
    path: &'static str,
    tally: Arc<Mutex<Tally>>,
    stop: CancellationToken,
) {
    let client = Client::keeping();
    while !stop.is_cancelled() {
        let request = Request::get(format!("http://{through}{path}"))
            .header("host", HOST)
            .body(Full::new(Bytes::new()))
            .unwrap();
        let outcome = client.send(request).await;
        tally.lock().unwrap().take(outcome);
        tokio::time::sleep(PACE).await;
    }
}

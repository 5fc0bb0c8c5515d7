//! Steady load through the proxies: three classes of request, at a set rate, without retries.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::connection::DEADLINE;
use super::lane::Lane;
use super::outcome::{Class, Tally};

/// Load that is being sent. It stops when dropped.
#[derive(Debug)]
pub(super) struct Load {
    tally: Arc<Tally>,
    stop: CancellationToken,
    lanes: JoinSet<()>,
}

impl Load {
    /// Sends `rps` requests per second in all, spread evenly over `targets`: a sixteenth of them
    /// takes 300 ms, a 320th takes 2 s, the rest is fast.
    pub(super) fn start(targets: &[SocketAddr], rps: u32) -> Self {
        let (tally, stop) = (Arc::new(Tally::new()), CancellationToken::new());
        let mut lanes = JoinSet::new();
        let mut next_target = targets.iter().cycle();
        for (class, rate) in split(rps) {
            let count = lane_count(class, rate);
            let interval =
                Duration::from_secs(1).mul_f64(f64::from(count) / rate.max(f64::MIN_POSITIVE));
            for (index, target) in (0..count).zip(&mut next_target) {
                let lane = Lane {
                    target: *target,
                    class,
                    first: interval * index / count,
                    interval,
                    tally: Arc::clone(&tally),
                    stop: stop.clone(),
                };
                lanes.spawn(lane.run());
            }
        }
        Self { tally, stop, lanes }
    }

    /// The counts so far.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Sends nothing more, and waits for what is in progress.
    pub(super) async fn stop(&mut self) {
        self.stop.cancel();
        let ended = async { while self.lanes.join_next().await.is_some() {} };
        // Each request has a deadline of its own; this is for the sum of what may go wrong.
        if tokio::time::timeout(DEADLINE * 2, ended).await.is_err() {
            self.lanes.abort_all();
        }
    }
}

/// Requests per second of each class.
fn split(rps: u32) -> [(Class, f64); 3] {
    let all = f64::from(rps);
    let (slow300, slow2s) = (all / 16.0, all / 320.0);
    [
        (Class::Fast, all - slow300 - slow2s),
        (Class::Slow300, slow300),
        (Class::Slow2s, slow2s),
    ]
}

/// Enough lanes that answers of the expected length leave each of them half its time, and an answer
/// of twice that length still keeps the pace.
fn lane_count(class: Class, rate: f64) -> u32 {
    let seconds = match class {
        Class::Fast => FAST_SECONDS,
        Class::Slow300 => 0.3,
        Class::Slow2s => 2.0,
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the bounds before"
    )]
    let lanes = (rate * seconds * 2.0)
        .ceil()
        .clamp(1.0, f64::from(LANES_MAX)) as u32;
    lanes
}

/// What a fast answer is expected to take on a busy machine with two cores.
const FAST_SECONDS: f64 = 0.014;
/// Connections per class.
const LANES_MAX: u32 = 400;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;
    use crate::demo::app::{AppOptions, router};
    use crate::demo::clock::now;
    use crate::demo::habit::Habit;

    #[test]
    fn the_classes_add_up_and_have_lanes_to_spare() {
        let classes = split(1600);
        assert!((classes.iter().map(|(_, rate)| rate).sum::<f64>() - 1600.0).abs() < 1e-6);
        let lanes = classes.map(|(class, rate)| lane_count(class, rate));
        assert_eq!(lanes, [42, 60, 20]);
        assert_eq!(lane_count(Class::Slow2s, 0.0), 1);
    }

    /// Counts, not time, end this test; a slow machine only makes it longer.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn load_meets_an_instance_and_every_request_is_answered() {
        let options = AppOptions {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            version: "v7".to_owned(),
            instance: "v7-0".to_owned(),
            habit: Habit::default(),
            dependency: None,
        };
        let listener = TcpListener::bind(options.listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = router(&options, &Arc::default()).unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await });

        let mut load = Load::start(&[address], 800);
        let deadline = now() + Duration::from_mins(1);
        while load.tally().totals().0 < 1000 || load.tally().class(Class::Slow2s).requests == 0 {
            assert!(now() < deadline, "{:?}", load.tally().totals());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        load.stop().await;

        let tally = load.tally();
        assert_eq!(tally.failed_by(), std::collections::BTreeMap::new());
        for class in Class::ALL {
            let counts = tally.class(class);
            assert_eq!(
                counts.by_version.get("v7"),
                Some(&counts.requests),
                "{class:?}"
            );
        }
        let slow = tally.class(Class::Slow300).latency.quantile(0.0).unwrap();
        assert!(slow >= Duration::from_millis(300), "{slow:?}");
    }

    /// What cannot be reached is counted by reason, and lateness is not.
    #[tokio::test]
    async fn a_dead_target_is_a_connect_failure() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let mut load = Load::start(&[address], 400);
        let deadline = now() + Duration::from_mins(1);
        while load.tally().totals().1 < 20 {
            assert!(now() < deadline, "{:?}", load.tally().totals());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        load.stop().await;
        let failed_by = load.tally().failed_by();
        assert_eq!(failed_by.keys().collect::<Vec<_>>(), ["connect"]);
    }
}

//! Tasks of one kind that come and go by the thousand.
//!
//! They share a name and are only counted, so that one costs little more than its future. A panic
//! ends one of them and is logged; none is essential, and each watches for its own end.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio_util::task::TaskTracker;

use super::tasks::panic_message;

/// The tasks of one kind. Clones share them.
#[derive(Clone, Debug)]
pub struct Swarm {
    name: &'static str,
    tracker: TaskTracker,
}

impl Swarm {
    /// None yet.
    pub fn new(name: &'static str) -> Self {
        let tracker = TaskTracker::new();
        Self { name, tracker }
    }

    /// Runs one more.
    pub fn spawn<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let task = self.name;
        let supervised = async move {
            if let Err(panic) = AssertUnwindSafe(future).catch_unwind().await {
                tracing::error!(task, message = panic_message(&*panic), "Task panicked");
            }
        };
        #[expect(clippy::disallowed_methods, reason = "these tasks are supervised here")]
        tokio::spawn(self.tracker.track_future(supervised));
    }

    /// Waits until all have ended; none may be added any more.
    pub async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_panic_ends_one_of_them() {
        let swarm = Swarm::new("bee");
        let (said, mut hear) = tokio::sync::mpsc::channel(1);
        swarm.spawn(async { panic!("on purpose") });
        swarm.spawn(async move { said.send(()).await.unwrap() });
        tokio::time::timeout(Duration::from_secs(30), swarm.ended())
            .await
            .unwrap();
        assert_eq!(hear.recv().await, Some(()));
    }
}

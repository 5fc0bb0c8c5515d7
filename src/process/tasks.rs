//! Named, supervised tasks: the one place that spawns.
//!
//! In go futures with a name, out come log lines that say which task panicked, and a stop token that
//! every task watches. A task is either *essential*, so that its end is the end of the process, or it
//! may fail alone. A panic never passes in silence. Knows nothing of what the tasks do.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// All tasks of a process, or of a test. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    running: Arc<Mutex<BTreeMap<u64, Running>>>,
    next_id: Arc<AtomicU64>,
    stop: CancellationToken,
    tracker: TaskTracker,
}

#[derive(Debug)]
struct Running {
    name: &'static str,
    abort: AbortHandle,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a task that may end, or fail, without harm to the others.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> AbortHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.run(name, false, future)
    }

    /// Runs a task without which nothing else makes sense: when it ends before the stop, by a panic or
    /// otherwise, the stop begins.
    pub fn spawn_essential<F>(&self, name: &'static str, future: F) -> AbortHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.run(name, true, future)
    }

    /// Cancelled when the stop begins. Tasks watch it and end on their own.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Begins the stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Begins the stop and waits for the tasks until `deadline` has passed; those that still run are
    /// aborted. Returns their names.
    pub async fn shutdown(&self, deadline: Duration) -> Vec<&'static str> {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(deadline, self.tracker.wait())
            .await
            .is_ok()
        {
            return Vec::new();
        }
        let late: Vec<_> = lock(&self.running)
            .values()
            .map(|task| {
                task.abort.abort();
                task.name
            })
            .collect();
        tracing::warn!(tasks = ?late, ?deadline, "Tasks did not end in time and were aborted");
        late
    }

    fn run<F>(&self, name: &'static str, essential: bool, future: F) -> AbortHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let entry = Entry {
            id,
            running: Arc::clone(&self.running),
        };
        let stop = self.stop.clone();
        let supervised = async move {
            let _entry = entry;
            let end = AssertUnwindSafe(future).catch_unwind().await;
            if let Err(panic) = &end {
                tracing::error!(
                    task = name,
                    message = panic_message(&**panic),
                    "Task panicked"
                );
            }
            if essential && !stop.is_cancelled() {
                tracing::error!(task = name, "An essential task has ended; stopping");
                stop.cancel();
            }
        };
        // The lock is held over the spawn, so that the task cannot leave the table before it is in it.
        let mut running = lock(&self.running);
        #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
        let abort = tokio::spawn(self.tracker.track_future(supervised)).abort_handle();
        running.insert(
            id,
            Running {
                name,
                abort: abort.clone(),
            },
        );
        abort
    }
}

/// A task's place in the table, given up when the task ends, panics or is aborted.
struct Entry {
    id: u64,
    running: Arc<Mutex<BTreeMap<u64, Running>>>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.running).remove(&self.id);
    }
}

/// The table stays whole whatever panics, so a poisoned lock is no news.
fn lock(running: &Mutex<BTreeMap<u64, Running>>) -> MutexGuard<'_, BTreeMap<u64, Running>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_panic_stops_all_only_in_an_essential_task() {
        let tasks = Tasks::new();
        let (told, tell) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn("side", async move {
            let _told = told;
            panic!("on purpose");
        });
        tell.await.unwrap_err();
        assert!(!tasks.stopping().is_cancelled());

        tasks.spawn_essential("heart", async { panic!("on purpose") });
        tokio::time::timeout(LONG, tasks.stopping().cancelled())
            .await
            .unwrap();
        assert!(tasks.shutdown(LONG).await.is_empty());
        assert!(lock(&tasks.running).is_empty());
    }

    #[tokio::test]
    async fn shutdown_waits_then_names_who_is_late() {
        let tasks = Tasks::new();
        let stop = tasks.stopping();
        tasks.spawn("polite", async move { stop.cancelled().await });
        tasks.spawn("deaf", std::future::pending());
        assert_eq!(tasks.shutdown(Duration::from_millis(50)).await, ["deaf"]);
        tokio::time::timeout(LONG, tasks.tracker.wait())
            .await
            .unwrap();
        assert!(lock(&tasks.running).is_empty());
    }
}

//! Changes in a directory, and in some below it, noticed soon and never missed for long.
//!
//! Watches directories and not their files, since editors and Kubernetes replace a file, or a symlink
//! above it, rather than write to it. A burst of changes is one; and because no notice is certain
//! (network file systems, a directory that is made later), there is one every [`POLL`] in any case.
//! Whoever is told looks and compares.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longest time without a look.
pub(crate) const POLL: Duration = Duration::from_secs(10);
/// A burst of changes is over when nothing happened for this long. Whoever saves a file does it in
/// less, and an edit waits no longer than it must.
const QUIET: Duration = Duration::from_millis(20);
/// Or when it has lasted this long.
const BURST_MAX: Duration = Duration::from_secs(1);

/// A watched directory.
#[derive(Debug)]
pub struct DirectoryWatch {
    directory: PathBuf,
    also: BTreeSet<PathBuf>,
    notices: mpsc::Receiver<()>,
    /// Longest time without a look.
    poll: Duration,
    /// A change was noticed and not told yet; kept here, so that [`Self::changed`] can be cancelled.
    pending: bool,
    /// Keeps the channel open when there is no watcher.
    _notify: mpsc::Sender<()>,
    watcher: Option<RecommendedWatcher>,
}

impl DirectoryWatch {
    /// Watches `directory`, which need not be there yet.
    pub fn new(directory: PathBuf) -> Self {
        Self::polling(directory, POLL)
    }

    fn polling(directory: PathBuf, poll: Duration) -> Self {
        // One notice says it all.
        let (notify, notices) = mpsc::channel(1);
        let sender = notify.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| is_change(event.kind)) {
                // Full means that a notice waits already.
                let _ = sender.try_send(());
            }
        });
        let watcher = watcher
            .inspect_err(|error| {
                tracing::warn!(?directory, %error, "Cannot watch; looking every {poll:?} instead");
            })
            .ok();
        let mut watch = Self {
            directory,
            also: BTreeSet::new(),
            notices,
            poll,
            pending: false,
            _notify: notify,
            watcher,
        };
        watch.arm();
        watch
    }

    /// Returns when a directory may have changed: soon after a burst of changes, and every
    /// [`POLL`]. May be cancelled without losing a change.
    pub async fn changed(&mut self) {
        if !self.pending {
            if timeout(self.poll, self.notices.recv()).await.is_err() {
                self.arm();
                return;
            }
            self.pending = true;
        }
        let burst = async { while timeout(QUIET, self.notices.recv()).await.is_ok() {} };
        // Cut short or not, it is time to tell.
        let _ = timeout(BURST_MAX, burst).await;
        self.pending = false;
    }

    /// Watches these directories as well, and no others than these.
    pub fn also(&mut self, directories: impl IntoIterator<Item = PathBuf>) {
        let directories = directories.into_iter().collect();
        let before = std::mem::replace(&mut self.also, directories);
        if let Some(watcher) = &mut self.watcher {
            for gone in before.difference(&self.also) {
                // A directory that was removed is not watched any more already.
                let _ = watcher.unwatch(gone);
            }
        }
        self.arm();
    }

    /// Watches anew what the paths lead to now; a directory that was replaced is another one.
    fn arm(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let poll = self.poll;
        for directory in self.also.iter().chain([&self.directory]) {
            if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
                tracing::debug!(?directory, %error, "Not watched; looking again in {poll:?}");
            }
        }
    }
}

/// Reading the files is reported too, and must not lead to reading them again.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Other
        | EventKind::Remove(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_is_no_change() {
        use notify::event::{CreateKind, ModifyKind, RemoveKind, RenameMode};
        for (kind, change) in [
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), false),
            (
                EventKind::Access(AccessKind::Close(AccessMode::Read)),
                false,
            ),
            (
                EventKind::Access(AccessKind::Close(AccessMode::Write)),
                true,
            ),
            (EventKind::Create(CreateKind::File), true),
            (EventKind::Modify(ModifyKind::Name(RenameMode::To)), true),
            (EventKind::Remove(RemoveKind::File), true),
        ] {
            assert_eq!(is_change(kind), change, "{kind:?}");
        }
    }

    #[tokio::test]
    async fn changes_are_told_and_a_cancelled_wait_loses_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let mut watch = DirectoryWatch::new(directory.path().to_owned());
        for text in ["1", "2", "3"] {
            fs_err::write(&path, text).unwrap();
        }
        timeout(POLL / 2, watch.changed())
            .await
            .expect("told before the poll");

        fs_err::rename(&path, directory.path().join("b")).unwrap();
        let _ = timeout(QUIET / 2, watch.changed()).await;
        timeout(POLL / 2, watch.changed())
            .await
            .expect("told before the poll");
    }

    #[tokio::test]
    async fn a_directory_that_is_made_later_is_found() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("later");
        let mut watch = DirectoryWatch::polling(directory.clone(), Duration::from_millis(10));
        watch.changed().await;
        fs_err::create_dir(&directory).unwrap();
        watch.changed().await;
        watch.poll = POLL;
        fs_err::write(directory.join("a"), "1").unwrap();
        timeout(POLL / 2, watch.changed())
            .await
            .expect("told before the poll");
    }
}

//! Cuts streams whose peer reads nothing.
//!
//! A stream runs only when its last word has found room at the peer. So one that has spoken and is not
//! asked for more cannot end itself: it notes when it spoke, and somebody else looks at the note.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::{Clock, Observer};
use crate::domain::{Span, Time};

/// Between two looks at all streams.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The note of a stream that is being driven.
const AWAKE: i64 = i64::MAX;

/// Looks after all streams. Clones look after the same.
#[derive(Clone)]
pub struct Watchdog {
    streams: Arc<Mutex<Streams>>,
    limit: Span,
    clock: Clock,
    observer: Arc<dyn Observer>,
}

#[derive(Default)]
struct Streams {
    notes: HashMap<u64, Arc<Note>>,
    next: u64,
}

/// What a stream says of itself.
struct Note {
    /// When it last spoke without having been asked for more since, in milliseconds since 1970.
    spoke_at: AtomicI64,
    cutter: AbortHandle,
}

impl Watchdog {
    pub(super) fn new(limit: Span, clock: Clock, observer: Arc<dyn Observer>) -> Self {
        Self {
            streams: Arc::default(),
            limit,
            clock,
            observer,
        }
    }

    /// Looks after one more stream, which `cutter` ends, until the watch is dropped.
    pub(super) fn watch(&self, cutter: AbortHandle) -> Watch {
        let note = Arc::new(Note {
            spoke_at: AtomicI64::new(AWAKE),
            cutter,
        });
        let mut streams = self.lock();
        let id = streams.next;
        streams.next += 1;
        streams.notes.insert(id, Arc::clone(&note));
        drop(streams);
        Watch {
            watchdog: self.clone(),
            id,
            note,
        }
    }

    /// Looks at all streams, again and again, until the stop.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let cut = self.look((self.clock)());
            if cut > 0 {
                tracing::warn!(
                    streams = cut,
                    "Cut streams whose peers read nothing for {} (`limits.ackTime`)",
                    self.limit
                );
            }
        }
    }

    /// Cuts what has been stuck for too long; so many streams.
    fn look(&self, now: Time) -> usize {
        let spoke_by = now.as_millisecond() - milliseconds(self.limit);
        let streams = self.lock();
        let stuck = streams.notes.values().filter(|note| {
            !note.cutter.is_aborted() && note.spoke_at.load(Ordering::Relaxed) <= spoke_by
        });
        let cut = stuck.inspect(|note| {
            note.cutter.abort();
            self.observer.stalled();
        });
        cut.count()
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        // Nothing that holds the lock can panic half way.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn milliseconds(span: Span) -> i64 {
    i64::try_from(span.duration().as_millis()).unwrap_or(i64::MAX)
}

/// A stream under watch.
pub(super) struct Watch {
    watchdog: Watchdog,
    id: u64,
    note: Arc<Note>,
}

impl Watch {
    /// Something was handed to the connection. Only the first moment counts until the next call of
    /// [`Self::awake`], so that a trickle is no escape.
    pub(super) fn spoke(&self, now: Time) {
        let note = &self.note.spoke_at;
        let relaxed = Ordering::Relaxed;
        // If it fails, it has spoken before.
        let _ = note.compare_exchange(AWAKE, now.as_millisecond(), relaxed, relaxed);
    }

    /// All that was handed over has been taken.
    pub(super) fn awake(&self) {
        self.note.spoke_at.store(AWAKE, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watchdog.lock().notes.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xds::NoObserver;

    #[test]
    fn only_who_has_spoken_and_was_not_asked_for_more_is_cut() {
        let clock: Clock = Arc::new(|| Time::UNIX_EPOCH);
        let dog = Watchdog::new(Span::secs(60), clock, Arc::new(NoObserver));
        let cutters = [(); 3].map(|()| AbortHandle::new_pair().0);
        let [idle, stuck, slow] = cutters.clone().map(|cutter| dog.watch(cutter));
        let at = |seconds| Span::secs(seconds).after(Time::UNIX_EPOCH);
        stuck.spoke(at(0));
        slow.spoke(at(0));
        slow.awake();
        slow.spoke(at(10));
        stuck.spoke(at(10));
        assert_eq!(
            (dog.look(at(59)), dog.look(at(60)), dog.look(at(61))),
            (0, 1, 0)
        );
        let are_cut = cutters.map(|cutter| cutter.is_aborted());
        assert_eq!(are_cut, [false, true, false]);
        drop((idle, stuck, slow));
        assert!(dog.lock().notes.is_empty());
    }
}

//! When a stream looks again though nothing has happened.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use crate::domain::{Span, Time};

/// Goes off at a moment.
pub(super) struct Alarm {
    pub(super) at: Time,
    sleep: Pin<Box<Sleep>>,
    /// Whom the sleep will wake. To tell it costs a lock of the timer, so that is done once.
    wakes: Option<Waker>,
}

impl Alarm {
    /// For `at`, or a little later.
    pub(super) fn new(now: Time, at: Time) -> Self {
        // Rounded up, so that the moment has come when the sleep ends.
        let left = Span::between(now, at).duration() + Duration::from_millis(1);
        Self {
            at,
            sleep: Box::pin(sleep(left)),
            wakes: None,
        }
    }

    /// Ready once it has gone off.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_told = self.wakes.as_ref().is_some_and(|w| w.will_wake(cx.waker()));
        if is_told && !self.sleep.is_elapsed() {
            return Poll::Pending;
        }
        self.wakes = Some(cx.waker().clone());
        self.sleep.as_mut().poll(cx)
    }
}

//! A stream that is asked only when it has something to say.
//!
//! A task that waits for several things is woken by one of them and asks all. Asking a channel or a
//! token takes a lock that all who wait for it share, and nothing has come of it nearly every time. So
//! a bell hangs before them: until it has rung, asking costs a look at one flag.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::Stream;
use futures_util::task::AtomicWaker;

/// A stream behind a bell.
pub struct Belled<T> {
    stream: Pin<Box<dyn Stream<Item = T> + Send>>,
    bell: Arc<Bell>,
    /// The bell, for the stream to ring.
    waker: Waker,
}

#[derive(Default)]
struct Bell {
    has_rung: AtomicBool,
    listener: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.listener.wake();
    }
}

impl<T> Belled<T> {
    /// Hangs a bell before `stream`.
    pub fn new(stream: impl Stream<Item = T> + Send + 'static) -> Self {
        let bell = Arc::new(Bell::default());
        // It has to be asked once before it can ring.
        bell.has_rung.store(true, Ordering::Relaxed);
        Self {
            stream: Box::pin(stream),
            waker: Waker::from(Arc::clone(&bell)),
            bell,
        }
    }

    /// The next item of the stream.
    pub fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<T>> {
        self.bell.listener.register(cx.waker());
        if !self.bell.has_rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let polled = self
            .stream
            .as_mut()
            .poll_next(&mut Context::from_waker(&self.waker));
        if polled.is_ready() {
            // There may be more, and nobody has been told whom to wake for it.
            self.bell.has_rung.store(true, Ordering::Relaxed);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicUsize;

    use futures_util::stream::{poll_fn, unfold};
    use tokio::sync::watch;

    use super::*;

    #[test]
    fn it_is_not_asked_until_it_rings() {
        let asked = Arc::new(AtomicUsize::new(0));
        let kept = Arc::new(Mutex::new(None));
        let (ask, keep) = (Arc::clone(&asked), Arc::clone(&kept));
        let mut belled = Belled::new(poll_fn(move |cx| {
            ask.fetch_add(1, Ordering::Relaxed);
            *keep.lock().unwrap() = Some(cx.waker().clone());
            Poll::<Option<()>>::Pending
        }));
        let cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            assert!(belled.poll_next(&cx).is_pending());
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        let bell = kept.lock().unwrap().take();
        bell.unwrap().wake();
        assert!(belled.poll_next(&cx).is_pending());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn nothing_that_is_said_is_missed() {
        let (sender, receiver) = watch::channel(0);
        let mut belled = Belled::new(unfold(receiver, async |mut receiver| {
            receiver.changed().await.ok()?;
            let value = *receiver.borrow_and_update();
            Some((value, receiver))
        }));
        for value in 1..=3 {
            sender.send_replace(value);
            let heard = std::future::poll_fn(|cx| belled.poll_next(cx)).await;
            assert_eq!(heard, Some(value));
        }
        let ended = async move { std::future::poll_fn(|cx| belled.poll_next(cx)).await };
        let ends = async move { drop(sender) };
        assert_eq!(futures_util::join!(ended, ends).0, None);
    }
}

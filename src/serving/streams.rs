//! A task for each stream of a connection, that can be cut from outside.
//!
//! A response is asked for its next piece only when the one before has found room at the peer. While
//! the peer reads nothing the response is not asked, and cannot end itself: its task is ended instead,
//! which resets the stream and leaves its connection and the others on it alone.

use futures_util::future::{AbortHandle, Abortable};
use hyper::rt::Executor;

use crate::process::Swarm;

tokio::task_local! {
    static CUT: AbortHandle;
}

/// Runs the streams of a connection.
#[derive(Clone, Debug)]
pub(super) struct Streams(pub(super) Swarm);

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let (cut, registration) = AbortHandle::new_pair();
        let stream = Abortable::new(CUT.scope(cut, stream), registration);
        self.0.spawn(async move {
            // Cut or ended: it is gone either way.
            let _ = stream.await;
        });
    }
}

/// What cuts the stream whose task asks.
pub(super) fn cutter() -> AbortHandle {
    // Outside of a stream there is nothing to cut.
    CUT.try_with(Clone::clone)
        .unwrap_or_else(|_| AbortHandle::new_pair().0)
}

//! What metrics may want to know of streams.

use crate::domain::{Generation, Span};
use crate::snapshot::ResourceKind;

/// Told of what happens on streams; called from their tasks, so it must not block.
pub trait Observer: Send + Sync {
    /// A stream has been opened.
    fn stream_opened(&self) {}
    /// A stream was cut because its peer read nothing.
    fn stalled(&self) {}
    /// A stream has ended.
    fn stream_closed(&self) {}
    /// A response was put together that no stream had been sent before. All others that are sent the
    /// same share its bytes.
    fn encoded(&self, _kind: ResourceKind) {}
    /// A response of so many bytes was handed to the connection.
    fn pushed(&self, _kind: ResourceKind, _bytes: usize) {}
    /// A response was accepted, so long after the stream had heard of its generation.
    fn acked(&self, _kind: ResourceKind, _generation: Generation, _after: Span) {}
    /// A response was refused.
    fn nacked(&self, _kind: ResourceKind) {}
    /// A change stopped waiting for the answer to a response of this type.
    fn gate_released(&self, _kind: ResourceKind) {}
}

/// Looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}

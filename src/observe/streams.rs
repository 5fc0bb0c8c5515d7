//! What happens on streams, as metrics.

use super::Metrics;
use crate::domain::{Generation, Span};
use crate::snapshot::ResourceKind;
use crate::xds::Observer;

impl Observer for Metrics {
    fn stream_opened(&self) {
        Metrics::stream_opened(self);
    }

    fn stream_closed(&self) {
        Metrics::stream_closed(self);
    }

    fn pushed(&self, kind: ResourceKind, bytes: usize) {
        Metrics::pushed(self, &kind.to_string(), bytes);
    }

    fn acked(&self, kind: ResourceKind, _generation: Generation, after: Span) {
        Metrics::acked(self, &kind.to_string(), after.duration().as_secs_f64());
    }

    fn nacked(&self, kind: ResourceKind) {
        Metrics::nacked(self, &kind.to_string());
    }

    fn gate_released(&self, kind: ResourceKind) {
        Metrics::gate_released(self, &kind.to_string());
    }
}

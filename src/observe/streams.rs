//! What happens on streams and connections, as metrics.

use super::Metrics;
use crate::domain::{Generation, Span};
use crate::serving::{self, Refused};
use crate::snapshot::ResourceKind;
use crate::xds::Observer;

impl Observer for Metrics {
    fn stream_opened(&self) {
        Metrics::stream_opened(self);
    }

    fn stream_closed(&self) {
        Metrics::stream_closed(self);
    }

    fn stalled(&self) {
        Metrics::stream_stalled(self);
    }

    fn encoded(&self, kind: ResourceKind) {
        Metrics::encoded(self, &kind.to_string());
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

impl serving::Observer for Metrics {
    fn certificates_read(&self, taken: bool) {
        Metrics::certificates_read(self, taken);
    }

    fn connection_opened(&self) {
        Metrics::connection_opened(self);
    }

    fn connection_closed(&self) {
        Metrics::connection_closed(self);
    }

    fn connection_refused(&self, why: Refused) {
        Metrics::connection_refused(self, why);
    }

    fn denied(&self) {
        Metrics::denied(self);
    }
}

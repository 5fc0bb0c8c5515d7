//! What the proxies measure, as evidence.
//!
//! In come OTLP metric exports of Envoy's `open_telemetry` stats sink, out go
//! [`ProxyEvent::Load`](crate::engine::ProxyEvent::Load)s: how many requests are in progress on each
//! instance, as one proxy sees it. What was measured on Envoy 1.40 stands in `parse`; which readings
//! prove a drain, the engine decides.

mod flush;
mod otlp;
mod parse;

pub use otlp::{EXPORT_BYTES_MAX, MetricsReceiver, TelemetryCounters};

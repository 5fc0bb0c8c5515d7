//! What the proxies measure, as evidence.
//!
//! In come OTLP metric exports of Envoy's `open_telemetry` stats sink, and load reports (LRS) of gRPC
//! clients and of Envoys without that sink; out go
//! [`ProxyEvent::Load`](crate::engine::ProxyEvent::Load)s: how many requests are in progress on each
//! instance, as one proxy sees it. What was measured on Envoy 1.40 stands in `parse` and in `lrs`;
//! which readings prove a drain, the engine decides.

mod flush;
mod lrs;
mod otlp;
mod parse;

pub use lrs::{Counted, LoadReports, OnCounted, Plans, REPORT_BYTES_MAX};
pub use otlp::{EXPORT_BYTES_MAX, MetricsReceiver, TelemetryCounters};

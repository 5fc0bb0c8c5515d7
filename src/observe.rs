//! What Tidegate says of itself: metrics and logs.
//!
//! In come views, journal entries and single facts from the streams; out go the text that
//! Prometheus scrapes and lines on stderr. Nothing here decides anything, and no pure module knows
//! of it.

mod logs;
mod metrics;
mod streams;

pub use logs::{BadFilter, LogFormat, init_logs};
pub use metrics::Metrics;

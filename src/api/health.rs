//! Liveness, readiness and metrics.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::Shared;
use super::error::ApiError;

/// What Prometheus expects of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The process lives.
pub(super) async fn lives() -> &'static str {
    "ok\n"
}

/// Proxies are answered, and no other replica would serve them longer.
pub(super) async fn ready(State(shared): State<Shared>) -> Result<&'static str, ApiError> {
    if shared.draining.is_cancelled() {
        return Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "this server drains before it stops".to_owned(),
            "proxies go to another replica, or come back when it has started again",
        ));
    }
    let view = shared.view();
    if view.ready {
        return Ok("ok\n");
    }
    let why = view.not_ready.as_deref().unwrap_or("still starting");
    Err(ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        format!("proxies are not answered yet: {why}"),
        "they keep the configuration they have",
    ))
}

pub(super) async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, OPEN_METRICS)],
        shared.metrics.encode(),
    )
}

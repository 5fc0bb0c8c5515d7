//! How the journal stands, and its checkpoint for whoever copies it.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::Shared;
use super::error::ApiError;
use crate::runtime::JournalView;

pub(super) async fn view(State(shared): State<Shared>) -> Json<JournalView> {
    Json(shared.control.journal())
}

/// The newest checkpoint as it is kept, or `null`.
pub(super) async fn checkpoint(
    State(shared): State<Shared>,
) -> Result<impl IntoResponse, ApiError> {
    let bytes = shared.control.checkpoint().await?;
    let bytes = bytes.unwrap_or_else(|| b"null".to_vec());
    Ok(([(CONTENT_TYPE, "application/json")], bytes))
}

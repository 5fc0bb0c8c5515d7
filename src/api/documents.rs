//! Documents: the desired state, applied and removed as a whole.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::Shared;
use super::error::ApiError;
use super::extract::By;
use crate::domain::Kind;
use crate::runtime::{Applied, DocumentsView};

pub(super) async fn list(State(shared): State<Shared>) -> Json<DocumentsView> {
    Json(shared.control.documents())
}

pub(super) async fn apply(
    State(shared): State<Shared>,
    By(by): By,
    yaml: Result<String, axum::extract::rejection::StringRejection>,
) -> Result<Json<Applied>, ApiError> {
    let yaml = yaml.map_err(|e| ApiError::new(e.status(), e.body_text(), ""))?;
    if yaml.trim().is_empty() {
        return Err(ApiError::invalid(
            "there is no document in the body",
            "send YAML; `tidegate apply -f FILE` does",
        ));
    }
    Ok(Json(shared.control.apply(yaml, by).await?))
}

pub(super) async fn remove(
    State(shared): State<Shared>,
    Path((kind, name)): Path<(String, String)>,
    By(by): By,
) -> Result<Json<Applied>, ApiError> {
    let kind = kind_named(&kind)?;
    Ok(Json(shared.control.delete(kind, &name, by).await?))
}

fn kind_named(word: &str) -> Result<Kind, ApiError> {
    Kind::ALL
        .into_iter()
        .find(|kind| kind.to_string().eq_ignore_ascii_case(word))
        .ok_or_else(|| {
            ApiError::new(
                StatusCode::NOT_FOUND,
                format!("there is no kind `{word}`"),
                "the kinds are Gate, Gateway, Policy, Rollout and Service",
            )
        })
}

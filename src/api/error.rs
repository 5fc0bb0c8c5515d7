//! Failures as JSON: what went wrong, and what would help.

use axum::Json;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::engine::Refusal;
use crate::runtime::ControlError;

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong; one line for each problem.
    pub error: String,
    /// What would help; empty if nothing is known to.
    #[serde(default)]
    pub hint: String,
}

/// A failure on its way out.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    body: ErrorBody,
}

impl ApiError {
    pub(super) fn new(
        status: StatusCode,
        error: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            status,
            body: ErrorBody {
                error: error.into(),
                hint: hint.into(),
            },
        }
    }

    pub(super) fn not_found(error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error, hint)
    }

    pub(super) fn invalid(error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error, hint)
    }
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        let (status, hint) = match &error {
            ControlError::Documents(_) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "nothing was changed; `tidegate validate FILE` shows each problem in its place",
            ),
            ControlError::Invalid { hint, .. } => (StatusCode::UNPROCESSABLE_ENTITY, hint.as_str()),
            ControlError::Refused(refusal @ Refusal::Conflict { .. }) => {
                (StatusCode::CONFLICT, refusal.hint())
            }
            ControlError::Refused(refusal @ Refusal::Forbidden { .. }) => {
                (StatusCode::FORBIDDEN, refusal.hint())
            }
            ControlError::Refused(refusal @ Refusal::NotFound { .. }) => {
                (StatusCode::NOT_FOUND, refusal.hint())
            }
            ControlError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "try again shortly"),
        };
        Self::new(status, error.to_string(), hint)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

pub(super) async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::not_found(
        format!("there is nothing at {}", uri.path()),
        "the API is under /v1, such as /v1/state",
    )
}

pub(super) async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} does not take {method}", uri.path()),
        "",
    )
}

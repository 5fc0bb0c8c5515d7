//! Requests, parsed at the edge: bodies, queries, names and who asks.

use std::fmt::Display;
use std::str::FromStr;

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::engine::Actor;

/// The header in which clients say who asks. It is a claim for the audit trail, not a proof.
const ACTOR_HEADER: &str = "x-tidegate-actor";

/// Longest claim in bytes.
const ACTOR_BYTES_MAX: usize = 256;

/// Who asks, where the request does not say.
const ACTOR_UNKNOWN: &str = "anonymous";

/// The header in which clients say to which groups they belong, with commas between them. As far to be
/// trusted as whoever lets requests through to here.
const GROUPS_HEADER: &str = "x-tidegate-groups";

/// Longest claim of groups in bytes.
const GROUPS_BYTES_MAX: usize = 4096;

/// The groups of who asks.
pub(super) struct Groups(pub(super) Vec<String>);

impl<S: Sync> FromRequestParts<S> for Groups {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut groups = Vec::new();
        for value in parts.headers.get_all(GROUPS_HEADER) {
            let text = value.to_str().ok();
            let text = text.filter(|text| text.len() <= GROUPS_BYTES_MAX);
            let text = text.ok_or_else(|| {
                ApiError::invalid(
                    format!(
                        "{GROUPS_HEADER} must be at most {GROUPS_BYTES_MAX} printable ASCII characters"
                    ),
                    "send it like `edge-oncall, billing`",
                )
            })?;
            let names = text
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty());
            groups.extend(names.map(str::to_owned));
        }
        Ok(Self(groups))
    }
}

/// Who asks.
pub(super) struct By(pub(super) Actor);

impl<S: Sync> FromRequestParts<S> for By {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        claimed(&parts.headers).map(|name| Self(Actor(name.to_owned())))
    }
}

fn claimed(headers: &HeaderMap) -> Result<&str, ApiError> {
    let Some(value) = headers.get(ACTOR_HEADER) else {
        return Ok(ACTOR_UNKNOWN);
    };
    match value.to_str() {
        Ok(name) if (1..=ACTOR_BYTES_MAX).contains(&name.len()) => Ok(name),
        _ => Err(ApiError::invalid(
            format!("{ACTOR_HEADER} must be 1 to {ACTOR_BYTES_MAX} printable ASCII characters"),
            "send it like `ada@laptop`",
        )),
    }
}

/// A JSON body. Without any body it is as if `{}` had been sent.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = axum::body::Bytes::from_request(request, state)
            .await
            .map_err(|e| ApiError::new(e.status(), e.body_text(), ""))?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        Json::from_bytes(text)
            .map(|Json(value)| Self(value))
            .map_err(|e| ApiError::invalid(e.body_text(), ""))
    }
}

/// The query of a request.
pub(super) struct Ask<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Ask<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(e) => Err(ApiError::invalid(e.body_text(), "")),
        }
    }
}

/// A name, a span or a rate from a path, a query or a body.
pub(super) fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, ApiError> {
    text.parse()
        .map_err(|e: T::Err| ApiError::invalid(e.to_string(), ""))
}

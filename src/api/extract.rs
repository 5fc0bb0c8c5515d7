//! Requests, parsed at the edge: bodies, queries, names and who asks.

use std::fmt::Display;
use std::str::FromStr;

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::domain::RequestKey;
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

/// The header by which a request is known that is sent again, since its answer was lost: it acts once.
const KEY_HEADER: &str = "idempotency-key";

/// Who asks for a verb, and by which key it is known when it comes again.
pub(super) struct Asker {
    pub(super) by: Actor,
    pub(super) groups: Vec<String>,
    pub(super) key: Option<RequestKey>,
}

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self {
            by: Actor(claimed(&parts.headers)?.to_owned()),
            groups: groups(&parts.headers)?,
            key: key(&parts.headers)?,
        })
    }
}

fn groups(headers: &HeaderMap) -> Result<Vec<String>, ApiError> {
    let mut groups = Vec::new();
    for value in headers.get_all(GROUPS_HEADER) {
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
    Ok(groups)
}

/// With or without the quotes that the header's draft standard wants.
fn key(headers: &HeaderMap) -> Result<Option<RequestKey>, ApiError> {
    let Some(value) = headers.get(KEY_HEADER) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let key = text.trim_matches('"').parse();
    key.map(Some).map_err(|error| {
        ApiError::invalid(
            format!("{KEY_HEADER}: {error}"),
            "send another one with each request, and the same when you send it again",
        )
    })
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

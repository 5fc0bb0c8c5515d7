//! What a proxy was sent, resource by resource, in Envoy's JSON.
//!
//! What it is comes from whoever serves the proxies, by the trait [`Sent`]. It is put together and
//! written out on a thread of its own, a few at a time: a large fleet's endpoints take a second, in
//! which nothing else may wait.

use std::fmt;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Shared;
use super::error::ApiError;
use super::extract::{Ask, parsed};
use crate::domain::{ProxyId, ProxyIdentity, Time};

/// Answers that are put together at the same time; each takes a thread and memory meanwhile.
pub(super) const SENT_ANSWERS_MAX: usize = 2;

/// A look at what proxies were sent.
pub trait Sent: Send + Sync + 'static {
    /// The words for the types that there are.
    fn types(&self) -> Vec<String>;

    /// What a proxy was sent, as far as it is wanted; `None` if it is not connected. It may take long.
    fn sent(&self, proxy: &ProxyId, wanted: &SentWanted) -> Result<Option<SentView>, SentError>;
}

/// Which part is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentWanted {
    /// Only resources of this type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Only resources of this name.
    pub name: Option<String>,
}

/// Why it cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SentError {
    /// Too much at once.
    #[error("{proxy} was sent {bytes} bytes, and at most {max} are shown at once")]
    TooLarge {
        /// The proxy.
        proxy: ProxyId,
        /// Bytes as sent.
        bytes: usize,
        /// How many may be.
        max: usize,
    },
    /// A resource is no message of Envoy's: a fault of the server.
    #[error("{0}")]
    Unreadable(String),
}

/// What a proxy was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SentView {
    /// The proxy.
    pub proxy: ProxyIdentity,
    /// Its streams, in the order in which they were opened.
    pub streams: Vec<SentStream>,
}

/// What a proxy was sent on one stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SentStream {
    /// `delta` or `sotw`.
    pub variant: String,
    /// The one type that the stream is for, or nothing for all types.
    pub only: Option<String>,
    /// By type and name.
    pub resources: Vec<SentResource>,
}

/// One resource, and how far it got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SentResource {
    /// The word for its type, such as `cluster`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The version last sent, if it exists.
    pub version: Option<String>,
    /// How far it got.
    pub state: SentState,
    /// Why the proxy refused it.
    pub refused: Option<SentRefusal>,
    /// The version that the proxy runs, where that is an earlier one.
    pub runs: Option<String>,
    /// The resource last sent, in Envoy's JSON, without secrets.
    pub resource: Option<Value>,
}

/// How far a resource got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SentState {
    /// The proxy accepted it.
    Acked,
    /// The proxy asked for it, and there is no such resource.
    Missing,
    /// The proxy refused the response that it was in.
    Nacked,
    /// It waits for the answer to what was sent before.
    Pending,
    /// It was sent, and is not answered yet.
    Sent,
}

impl fmt::Display for SentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Acked => "acked",
            Self::Missing => "missing",
            Self::Nacked => "nacked",
            Self::Pending => "pending",
            Self::Sent => "sent",
        })
    }
}

/// A proxy's refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentRefusal {
    /// Why, in the proxy's words.
    pub message: String,
    /// When it said so.
    pub at: Time,
}

pub(super) async fn of_proxy(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Ask(wanted): Ask<SentWanted>,
) -> Result<Response, ApiError> {
    let id: ProxyId = parsed(&id)?;
    if let Some(word) = &wanted.kind {
        let types = shared.sent.types();
        if !types.contains(word) {
            return Err(ApiError::invalid(
                format!("there is no type `{word}`"),
                format!("the types are {}", types.join(", ")),
            ));
        }
    }
    let _permit = shared.sent_answers.acquire().await;
    let sent = Arc::clone(&shared.sent);
    let written = tokio::task::spawn_blocking(move || written(&*sent, &id, &wanted)).await;
    let json = written.map_err(|failed| broken(failed.to_string()))??;
    let mut response = Response::new(Body::from(json));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

fn written(sent: &dyn Sent, id: &ProxyId, wanted: &SentWanted) -> Result<Bytes, ApiError> {
    let view = sent.sent(id, wanted).map_err(|error| match error {
        SentError::TooLarge { .. } => {
            ApiError::invalid(error.to_string(), "ask for a part, by type or name")
        }
        SentError::Unreadable(what) => broken(what),
    })?;
    let view = view.ok_or_else(|| {
        ApiError::not_found(
            format!("the proxy `{id}` is not connected"),
            "`tidegate proxies` lists those that are",
        )
    })?;
    let json = serde_json::to_vec(&view).map_err(|error| broken(error.to_string()))?;
    Ok(json.into())
}

/// A fault of the server.
fn broken(what: String) -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, what, "")
}

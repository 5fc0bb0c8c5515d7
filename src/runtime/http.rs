//! Requests to addresses that documents name: hooks post to them, and questions are asked there.
//!
//! One connection each, no redirects, HTTPS by the usual public roots. An answer's body is read to a limit, and
//! only for a moment once its status has come.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::causes::chain;

/// How much of an answer's body is read.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// How long an answer's body is listened to, once its status has come.
const BODY_TIME_MAX: Duration = Duration::from_secs(1);

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// As much as came of it, within its limits.
    pub(super) body: String,
}

impl Reply {
    /// The body, or what went wrong.
    pub(super) fn success(self) -> Result<String, String> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        Err(self.failure())
    }

    /// What went wrong, in its words.
    pub(super) fn failure(&self) -> String {
        match self.body.as_str() {
            "" => format!("answered {}", self.status),
            body => format!("answered {}: {body}", self.status),
        }
    }
}

/// What a request is answered, or why there is no answer.
pub(super) async fn exchange(request: Request<Full<Bytes>>) -> Result<Reply, String> {
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_webpki_roots()
        .https_or_http()
        .enable_http1()
        .build();
    let client = Client::builder(TokioExecutor::new())
        .pool_idle_timeout(Duration::ZERO)
        .build(connector);
    let response = client
        .request(request)
        .await
        .map_err(|error| format!("does not answer: {}", chain(&error)))?;
    let status = response.status();
    let body = beginning(response.into_body()).await;
    Ok(Reply { status, body })
}

/// What a body says within its limits. The status has been said already, so a body that does not end
/// makes no failure of it.
async fn beginning(mut body: hyper::body::Incoming) -> String {
    let mut said = Vec::new();
    let read = async {
        while said.len() < BODY_BYTES_MAX
            && let Some(Ok(frame)) = body.frame().await
        {
            said.extend(frame.into_data().unwrap_or_default());
        }
    };
    // Whatever has come by then is kept.
    let _ = tokio::time::timeout(BODY_TIME_MAX, read).await;
    said.truncate(BODY_BYTES_MAX);
    String::from_utf8_lossy(&said).trim().to_owned()
}

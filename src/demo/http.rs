//! A small HTTP client for the control plane's API and Envoy's admin pages. Loopback only; every
//! call ends within [`CALL_MAX`], and no answer may be larger than [`ANSWER_BYTES_MAX`].

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

use super::DemoError;

/// The client; clones share its connections.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Http {
    /// With no connection yet.
    pub(super) fn new() -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// The body of a `GET` that answered 2xx.
    pub(super) async fn get(&self, url: &str) -> Result<Bytes, DemoError> {
        self.call(Method::GET, url, "", Bytes::new()).await
    }

    /// The body of a call that answered 2xx.
    pub(super) async fn call(
        &self,
        method: Method,
        url: &str,
        content_type: &str,
        body: impl Into<Bytes>,
    ) -> Result<Bytes, DemoError> {
        let call = format!("{method} {url}");
        let failed = |detail: String| DemoError::Api {
            call: call.clone(),
            detail,
        };
        let mut request = Request::builder().method(method).uri(url);
        if !content_type.is_empty() {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let request = request
            .body(Full::new(body.into()))
            .map_err(|e| failed(e.to_string()))?;
        let exchange = async {
            let response = self
                .client
                .request(request)
                .await
                .map_err(|e| failed(chain(&e)))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await;
            let body = body.map_err(|e| failed(e.to_string()))?.to_bytes();
            Ok::<(StatusCode, Bytes), DemoError>((status, body))
        };
        match tokio::time::timeout(CALL_MAX, exchange).await {
            Ok(Ok((status, body))) if status.is_success() => Ok(body),
            Ok(Ok((status, body))) => {
                let text: String = String::from_utf8_lossy(&body)
                    .chars()
                    .take(DETAIL_CHARS_MAX)
                    .collect();
                Err(failed(format!("{status} {text}")))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(failed(format!("no answer within {} s", CALL_MAX.as_secs()))),
        }
    }
}

/// An error with all its causes; hyper's own text leaves out what happened on the socket.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

const CALL_MAX: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: usize = 4 << 20;
const DETAIL_CHARS_MAX: usize = 2000;

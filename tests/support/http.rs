//! Requests to the control plane's API, to Envoy's admin pages and through Envoy, from tests that
//! are not async themselves. Nothing is ever sent twice.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Method, Request};
use hyper_util::client::legacy::{Client as Pool, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tokio::runtime::Runtime;

/// Longer than any answer that is waited for, so that a hang is told from a slow answer.
const ANSWER_MAX: Duration = Duration::from_secs(90);

/// The one runtime behind everything here.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    })
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// A header as text; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> String {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.body))
    }
}

/// A client with its connections.
#[derive(Clone)]
pub(crate) struct Client(Pool<HttpConnector, Full<Bytes>>);

impl Client {
    /// One that keeps its connections, as callers of a service do.
    pub(crate) fn keeping() -> Self {
        Self(
            Pool::builder(TokioExecutor::new())
                .retry_canceled_requests(false)
                .build_http(),
        )
    }

    /// The same over HTTP/2, without being asked to.
    pub(crate) fn http2() -> Self {
        Self(
            Pool::builder(TokioExecutor::new())
                .http2_only(true)
                .retry_canceled_requests(false)
                .build_http(),
        )
    }

    /// One with a connection for each request, so that no answer depends on the one before.
    fn fresh() -> Self {
        Self(
            Pool::builder(TokioExecutor::new())
                .retry_canceled_requests(false)
                .pool_max_idle_per_host(0)
                .build_http(),
        )
    }

    /// Sends one request, and reads the whole answer.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let exchange = async {
            let answer = self.0.request(request).await.map_err(|e| chain(&e))?;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let body = answer.into_body().collect().await.map_err(|e| chain(&e))?;
            let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            Ok(Answer {
                status,
                headers,
                body,
            })
        };
        let answer = tokio::time::timeout(ANSWER_MAX, exchange).await;
        answer.unwrap_or_else(|_| Err(format!("no answer within {ANSWER_MAX:?}")))
    }
}

/// An error with its causes: hyper's own text leaves out what happened on the socket.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// `GET`.
pub(crate) fn get(url: &str) -> Result<Answer, String> {
    call(Method::GET, url, "", String::new())
}

/// `POST` of YAML or JSON.
pub(crate) fn post(url: &str, content_type: &str, body: String) -> Result<Answer, String> {
    call(Method::POST, url, content_type, body)
}

/// `DELETE`.
pub(crate) fn delete(url: &str) -> Result<Answer, String> {
    call(Method::DELETE, url, "", String::new())
}

fn call(method: Method, url: &str, content_type: &str, body: String) -> Result<Answer, String> {
    let mut request = Request::builder().method(method).uri(url);
    if !content_type.is_empty() {
        request = request.header("content-type", content_type);
    }
    let request = request.body(Full::new(Bytes::from(body)));
    let request = request.map_err(|error| error.to_string())?;
    runtime().block_on(Client::fresh().send(request))
}

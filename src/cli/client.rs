//! The API's client: JSON in and out, every wait bounded, every failure in words.

mod error;
#[cfg(test)]
mod tests;

pub(super) use error::ClientError;

use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, Uri, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::sse::Events;
use crate::api::ErrorBody;
use crate::engine::{Answer, View};

/// A server that does not accept a connection in this time is not there.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// An answer takes at most this long, plus what the request asks to wait.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// The largest answer in bytes; the view of ten thousand instances is a tenth of it.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A client of one control plane.
pub(super) struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    server: String,
    actor: String,
    groups: String,
}

/// A verb whose answer is lost is sent so many times in all, with one key.
const ATTEMPTS_MAX: u32 = 3;

/// Between these.
const RETRY: Duration = Duration::from_secs(1);

/// What a request carries.
#[derive(Clone)]
pub(super) enum Payload {
    Nothing,
    Json(String),
    Yaml(String),
}

impl Payload {
    pub(super) fn json<T: Serialize>(value: &T) -> Result<Self, ClientError> {
        serde_json::to_string(value)
            .map(Self::Json)
            .map_err(ClientError::BadRequest)
    }
}

impl Client {
    /// For the control plane at `server`, on behalf of `actor`.
    pub(super) fn new(server: &str, actor: &str) -> Result<Self, ClientError> {
        let bad = || ClientError::BadServer {
            server: server.to_owned(),
        };
        let uri: Uri = server.parse().map_err(|_| bad())?;
        if uri.host().is_none() || !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(bad());
        }
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT_MAX));
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self {
            http: legacy::Client::builder(TokioExecutor::new()).build(connector),
            server: server.trim_end_matches('/').to_owned(),
            actor: actor.to_owned(),
            groups: String::new(),
        })
    }

    /// Says to which groups its actor belongs, with commas between them.
    pub(super) fn in_groups(mut self, groups: &str) -> Self {
        groups.clone_into(&mut self.groups);
        self
    }

    /// The newest view.
    pub(super) async fn view(&self) -> Result<View, ClientError> {
        self.get("/v1/state").await
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.send(Method::GET, path, Payload::Nothing).await
    }

    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        payload: Payload,
    ) -> Result<T, ClientError> {
        self.send_waiting(method, path, payload, Duration::ZERO)
            .await
    }

    /// Has a verb carried out, once: where the answer is lost it is sent again, with the key of the first time.
    pub(super) async fn carry_out(
        &self,
        method: Method,
        path: &str,
        payload: Payload,
    ) -> Result<Answer, ClientError> {
        let key = format!("{:032x}", rand::random::<u128>());
        let (mut attempts, mut may_have_arrived) = (0, false);
        loop {
            let (method, payload) = (method.clone(), payload.clone());
            let sent = self.send_keyed(method, path, payload, Some(&key), Duration::ZERO);
            let error = match sent.await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            attempts += 1;
            may_have_arrived |= error.may_have_arrived();
            if !may_have_arrived || !error.is_unreachable() || attempts == ATTEMPTS_MAX {
                return Err(error);
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Sends a request that the server may sit on for `wait`.
    pub(super) async fn send_waiting<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        payload: Payload,
        wait: Duration,
    ) -> Result<T, ClientError> {
        self.send_keyed(method, path, payload, None, wait).await
    }

    async fn send_keyed<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        payload: Payload,
        key: Option<&str>,
        wait: Duration,
    ) -> Result<T, ClientError> {
        let exchange = async {
            let response = self.exchange(method, path, payload, key).await?;
            let bytes = self.read(response.into_body()).await?;
            serde_json::from_slice(&bytes).map_err(|source| ClientError::BadAnswer {
                server: self.server.clone(),
                source,
            })
        };
        tokio::time::timeout(ANSWER_MAX + wait, exchange)
            .await
            .unwrap_or_else(|_| Err(self.silent()))
    }

    /// Live events, beginning with the state.
    pub(super) async fn events(&self) -> Result<Events, ClientError> {
        let exchange = self.exchange(Method::GET, "/v1/events", Payload::Nothing, None);
        let response = tokio::time::timeout(ANSWER_MAX, exchange)
            .await
            .unwrap_or_else(|_| Err(self.silent()))?;
        Ok(Events::new(response.into_body(), &self.server))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        payload: Payload,
        key: Option<&str>,
    ) -> Result<Response<Incoming>, ClientError> {
        let (kind, body) = match payload {
            Payload::Nothing => (None, String::new()),
            Payload::Json(text) => (Some("application/json"), text),
            Payload::Yaml(text) => (Some("application/yaml"), text),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server))
            .header("x-tidegate-actor", &self.actor);
        if !self.groups.is_empty() {
            request = request.header("x-tidegate-groups", &self.groups);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(ClientError::BadHeader)?;
        let response = self.http.request(request).await;
        let response = response.map_err(|e| {
            let sent = !e.is_connect();
            ClientError::unreachable(&self.server, &e, sent)
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = self.read(response.into_body()).await?;
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| ErrorBody {
            error: format!("{} answered {status}", self.server),
            hint: "is this the API of a control plane? `--server` names it".to_owned(),
        });
        Err(ClientError::Refused { status, body })
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, ClientError> {
        match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
            Ok(whole) => Ok(whole.to_bytes()),
            Err(e) => Err(ClientError::unreachable(&self.server, e.as_ref(), true)),
        }
    }

    fn silent(&self) -> ClientError {
        ClientError::Unreachable {
            server: self.server.clone(),
            cause: "it does not answer in time".to_owned(),
            sent: true,
        }
    }
}

/// A name as one segment of a path, or as a value in a query.
pub(super) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// This machine's name, as far as it is known.
pub(super) fn host_name() -> String {
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|path| fs_err::read_to_string(path).ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

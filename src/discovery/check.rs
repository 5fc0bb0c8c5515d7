//! One health check of one instance: a question, an answer, a deadline.
//!
//! In go who is asked and the question, out come good or bad and what was seen, in a few words. Every
//! check opens its own connection, as a new caller would: one that was kept could outlive the
//! listener that accepted it.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tonic::transport::{Endpoint, Uri};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::caller::Caller;
use crate::domain::{HealthCheck, Probe, Protocol};

/// Most bytes of an answer's headers, or of a gRPC answer, that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const USER_AGENT: &str = "tidegate-health";

/// What a check saw: `Ok` is a good answer, `Err` a bad one, or none.
pub(crate) type Answer = Result<String, String>;

/// Asks once, and takes no longer than the check's timeout.
pub(crate) async fn check(caller: &mut Caller, protocol: Protocol, health: &HealthCheck) -> Answer {
    let asked = async {
        match &health.probe {
            Probe::Grpc { service } => ask_grpc(caller, service).await,
            Probe::Http { path } => ask_http(caller, protocol, path).await,
            Probe::Tcp => caller.connect().await.map(|_| "connected".to_owned()),
        }
    };
    let answer = tokio::time::timeout(health.timeout.duration(), asked).await;
    answer.unwrap_or_else(|_| Err(format!("no answer within {}", health.timeout)))
}

async fn ask_http(caller: &mut Caller, protocol: Protocol, path: &str) -> Answer {
    let io = TokioIo::new(caller.connect().await?);
    let (scheme, host) = (caller.scheme(), caller.authority());
    let lost = |error: hyper::Error| format!("GET {path}: {error}");
    let request = Request::get(path).header(header::USER_AGENT, USER_AGENT);
    let status = if matches!(protocol, Protocol::Grpc | Protocol::Http2) {
        let request = request
            .uri(format!("{scheme}://{host}{path}"))
            .body(Empty::<Bytes>::new());
        let request = request.map_err(|error| format!("GET {path}: {error}"))?;
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                .await
                .map_err(lost)?;
        beside(connection, sender.send_request(request))
            .await
            .map_err(lost)?
            .status()
    } else {
        let request = request
            .header(header::HOST, host)
            .body(Empty::<Bytes>::new());
        let request = request.map_err(|error| format!("GET {path}: {error}"))?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(ANSWER_BYTES_MAX)
            .handshake(io)
            .await
            .map_err(lost)?;
        beside(connection, sender.send_request(request))
            .await
            .map_err(lost)?
            .status()
    };
    let said = format!("GET {path}: {}", status.as_u16());
    if status == StatusCode::OK {
        Ok(said)
    } else {
        Err(said)
    }
}

/// Drives a connection while its request runs. A connection may end with the answer already handed
/// over, so its end is not the request's.
async fn beside<T>(connection: impl Future, request: impl Future<Output = T>) -> T {
    let mut request = std::pin::pin!(request);
    tokio::select! {
        answer = &mut request => answer,
        _ = connection => request.await,
    }
}

async fn ask_grpc(caller: &mut Caller, service: &str) -> Answer {
    let cannot = |error: tonic::transport::Error| format!("cannot connect: {error}");
    let origin = format!("{}://{}", caller.scheme(), caller.authority());
    // The connection is secured already, if it has to be; tonic would do so only by its own means.
    let endpoint = Endpoint::from_shared(format!("http://{}", caller.authority()));
    let origin = origin
        .parse::<Uri>()
        .map_err(|error| format!("cannot connect: {error}"))?;
    let endpoint = endpoint.map_err(cannot)?.origin(origin);
    let mut stream = Some(TokioIo::new(caller.connect().await?));
    let connect = tower::service_fn(move |_: Uri| {
        let stream = stream.take();
        std::future::ready(stream.ok_or_else(|| std::io::Error::other("it was closed")))
    });
    let channel = endpoint.connect_with_connector(connect);
    let channel = channel.await.map_err(cannot)?;
    let answer = HealthClient::new(channel)
        .max_decoding_message_size(ANSWER_BYTES_MAX)
        .check(HealthCheckRequest {
            service: service.to_owned(),
        })
        .await
        .map_err(|status| format!("Health/Check: {:?} {}", status.code(), status.message()))?;
    let status = answer.into_inner().status();
    let said = format!("Health/Check: {}", status.as_str_name());
    if status == ServingStatus::Serving {
        Ok(said)
    } else {
        Err(said)
    }
}

//! One health check of one instance: a question, an answer, a deadline.
//!
//! In go an address and the question, out come good or bad and what was seen, in a few words. Every
//! check opens its own connection, as a new caller would: one that was kept could outlive the
//! listener that accepted it.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::domain::{HealthCheck, Probe, Protocol};

/// Most bytes of an answer's headers, or of a gRPC answer, that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const USER_AGENT: &str = "tidegate-health";

/// What a check saw: `Ok` is a good answer, `Err` a bad one, or none.
pub(crate) type Answer = Result<String, String>;

/// Asks once, and takes no longer than the check's timeout.
pub(crate) async fn check(address: SocketAddr, protocol: Protocol, health: &HealthCheck) -> Answer {
    let asked = async {
        match &health.probe {
            Probe::Grpc { service } => ask_grpc(address, service).await,
            Probe::Http { path } => ask_http(address, protocol, path).await,
            Probe::Tcp => connect(address).await.map(|_| "connected".to_owned()),
        }
    };
    let answer = tokio::time::timeout(health.timeout.duration(), asked).await;
    answer.unwrap_or_else(|_| Err(format!("no answer within {}", health.timeout)))
}

async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(address)
        .await
        .map_err(|error| format!("cannot connect: {error}"))
}

async fn ask_http(address: SocketAddr, protocol: Protocol, path: &str) -> Answer {
    let io = TokioIo::new(connect(address).await?);
    let host = address.to_string();
    let lost = |error: hyper::Error| format!("GET {path}: {error}");
    let request = Request::get(path).header(header::USER_AGENT, USER_AGENT);
    let status = if matches!(protocol, Protocol::Grpc | Protocol::Http2) {
        let request = request
            .uri(format!("http://{host}{path}"))
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

async fn ask_grpc(address: SocketAddr, service: &str) -> Answer {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| format!("cannot connect: {error}"))?;
    let channel = endpoint.connect().await.map_err(|error| {
        // tonic says only "transport error"; the reason stands in the last source.
        let mut reason: &dyn std::error::Error = &error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        format!("cannot connect: {reason}")
    })?;
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

//! The load reporting service (LRS): what is in progress, by proxies that push no metrics.
//!
//! In come reports of Envoys without the OTLP sink and of gRPC clients, on streams of their own; out go
//! load reports to the engine, and counts of requests per version. The server says how often a proxy
//! reports ([`ask`]). Decides nothing.
//!
//! Why a reading may count for a proof of drain:
//!
//! - What is in progress is read when a report is sent, not over its interval. So a reading is good if
//!   it was taken after the proxy had acknowledged DRAINING; that it covers an earlier time as well
//!   does no harm.
//! - Reports and ACKs come on streams of their own, perhaps over connections of their own, so a report
//!   that arrives after an ACK may have been read before it. [`clock`] says when each was read, on a
//!   clock that late arrival does not move. The engine passes over the first that seems to be from
//!   after the ACK and wants two zeros then, as it does with metrics.
//! - What a report leaves out is idle only by clients that are known to mean that ([`habits`]); and
//!   what has no address counts against every instance where it may be ([`ledger`]).
//! - The first message of a stream is no reading: an Envoy that comes back puts into it what it has
//!   held back for as long as it was away. Its counts are counted.
//! - After an instance's removal from the assignment nothing of it is reported. The engine removes only
//!   what has been proven, or given up on.

mod ask;
mod clock;
mod habits;
mod ledger;
mod message;
#[cfg(test)]
mod samples;
mod session;
#[cfg(test)]
mod tests;
mod totals;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt, unfold};
use tokio::sync::{mpsc, watch};
use tonic::body::Body;
use tonic::codegen::{StdError, http};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower_service::Service;

use super::TelemetryCounters;
use crate::domain::{Limits, Plan, ProxyId, ServiceName, Time, VersionName};
use crate::engine::{Event, LoadReport, ProxyEvent};
use crate::serving::Caller;
use ask::Draining;
use message::{LoadStatsRequest, LoadStatsResponse};
use session::Session;

/// Longest report in bytes: a node, and 26 bytes for each endpoint.
pub const REPORT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most streams in all.
const STREAMS_MAX: usize = 20_000;

/// Most streams of one proxy: one, and another while it reconnects.
const STREAMS_PER_PROXY_MAX: usize = 4;

/// The plan that proxies are told; `None` until there is one.
pub type Plans = watch::Receiver<Option<Arc<Plan>>>;

/// Told of what each report adds to the counts of a version.
pub type OnCounted = Arc<dyn Fn(&ServiceName, &VersionName, Counted) + Send + Sync>;

/// Requests that ended since the report before, each attempt for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// With an answer that is no server error.
    pub succeeded: u64,
    /// With a server error, or without an answer.
    pub failed: u64,
}

/// Receives load reports.
#[derive(Clone)]
pub struct LoadReports {
    shared: Arc<Shared>,
}

/// What all streams share.
struct Shared {
    plans: Plans,
    draining: Draining,
    events: mpsc::Sender<Event>,
    counters: Arc<TelemetryCounters>,
    on_counted: OnCounted,
    clock: Arc<dyn Fn() -> Time + Send + Sync>,
    limits: Limits,
    /// Streams by proxy; never locked over an await.
    streams: Mutex<Streams>,
}

#[derive(Default)]
struct Streams {
    in_all: usize,
    by_proxy: HashMap<ProxyId, usize>,
}

impl LoadReports {
    /// A service that finds instances by `plans` and tells `events`. What it could not tell, it adds
    /// to `counters`. It is for a [`serving::Port`](crate::serving::Port).
    pub fn new(
        plans: Plans,
        events: mpsc::Sender<Event>,
        counters: Arc<TelemetryCounters>,
        on_counted: OnCounted,
        clock: Arc<dyn Fn() -> Time + Send + Sync>,
        limits: Limits,
    ) -> Self {
        let shared = Shared {
            plans,
            draining: Draining::default(),
            events,
            counters,
            on_counted,
            clock,
            limits,
            streams: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl fmt::Debug for LoadReports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadReports").finish_non_exhaustive()
    }
}

impl Shared {
    /// A full mailbox costs a report, never a proxy; the next one is newer.
    fn tell(&self, id: &ProxyId, report: LoadReport) {
        let event = Event::Proxy {
            id: id.clone(),
            event: ProxyEvent::Load(report),
        };
        let counter = match self.events.try_send(event) {
            Ok(()) => &self.counters.reports,
            Err(_) => &self.counters.reports_dropped,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream's place among all; it is free again when this is dropped.
struct Seat {
    shared: Arc<Shared>,
    id: ProxyId,
}

impl Seat {
    fn take(shared: &Arc<Shared>, id: &ProxyId) -> Result<Self, Status> {
        let mut streams = shared.streams();
        if streams.in_all >= STREAMS_MAX {
            return Err(Status::resource_exhausted(format!(
                "this server has {STREAMS_MAX} streams of load reports and takes no more; add a replica"
            )));
        }
        let of_proxy = streams.by_proxy.entry(id.clone()).or_default();
        if *of_proxy >= STREAMS_PER_PROXY_MAX {
            return Err(Status::resource_exhausted(format!(
                "node {id} has {STREAMS_PER_PROXY_MAX} streams of load reports and gets no more; does each proxy have a node id of its own?"
            )));
        }
        *of_proxy += 1;
        streams.in_all += 1;
        Ok(Self {
            shared: Arc::clone(shared),
            id: id.clone(),
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut streams = self.shared.streams();
        streams.in_all -= 1;
        if let Some(of_proxy) = streams.by_proxy.get_mut(&self.id) {
            *of_proxy -= 1;
            if *of_proxy == 0 {
                streams.by_proxy.remove(&self.id);
            }
        }
    }
}

impl NamedService for LoadReports {
    const NAME: &'static str = "envoy.service.load_stats.v3.LoadReportingService";
}

impl StreamingService<LoadStatsRequest> for LoadReports {
    type Response = LoadStatsResponse;
    type ResponseStream = BoxStream<'static, Result<LoadStatsResponse, Status>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<LoadStatsRequest>>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async {
            let caller = Caller::of(request.extensions())?;
            let session = Session::new(shared, caller, request.into_inner());
            let responses = unfold(session, async |mut session| {
                let response = session.next().await?;
                Some((response, session))
            });
            Ok(Response::new(responses.boxed()))
        })
    }
}

impl<B> Service<http::Request<B>> for LoadReports
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let method = self.clone();
        Box::pin(async move {
            if !request.uri().path().ends_with("/StreamLoadStats") {
                return Ok(Status::unimplemented("there is only StreamLoadStats").into_http());
            }
            let codec = ProstCodec::<LoadStatsResponse, LoadStatsRequest>::default();
            let mut grpc =
                Grpc::new(codec).apply_max_message_size_config(Some(REPORT_BYTES_MAX), None);
            Ok(grpc.streaming(method, request).await)
        })
    }
}

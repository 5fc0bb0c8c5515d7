//! The OTLP metrics service that the proxies push to.
//!
//! In come `Export` calls, out go events into the engine's mailbox. A full mailbox costs a report,
//! never a proxy: the reading is dropped and counted, and the next flush brings a newer one. A refusal
//! is logged once, as Envoy keeps it to itself, and counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use crate::engine::{Event, ProxyEvent};
use crate::peer::Claim;
use crate::serving::Caller;

use super::flush::Flushes;
use super::parse::{self, Refusal};

/// Longest export in bytes; Envoy sends 1.8 KB per endpoint when nothing is filtered out.
pub const EXPORT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The gRPC metadata that may name the proxy, where its resource does not.
const PROXY_ID_METADATA: &str = "x-node-id";

/// Receives metrics.
#[derive(Debug)]
pub struct MetricsReceiver {
    counters: Arc<TelemetryCounters>,
    events: mpsc::Sender<Event>,
    /// Held for the join alone, never over an await.
    flushes: Mutex<Flushes>,
}

/// How many of what; they only grow.
#[derive(Debug, Default)]
pub struct TelemetryCounters {
    /// Reports that went to the engine.
    pub reports: AtomicU64,
    /// Reports that found the mailbox full.
    pub reports_dropped: AtomicU64,
    /// Exports that were refused.
    pub exports_refused: AtomicU64,
}

impl MetricsReceiver {
    /// A receiver that sends to the engine's mailbox.
    pub fn new(events: mpsc::Sender<Event>) -> Self {
        Self {
            counters: Arc::default(),
            events,
            flushes: Mutex::default(),
        }
    }

    /// Its counters, to be shown.
    pub fn counters(&self) -> Arc<TelemetryCounters> {
        Arc::clone(&self.counters)
    }

    /// The gRPC service, limits set.
    pub fn into_service(self) -> MetricsServiceServer<Self> {
        MetricsServiceServer::new(self).max_decoding_message_size(EXPORT_BYTES_MAX)
    }

    fn refuse(&self, refusal: &Refusal) -> Status {
        if self
            .counters
            .exports_refused
            .fetch_add(1, Ordering::Relaxed)
            == 0
        {
            tracing::warn!(%refusal, "Refused metrics; refusals from now on are only counted");
        }
        match refusal {
            Refusal::BadProxyId { .. } | Refusal::NoProxyId => {
                Status::invalid_argument(refusal.to_string())
            }
            Refusal::TooManyPoints => Status::resource_exhausted(refusal.to_string()),
        }
    }
}

#[tonic::async_trait]
impl MetricsService for MetricsReceiver {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let metadata_id = request
            .metadata()
            .get(PROXY_ID_METADATA)
            .and_then(|value| value.to_str().ok());
        let readings = parse::readings(request.get_ref(), metadata_id)
            .map_err(|refusal| self.refuse(&refusal))?;
        for reading in &readings {
            // A report says nothing of the cluster.
            caller.may_speak_for(Claim {
                node: reading.proxy.as_str(),
                cluster: None,
            })?;
        }
        for reading in readings {
            // Parts of a flush arrive at once: joined and sent under one lock, they stay in order.
            let mut flushes = self.flushes.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((id, report)) = flushes.join(reading) else {
                continue;
            };
            let event = Event::Proxy {
                id,
                event: ProxyEvent::Load(report),
            };
            let counter = match self.events.try_send(event) {
                Ok(()) => &self.counters.reports,
                Err(_) => &self.counters.reports_dropped,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::tests::{ACTIVE, PENDING, gauge, request, resource};
    use super::*;
    use crate::peer::Names;

    fn export(at: u64) -> Request<ExportMetricsServiceRequest> {
        let metrics = vec![
            gauge(ACTIVE, at, "cart/v1", "i-1", 2),
            gauge(PENDING, at, "cart/v1", "i-1", 1),
        ];
        let mut request = Request::new(request(vec![resource(Some("edge-1"), metrics)]));
        request.extensions_mut().insert(Caller::unasked());
        request
    }

    #[tokio::test]
    async fn a_full_mailbox_costs_a_report_and_no_more() {
        let (events, mut mailbox) = mpsc::channel(1);
        let receiver = MetricsReceiver::new(events);
        for at in [5, 6] {
            receiver.export(export(at)).await.unwrap();
        }
        let Some(Event::Proxy {
            id,
            event: ProxyEvent::Load(report),
        }) = mailbox.recv().await
        else {
            panic!("a report was sent");
        };
        assert_eq!((id.as_str(), report.read_at_ns), ("edge-1", 5));
        assert_eq!(report.instances[0].in_progress, 3);
        let counters = receiver.counters();
        assert_eq!(counters.reports.load(Ordering::Relaxed), 1);
        assert_eq!(counters.reports_dropped.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_proxy_reports_for_itself_alone() {
        let (events, mut mailbox) = mpsc::channel(1);
        let receiver = MetricsReceiver::new(events);
        let mut of_another = export(5);
        let names = Names {
            dns: vec!["edge-2".to_owned()],
            spiffe: None,
        };
        let caller = Caller::named(names, "{node}");
        of_another.extensions_mut().insert(caller);
        let status = receiver.export(of_another).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::PermissionDenied, "{status}");
        let mut of_nobody = export(5);
        of_nobody.extensions_mut().clear();
        receiver.export(of_nobody).await.unwrap_err();
        mailbox.try_recv().unwrap_err();
    }

    #[tokio::test]
    async fn metadata_may_name_the_proxy() {
        let (events, mut mailbox) = mpsc::channel(1);
        let receiver = MetricsReceiver::new(events);
        let nameless = || {
            let mut export = export(5);
            for resource in &mut export.get_mut().resource_metrics {
                resource.resource = None;
            }
            export
        };
        let status = receiver.export(nameless()).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert!(
            status.message().contains("`tidegate bootstrap`"),
            "{status}"
        );
        assert_eq!(
            receiver.counters().exports_refused.load(Ordering::Relaxed),
            1
        );

        let mut named = nameless();
        named
            .metadata_mut()
            .insert(PROXY_ID_METADATA, "edge-2".parse().unwrap());
        receiver.export(named).await.unwrap();
        assert!(
            matches!(mailbox.recv().await, Some(Event::Proxy { id, .. }) if id.as_str() == "edge-2")
        );
    }
}

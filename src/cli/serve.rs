//! `tidegate serve`: the control plane, put together.
//!
//! ```text
//! proxies ──▶ ADS ─┐                       ┌─▶ snapshots ──▶ ADS ──▶ proxies
//!         ──▶ OTLP ┼─▶ Plane (the engine) ─┤
//! CLI, CI ──▶ REST ┘                       └─▶ view, entries ──▶ REST, metrics
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;

use super::Context;
use super::failure::Failure;
use super::signal::stopped;
use crate::engine::Event;
use crate::observe::Metrics;
use crate::process::{Tasks, clock};
use crate::runtime::{Control, Plane, PlaneOptions};
use crate::store::EmbeddedStore;
use crate::telemetry::{LoadReports, MetricsReceiver, TelemetryCounters};
use crate::xds::{Snapshots, XdsServer};
use crate::{api, demo};

/// Run the control plane
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Serve {
    /// Where proxies connect: aggregated discovery and their metrics
    #[arg(
        long,
        env = "TIDEGATE_LISTEN_XDS",
        default_value = "127.0.0.1:18000",
        value_name = "IP:PORT"
    )]
    listen_xds: SocketAddr,
    /// Where the REST API, health and metrics are served
    #[arg(
        long,
        env = "TIDEGATE_LISTEN_API",
        default_value = "127.0.0.1:18080",
        value_name = "IP:PORT"
    )]
    listen_api: SocketAddr,
    /// Where the journal is kept
    #[arg(
        long,
        env = "TIDEGATE_DATA",
        default_value = "tidegate-data",
        value_name = "DIR"
    )]
    data: PathBuf,
    /// A directory of documents, watched
    #[arg(long, env = "TIDEGATE_DOCUMENTS", value_name = "DIR")]
    documents: Option<PathBuf>,
    /// Listen without encryption and without asking who it is, also where others can connect
    #[arg(long)]
    insecure: bool,
    /// Serve what the public xDS test harness sets here, and nothing else; see docs/harness.md
    #[cfg(feature = "harness-adapter")]
    #[arg(long, hide = true, value_name = "IP:PORT")]
    harness_adapter: Option<SocketAddr>,
    /// End when stdin is closed, so that no child outlives its parent
    #[arg(long, hide = true)]
    exit_with_stdin: bool,
}

/// Shown below its `--help`.
const EXAMPLE: &str = "\
Example:
  tidegate serve --documents /etc/tidegate/documents --data /var/lib/tidegate";

/// How long tasks may take to end.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// A proxy that does not answer a ping for this long is gone.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

impl Serve {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        self.check_addresses()?;
        let tasks = Tasks::new();
        let store = EmbeddedStore::open(&self.data).map_err(|error| Failure::News {
            what: error.to_string(),
            hint: error.hint().unwrap_or_default().to_owned(),
        })?;
        let xds = bind(self.listen_xds, "--listen-xds").await?;
        let api = bind(self.listen_api, "--listen-api").await?;
        let metrics = Arc::new(Metrics::new(Registry::default()));
        let options = PlaneOptions {
            store: Arc::new(store),
            documents: self.documents,
            kept_documents: Some(self.data.join("documents")),
            on_append: {
                let metrics = Arc::clone(&metrics);
                Arc::new(move |took| metrics.journal_appended(took.as_secs_f64()))
            },
        };
        let plane = Plane::start(&tasks, options).map_err(|error| Failure::News {
            what: chain(&error),
            hint: format!("the journal is in {}", self.data.display()),
        })?;

        let (xds_at, api_at) = (local(&xds), local(&api));
        let reports = MetricsReceiver::new(plane.events());
        let counted = reports.counters();
        let source = (plane.snapshots(), plane.events());
        #[cfg(feature = "harness-adapter")]
        let source = match self.harness_adapter {
            Some(address) => super::harness::serve(&tasks, address).await?,
            None => source,
        };
        let load = load_reports(&tasks, &plane, &metrics, &reports);
        let proxies = serve_proxies(&tasks, source, &metrics, (reports, load), xds);
        tasks.spawn_essential("xds", proxies);
        tasks.spawn_essential("api", serve_api(&tasks, &plane, &metrics, api));
        tasks.spawn("metrics", follow(tasks.stopping(), plane, metrics, counted));
        context.output.note(&format!(
            "proxies connect to {xds_at}, the API is at http://{api_at}"
        ));

        tokio::select! {
            () = stopped() => {}
            () = tasks.stopping().cancelled_owned() => {}
            () = demo::stdin_closed(), if self.exit_with_stdin => {}
        }
        let failed = tasks.stopping().is_cancelled();
        tasks.shutdown(SHUTDOWN_MAX).await;
        if failed {
            return Err(Failure::News {
                what: "the control plane stopped because a part of it failed".to_owned(),
                hint: "the log says which; proxies keep what they have meanwhile".to_owned(),
            });
        }
        Ok(())
    }

    /// Whoever can reach the ports can move traffic, so only loopback is open by default.
    fn check_addresses(&self) -> Result<(), Failure> {
        let open = [
            (Some(self.listen_xds), "--listen-xds"),
            (Some(self.listen_api), "--listen-api"),
            #[cfg(feature = "harness-adapter")]
            (self.harness_adapter, super::harness::FLAG),
        ];
        for (address, flag) in open {
            let Some(address) = address else { continue };
            if !address.ip().is_loopback() && !self.insecure {
                return Err(Failure::News {
                    what: format!("{flag} {address} is open to others, without encryption"),
                    hint: "say `--insecure` if the network keeps strangers out".to_owned(),
                });
            }
        }
        Ok(())
    }
}

pub(super) async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure::News {
            what: format!("cannot listen on {address}: {error}"),
            hint: format!("choose another address with `{flag}`"),
        })
}

fn local(listener: &TcpListener) -> String {
    listener
        .local_addr()
        .map_or_else(|error| error.to_string(), |address| address.to_string())
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn load_reports(
    tasks: &Tasks,
    plane: &Plane,
    metrics: &Arc<Metrics>,
    reports: &MetricsReceiver,
) -> LoadReports {
    let metrics = Arc::clone(metrics);
    LoadReports::new(
        plane.plans(),
        plane.events(),
        reports.counters(),
        Arc::new(move |service, version, requests| {
            metrics.requests_reported(service, version, requests.succeeded, requests.failed);
        }),
        Arc::new(clock::now),
        tasks.stopping(),
    )
}

fn serve_proxies(
    tasks: &Tasks,
    (snapshots, events): (Snapshots, mpsc::Sender<Event>),
    metrics: &Arc<Metrics>,
    (reports, load): (MetricsReceiver, LoadReports),
    listener: TcpListener,
) -> impl Future<Output = ()> + 'static {
    let stop = tasks.stopping();
    let identifier = format!("tidegate/{}", env!("CARGO_PKG_VERSION"));
    let ads = XdsServer::new(
        snapshots,
        events,
        Arc::clone(metrics) as _,
        identifier,
        Arc::new(clock::now),
        stop.clone(),
    );
    let routes = ads
        .into_routes()
        .add_service(reports.into_service())
        .add_service(load);
    async move {
        let server = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .tcp_nodelay(true)
            .add_routes(routes)
            .serve_with_incoming_shutdown(TcpIncoming::from(listener), stop.cancelled_owned());
        if let Err(error) = server.await {
            tracing::error!(%error, "The port for proxies failed");
        }
    }
}

fn serve_api(
    tasks: &Tasks,
    plane: &Plane,
    metrics: &Arc<Metrics>,
    listener: TcpListener,
) -> impl Future<Output = ()> + 'static {
    let stop = tasks.stopping();
    let router = api::router(Arc::new(plane.clone()), Arc::clone(metrics));
    async move {
        let server = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = server.await {
            tracing::error!(%error, "The API's port failed");
        }
    }
}

/// Keeps the metrics up with the view, the journal and the counters of others.
async fn follow(
    stop: CancellationToken,
    plane: Plane,
    metrics: Arc<Metrics>,
    reports: Arc<TelemetryCounters>,
) {
    let (mut views, mut entries) = (plane.view(), plane.entries());
    let mut dropped = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = views.changed() => {
                if changed.is_err() {
                    return;
                }
                let view = Arc::clone(&views.borrow_and_update());
                metrics.observe_view(&view);
                metrics.set_leases(plane.leases());
                let now_dropped = reports.reports_dropped.load(Ordering::Relaxed);
                for _ in dropped..now_dropped {
                    metrics.load_report_dropped();
                }
                dropped = now_dropped;
            }
            entry = entries.recv() => match entry {
                Ok(numbered) => metrics.observe_entry(&numbered.entry),
                Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "Metrics missed entries"),
                Err(RecvError::Closed) => return,
            },
        }
    }
}

//! `tidegate serve`: the control plane, put together.
//!
//! ```text
//! proxies ──▶ ADS ─┐                       ┌─▶ snapshots ──▶ ADS ──▶ proxies
//!         ──▶ OTLP ┼─▶ Plane (the engine) ─┤
//! CLI, CI ──▶ REST ┘                       └─▶ view, entries ──▶ REST, metrics
//! ```

mod sent;
mod settings;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::Context;
use super::failure::Failure;
use super::signal::stopped;
use crate::domain::Limits;
use crate::engine::Event;
use crate::observe::Metrics;
use crate::process::{Tasks, clock};
use crate::runtime::{Control, Plane, PlaneOptions, Prometheus, chain};
use crate::serving::{self, Certificates, Port, PortOptions, TlsOptions};
use crate::spec::Server;
use crate::store::EmbeddedStore;
use crate::telemetry::{LoadReports, MetricsReceiver, TelemetryCounters};
use crate::xds::{Inspector, Snapshots, XdsServer};
use crate::{api, demo};

pub(super) use settings::read as read_server_file;

/// Run the control plane
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Serve {
    #[command(flatten)]
    options: settings::Options,
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
Examples:
  tidegate serve --documents /etc/tidegate/documents --data /var/lib/tidegate
  tidegate serve -c /etc/tidegate/tidegate.yaml";

/// How long tasks may take to end.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

impl Serve {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let settings = self.options.resolve(context)?;
        #[cfg(feature = "harness-adapter")]
        let others = self.harness_adapter.map(|at| (at, super::harness::FLAG));
        #[cfg(not(feature = "harness-adapter"))]
        let others = None;
        settings.check_addresses(others.as_slice())?;
        if settings.hands_out_secrets_in_the_clear() {
            tracing::warn!(
                listen_xds = %settings.listen_xds,
                "Secrets go to whoever says that it is a proxy that asks for them, and unencrypted; give `tls` in the server's file"
            );
        }
        let tasks = Tasks::new();
        let metrics = Arc::new(Metrics::new(Registry::default()));
        let tls = certificates(&tasks, &settings.file, &metrics)?;
        let store = EmbeddedStore::open(&settings.data).map_err(|error| Failure::News {
            what: chain(&error),
            hint: error.hint().unwrap_or_default().to_owned(),
        })?;
        let xds = serving::listen(settings.listen_xds);
        let xds = xds.map_err(|e| cannot_listen(settings.listen_xds, "--listen-xds", &e))?;
        let api = bind(settings.listen_api, "--listen-api").await?;
        let options = PlaneOptions {
            store: Arc::new(store),
            retention: settings.file.journal.clone(),
            documents: settings.documents,
            kept_documents: Some(settings.data.join("documents")),
            secrets: settings.file.secrets.clone(),
            prometheus: settings.file.prometheus.clone().map(|url| Prometheus {
                url,
                token: settings.file.prometheus_token.clone(),
            }),
            on_secret_read: {
                let metrics = Arc::clone(&metrics);
                Arc::new(move |taken| metrics.secret_read(taken))
            },
            on_append: {
                let metrics = Arc::clone(&metrics);
                Arc::new(move |took| metrics.journal_appended(took.as_secs_f64()))
            },
        };
        let plane = Plane::start(&tasks, options).map_err(|error| Failure::News {
            what: chain(&error),
            hint: format!("{} ({})", error.hint(), settings.data.display()),
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
        let load = load_reports(&plane, &metrics, &reports, &settings.file.limits);
        let draining = CancellationToken::new();
        let (routes, sent) = services(
            &tasks,
            source,
            &metrics,
            (reports, load),
            &settings.file.limits,
        );
        let options = PortOptions {
            limits: settings.file.limits,
            lifetimes: settings.file.lifetimes,
            tls,
            observer: Arc::clone(&metrics) as _,
            seed: seed(),
        };
        let port = Port::new(options, routes, draining.clone());
        let drained = serve_proxies(&tasks, port, xds);
        let serve_api = serve_api(&tasks, &plane, sent, &metrics, draining.clone(), api);
        tasks.spawn_essential("api", serve_api);
        let journal = plane.clone();
        tasks.spawn("metrics", follow(tasks.stopping(), plane, metrics, counted));
        context.output.note(&format!(
            "proxies connect to {xds_at}, the API is at http://{api_at}"
        ));

        let is_asked = tokio::select! {
            () = stopped() => true,
            () = tasks.stopping().cancelled_owned() => false,
            () = demo::stdin_closed(), if self.exit_with_stdin => false,
        };
        if is_asked {
            tracing::info!("Draining: proxies are sent elsewhere; once more to stop at once");
            draining.cancel();
            tokio::select! {
                _ = drained => {}
                () = stopped() => {}
                () = tasks.stopping().cancelled_owned() => {}
            }
        }
        let failed = tasks.stopping().is_cancelled();
        tasks.shutdown(SHUTDOWN_MAX).await;
        if let Some(why) = journal.failure() {
            return Err(Failure::News {
                what: format!("the control plane stopped: its journal cannot be written: {why}"),
                hint: "make room, or mend the disk, and start it again; what was decided is kept, and \
                       proxies keep what they have meanwhile"
                    .to_owned(),
            });
        }
        if failed {
            return Err(Failure::News {
                what: "the control plane stopped because a part of it failed".to_owned(),
                hint: "the log says which; proxies keep what they have meanwhile".to_owned(),
            });
        }
        Ok(())
    }
}

/// Reads the certificates and keeps them up with their files.
fn certificates(
    tasks: &Tasks,
    file: &Server,
    metrics: &Arc<Metrics>,
) -> Result<Option<TlsOptions>, Failure> {
    let Some(files) = file.tls.clone() else {
        return Ok(None);
    };
    let certificates = Certificates::load(files, Arc::clone(metrics) as _);
    let certificates = certificates.map_err(|error| Failure::News {
        what: error.to_string(),
        hint: "`tls` in the server's file names the files; docs/server.md says what they hold"
            .to_owned(),
    })?;
    let trust = certificates.trust();
    tasks.spawn_essential("certificates", certificates.keep(tasks.stopping()));
    Ok(Some(TlsOptions {
        trust,
        policy: Arc::new(file.identity.clone()),
    }))
}

/// Jitter is to differ from process to process, and from start to start.
fn seed() -> u64 {
    let now = clock::now().as_nanosecond().unsigned_abs();
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    now ^ u64::from(std::process::id()).rotate_left(u64::BITS / 2)
}

pub(super) async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| cannot_listen(address, flag, &error))
}

fn cannot_listen(address: SocketAddr, flag: &str, error: &std::io::Error) -> Failure {
    Failure::News {
        what: format!("cannot listen on {address}: {error}"),
        hint: format!("choose another address with `{flag}`"),
    }
}

fn local(listener: &TcpListener) -> String {
    listener
        .local_addr()
        .map_or_else(|error| error.to_string(), |address| address.to_string())
}

fn load_reports(
    plane: &Plane,
    metrics: &Arc<Metrics>,
    reports: &MetricsReceiver,
    limits: &Limits,
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
        limits.clone(),
    )
}

/// What proxies may call, and a look at what they were sent.
fn services(
    tasks: &Tasks,
    (snapshots, events): (Snapshots, mpsc::Sender<Event>),
    metrics: &Arc<Metrics>,
    (reports, load): (MetricsReceiver, LoadReports),
    limits: &Limits,
) -> (Routes, Inspector) {
    let identifier = format!("tidegate/{}", env!("CARGO_PKG_VERSION"));
    let ads = XdsServer::new(
        snapshots,
        events,
        Arc::clone(metrics) as _,
        identifier,
        Arc::new(clock::now),
        limits.clone(),
    );
    tasks.spawn_essential("watchdog", ads.watchdog().run(tasks.stopping()));
    let sent = ads.inspector();
    let routes = ads
        .into_routes()
        .add_service(reports.into_service())
        .add_service(load);
    (routes, sent)
}

/// Serves proxies until the stop. What is returned resolves when the port has drained.
fn serve_proxies(tasks: &Tasks, port: Port, listener: TcpListener) -> oneshot::Receiver<()> {
    let (done, drained) = oneshot::channel();
    let stop = tasks.stopping();
    tasks.spawn_essential("xds", async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = port.serve(listener) => {
                // Who waited for it may have been told to stop at once meanwhile.
                let _ = done.send(());
                stop.cancelled().await;
            }
        }
    });
    drained
}

fn serve_api(
    tasks: &Tasks,
    plane: &Plane,
    sent: Inspector,
    metrics: &Arc<Metrics>,
    draining: CancellationToken,
    listener: TcpListener,
) -> impl Future<Output = ()> + 'static {
    let stop = tasks.stopping();
    let control = Arc::new(plane.clone());
    let router = api::router(control, Arc::new(sent), Arc::clone(metrics), draining);
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
                metrics.observe_secrets(&plane.secrets());
                let journal = plane.journal();
                let uncovered = journal.last.saturating_sub(journal.checkpoint);
                metrics.set_journal(journal.bytes, uncovered, journal.problem.is_some());
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

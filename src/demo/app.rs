//! `tidegate demo-app`: one instance of the demo's service.
//!
//! It answers `/fast` at once, `/slow300` after 300 ms, `/slow2s` after 2 s, and `/healthz`, over
//! HTTP/1.1 and HTTP/2 with prior knowledge. Each answer says its version and its instance. The
//! address that it listens on is the first line of its standard output.
//!
//! It takes no care at all when it is stopped: SIGTERM ends it in the middle of its answers. So a
//! release that came too early cannot hide.
//!
//! It can be told to be bad ([`Habit`]), and whatever it is told, it fails more often while a dependency is down,
//! which is a file that is there.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::get;
use tokio::net::TcpListener;

use super::DemoError;
use super::child::stdin_closed;
use super::habit::Habit;

/// What to be.
#[derive(Clone, Debug, clap::Args)]
pub struct AppOptions {
    /// Where to listen; port 0 lets the kernel choose.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// The version it claims to be.
    #[arg(id = "app-version", long = "app-version", default_value = "v1")]
    pub version: String,
    /// The instance it claims to be.
    #[arg(long, default_value = "v1-0")]
    pub instance: String,
    /// What is wrong with it.
    #[command(flatten)]
    pub habit: Habit,
    /// While this file is there, a fifth of the answers are errors.
    #[arg(long, value_name = "FILE")]
    pub dependency: Option<PathBuf>,
}

/// Serves until standard input closes, or until it crashes as it was told to.
pub async fn serve(options: AppOptions) -> Result<(), DemoError> {
    let listener = TcpListener::bind(options.listen).await?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "{address}")?;
    std::io::stdout().flush()?;
    let down = Arc::new(AtomicBool::new(false));
    let router = router(&options, &down)?;
    tokio::select! {
        served = axum::serve(listener, router) => served?,
        () = stdin_closed() => {}
        () = options.habit.crash() => return Err(DemoError::Options("it crashes".to_owned())),
        () = watch(options.dependency.as_deref(), &down) => {}
    }
    Ok(())
}

/// Looks again and again whether the dependency is down. Never ends.
async fn watch(file: Option<&std::path::Path>, down: &AtomicBool) {
    loop {
        let is_down = file.is_some_and(std::path::Path::exists);
        down.store(is_down, Ordering::Relaxed);
        tokio::time::sleep(LOOK).await;
    }
}

/// The routes, for one version and instance.
pub(super) fn router(options: &AppOptions, down: &Arc<AtomicBool>) -> Result<Router, DemoError> {
    let value = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| DemoError::Options(format!("`{text}` cannot be sent as a header")))
    };
    let (version, instance) = (value(&options.version)?, value(&options.instance)?);
    let healthy = Habit::default();
    let answer = move |after: Duration, habit: Habit, down: Arc<AtomicBool>| {
        let names = AppendHeaders([(VERSION, version.clone()), (INSTANCE, instance.clone())]);
        get(move || async move {
            let after = after + habit.lateness();
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            if habit.fails() {
                return (StatusCode::INTERNAL_SERVER_ERROR, names, "it is bad\n").into_response();
            }
            if down.load(Ordering::Relaxed) && rand::random_bool(FAILS_WITHOUT_DEPENDENCY) {
                let text = "its dependency is down\n";
                return (StatusCode::SERVICE_UNAVAILABLE, names, text).into_response();
            }
            (names, "ok\n").into_response()
        })
    };
    let asked = |after| answer(after, options.habit, Arc::clone(down));
    // Those who ask for its health get no errors: that is what makes it hard to see.
    let health = answer(Duration::ZERO, healthy, Arc::default());
    Ok(Router::new()
        .route("/fast", asked(Duration::ZERO))
        .route("/slow300", asked(Duration::from_millis(300)))
        .route("/slow2s", asked(Duration::from_secs(2)))
        .route("/healthz", health))
}

const LOOK: Duration = Duration::from_millis(100);
const FAILS_WITHOUT_DEPENDENCY: f64 = 0.2;

/// The header that names the version that answered.
pub(super) const VERSION: HeaderName = HeaderName::from_static("x-version");
/// The header that names the instance that answered.
pub(super) const INSTANCE: HeaderName = HeaderName::from_static("x-instance");

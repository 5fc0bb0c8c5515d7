//! `tidegate demo-app`: one instance of the demo's service.
//!
//! It answers `/fast` at once, `/slow300` after 300 ms, `/slow2s` after 2 s, and `/healthz`, over
//! HTTP/1.1 and HTTP/2 with prior knowledge. Each answer says its version and its instance. The
//! address that it listens on is the first line of its standard output.
//!
//! It takes no care at all when it is stopped: SIGTERM ends it in the middle of its answers. So a
//! release that came too early cannot hide.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::get;
use tokio::net::TcpListener;

use super::DemoError;
use super::child::stdin_closed;

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
}

/// Serves until standard input closes.
pub async fn serve(options: AppOptions) -> Result<(), DemoError> {
    let listener = TcpListener::bind(options.listen).await?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "{address}")?;
    std::io::stdout().flush()?;
    tokio::select! {
        served = axum::serve(listener, router(&options)?) => served?,
        () = stdin_closed() => {}
    }
    Ok(())
}

/// The routes, for one version and instance.
pub(super) fn router(options: &AppOptions) -> Result<Router, DemoError> {
    let value = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| DemoError::Options(format!("`{text}` cannot be sent as a header")))
    };
    let (version, instance) = (value(&options.version)?, value(&options.instance)?);
    let answer = move |after: Duration| {
        let names = AppendHeaders([(VERSION, version.clone()), (INSTANCE, instance.clone())]);
        get(move || async move {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            (names, "ok\n").into_response()
        })
    };
    Ok(Router::new()
        .route("/fast", answer(Duration::ZERO))
        .route("/slow300", answer(Duration::from_millis(300)))
        .route("/slow2s", answer(Duration::from_secs(2)))
        .route("/healthz", answer(Duration::ZERO)))
}

/// The header that names the version that answered.
pub(super) const VERSION: HeaderName = HeaderName::from_static("x-version");
/// The header that names the instance that answered.
pub(super) const INSTANCE: HeaderName = HeaderName::from_static("x-instance");

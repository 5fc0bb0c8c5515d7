//! The REST API under `/v1`, live events, health and metrics.
//!
//! ```text
//! GET … ──▶ the newest View ──▶ JSON            POST, PUT, DELETE … ──▶ Control ──▶ journal ──▶ answer
//! ```
//!
//! Reads are answered from the newest view and never wait. Writes are answered once they are
//! durable. Every failure is `{"error": …, "hint": …}` with a fitting status; unknown fields are
//! refused. Knows of the control plane only the trait [`Control`], and decides nothing itself.
//!
//! | status | when |
//! |---|---|
//! | 403 | whoever asks may not |
//! | 404 | there is nothing of that name |
//! | 409 | it would make no sense now |
//! | 413 | the body is too large |
//! | 422 | the request or the documents are wrong |
//! | 503 | the control plane is not ready, is stopping, or is busy |

mod documents;
mod drain;
mod error;
mod events;
mod extract;
#[cfg(test)]
pub(crate) mod fake;
mod health;
mod history;
mod instances;
mod journal;
mod origin;
mod rollouts;
#[cfg(test)]
pub(crate) mod sample;
mod sent;
mod state;
#[cfg(test)]
mod tests;

pub use drain::DrainAnswer;
pub use error::ErrorBody;
pub use history::HistoryPage;
pub use instances::{Lease, LocatedInstance};
pub(crate) use rollouts::foremost;
pub use rollouts::{Ask, Reason, Weighed, Why};
pub use sent::{
    Sent, SentError, SentRefusal, SentResource, SentState, SentStream, SentView, SentWanted,
};

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{delete, get, post, put};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::engine::{Answer, Command, Verb};
use crate::observe::Metrics;
use crate::runtime::Control;
use error::ApiError;
use events::Clients;
use extract::Asker;

/// The largest request body in bytes; a directory of documents for a large fleet is a tenth of it.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What every handler can reach.
#[derive(Clone)]
struct Shared {
    control: Arc<dyn Control>,
    sent: Arc<dyn Sent>,
    sent_answers: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    clients: Clients,
    draining: CancellationToken,
}

impl Shared {
    /// Has a verb carried out.
    async fn carry_out(
        &self,
        verb: Verb,
        asker: Asker,
        reason: Option<String>,
    ) -> Result<Answer, ApiError> {
        let Asker { by, groups, key } = asker;
        let command = Command {
            verb,
            by,
            groups,
            reason,
            key,
        };
        Ok(self.control.command(command).await?)
    }
}

/// All paths, for a server to serve. Once `draining` is cancelled it is not ready any more.
pub fn router(
    control: Arc<dyn Control>,
    sent: Arc<dyn Sent>,
    metrics: Arc<Metrics>,
    draining: CancellationToken,
) -> Router {
    let v1 = Router::new()
        .route("/state", get(state::all))
        .route("/services", get(state::services))
        .route("/services/{name}", get(state::service))
        .route("/rollouts", get(rollouts::list))
        .route("/rollouts/{name}", get(rollouts::one))
        .route("/rollouts/{name}/evidence", get(rollouts::evidence))
        .route("/rollouts/{name}/why", get(rollouts::why))
        .route("/rollouts/{name}/{verb}", post(rollouts::act))
        .route("/instances", get(instances::list))
        .route("/instances/{id}/drain", post(drain::drain))
        .route("/instances/{id}/undrain", post(drain::undrain))
        .route(
            "/instances/{service}/{id}",
            put(instances::register).delete(instances::deregister),
        )
        .route("/proxies", get(state::proxies))
        .route("/proxies/{id}", delete(state::forget_proxy))
        .route("/proxies/{id}/envoy", get(sent::of_proxy))
        .route("/secrets", get(state::secrets))
        .route("/freeze", post(state::freeze))
        .route("/unfreeze", post(state::unfreeze))
        .route("/documents", get(documents::list).post(documents::apply))
        .route("/documents/{kind}/{name}", delete(documents::remove))
        .route("/history", get(history::page))
        .route("/journal", get(journal::view))
        .route("/journal/checkpoint", get(journal::checkpoint))
        .route("/events", get(events::stream));
    Router::new()
        .nest("/v1", v1)
        .route("/healthz", get(health::lives))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(from_fn(origin::refuse_other_sites))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Shared {
            control,
            sent,
            sent_answers: Arc::new(Semaphore::new(sent::SENT_ANSWERS_MAX)),
            metrics,
            clients: Clients::default(),
            draining,
        })
}

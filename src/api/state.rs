//! The view and its parts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use super::Shared;
use super::error::ApiError;
use super::extract::{Asker, Body, parsed};
use super::rollouts::Reason;
use crate::engine::{Answer, ProxyView, ServiceView, Verb, View};
use crate::runtime::SecretsView;

impl Shared {
    /// The newest view.
    pub(super) fn view(&self) -> Arc<View> {
        Arc::clone(&self.control.view().borrow())
    }
}

pub(super) async fn all(State(shared): State<Shared>) -> Json<Arc<View>> {
    Json(shared.view())
}

pub(super) async fn services(State(shared): State<Shared>) -> Json<Vec<ServiceView>> {
    Json(shared.view().services.clone())
}

pub(super) async fn service(
    State(shared): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<ServiceView>, ApiError> {
    let view = shared.view();
    let found = view.services.iter().find(|s| s.name.as_str() == name);
    found.cloned().map(Json).ok_or_else(|| {
        ApiError::not_found(
            format!("there is no service `{name}`"),
            "`tidegate get services` lists them",
        )
    })
}

pub(super) async fn proxies(State(shared): State<Shared>) -> Json<Vec<ProxyView>> {
    Json(shared.view().proxies.clone())
}

pub(super) async fn secrets(State(shared): State<Shared>) -> Json<Arc<SecretsView>> {
    Json(shared.control.secrets())
}

pub(super) async fn forget_proxy(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    asker: Asker,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<Answer>, ApiError> {
    let verb = Verb::ForgetProxy {
        proxy: parsed(&id)?,
    };
    shared.carry_out(verb, asker, reason).await.map(Json)
}

pub(super) async fn freeze(
    State(shared): State<Shared>,
    asker: Asker,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<Answer>, ApiError> {
    let verb = Verb::Freeze;
    shared.carry_out(verb, asker, reason).await.map(Json)
}

pub(super) async fn unfreeze(
    State(shared): State<Shared>,
    asker: Asker,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<Answer>, ApiError> {
    let verb = Verb::Unfreeze;
    shared.carry_out(verb, asker, reason).await.map(Json)
}

//! Draining an instance for whoever is about to stop it, and putting it back.
//!
//! With `wait`, the answer comes when the instance is released (200), or when `wait` is over (202,
//! with what it waits for); the client then asks again. Asking again for an instance that drains
//! changes nothing.
//!
//! An instance that the view does not show is not safe to stop for that alone: the view may be older
//! than the request. Only one that was shown, and then is shown no more, is gone.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::Shared;
use super::error::ApiError;
use super::extract::{Ask, Asker, Body, parsed};
use super::rollouts::Reason;
use crate::domain::{InstanceId, ServiceName, Span};
use crate::engine::{Answer, BlockerView, DrainView, Verb, View, Wait};

/// The longest that one request may wait; proxies and balancers in between cut longer ones.
const WAIT_MAX: Span = Span::secs(60);

/// Where a drain stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrainAnswer {
    /// The instance.
    pub instance: InstanceId,
    /// Is it safe to stop?
    pub released: bool,
    /// Its stage; `gone` once it is forgotten.
    pub stage: String,
    /// The same in a sentence.
    pub message: String,
    /// How it drained, once that is decided.
    pub drain: Option<DrainView>,
    /// What it waits for.
    pub blockers: Vec<BlockerView>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct How {
    service: Option<String>,
    #[serde(default)]
    wait: Span,
}

pub(super) async fn drain(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Ask(how): Ask<How>,
    asker: Asker,
    Body(Reason { reason }): Body<Reason>,
) -> Result<(StatusCode, Json<DrainAnswer>), ApiError> {
    if how.wait > WAIT_MAX {
        return Err(ApiError::invalid(
            format!("one request may wait {WAIT_MAX} at most"),
            "ask again when it is over",
        ));
    }
    let target = Target::parse(&id, how.service.as_deref())?;
    let verb = Verb::Drain {
        instance: target.instance.clone(),
        service: target.service.clone(),
    };
    let Answer { message, .. } = shared.carry_out(verb, asker, reason).await?;
    let end = tokio::time::timeout(how.wait.duration(), released(&shared, &target)).await;
    let answer = match end {
        Ok(end) => end?,
        Err(_) => target
            .standing(&shared.view(), &message)
            .unwrap_or_else(|| target.answer(false, ASKED, message)),
    };
    let status = if answer.released {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok((status, Json(answer)))
}

pub(super) async fn undrain(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Ask(how): Ask<How>,
    asker: Asker,
    Body(Reason { reason }): Body<Reason>,
) -> Result<Json<Answer>, ApiError> {
    let Target { instance, service } = Target::parse(&id, how.service.as_deref())?;
    let verb = Verb::Undrain { instance, service };
    shared.carry_out(verb, asker, reason).await.map(Json)
}

/// Waits for the release, or for somebody to call the drain off.
async fn released(shared: &Shared, target: &Target) -> Result<DrainAnswer, ApiError> {
    let mut views = shared.control.view();
    let (mut was_shown, mut was_leaving) = (false, false);
    loop {
        let view = Arc::clone(&views.borrow_and_update());
        let standing = target.standing(&view, "");
        if let Some(answer) = standing {
            if answer.released {
                return Ok(answer);
            }
            let leaving = LEAVING.contains(&answer.stage.as_str());
            if was_leaving && !leaving {
                return Err(ApiError::new(
                    StatusCode::CONFLICT,
                    format!("the drain of {} was called off", target.instance),
                    "`tidegate history` tells by whom",
                ));
            }
            (was_shown, was_leaving) = (true, leaving);
        } else if was_shown && view.ready {
            let message = format!("{} is gone, and nothing waits for it", target.instance);
            return Ok(target.answer(true, GONE, message));
        }
        if views.changed().await.is_err() {
            return Err(ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the control plane is stopping",
                "ask again; the drain goes on when it is back",
            ));
        }
    }
}

/// The words of the stages between serving and released.
const LEAVING: [&str; 4] = ["leaving", "draining", "drained", "removed"];

/// The word of the stage that promises safety.
const RELEASED: &str = "released";

/// The word for an instance that is known no more.
const GONE: &str = "gone";

/// The word for an instance that the engine knows and the view does not show yet.
const ASKED: &str = "asked";

/// Which instance is meant.
struct Target {
    instance: InstanceId,
    service: Option<ServiceName>,
}

impl Target {
    fn parse(id: &str, service: Option<&str>) -> Result<Self, ApiError> {
        Ok(Self {
            instance: parsed(id)?,
            service: service.map(parsed).transpose()?,
        })
    }

    fn answer(&self, released: bool, stage: &str, message: String) -> DrainAnswer {
        DrainAnswer {
            instance: self.instance.clone(),
            released,
            stage: stage.to_owned(),
            message,
            drain: None,
            blockers: Vec::new(),
        }
    }

    /// Where the instance stands in `view`, if that shows it; `asked` is what the engine said.
    fn standing(&self, view: &View, asked: &str) -> Option<DrainAnswer> {
        let services = view.services.iter();
        let mut meant = services.filter(|s| self.service.as_ref().is_none_or(|n| *n == s.name));
        let (service, instance) = meant.find_map(|service| {
            let instance = service.instances.iter().find(|i| i.id == self.instance)?;
            Some((service, instance))
        })?;
        let id = &self.instance;
        let released = instance.stage == RELEASED;
        let blockers: Vec<BlockerView> = if released {
            Vec::new()
        } else {
            let rollouts = view.rollouts.iter().filter(|r| r.service == service.name);
            let of_rollouts = rollouts.flat_map(|r| &r.blockers);
            let all = service.blockers.iter().chain(of_rollouts);
            all.filter(|b| concerns(&b.on, id)).cloned().collect()
        };
        let message = match (&instance.drain, blockers.first()) {
            (Some(drain), _) if released && drain.proven => {
                format!(
                    "{id} is safe to stop: proven by {} proxies",
                    drain.witnesses
                )
            }
            (Some(drain), _) if released => format!(
                "{id} may be stopped, unproven: {}",
                drain.missing.join("; ")
            ),
            _ if released => format!("{id} is safe to stop"),
            (_, Some(blocker)) if blocker.text.contains(id.as_str()) => blocker.text.clone(),
            (_, Some(blocker)) => format!("{id} is {}: {}", instance.stage, blocker.text),
            (_, None) if asked.is_empty() => format!("{id} is {}", instance.stage),
            (_, None) => asked.to_owned(),
        };
        Some(DrainAnswer {
            drain: instance.drain.clone(),
            blockers,
            ..self.answer(released, &instance.stage, message)
        })
    }
}

/// Does this wait hold up the drain of that instance?
fn concerns(wait: &Wait, id: &InstanceId) -> bool {
    match wait {
        Wait::Drain { instance, .. } => instance == id,
        Wait::Barrier { .. }
        | Wait::LostProxies { .. }
        | Wait::Nacked { .. }
        | Wait::Ready { .. } => true,
        _ => false,
    }
}

//! The hook that a rollout calls to start and to stop instances: `POST /replace` with
//! `{"key","action","service","instance","version"}`.
//!
//! A call may come twice, from a control plane that crashed before it heard the answer. Both
//! actions are idempotent by what they name, and a key that has been answered is answered again
//! without doing anything.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::DemoError;
use super::fleet::Fleet;

/// One call.
#[derive(Debug, Deserialize)]
struct Call {
    #[serde(default)]
    key: String,
    action: Action,
    instance: String,
    #[serde(default)]
    version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    /// Start one process of `version` that is to stand in for `instance`.
    Start,
    /// Stop `instance`; it has been released.
    Stop,
}

struct Hook {
    fleet: Fleet,
    /// Held during a call, so that calls with one key do not run side by side.
    answered: Mutex<BTreeSet<String>>,
}

/// Serves the hook on a new loopback port, for as long as the set of tasks lives.
pub(super) async fn serve(fleet: Fleet, tasks: &mut JoinSet<()>) -> Result<SocketAddr, DemoError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let hook = Arc::new(Hook {
        fleet,
        answered: Mutex::default(),
    });
    let router = Router::new()
        .route("/replace", post(replace))
        .with_state(hook);
    tasks.spawn(async move {
        // It never ends by itself; with its listener broken, the rollout names the hook as blocker.
        let _ = axum::serve(listener, router).await;
    });
    Ok(address)
}

async fn replace(State(hook): State<Arc<Hook>>, Json(call): Json<Call>) -> (StatusCode, String) {
    let mut answered = hook.answered.lock().await;
    if !call.key.is_empty() && answered.contains(&call.key) {
        return (StatusCode::OK, String::new());
    }
    match call.action {
        Action::Start => {
            let id = hook.fleet.stand_in(&call.instance, &call.version).await;
            if let Err(error) = hook.fleet.start(&id, &call.version).await {
                return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
            }
        }
        Action::Stop => hook.fleet.stop(&call.instance).await,
    }
    if answered.len() >= KEYS_MAX {
        answered.pop_first();
    }
    answered.insert(call.key);
    (StatusCode::OK, String::new())
}

/// Answered keys remembered; a demo makes a few dozen calls.
const KEYS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::demo::control::LeaseApi;

    #[tokio::test]
    async fn an_answered_key_is_answered_again_and_a_failed_one_is_tried_again() {
        // Neither this program nor this control plane exists.
        let api = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let leases = LeaseApi::new(api, "web");
        let scratch = std::env::temp_dir().join("tidegate-demo-hook-test");
        let fleet = Fleet::new(PathBuf::from("/no/such/program"), scratch, leases);
        let hook = Arc::new(Hook {
            fleet,
            answered: Mutex::default(),
        });
        let call = |key: &str, action| Call {
            key: key.to_owned(),
            action,
            instance: "v1-0".to_owned(),
            version: "v2".to_owned(),
        };
        for (key, action, status) in [
            ("a", Action::Start, StatusCode::INTERNAL_SERVER_ERROR),
            ("a", Action::Start, StatusCode::INTERNAL_SERVER_ERROR),
            ("b", Action::Stop, StatusCode::OK),
            ("b", Action::Start, StatusCode::OK),
        ] {
            let (answer, text) = replace(State(Arc::clone(&hook)), Json(call(key, action))).await;
            assert_eq!(answer, status, "{key} {action:?}: {text}");
        }
    }
}

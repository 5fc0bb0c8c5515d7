//! Live events: the whole view on connect and whenever it changed, and each new journal entry.
//!
//! A client that reads slowly skips views and never makes anything queue. Of entries it may miss
//! some; then it is told how many, and can read them from the history.
//!
//! | event | data |
//! |---|---|
//! | `state` | the view, as `GET /v1/state` gives it |
//! | `entry` | a journal entry, its number as the event's id |
//! | `missed` | `{"entries": 12}` |

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tokio::time::{Interval, MissedTickBehavior};

use super::Shared;
use super::error::ApiError;
use crate::engine::View;
use crate::runtime::Numbered;

/// So many clients at once.
const CLIENTS_MAX: usize = 64;

/// At most one view in this time, which is five a second.
const STATE_EVERY: Duration = Duration::from_millis(200);

/// A comment after this long without an event, so that nothing in between takes the line for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The clients' common part: their number, and the view's JSON, which is made once for all of them.
#[derive(Clone)]
pub(super) struct Clients {
    slots: Arc<Semaphore>,
    newest: Arc<Mutex<Option<Encoded>>>,
}

/// A view, and its JSON.
type Encoded = (Arc<View>, Arc<str>);

impl Default for Clients {
    fn default() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(CLIENTS_MAX)),
            newest: Arc::default(),
        }
    }
}

impl Clients {
    /// The view as JSON. Nothing waits inside the lock, so it is no async mutex.
    fn json(&self, view: &Arc<View>) -> Arc<str> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        match newest.as_ref() {
            Some((of, json)) if Arc::ptr_eq(of, view) => Arc::clone(json),
            _ => {
                let json: Arc<str> = to_json(view.as_ref()).into();
                *newest = Some((Arc::clone(view), Arc::clone(&json)));
                json
            }
        }
    }
}

pub(super) async fn stream(
    State(shared): State<Shared>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let Ok(slot) = Arc::clone(&shared.clients.slots).try_acquire_owned() else {
        return Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{CLIENTS_MAX} clients are following already"),
            "close one of them, or poll /v1/state",
        ));
    };
    let mut pace = tokio::time::interval(STATE_EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut views = shared.control.view();
    views.mark_changed();
    let feed = Feed {
        views,
        entries: shared.control.entries(),
        clients: shared.clients,
        pace,
        _slot: slot,
    };
    let events = unfold(feed, |mut feed| async {
        let event = feed.next().await?;
        Some((Ok(event), feed))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// One client's place in the flow.
struct Feed {
    views: watch::Receiver<Arc<View>>,
    entries: broadcast::Receiver<Arc<Numbered>>,
    clients: Clients,
    pace: Interval,
    _slot: OwnedSemaphorePermit,
}

impl Feed {
    /// The next event, or the end when the control plane stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::select! {
                // Entries first: a view that shows their effect should not overtake them for long.
                biased;
                entry = self.entries.recv() => return Some(match entry {
                    Ok(entry) => Event::default()
                        .event("entry")
                        .id(entry.seq.to_string())
                        .data(to_json(entry.as_ref())),
                    Err(RecvError::Lagged(missed)) => Event::default()
                        .event("missed")
                        .data(format!("{{\"entries\":{missed}}}")),
                    Err(RecvError::Closed) => return None,
                }),
                _ = self.pace.tick() => {
                    if self.views.has_changed().ok()? {
                        let view = Arc::clone(&self.views.borrow_and_update());
                        return Some(Event::default().event("state").data(self.clients.json(&view)));
                    }
                }
            }
        }
    }
}

/// Views and entries have string keys only and no fallible parts, so this cannot fail; were that to
/// change, clients would see `null`.
fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

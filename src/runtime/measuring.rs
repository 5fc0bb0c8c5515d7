//! Asks whom gates want to be asked: a metrics server for a number, or an address for a verdict.
//!
//! Each question is a task of its own, so many at one time, and its answer an event. That there is no answer is
//! one, too, with the reason; what any of it means for a rollout is the engine's to say.

mod prometheus;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use super::hooks;
use crate::engine::{Asked, Event, Inquiry, Reading, Said};
use crate::process::Tasks;

/// So many questions are open at one time; others wait.
const AT_ONCE_MAX: usize = 16;

/// How much of a reason is kept, in characters.
const WHY_CHARS_MAX: usize = 300;

/// The metrics server that is asked where a check names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prometheus {
    /// Its URL.
    pub url: String,
    /// A file with a token to show it. It is read for each question, so that it may change.
    pub token: Option<PathBuf>,
}

/// Asks.
#[derive(Clone, Debug)]
pub(super) struct Measuring {
    tasks: Tasks,
    events: mpsc::Sender<Event>,
    prometheus: Option<Arc<Prometheus>>,
    room: Arc<Semaphore>,
}

impl Measuring {
    /// Answers go to `events`.
    pub(super) fn new(
        tasks: Tasks,
        events: mpsc::Sender<Event>,
        prometheus: Option<Prometheus>,
    ) -> Self {
        Self {
            tasks,
            events,
            prometheus: prometheus.map(Arc::new),
            room: Arc::new(Semaphore::new(AT_ONCE_MAX)),
        }
    }

    /// Asks once.
    pub(super) fn ask(&self, inquiry: Inquiry) {
        let this = self.clone();
        self.tasks.spawn("inquiry", async move {
            // Nobody closes it.
            let _room = this.room.acquire().await;
            let (of, number) = (inquiry.of.clone(), inquiry.number);
            let said = this.said(inquiry).await;
            if let Said::Verdict(Reading::Unsure(why)) = &said {
                let (rollout, gate) = (&of.rollout, &of.gate);
                tracing::warn!(%rollout, %gate, check = of.check + 1, why, "Gate: a check has no answer");
            }
            let event = Event::Measured { of, number, said };
            // When the engine is gone there is nobody left to tell.
            let _ = this.events.send(event).await;
        });
    }

    async fn said(&self, inquiry: Inquiry) -> Said {
        match &inquiry.what {
            Asked::Number { query, server } => {
                let number = self.number(query, server.as_deref()).await;
                number.map_or_else(unsure, Said::Number)
            }
            Asked::Verdict { call, about } => {
                let ask = verdict::Ask::new(&inquiry, about);
                let reply = hooks::post_to(call, &ask.key, &ask).await;
                Said::Verdict(reply.map_or_else(
                    |why| Reading::Unsure(beginning(&why)),
                    |reply| verdict::read(&reply),
                ))
            }
        }
    }

    async fn number(&self, query: &str, server: Option<&str>) -> Result<f64, String> {
        let own = self.prometheus.as_deref();
        match (server, own) {
            // The token is for whom the server's file names, and not for whom a document does.
            (Some(url), _) => prometheus::number(url, None, query).await,
            (None, Some(own)) => prometheus::number(&own.url, own.token.as_deref(), query).await,
            (None, None) => Err(
                "no Prometheus server is known; `prometheus` in the server's file names one"
                    .to_owned(),
            ),
        }
    }
}

fn unsure(why: String) -> Said {
    Said::Verdict(Reading::Unsure(beginning(&why)))
}

/// The beginning of a text, to the limit.
fn beginning(text: &str) -> String {
    text.chars().take(WHY_CHARS_MAX).collect()
}

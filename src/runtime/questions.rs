//! Questions to addresses that freezes depend on: each is one GET, and its answer an event.
//!
//! `true` or `false` as the whole body is an answer, and so is a JSON object with one of them under `answer`.
//! Anything else is none, and says why.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::http::exchange;
use crate::engine::Event;
use crate::process::Tasks;

/// How long an address may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How much of a text that is no answer is shown, in characters.
const SHOWN_MAX: usize = 200;

/// Asks; each question is a task of its own.
#[derive(Clone, Debug)]
pub(super) struct Questions {
    tasks: Tasks,
    events: mpsc::Sender<Event>,
}

impl Questions {
    /// Answers go to `events`.
    pub(super) fn new(tasks: Tasks, events: mpsc::Sender<Event>) -> Self {
        Self { tasks, events }
    }

    /// Asks once. That there is no answer is an event too.
    pub(super) fn ask(&self, url: String) {
        let events = self.events.clone();
        self.tasks.spawn("question", async move {
            let said = tokio::time::timeout(ANSWER_WITHIN, get(&url)).await;
            let said =
                said.unwrap_or_else(|_| Err(format!("gives no answer within {ANSWER_WITHIN:?}")));
            let answer = said.and_then(|said| verdict(&said));
            if let Err(error) = &answer {
                tracing::warn!(url, error, "Question of a policy has no answer");
            }
            // When the engine is gone there is nobody left to tell.
            let _ = events.send(Event::Answered { url, answer }).await;
        });
    }
}

async fn get(url: &str) -> Result<String, String> {
    let request = hyper::Request::get(url).body(Full::new(Bytes::new()));
    let reply = exchange(request.map_err(|error| error.to_string())?).await?;
    reply.success()
}

/// The answer that a body is.
fn verdict(body: &str) -> Result<bool, String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Plain(bool),
        Object { answer: bool },
    }
    match serde_json::from_str(body.trim()) {
        Ok(Said::Plain(answer) | Said::Object { answer }) => Ok(answer),
        Err(_) => {
            let shown: String = body.trim().chars().take(SHOWN_MAX).collect();
            Err(format!("answered neither `true` nor `false`: `{shown}`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_true_or_false_and_nothing_else() {
        for (body, answer) in [
            ("true", Some(true)),
            (" false\n", Some(false)),
            (r#"{"answer": true, "since": "noon"}"#, Some(true)),
            (r#"{"answer": "yes"}"#, None),
            ("", None),
            ("<html>", None),
            ("1", None),
        ] {
            assert_eq!(verdict(body).ok(), answer, "{body}");
        }
    }
}

//! Hook calls: a program is run, or an address is posted to, and the engine hears how it went.

use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::sync::mpsc;

use super::causes::chain;
use crate::domain::Hook;
use crate::engine::{Event, HookCall};
use crate::process::Tasks;

/// How much of a hook's answer or output is kept in the journal.
const ANSWER_BYTES_MAX: usize = 2048;

/// How long an answer's body is listened to, once its status has come.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

/// Makes calls; each is a task of its own.
#[derive(Clone, Debug)]
pub(super) struct Hooks {
    tasks: Tasks,
    events: mpsc::Sender<Event>,
}

impl Hooks {
    /// Answers go to `events`.
    pub(super) fn new(tasks: Tasks, events: mpsc::Sender<Event>) -> Self {
        Self { tasks, events }
    }

    /// Makes one call. Its answer is an event, also when it takes too long.
    pub(super) fn call(&self, hook: Hook, call: HookCall) {
        let events = self.events.clone();
        self.tasks.spawn("hook", async move {
            let key = call.key.clone();
            let result = carry_out(&hook, &call).await;
            if let Err(error) = &result {
                tracing::warn!(key, error, "Hook failed");
            }
            // When the engine is gone there is nobody left to tell; the call is made again later.
            let _ = events.send(Event::HookDone { key, result }).await;
        });
    }
}

/// What a call was answered, or why it failed; both cut to [`ANSWER_BYTES_MAX`].
async fn carry_out(hook: &Hook, call: &HookCall) -> Result<String, String> {
    let (timeout, done) = match hook {
        Hook::Exec { argv, timeout } => (
            timeout,
            tokio::time::timeout(timeout.duration(), exec(argv, call)).await,
        ),
        Hook::Post {
            url,
            headers,
            timeout,
        } => {
            let post = post(url, headers.iter(), call);
            (
                timeout,
                tokio::time::timeout(timeout.duration(), post).await,
            )
        }
    };
    done.unwrap_or_else(|_| Err(format!("no answer within {timeout}")))
}

async fn exec(argv: &[String], call: &HookCall) -> Result<String, String> {
    let filled: Vec<String> = argv.iter().map(|argument| fill(argument, call)).collect();
    let Some((program, arguments)) = filled.split_first() else {
        return Err("the hook names no program".to_owned());
    };
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .env("TIDEGATE_ACTION", call.action.to_string())
        .env("TIDEGATE_SERVICE", call.service.as_str())
        .env("TIDEGATE_INSTANCE", call.instance.as_str())
        .env("TIDEGATE_VERSION", call.version.as_str())
        .env("TIDEGATE_KEY", &call.key)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("`{program}` does not run: {error}"))?;
    if output.status.success() {
        return Ok(tail(&output.stdout));
    }
    Err(format!(
        "`{program}` ended with {}: {}",
        output.status,
        tail(&output.stderr)
    ))
}

/// Fills in what a hook may ask for by name.
fn fill(argument: &str, call: &HookCall) -> String {
    argument
        .replace("{action}", &call.action.to_string())
        .replace("{service}", call.service.as_str())
        .replace("{instance}", call.instance.as_str())
        .replace("{version}", call.version.as_str())
}

async fn post(
    url: &str,
    headers: impl Iterator<Item = (&String, &String)>,
    call: &HookCall,
) -> Result<String, String> {
    let body = serde_json::to_vec(call).map_err(|error| error.to_string())?;
    let mut request = hyper::Request::post(url).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| error.to_string())?;
    exchange(request)
        .await
        .map_err(|error| format!("{url} {error}"))
}

/// What a request is answered, from its beginning, cut to [`ANSWER_BYTES_MAX`]; or what went wrong.
pub(super) async fn exchange(request: hyper::Request<Full<Bytes>>) -> Result<String, String> {
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_webpki_roots()
        .https_or_http()
        .enable_http1()
        .build();
    let client = Client::builder(TokioExecutor::new())
        .pool_idle_timeout(Duration::ZERO)
        .build(connector);
    let response = client
        .request(request)
        .await
        .map_err(|error| format!("does not answer: {}", chain(&error)))?;
    let status = response.status();
    let said = beginning(response.into_body()).await;
    if status.is_success() {
        return Ok(said);
    }
    Err(format!("answered {status}: {said}"))
}

/// What a body says within its limits. The status has been said already, so a body that does not end
/// makes no failure of it.
async fn beginning(mut body: hyper::body::Incoming) -> String {
    let mut said = Vec::new();
    let read = async {
        while said.len() < ANSWER_BYTES_MAX
            && let Some(Ok(frame)) = body.frame().await
        {
            said.extend(frame.into_data().unwrap_or_default());
        }
    };
    // Whatever has come by then is kept.
    let _ = tokio::time::timeout(ANSWER_TIME_MAX, read).await;
    said.truncate(ANSWER_BYTES_MAX);
    String::from_utf8_lossy(&said).trim().to_owned()
}

fn tail(bytes: &[u8]) -> String {
    let from = bytes.len().saturating_sub(ANSWER_BYTES_MAX);
    String::from_utf8_lossy(&bytes[from..]).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Span;
    use crate::engine::HookAction;

    fn call() -> HookCall {
        HookCall {
            key: "k".into(),
            action: HookAction::Start,
            service: "cart".parse().unwrap(),
            instance: "i-1".parse().unwrap(),
            version: "v2".parse().unwrap(),
        }
    }

    #[tokio::test]
    async fn a_program_gets_its_arguments_filled_in_and_fails_with_its_words() {
        for (argv, result) in [
            (
                vec![
                    "test",
                    "start i-1 v2 cart",
                    "=",
                    "{action} {instance} {version} {service}",
                ],
                Ok(String::new()),
            ),
            (vec!["echo", "{instance} is up"], Ok("i-1 is up".to_owned())),
            (
                vec![
                    "sh",
                    "-c",
                    "echo no room for $TIDEGATE_INSTANCE >&2; exit 3",
                ],
                Err("`sh` ended with exit status: 3: no room for i-1".to_owned()),
            ),
        ] {
            let argv = argv.into_iter().map(str::to_owned).collect();
            let hook = Hook::Exec {
                argv,
                timeout: Span::secs(60),
            };
            assert_eq!(carry_out(&hook, &call()).await, result);
        }
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_ended() {
        let argv = vec!["sleep".to_owned(), "600".to_owned()];
        let hook = Hook::Exec {
            argv,
            timeout: Span::millis(50),
        };
        assert_eq!(
            carry_out(&hook, &call()).await,
            Err("no answer within 50ms".to_owned())
        );
    }
}

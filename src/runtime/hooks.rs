//! Hook calls: a program is run, or an address is posted to, and the engine hears how it went.
//!
//! Two kinds of calls go the same way: those that start and stop instances, which work or fail, and those that
//! have a say in a rollout, which pass, hold or fail. Both carry the key by which a repetition is known, and what
//! they are told is the same in a body, in arguments and in the environment. Whether to call again is the
//! engine's decision.

mod exec;
mod post;
#[cfg(test)]
mod tests;
mod told;

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};

use exec::Ran;
use told::Told;

use super::http::Reply;
use crate::domain::Hook;
use crate::engine::{Event, HookAnswer, HookAsk, HookCall};
use crate::process::Tasks;

/// How much of a hook's answer or output is kept in the journal.
const WORDS_BYTES_MAX: usize = 2048;

/// So many calls of each kind are made at the same time. Others wait for their turn, and their timeout begins with it:
/// a batch of hundreds of instances is not as many programs at once.
const CALLS_MAX: usize = 32;

/// Makes calls; each is a task of its own.
#[derive(Clone, Debug)]
pub(super) struct Hooks {
    tasks: Tasks,
    events: mpsc::Sender<Event>,
    /// Turns of calls that start and stop instances.
    works: Arc<Semaphore>,
    /// Turns of those that have a say; nobody waits with an answer for deploys that take long.
    says: Arc<Semaphore>,
}

/// What came of a call that was answered at all.
#[derive(Debug)]
enum Heard {
    Ran(Ran),
    Replied(Reply),
}

impl Hooks {
    /// Answers go to `events`.
    pub(super) fn new(tasks: Tasks, events: mpsc::Sender<Event>) -> Self {
        Self::taking_turns(tasks, events, CALLS_MAX)
    }

    fn taking_turns(tasks: Tasks, events: mpsc::Sender<Event>, at_once: usize) -> Self {
        Self {
            tasks,
            events,
            works: Arc::new(Semaphore::new(at_once)),
            says: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// Has an instance started or stopped. The answer is an event, also when it takes too long.
    pub(super) fn call(&self, hook: Hook, call: HookCall) {
        let (events, turns) = (self.events.clone(), Arc::clone(&self.works));
        self.tasks.spawn("hook", async move {
            let key = call.key.clone();
            let turn = turns.acquire().await;
            let result = work(&hook, &call).await;
            drop(turn);
            if let Err(error) = &result {
                tracing::warn!(key, error, "Hook failed");
            }
            // When the engine is gone there is nobody left to tell; the call is made again later.
            let _ = events.send(Event::HookDone { key, result }).await;
        });
    }

    /// Asks whether a rollout may go on. The answer is an event, also when it takes too long.
    pub(super) fn consult(&self, hook: Hook, ask: HookAsk, attempt: u32) {
        let (events, turns) = (self.events.clone(), Arc::clone(&self.says));
        self.tasks.spawn("hook", async move {
            let turn = turns.acquire().await;
            let answer = say(&hook, &ask, attempt).await;
            drop(turn);
            let key = ask.key;
            if !matches!(answer, HookAnswer::Passes(_)) {
                tracing::warn!(key, ?answer, "Hook does not let a rollout pass");
            }
            // As above.
            let _ = events.send(Event::HookSaid { key, answer }).await;
        });
    }
}

/// Posts `what` to an address, signed as its hook says, within its time.
pub(super) async fn post_to(
    hook: &Hook,
    key: &str,
    what: &impl Serialize,
) -> Result<Reply, String> {
    let told = Told::new(key, 1, what)?;
    match carry_out(hook, &told).await? {
        Heard::Replied(reply) => Ok(reply),
        Heard::Ran(_) => Err("is a program, and an address is asked here".to_owned()),
    }
}

/// What a call that starts or stops an instance said, or why it failed.
async fn work(hook: &Hook, call: &HookCall) -> Result<String, String> {
    let told = Told::new(&call.key, 1, call)?;
    let done = match carry_out(hook, &told).await? {
        Heard::Ran(ran) => ran.success(),
        Heard::Replied(reply) => {
            let said = reply.success();
            said.map_err(|error| format!("{} {error}", hook.whom()))
        }
    };
    done.map(beginning).map_err(beginning)
}

/// What a hook that has a say answers.
async fn say(hook: &Hook, ask: &HookAsk, attempt: u32) -> HookAnswer {
    let heard = match Told::new(&ask.key, attempt, ask) {
        Ok(told) => carry_out(hook, &told).await,
        Err(error) => Err(error),
    };
    match heard {
        Ok(Heard::Ran(ran)) => ran.answer(),
        Ok(Heard::Replied(reply)) => post::answer(reply),
        Err(error) => HookAnswer::Silent(beginning(error)),
    }
}

async fn carry_out(hook: &Hook, told: &Told) -> Result<Heard, String> {
    match hook {
        Hook::Exec { argv, timeout } => exec::run(argv, told, *timeout).await.map(Heard::Ran),
        Hook::Post {
            url,
            headers,
            timeout,
            sign,
        } => {
            let post = post::post(url, headers, sign.as_ref(), told);
            match tokio::time::timeout(timeout.duration(), post).await {
                Ok(replied) => replied.map(Heard::Replied),
                Err(_) => Err(format!("no answer within {timeout}")),
            }
        }
    }
}

/// The beginning of a text, to the limit.
fn beginning(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(WORDS_BYTES_MAX));
    text
}

//! Which hooks are called in a rollout, what for, how many times and when first.

use serde::Serialize;

use crate::domain::{Each, Time};
use crate::engine::{Moment, Record};

/// Calls of a hook.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HookForecast {
    /// Which: one that has a say, or `replace`.
    pub hook: String,
    /// At which moments, as `before each batch`, or what it is to do, as `start`.
    pub at: String,
    /// So many times.
    pub times: u32,
    /// When for the first time, in seconds from when the rollout is asked for.
    pub first_s: f64,
}

/// Calls so far, by hook and what for, in the order of the first ones.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

#[derive(Debug)]
struct Call {
    hook: String,
    at: String,
    times: u32,
    first: Time,
}

impl Calls {
    /// Takes in what the engine has decided. To ask the same again is no other call.
    pub(super) fn hear(&mut self, record: &Record, now: Time) {
        let (hook, at) = match record {
            Record::HookAsked {
                ask, attempt: 1, ..
            } => (ask.hook.as_str(), in_general(&ask.moment)),
            Record::HookCalled {
                call, attempt: 1, ..
            } => ("replace", call.action.to_string()),
            _ => return,
        };
        let same = |call: &&mut Call| call.hook == hook && call.at == at;
        if let Some(call) = self.0.iter_mut().find(same) {
            call.times += 1;
            return;
        }
        self.0.push(Call {
            hook: hook.to_owned(),
            at,
            times: 1,
            first: now,
        });
    }

    /// All of them.
    pub(super) fn forecast(&self, seconds_to: impl Fn(Time) -> f64) -> Vec<HookForecast> {
        let calls = self.0.iter().map(|call| HookForecast {
            hook: call.hook.clone(),
            at: call.at.clone(),
            times: call.times,
            first_s: seconds_to(call.first),
        });
        calls.collect()
    }
}

/// `before each batch`
fn in_general(moment: &Moment) -> String {
    let when = moment.when;
    match moment.each() {
        Each::Rollout => format!("{when} the rollout"),
        each => format!("{when} each {each}"),
    }
}

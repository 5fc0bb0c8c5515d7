//! Calls to the outside in documents: `replace`, which starts and stops instances, and `hooks`, which have a say.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::context::Context;
use super::field::{Field, Many};
use super::source::Place;
use super::words::SpanText;
use crate::domain::{Each, Hook, KeySource, OnFail, RolloutHook, Span, Strategy, When};

/// How long starting or stopping an instance may take unless said otherwise.
const REPLACE_TIMEOUT: Span = Span::secs(300);

/// How long a hook that has a say may take unless said otherwise.
const HOOK_TIMEOUT: Span = Span::secs(60);

/// How many times a hook is called that gives no answer, unless said otherwise.
const HOOK_TRIES: u32 = 5;

/// After how long a hook that holds is asked again, unless said otherwise.
const HOOK_EVERY: Span = Span::secs(15);

/// Hooks of one rollout.
const HOOKS_MAX: usize = 16;

/// Who starts and stops instances: either `exec` or `post`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct ReplaceSpec {
    /// A program and its arguments, run without a shell; `{instance}`, `{version}`, `{service}`
    /// and `{action}` (`start` or `stop`) are filled in.
    exec: Field<Vec<Field<String>>>,
    /// A URL that gets the same four fields as a JSON object.
    post: Field<String>,
    /// Headers to send along with `post`.
    headers: Field<BTreeMap<String, String>>,
    /// With `post`: where the key is kept by which the body is signed.
    sign: Field<SignSpec>,
    /// The call has failed after this long; 5m unless given.
    #[schemars(with = "SpanText")]
    timeout: Field<Span>,
}

/// Where a key is kept: either `file` or `env`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct SignSpec {
    /// A file; the end of its last line is no part of the key.
    file: Field<String>,
    /// A variable of the server's environment.
    env: Field<String>,
}

/// Who has a say in a rollout.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct HooksSpec {
    /// Asked before something begins; one, or a list.
    before: Field<Many<HookSpec>>,
    /// Asked after something is done, and before the next thing begins; one, or a list.
    after: Field<Many<HookSpec>>,
}

/// Somebody who is asked: either by `exec` or by `post`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct HookSpec {
    /// Each `step`, `batch`, `instance` or `wave`.
    each: Field<EachWord>,
    /// With `before`, instead of `each`: `rollout`.
    start: Field<WholeWord>,
    /// With `after`, instead of `each`: `rollout`.
    end: Field<WholeWord>,
    /// What people call it; the host or the program unless given.
    name: Field<String>,
    /// A program and its arguments, run without a shell. Exit code 0 passes, 75 holds, any other fails.
    exec: Field<Vec<Field<String>>>,
    /// A URL that gets a JSON object. An answer of 2xx passes, unless its `answer` is `hold` or `fail`.
    post: Field<String>,
    /// Headers to send along with `post`.
    headers: Field<BTreeMap<String, String>>,
    /// With `post`: where the key is kept by which the body is signed.
    sign: Field<SignSpec>,
    /// It gave no answer when this is over; 1m unless given.
    #[schemars(with = "SpanText")]
    timeout: Field<Span>,
    /// Without an answer it is called so many times, ever later; 5 unless given.
    tries: Field<u32>,
    /// While it holds it is asked again after this long; 15s unless given.
    #[schemars(with = "SpanText")]
    every: Field<Span>,
    /// When it fails: `rollback`, `hold` or `ignore`; `rollback` unless given, and `ignore` at the end.
    on_fail: Field<OnFailWord>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum EachWord {
    Step,
    Batch,
    Instance,
    Wave,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum WholeWord {
    Rollout,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum OnFailWord {
    Rollback,
    Hold,
    Ignore,
}

/// The fields that say how somebody is called.
struct Call {
    exec: Field<Vec<Field<String>>>,
    post: Field<String>,
    headers: Field<BTreeMap<String, String>>,
    sign: Field<SignSpec>,
    timeout: Span,
}

/// Reads who starts and stops instances.
pub(super) fn replace(spec: ReplaceSpec, at: Place, cx: &Context<'_>) -> Option<Hook> {
    let call = Call {
        timeout: cx.span("timeout", spec.timeout, REPLACE_TIMEOUT),
        exec: spec.exec,
        post: spec.post,
        headers: spec.headers,
        sign: spec.sign,
    };
    read_call(call, "`replace`", "https://ci.example/replace", at, cx)
}

/// Reads an address that is posted to.
pub(super) fn post(
    post: Field<String>,
    headers: Field<BTreeMap<String, String>>,
    sign: Field<SignSpec>,
    timeout: Span,
    at: Place,
    cx: &Context<'_>,
) -> Option<Hook> {
    if !post.is_given() {
        cx.sink.problem(at, "missing field `post`");
        return None;
    }
    let call = Call {
        exec: Field::Absent,
        post,
        headers,
        sign,
        timeout,
    };
    read_call(call, "a webhook", "https://ci.example/verdict", at, cx)
}

/// Reads who has a say in a rollout that goes this way.
pub(super) fn hooks(
    field: Field<HooksSpec>,
    strategy: &Strategy,
    cx: &Context<'_>,
) -> Vec<RolloutHook> {
    let at = field.at(Place::START);
    let spec = field.or(HooksSpec::default());
    let mut read = Vec::new();
    for (when, hooks) in [(When::Before, spec.before), (When::After, spec.after)] {
        let at = hooks.at(at);
        for field in hooks.or(Many::default()).0 {
            let at = field.at(at);
            let spec = field.get();
            read.extend(spec.and_then(|spec| read_hook(spec, when, strategy, at, cx)));
        }
    }
    if read.len() > HOOKS_MAX {
        let message = format!("a rollout has at most {HOOKS_MAX} hooks");
        cx.sink.problem(at, message);
    }
    read
}

fn read_hook(
    spec: HookSpec,
    when: When,
    strategy: &Strategy,
    at: Place,
    cx: &Context<'_>,
) -> Option<RolloutHook> {
    let each = read_each(&spec, when, strategy, at, cx);
    let call = Call {
        timeout: cx.span("timeout", spec.timeout, HOOK_TIMEOUT),
        exec: spec.exec,
        post: spec.post,
        headers: spec.headers,
        sign: spec.sign,
    };
    let call = read_call(call, "a hook", "https://ci.example/smoke", at, cx);
    let tries = cx.count("tries", spec.tries, HOOK_TRIES);
    let every = cx.span("every", spec.every, HOOK_EVERY);
    let (each, call) = (each?, call?);
    let is_end = (when, each) == (When::After, Each::Rollout);
    let on_fail = match spec.on_fail.get() {
        Some(OnFailWord::Hold) => OnFail::Hold,
        Some(OnFailWord::Ignore) => OnFail::Ignore,
        // Whoever is only told of the end takes nothing back.
        None if is_end => OnFail::Ignore,
        Some(OnFailWord::Rollback) | None => OnFail::Rollback,
    };
    let name = spec.name.get().filter(|name| !name.is_empty());
    Some(RolloutHook {
        name: name.unwrap_or_else(|| call.whom().to_owned()),
        when,
        each,
        call,
        tries,
        every,
        on_fail,
    })
}

/// At what it is asked; told if a rollout that goes this way has none of that.
fn read_each(
    spec: &HookSpec,
    when: When,
    strategy: &Strategy,
    at: Place,
    cx: &Context<'_>,
) -> Option<Each> {
    let (whole, whole_word, other, other_when) = match when {
        When::Before => (
            &spec.start,
            "start",
            spec.end.key(),
            "`end` goes with `after`",
        ),
        When::After => (
            &spec.end,
            "end",
            spec.start.key(),
            "`start` goes with `before`",
        ),
    };
    if let Some(key) = other {
        cx.sink.problem(key, other_when);
        return None;
    }
    if spec.each.is_given() == whole.is_given() {
        let message = format!("a hook has either `each` or `{whole_word}`");
        let hint = format!("write it like `each: batch` or `{whole_word}: rollout`");
        cx.sink.hinted(at, message, hint);
        return None;
    }
    if whole.is_given() {
        return whole.clone().get().map(|WholeWord::Rollout| Each::Rollout);
    }
    let each_at = spec.each.at(at);
    let each = spec.each.clone().get()?;
    let is_replaced = matches!(strategy, Strategy::Rolling(_) | Strategy::Waves(_));
    let (each, is_there, goes_with) = match each {
        EachWord::Batch => (Each::Batch, is_replaced, "`rolling` or `waves`"),
        EachWord::Instance => (Each::Instance, is_replaced, "`rolling` or `waves`"),
        EachWord::Step => (Each::Step, !is_replaced, "`steps` or `blueGreen`"),
        EachWord::Wave => {
            let is_there = matches!(strategy, Strategy::Waves(_));
            (Each::Wave, is_there, "`waves`")
        }
    };
    if !is_there {
        let message = format!("`each: {each}` goes with {goes_with}");
        cx.sink.problem(each_at, message);
    }
    Some(each)
}

fn read_call(call: Call, shown: &str, example: &str, at: Place, cx: &Context<'_>) -> Option<Hook> {
    if let (Some(exec), Some(post)) = (call.exec.key(), call.post.key()) {
        let message = format!("{shown} has either `exec` or `post`, not both");
        cx.sink.problem(exec.max(post), message);
    }
    for (name, key) in [("headers", call.headers.key()), ("sign", call.sign.key())] {
        if let Some(key) = key.filter(|_| !call.post.is_given()) {
            let verb = if name == "sign" { "goes" } else { "go" };
            cx.sink.problem(key, format!("`{name}` {verb} with `post`"));
        }
    }
    let timeout = call.timeout;
    if call.exec.is_given() {
        let at = call.exec.at(at);
        let argv = call.exec.get()?.into_iter().filter_map(Field::get);
        let argv: Vec<_> = argv.collect();
        if argv.first().is_none_or(String::is_empty) {
            cx.sink.problem(at, "`exec` must name a program");
        }
        return Some(Hook::Exec { argv, timeout });
    }
    if call.post.is_given() {
        let at = call.post.at(at);
        let url = call.post.get()?;
        cx.http_url(&url, at, example);
        return Some(Hook::Post {
            url,
            headers: call.headers.or(BTreeMap::new()),
            timeout,
            sign: read_sign(call.sign, cx),
        });
    }
    cx.sink
        .problem(at, format!("{shown} needs `exec` or `post`"));
    None
}

fn read_sign(field: Field<SignSpec>, cx: &Context<'_>) -> Option<KeySource> {
    let at = field.at(Place::START);
    let spec = field.get()?;
    if spec.file.is_given() == spec.env.is_given() {
        let hint = "write it like `sign: { env: HOOK_KEY }`".to_owned();
        cx.sink
            .hinted(at, "`sign` has either `file` or `env`", hint);
        return None;
    }
    let file = spec.file.get().map(KeySource::File);
    file.or_else(|| spec.env.get().map(KeySource::Env))
}

//! Gate documents. What is left out is as in the gate that exists without a document.

mod asked;
mod check;
mod worse;

use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use worse::{UnsureWord, WorseSpec};

use super::context::Context;
use super::decode::decode;
use super::field::Field;
use super::source::Place;
use super::tree::Node;
use super::words::{ShareText, SpanText};
use crate::domain::{FALSE_ALARM, Gate, GateName, OnOneBadBox, PROVE_WITHIN, Share, Span};
use check::CheckSpec;
use worse::WorseWord;

/// What "no worse" means.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GateSpec {
    /// What is compared with what.
    #[serde(default)]
    compare: Field<Compare>,
    /// What is looked at, each on its own.
    checks: Field<Vec<Field<CheckSpec>>>,
    /// The chance of ever raising an alarm about a good version, over all comparisons; 1% unless given.
    #[serde(default)]
    #[schemars(with = "ShareText")]
    false_alarm: Field<Share>,
    /// How long a step may wait for a proof; 10m unless given.
    #[serde(default)]
    #[schemars(with = "SpanText")]
    prove_within: Field<Span>,
    /// What follows when the new version is worse; `rollback` unless given.
    #[serde(default)]
    on_worse: Field<WorseWord>,
    /// What follows when one new instance is worse and the version is not; `replace` unless given.
    #[serde(default)]
    on_one_bad_box: Field<OneBadBoxWord>,
    /// What follows when time is up without an answer; `pause` unless given.
    #[serde(default)]
    if_unsure: Field<UnsureWord>,
}

/// The only comparison there is.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
enum Compare {
    #[serde(rename = "new to stable")]
    NewToStable,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum OneBadBoxWord {
    Replace,
    Pause,
    Rollback,
}

/// Reads the spec of a gate; `None` once it was told what is missing.
pub(super) fn read(
    name: Option<GateName>,
    spec: &Node,
    at: Place,
    cx: &Context<'_>,
) -> Option<Gate> {
    let spec: GateSpec = decode(spec, cx.sink)?;
    // There is one comparison yet, so it is enough that the words were understood.
    let (Some(Compare::NewToStable) | None) = spec.compare.get();
    let checks_at = spec.checks.key().unwrap_or(at);
    let given = spec.checks.required("checks", at, cx.sink);
    if given.as_ref().is_some_and(Vec::is_empty) {
        cx.sink
            .problem(checks_at, "a gate needs at least one check");
    }
    let mut checks = Vec::new();
    for field in given.into_iter().flatten() {
        let place = field.at(at);
        checks.extend(field.get().and_then(|c| check::read(c, place, cx)));
    }
    let false_alarm_at = spec.false_alarm.at(at);
    let false_alarm = spec.false_alarm.or(FALSE_ALARM);
    if matches!(false_alarm.millionths(), 0 | 1_000_000) {
        let message = "`falseAlarm` must be more than 0% and less than 100%";
        cx.sink.problem(false_alarm_at, message);
    }
    let prove_within = cx.span("proveWithin", spec.prove_within, PROVE_WITHIN);
    Some(Gate {
        name: name?,
        checks,
        false_alarm,
        prove_within,
        on_worse: spec.on_worse.get().map(Into::into).unwrap_or_default(),
        on_one_bad_box: match spec.on_one_bad_box.get() {
            Some(OneBadBoxWord::Replace) | None => OnOneBadBox::Replace,
            Some(OneBadBoxWord::Pause) => OnOneBadBox::Pause,
            Some(OneBadBoxWord::Rollback) => OnOneBadBox::Rollback,
        },
        if_unsure: spec.if_unsure.get().map(Into::into).unwrap_or_default(),
    })
}

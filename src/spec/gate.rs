//! Gate documents.

use schemars::JsonSchema;
use serde::Deserialize;

use super::context::Context;
use super::decode::decode;
use super::field::{Field, Ignored};
use super::source::Place;
use super::tree::Node;
use super::words::{Quantile, QuantileText, Ratio, RatioText, ShareText, SpanText};
use crate::domain::{Check, Gate, GateName, OnUnsure, OnWorse, Share, Span};

/// What "no worse" means. Gates are checked for spelling but not judged yet.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GateSpec {
    /// What is compared with what.
    #[serde(default)]
    compare: Field<Compare>,
    /// The comparisons, each on its own.
    checks: Field<Vec<Field<CheckSpec>>>,
    /// The chance of ever raising an alarm about a good version; 1% unless given.
    #[serde(default)]
    #[schemars(with = "ShareText")]
    false_alarm: Field<Share>,
    /// How long a step may wait for a proof; 10m unless given.
    #[serde(default)]
    #[schemars(with = "SpanText")]
    prove_within: Field<Span>,
    /// What follows when the new version is worse; `rollback` unless given.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["rollback", "pause", "report"]))]
    on_worse: Field<OnWorse>,
    /// What follows when time is up without an answer; `pause` unless given.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["pause", "proceed", "rollback"]))]
    if_unsure: Field<OnUnsure>,
    #[serde(default)]
    #[schemars(skip)]
    on_one_bad_box: Field<Ignored>,
}

/// The only comparison there is.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
enum Compare {
    #[serde(rename = "new to stable")]
    NewToStable,
}

/// One comparison: either `errors` or `latency`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct CheckSpec {
    /// Failed requests.
    errors: Field<ErrorsSpec>,
    /// Slow requests.
    latency: Field<LatencySpec>,
    #[schemars(skip)]
    slo: Field<Ignored>,
    #[schemars(skip)]
    metric: Field<Ignored>,
    #[schemars(skip)]
    webhook: Field<Ignored>,
}

/// Failed requests.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ErrorsSpec {
    /// Tolerated ratio of the error odds; 1x unless given.
    #[schemars(with = "RatioText")]
    no_worse_than: Field<Ratio>,
    /// Smaller differences do not count; 0.1% unless given.
    #[schemars(with = "ShareText")]
    min_effect: Field<Share>,
}

/// Slow requests.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct LatencySpec {
    /// The quantiles looked at; p50, p90 and p99 unless given.
    #[schemars(with = "Vec<QuantileText>")]
    at: Field<Vec<Field<Quantile>>>,
    /// Tolerated ratio; 1.1x unless given.
    #[schemars(with = "RatioText")]
    no_worse_than: Field<Ratio>,
}

/// Reads the spec of a gate; `None` once it was told what is missing.
pub(super) fn read(
    name: Option<GateName>,
    spec: &Node,
    at: Place,
    cx: &Context<'_>,
) -> Option<Gate> {
    let spec: GateSpec = decode(spec, cx.sink)?;
    cx.unsupported(&[("onOneBadBox", &spec.on_one_bad_box)]);
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
        checks.extend(field.get().and_then(|c| check(c, place, cx)));
    }
    let false_alarm_at = spec.false_alarm.at(at);
    let false_alarm = spec.false_alarm.or(ONE_PERCENT);
    if matches!(false_alarm.millionths(), 0 | 1_000_000) {
        let message = "`falseAlarm` must be more than 0% and less than 100%";
        cx.sink.problem(false_alarm_at, message);
    }
    let prove_within = cx.span("proveWithin", spec.prove_within, Span::secs(600));
    Some(Gate {
        name: name?,
        checks,
        false_alarm,
        prove_within,
        on_worse: spec.on_worse.or(OnWorse::Rollback),
        if_unsure: spec.if_unsure.or(OnUnsure::Pause),
    })
}

fn check(spec: CheckSpec, at: Place, cx: &Context<'_>) -> Option<Check> {
    let unsupported = [
        ("slo", &spec.slo),
        ("metric", &spec.metric),
        ("webhook", &spec.webhook),
    ];
    cx.unsupported(&unsupported);
    match (spec.errors, spec.latency) {
        (Field::Given { value: errors, .. }, Field::Absent) => {
            let errors = errors?;
            Some(Check::Errors {
                no_worse_than: errors.no_worse_than.or(Ratio(1.0)).0,
                min_effect: errors.min_effect.or(ONE_PER_MILLE),
            })
        }
        (Field::Absent, Field::Given { value: latency, .. }) => Some(latency_check(latency?, cx)),
        (Field::Given { key, .. }, Field::Given { key: other, .. }) => {
            let hint = "give each an item of its own, beginning with `- `".to_owned();
            cx.sink.hinted(
                key.max(other),
                "a check has either `errors` or `latency`",
                hint,
            );
            None
        }
        (Field::Absent, Field::Absent) => {
            if !unsupported.iter().any(|(_, field)| field.is_given()) {
                cx.sink.problem(at, "a check needs `errors` or `latency`");
            }
            None
        }
    }
}

fn latency_check(spec: LatencySpec, cx: &Context<'_>) -> Check {
    let at = spec.at.at(Place::START);
    let quantiles = match spec.at.get() {
        Some(given) => given
            .into_iter()
            .filter_map(Field::get)
            .map(|q| q.0)
            .collect(),
        None => vec![0.5, 0.9, 0.99],
    };
    if quantiles.is_empty() {
        cx.sink.problem(at, "`at` needs at least one quantile");
    }
    Check::Latency {
        quantiles,
        no_worse_than: spec.no_worse_than.or(Ratio(1.1)).0,
    }
}

const ONE_PERCENT: Share = Share::per_million(10_000);
const ONE_PER_MILLE: Share = Share::per_million(1_000);

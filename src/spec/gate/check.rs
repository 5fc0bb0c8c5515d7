//! The checks of a gate, each under its word.

use schemars::JsonSchema;
use serde::Deserialize;

use super::asked::{self, MetricSpec, WebhookSpec};
use crate::domain::{
    Burn, Check, CodeRange, Codes, GrpcCode, InTime, MIN_EFFECT, SLOWER_TOLERATED, Share, Span,
};
use crate::spec::context::Context;
use crate::spec::field::{Field, Many};
use crate::spec::source::Place;
use crate::spec::words::{
    BurnText, CodeText, Quantile, QuantileText, Ratio, RatioText, ShareText, SpanText,
};

/// One check.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct CheckSpec {
    /// New instances that stopped passing their health check, having passed it.
    crashes: Field<CrashesSpec>,
    /// Failed requests, of the new version beside the stable one.
    errors: Field<ErrorsSpec>,
    /// New instances that pass their health check.
    healthy_ratio: Field<HealthyRatioSpec>,
    /// Slow requests, of the new version beside the stable one.
    latency: Field<LatencySpec>,
    /// A number that a metrics server knows.
    metric: Field<MetricSpec>,
    /// What users were promised of the service, whichever version answers.
    slo: Field<SloSpec>,
    /// Somebody outside who is asked.
    webhook: Field<WebhookSpec>,
}

/// New instances that stopped passing their health check.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct CrashesSpec {
    /// So many are tolerated; none unless given.
    at_most: Field<u32>,
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
    /// HTTP status codes that are failures, like `[5xx, 429]`; `[5xx]` unless given.
    #[schemars(with = "Vec<CodeText>")]
    codes: Field<Vec<Field<CodeRange>>>,
    /// gRPC statuses that are failures; `[unknown, deadline-exceeded, unimplemented, internal, unavailable,
    /// data-loss]` unless given.
    #[schemars(with = "Vec<CodeText>")]
    grpc: Field<Vec<Field<GrpcCode>>>,
    /// Its part of the gate's false alarms, beside those of the other comparisons; 50% unless given.
    #[schemars(with = "ShareText")]
    weight: Field<Share>,
}

/// New instances that pass their health check.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct HealthyRatioSpec {
    /// Of all new instances, at least so many; 90% unless given.
    #[schemars(with = "ShareText")]
    at_least: Field<Share>,
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
    /// Smaller differences of the share of slow requests do not count; 0.1% unless given.
    #[schemars(with = "ShareText")]
    min_effect: Field<Share>,
    /// Besides the quantiles: a request that takes longer than this is slow.
    #[schemars(with = "SpanText")]
    slower_than: Field<Span>,
    /// Its part of the gate's false alarms, beside those of the other comparisons; 30% unless given.
    #[schemars(with = "ShareText")]
    weight: Field<Share>,
}

/// What users were promised: `availability`, `latency`, or both.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct SloSpec {
    /// So many requests are answered without a failure, like `99.95%`.
    #[schemars(with = "ShareText")]
    availability: Field<Share>,
    /// HTTP status codes that are failures; `[5xx]` unless given.
    #[schemars(with = "Vec<CodeText>")]
    codes: Field<Vec<Field<CodeRange>>>,
    /// gRPC statuses that are failures; as of `errors` unless given.
    #[schemars(with = "Vec<CodeText>")]
    grpc: Field<Vec<Field<GrpcCode>>>,
    /// So many requests are answered in time.
    latency: Field<InTimeSpec>,
    /// How fast the budget may be used up, one or a list; `14.4x over 1h and 5m` and `6x over 6h and 30m` unless
    /// given.
    #[schemars(with = "Many<BurnText>")]
    burn: Field<Many<Burn>>,
}

/// So many requests are answered within some time.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct InTimeSpec {
    /// The time, like `300ms`.
    #[schemars(with = "SpanText")]
    within: Field<Span>,
    /// How many, like `99%`.
    #[schemars(with = "ShareText")]
    share: Field<Share>,
}

/// Reads a check; `None` once it was told what is wrong.
pub(super) fn read(spec: CheckSpec, at: Place, cx: &Context<'_>) -> Option<Check> {
    let given = [
        ("crashes", spec.crashes.key()),
        ("errors", spec.errors.key()),
        ("healthyRatio", spec.healthy_ratio.key()),
        ("latency", spec.latency.key()),
        ("metric", spec.metric.key()),
        ("slo", spec.slo.key()),
        ("webhook", spec.webhook.key()),
    ];
    let keys = given
        .into_iter()
        .filter_map(|(name, key)| Some((key?, name)));
    let mut keys: Vec<_> = keys.collect();
    keys.sort_unstable();
    match keys.as_slice() {
        [] => {
            let words = given.map(|(name, _)| format!("`{name}`")).join(", ");
            cx.sink
                .hinted(at, "a check needs its word", format!("one of {words}"));
            return None;
        }
        [_] => {}
        [(_, first), (second_at, second), ..] => {
            let message =
                format!("a check has one word, and both `{first}` and `{second}` are given");
            let hint = "give each an item of its own, beginning with `- `".to_owned();
            cx.sink.hinted(*second_at, message, hint);
            return None;
        }
    }
    if let Some(crashes) = spec.crashes.get() {
        let at_most = crashes.at_most.or(0);
        return Some(Check::Crashes { at_most });
    }
    if let Some(errors) = spec.errors.get() {
        return Some(read_errors(errors, cx));
    }
    if let Some(healthy) = spec.healthy_ratio.get() {
        return Some(read_healthy_ratio(healthy, cx));
    }
    if let Some(latency) = spec.latency.get() {
        return Some(read_latency(latency, cx));
    }
    let metric_at = spec.metric.at(at);
    if let Some(metric) = spec.metric.get() {
        return asked::metric(metric, metric_at, cx).map(Check::Metric);
    }
    let slo_at = spec.slo.at(at);
    if let Some(slo) = spec.slo.get() {
        return Some(read_slo(slo, slo_at, cx));
    }
    let webhook_at = spec.webhook.at(at);
    asked::webhook(spec.webhook.get()?, webhook_at, cx).map(Check::Webhook)
}

fn read_errors(spec: ErrorsSpec, cx: &Context<'_>) -> Check {
    Check::Errors {
        no_worse_than: spec.no_worse_than.or(Ratio(1.0)).0,
        min_effect: spec.min_effect.or(MIN_EFFECT),
        codes: read_codes(spec.codes, spec.grpc, cx),
        weight: read_weight(spec.weight, cx),
    }
}

fn read_codes(
    http: Field<Vec<Field<CodeRange>>>,
    grpc: Field<Vec<Field<GrpcCode>>>,
    cx: &Context<'_>,
) -> Codes {
    let (usual, at) = (Codes::default(), grpc.at(http.at(Place::START)));
    let codes = Codes {
        http: http.get().map_or(usual.http, listed),
        grpc: grpc.get().map_or(usual.grpc, listed),
    };
    if codes.http.is_empty() && codes.grpc.is_empty() {
        cx.sink
            .problem(at, "without any code nothing would be a failure");
    }
    codes
}

fn listed<T>(fields: Vec<Field<T>>) -> Vec<T> {
    fields.into_iter().filter_map(Field::get).collect()
}

fn read_weight(field: Field<Share>, cx: &Context<'_>) -> Option<Share> {
    let at = field.at(Place::START);
    let weight = field.get()?;
    if weight.millionths() == 0 {
        let hint = "leave the check out instead".to_owned();
        cx.sink.hinted(
            at,
            "a check without `weight` could never say anything",
            hint,
        );
    }
    Some(weight)
}

fn read_healthy_ratio(spec: HealthyRatioSpec, cx: &Context<'_>) -> Check {
    let at = spec.at_least.at(Place::START);
    let at_least = spec.at_least.or(Share::per_million(900_000));
    if at_least.millionths() == 0 {
        cx.sink.problem(at, "`atLeast` must be more than 0%");
    }
    Check::HealthyRatio { at_least }
}

fn read_latency(spec: LatencySpec, cx: &Context<'_>) -> Check {
    let at = spec.at.at(Place::START);
    let quantiles = match spec.at.get() {
        Some(given) => listed(given).into_iter().map(|q| q.0).collect(),
        None => vec![0.5, 0.9, 0.99],
    };
    if quantiles.is_empty() && !spec.slower_than.is_given() {
        cx.sink.problem(
            at,
            "`at` needs at least one quantile, unless `slowerThan` is given",
        );
    }
    let slower_than = spec.slower_than.is_given();
    let slower_than = slower_than.then(|| cx.span("slowerThan", spec.slower_than, Span::ZERO));
    Check::Latency {
        quantiles,
        no_worse_than: spec.no_worse_than.or(Ratio(SLOWER_TOLERATED)).0,
        min_effect: spec.min_effect.or(MIN_EFFECT),
        slower_than,
        weight: read_weight(spec.weight, cx),
    }
}

fn read_slo(spec: SloSpec, at: Place, cx: &Context<'_>) -> Check {
    if !spec.availability.is_given() && !spec.latency.is_given() {
        let hint = "write it like `slo: { availability: 99.95% }`".to_owned();
        cx.sink
            .hinted(at, "`slo` needs `availability` or `latency`", hint);
    }
    let latency_at = spec.latency.at(at);
    let latency = spec.latency.get().and_then(|it| {
        let share_at = it.share.at(latency_at);
        let is_given = it.within.is_given();
        let within = it.within.clone().required("within", latency_at, cx.sink);
        if is_given {
            cx.span("within", it.within, Span::ZERO);
        }
        let share = it.share.required("share", latency_at, cx.sink);
        let share = share.map(|share| promised("share", share, share_at, cx));
        Some(InTime {
            within: within?,
            share: share?,
        })
    });
    let availability_at = spec.availability.at(at);
    let availability = spec.availability.get();
    let availability = availability.map(|it| promised("availability", it, availability_at, cx));
    let burn_at = spec.burn.at(at);
    let burn = match spec.burn.get() {
        Some(Many(given)) => {
            if given.is_empty() {
                cx.sink.problem(burn_at, "`burn` needs at least one rate");
            }
            listed(given)
        }
        None => Burn::USUAL.to_vec(),
    };
    Check::Slo {
        availability,
        codes: read_codes(spec.codes, spec.grpc, cx),
        latency,
        burn,
    }
}

/// What leaves a budget, and some of it promised.
fn promised(name: &str, share: Share, at: Place, cx: &Context<'_>) -> Share {
    match share.millionths() {
        0 => cx
            .sink
            .problem(at, format!("`{name}` of 0% promises nothing")),
        1_000_000 => {
            let hint = "write it like `99.95%`".to_owned();
            let message = format!("`{name}` of 100% leaves no budget, so nothing could use it up");
            cx.sink.hinted(at, message, hint);
        }
        _ => {}
    }
    share
}

//! The checks of a gate that somebody outside is asked for: a metrics server, or any address.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::domain::{BadVariable, Metric, Span, Variable, Variables, Webhook};
use crate::spec::context::Context;
use crate::spec::field::Field;
use crate::spec::hooks::{self, SignSpec};
use crate::spec::problem::did_you_mean;
use crate::spec::source::Place;
use crate::spec::words::{Number, NumberText, SpanText};

/// How often somebody outside is asked, unless said otherwise.
const ASK_EVERY: Span = Span::secs(15);

/// More often than this nobody outside is asked.
const ASK_EVERY_MIN: Span = Span::secs(1);

/// How long a webhook may take unless said otherwise.
const WEBHOOK_TIMEOUT: Span = Span::secs(10);

/// Longest query in bytes.
const QUERY_BYTES_MAX: usize = 4096;

/// A number that a metrics server knows.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct MetricSpec {
    /// A PromQL query for one number. `$service`, `$version`, `$stable`, `$rollout` and `$wave` stand for what is
    /// rolled.
    prometheus: Field<String>,
    /// The number must be less than this.
    #[schemars(with = "NumberText")]
    below: Field<Number>,
    /// The number must be more than this.
    #[schemars(with = "NumberText")]
    above: Field<Number>,
    /// What people call it; the query unless given.
    name: Field<String>,
    /// How often it is asked for; 15s unless given.
    #[schemars(with = "SpanText")]
    every: Field<Span>,
    /// The URL of the Prometheus server; `prometheus` of the control plane's own file unless given.
    server: Field<String>,
}

/// Somebody outside who is asked.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct WebhookSpec {
    /// A URL that gets a JSON object. An answer of 2xx is good, unless its `verdict` is `worse` or `unsure`.
    post: Field<String>,
    /// Headers to send along.
    headers: Field<BTreeMap<String, String>>,
    /// Where the key is kept by which the body is signed.
    sign: Field<SignSpec>,
    /// It gave no answer when this is over; 10s unless given.
    #[schemars(with = "SpanText")]
    timeout: Field<Span>,
    /// What people call it; the host unless given.
    name: Field<String>,
    /// How often it is asked; 15s unless given.
    #[schemars(with = "SpanText")]
    every: Field<Span>,
}

/// Reads what a metrics server is asked; `None` once it was told what is missing.
pub(super) fn metric(spec: MetricSpec, at: Place, cx: &Context<'_>) -> Option<Metric> {
    let query_at = spec.prometheus.at(at);
    let query = spec.prometheus.required("prometheus", at, cx.sink);
    if let Some(query) = &query {
        check_query(query, query_at, cx);
    }
    let above_at = spec.above.at(at);
    let (below, above) = (spec.below.clone().get(), spec.above.clone().get());
    if !spec.below.is_given() && !spec.above.is_given() {
        let hint = "write it like `below: 5`".to_owned();
        cx.sink
            .hinted(at, "`metric` needs `below` or `above`", hint);
    }
    if let (Some(below), Some(above)) = (below, above)
        && above.0 >= below.0
    {
        let message = "no number is both above `above` and below `below`";
        cx.sink.problem(above_at, message);
    }
    let server_at = spec.server.at(at);
    let server = spec.server.get();
    if let Some(server) = &server {
        cx.http_url(server, server_at, "http://prometheus:9090");
    }
    Some(Metric {
        name: spec.name.get().filter(|name| !name.is_empty()),
        prometheus: query?,
        below: below.map(|number| number.0),
        above: above.map(|number| number.0),
        every: read_every(spec.every, cx),
        server,
    })
}

fn check_query(query: &str, at: Place, cx: &Context<'_>) {
    if query.trim().is_empty() || query.len() > QUERY_BYTES_MAX {
        let message = format!("a query has from 1 to {QUERY_BYTES_MAX} bytes");
        cx.sink.problem(at, message);
    }
    for problem in Variables::problems(query) {
        match problem {
            BadVariable::Unknown(name) => {
                let known = Variable::ALL.map(|it| it.to_string());
                let meant = did_you_mean(&name, known.iter().map(String::as_str));
                let hint = meant.unwrap_or_else(|| format!("it may be {}", known.join(", ")));
                let message = format!("there is no variable `{name}`");
                cx.sink.hinted(at, message, hint);
            }
            BadVariable::Unquoted(name) => {
                let message = format!("`{name}` must stand within `\"` or `'`");
                let hint = format!("write it like `{{region=\"{name}\"}}`");
                cx.sink.hinted(at, message, hint);
            }
        }
    }
}

fn read_every(field: Field<Span>, cx: &Context<'_>) -> Span {
    let at = field.at(Place::START);
    let every = field.or(ASK_EVERY);
    if every < ASK_EVERY_MIN {
        let message = format!("`every` must be at least {ASK_EVERY_MIN}");
        cx.sink.problem(at, message);
    }
    every
}

/// Reads who else is asked; `None` once it was told what is missing.
pub(super) fn webhook(spec: WebhookSpec, at: Place, cx: &Context<'_>) -> Option<Webhook> {
    let call = hooks::post(
        spec.post,
        spec.headers,
        spec.sign,
        cx.span("timeout", spec.timeout, WEBHOOK_TIMEOUT),
        at,
        cx,
    );
    let every = read_every(spec.every, cx);
    let call = call?;
    let name = spec.name.get().filter(|name| !name.is_empty());
    Some(Webhook {
        name: name.unwrap_or_else(|| call.whom().to_owned()),
        call,
        every,
    })
}

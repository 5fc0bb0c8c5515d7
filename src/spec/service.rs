//! Service documents.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::context::Context;
use super::decode::decode;
use super::envoy::{self, ServiceEnvoy};
use super::field::{Field, Ignored};
use super::problem::suggestion;
use super::rollout::{RolloutSpec, read_run, run_schema};
use super::sessions::{self, SessionsSpec};
use super::source::Place;
use super::tree::Node;
use super::words::{CapacityText, SpanText, VersionText};
use crate::domain::{
    AliasName, Delivery, Drain, HealthCheck, InstanceSource, LostProxies, Probe, Protocol, Rps,
    Service, ServiceName, Span, ThenDo, UpstreamTls, VersionLabel, VersionName,
};

mod listed;

use listed::Addresses;

/// What callers call: where its instances come from, how they are checked, how they drain.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ServiceSpec {
    /// Where instances come from.
    instances: Field<InstancesSpec>,
    /// What the instances speak; `http1` unless given.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["http1", "http2", "grpc", "tcp"]))]
    protocol: Field<Protocol>,
    /// How an instance proves that it is alive; a TCP connection every 2s unless given.
    #[serde(default)]
    health: Field<HealthSpec>,
    /// What one instance carries, as `60rps`, or `auto` for what it has been seen to carry; all instances
    /// count as equal unless given.
    #[serde(default)]
    #[schemars(with = "CapacityText")]
    capacity: Field<String>,
    /// An instance must be healthy this long before it gets traffic; 5s unless given.
    #[serde(default)]
    #[schemars(with = "SpanText")]
    min_ready: Field<Span>,
    /// So many instances must serve in a zone, besides the one that a rolling replacement takes out there; no floor
    /// unless given.
    #[serde(default)]
    min_per_zone: Field<u32>,
    /// How long Envoy ramps a new instance up; 0s unless given.
    #[serde(default)]
    #[schemars(with = "SpanText")]
    warm_up: Field<Span>,
    /// How an instance is taken out.
    #[serde(default)]
    drain: Field<DrainSpec>,
    /// How Envoys are told the endpoints: `together` unless given, or `oneByOne` for services with
    /// thousands of them.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["together", "oneByOne"]))]
    endpoints: Field<Delivery>,
    /// Who is believed to be a host with an `https://` address.
    #[serde(default)]
    tls: Field<TlsSpec>,
    /// Names under which callers get weights of their own, each with the version that it begins with, and
    /// rolled by itself, as `thumbnail@live`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, VersionText>")]
    aliases: Field<BTreeMap<String, Field<VersionName>>>,
    /// Envoy settings of your own.
    #[serde(default)]
    envoy: Field<ServiceEnvoy>,
    /// What policies may know it by.
    #[serde(default)]
    labels: Field<BTreeMap<String, String>>,
    /// How clients keep the version that they began with; by the shares alone unless given.
    #[serde(default)]
    sessions: Field<SessionsSpec>,
    /// The version that it is to run. Another one starts a rollout.
    #[serde(default)]
    #[schemars(with = "VersionText")]
    run: Field<VersionName>,
    /// With `run`: how it gets there, as in a Rollout but for `service` and `to`.
    #[serde(default)]
    #[schemars(schema_with = "run_schema")]
    rollout: Field<RolloutSpec>,
}

/// Where a service's instances come from.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InstancesSpec {
    /// `api`: leases kept alive by whoever starts instances; `file`: a watched file. Not with `versions`.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = SOURCES))]
    from: Field<String>,
    /// In place of `from`: where each version answers, as a list of addresses or as the URL of a host.
    #[serde(default)]
    versions: Field<BTreeMap<String, Field<Addresses>>>,
    /// The file that lists them, relative to the documents' directory; with `from: file`.
    #[serde(default)]
    file: Field<String>,
    /// Labels that an instance must carry to belong to this service.
    #[serde(default, rename = "match")]
    matches: Field<BTreeMap<String, String>>,
    /// The label that names an instance's version, as `tag.NAME`; `tag.version` unless given.
    #[serde(default)]
    version: Field<String>,
}

/// Who is believed to be a host that is spoken to by TLS.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct TlsSpec {
    /// A PEM file of certificate authorities on the machine of each proxy and on Tidegate's own;
    /// `/etc/ssl/certs/ca-certificates.crt` unless given.
    ca: Field<String>,
}

/// How health is checked; at most one of `http`, `tcp` and `grpc`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct HealthSpec {
    /// `GET` this path; 200 is healthy.
    http: Field<String>,
    /// `true`: an accepted connection is healthy. This holds unless another probe is given.
    tcp: Field<bool>,
    /// Ask `grpc.health.v1.Health` about this service; empty for the whole server.
    grpc: Field<String>,
    /// How often; 2s unless given.
    #[schemars(with = "SpanText")]
    interval: Field<Span>,
    /// How long an answer may take; 1s unless given.
    #[schemars(with = "SpanText")]
    timeout: Field<Span>,
    /// So many good answers in a row make an instance healthy; 2 unless given.
    healthy_after: Field<u32>,
    /// So many bad answers in a row make it unhealthy; 3 unless given.
    unhealthy_after: Field<u32>,
}

/// How an instance is taken out of service.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct DrainSpec {
    /// `idle`: until all proxies have proven that no request is in progress.
    until: Field<Until>,
    /// Then it is released without proof, and the record says so; 5m unless given.
    #[schemars(with = "SpanText")]
    at_most: Field<Span>,
    /// What to do about proxies that are gone and so can prove nothing.
    lost_proxies: Field<LostProxiesSpec>,
    #[schemars(skip)]
    let_sessions_finish: Field<Ignored>,
}

/// The only proof there is.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Until {
    Idle,
}

/// The policy for proxies that are gone.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct LostProxiesSpec {
    /// Wait this long for a proxy to come back; 60s unless given.
    #[schemars(with = "SpanText")]
    wait: Field<Span>,
    /// `pause` the rollout, or `ignore` what the proxy cannot prove; `pause` unless given.
    #[schemars(with = "String", extend("enum" = ["pause", "ignore"]))]
    then: Field<ThenDo>,
}

/// A service and the names under which it is called besides.
pub(super) struct Declared {
    pub(super) service: Service,
    pub(super) aliases: Vec<(Service, Place)>,
}

/// Reads the spec of a service; `None` once it was told what is missing.
pub(super) fn read(
    name: Option<ServiceName>,
    spec: &Node,
    at: Place,
    cx: &Context<'_>,
) -> Option<Declared> {
    let node = spec;
    let spec: ServiceSpec = decode(node, cx.sink)?;
    let instances_at = spec.instances.key().unwrap_or(at);
    let instances = spec.instances.required("instances", at, cx.sink);
    let matches = instances
        .as_ref()
        .and_then(|i| i.matches.clone().get())
        .unwrap_or_default();
    let from = instances.map(|i| {
        (
            version_label(&i, instances_at, cx),
            source(i, instances_at, cx),
        )
    });
    let health_at = spec.health.key().unwrap_or(at);
    let health = health(spec.health.or(HealthSpec::default()), health_at, cx);
    let (capacity, measured) = capacity(spec.capacity, cx);
    let drain = drain(spec.drain.or(DrainSpec::default()), cx);
    let overlay = envoy::read(spec.envoy, Some(node), None, cx);
    let runs = spec.run.is_given() || spec.rollout.is_given();
    let run = runs.then(|| read_run(name.clone(), spec.run, spec.rollout, at, cx));
    let tls = tls(spec.tls, cx);
    let protocol = spec.protocol.or(Protocol::Http1);
    let sessions = sessions::read(spec.sessions, protocol, cx);
    // Only here, after everything was looked at, may what is missing end it.
    let (version_label, source) = from?;
    let service = Service {
        name: name?,
        labels: spec.labels.or(BTreeMap::new()),
        source: source?,
        matches,
        version_label: version_label?,
        protocol,
        health,
        capacity,
        measured,
        min_ready: spec.min_ready.or(Span::secs(5)),
        min_per_zone: spec.min_per_zone.or(0),
        warm_up: spec.warm_up.or(Span::ZERO),
        sessions,
        drain,
        delivery: spec.endpoints.or(Delivery::Together),
        tls,
        overlay,
        run: run.flatten().map(Box::new),
        first: None,
    };
    let aliases = aliases(&service, spec.aliases, at, cx);
    Some(Declared { service, aliases })
}

fn aliases(
    service: &Service,
    field: Field<BTreeMap<String, Field<VersionName>>>,
    at: Place,
    cx: &Context<'_>,
) -> Vec<(Service, Place)> {
    let of_alias = |(alias, field): (String, Field<VersionName>)| {
        let place = field.key().unwrap_or(at);
        let (alias, first) = (cx.parse::<AliasName>(&alias, place)?, field.get()?);
        let aliased = service.under(&alias, first);
        let aliased = aliased.map_err(|error| cx.sink.problem(place, error.to_string()));
        Some((aliased.ok()?, place))
    };
    let given = field.or(BTreeMap::new()).into_iter();
    given.filter_map(of_alias).collect()
}

fn tls(field: Field<TlsSpec>, cx: &Context<'_>) -> UpstreamTls {
    let spec = field.or(TlsSpec::default());
    let at = spec.ca.at(Place::START);
    let ca = spec.ca.or(UpstreamTls::SYSTEM_CA.to_owned());
    if !ca.starts_with('/') {
        let hint = "proxies read it, on their own machines".to_owned();
        let message = format!("`{ca}` is no absolute path");
        cx.sink.hinted(at, message, hint);
    }
    UpstreamTls { ca }
}

fn source(spec: InstancesSpec, at: Place, cx: &Context<'_>) -> Option<InstanceSource> {
    if spec.versions.is_given() {
        for (word, key) in [
            ("from", spec.from.key()),
            ("file", spec.file.key()),
            ("match", spec.matches.key()),
            ("version", spec.version.key()),
        ] {
            if let Some(key) = key {
                let hint = "the list says all: remove one of them".to_owned();
                let message = format!("`{word}` does not go with `versions`");
                cx.sink.hinted(key, message, hint);
            }
        }
        return listed::read(spec.versions, at, cx);
    }
    let from_at = spec.from.at(at);
    match spec.from.required("from", at, cx.sink)?.as_str() {
        "api" => {
            if let Some(key) = spec.file.key() {
                let hint = "write `from: file`".to_owned();
                cx.sink.hinted(key, "`file` goes with `from: file`", hint);
            }
            Some(InstanceSource::Api)
        }
        "file" => {
            let path_at = spec.file.at(at);
            let path = spec.file.required("file", at, cx.sink)?;
            if path.is_empty() {
                cx.sink.problem(path_at, "`file` must name a file");
            }
            Some(InstanceSource::File { path })
        }
        later @ ("dns" | "kubernetes" | "consul") => {
            let message = format!("not supported yet: instances from `{later}`");
            cx.sink.hinted(
                from_at,
                message,
                "use `from: api` or `from: file`".to_owned(),
            );
            None
        }
        word => {
            let hint = suggestion(word, SOURCES.iter().copied());
            cx.sink
                .hinted(from_at, format!("unknown value `{word}`"), hint);
            None
        }
    }
}

fn version_label(spec: &InstancesSpec, at: Place, cx: &Context<'_>) -> Option<VersionLabel> {
    let place = spec.version.at(at);
    let Field::Given { value, .. } = &spec.version else {
        return Some(VersionLabel(DEFAULT_LABEL.to_owned()));
    };
    let text = value.as_ref()?;
    let label = text
        .strip_prefix("tag.")
        .or_else(|| text.strip_prefix("label."));
    let label = label.filter(|label| !label.is_empty());
    if label.is_none() {
        let message = format!("`{text}` does not say which label names the version");
        cx.sink
            .hinted(place, message, format!("write `tag.{DEFAULT_LABEL}`"));
    }
    label.map(|label| VersionLabel(label.to_owned()))
}

fn health(spec: HealthSpec, at: Place, cx: &Context<'_>) -> HealthCheck {
    let probes = [spec.http.key(), spec.tcp.key(), spec.grpc.key()];
    let mut given = probes.into_iter().flatten().collect::<Vec<_>>();
    given.sort_unstable();
    if let Some(second) = given.get(1) {
        cx.sink.problem(
            *second,
            "a health check has one probe: `http`, `tcp` or `grpc`",
        );
    }
    let (http_at, tcp_at) = (spec.http.at(at), spec.tcp.at(at));
    let probe = match (spec.http.get(), spec.grpc.get()) {
        (Some(path), _) => {
            if !path.starts_with('/') {
                let hint = format!("write `/{path}`");
                cx.sink.hinted(
                    http_at,
                    format!("the path `{path}` must begin with `/`"),
                    hint,
                );
            }
            Probe::Http { path }
        }
        (None, Some(service)) => Probe::Grpc { service },
        (None, None) => Probe::Tcp,
    };
    if spec.tcp.get() == Some(false) {
        let hint = "leave it out, or give `http` or `grpc`".to_owned();
        cx.sink.hinted(
            tcp_at,
            "`tcp` can only be `true`: health is always checked",
            hint,
        );
    }
    HealthCheck {
        probe,
        interval: cx.span("interval", spec.interval, Span::secs(2)),
        timeout: cx.span("timeout", spec.timeout, Span::secs(1)),
        healthy_after: cx.count("healthyAfter", spec.healthy_after, 2),
        unhealthy_after: cx.count("unhealthyAfter", spec.unhealthy_after, 3),
    }
}

/// What one instance carries, and whether that is to be measured.
fn capacity(field: Field<String>, cx: &Context<'_>) -> (Option<Rps>, bool) {
    let at = field.at(Place::START);
    match field.get().as_deref() {
        None => (None, false),
        Some(AUTO) => (None, true),
        Some(text) => (cx.parse(text, at), false),
    }
}

fn drain(spec: DrainSpec, cx: &Context<'_>) -> Drain {
    cx.unsupported(&[("letSessionsFinish", &spec.let_sessions_finish)]);
    // There is one way yet, so it is enough that the word was understood.
    let (Some(Until::Idle) | None) = spec.until.get();
    let lost = spec.lost_proxies.or(LostProxiesSpec::default());
    Drain {
        at_most: cx.span("atMost", spec.at_most, Span::secs(300)),
        lost_proxies: LostProxies {
            wait: lost.wait.or(Span::secs(60)),
            then: lost.then.or(ThenDo::Pause),
        },
    }
}

/// The capacity that is measured.
const AUTO: &str = "auto";

/// The label that names the version unless said otherwise.
const DEFAULT_LABEL: &str = "version";

/// Where instances may come from.
const SOURCES: [&str; 2] = ["api", "file"];

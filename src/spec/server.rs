//! The server's own file, `tidegate serve -c tidegate.yaml`: one mapping, read once, at the start.
//!
//! In goes its text; out comes a [`Server`] in which whatever was not said has its default, or a
//! [`Refusal`] with everything that is wrong. Each field's words here are its row in `docs/server.md`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::FILE_BYTES_MAX;
use super::context::Context;
use super::decode::decode;
use super::field::Field;
use super::problem::{Refusal, Sink};
use super::source::{Place, Source};
use super::tree;
use super::words::{SizeText, SizeWord, SpanText};
use crate::domain::{Lifetimes, Limits, Retention, Span, TlsFiles};
use crate::peer::{Pattern, Policy, Rule, San};

/// What a server is set to by its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Where proxies connect.
    pub listen_xds: Option<SocketAddr>,
    /// Where the API is.
    pub listen_api: Option<SocketAddr>,
    /// May others than this host connect without encryption?
    pub insecure: bool,
    /// Where the journal is kept.
    pub data: Option<PathBuf>,
    /// The directory of documents.
    pub documents: Option<PathBuf>,
    /// The directory of secrets for proxies.
    pub secrets: Option<PathBuf>,
    /// The certificates of the port for proxies; without them it is plaintext.
    pub tls: Option<TlsFiles>,
    /// Which certificates speak for which nodes; there is a rule whenever there is TLS.
    pub identity: Policy,
    /// The URL of the metrics server that gates ask.
    pub prometheus: Option<String>,
    /// A file with a token for it.
    pub prometheus_token: Option<PathBuf>,
    /// How long connections live.
    pub lifetimes: Lifetimes,
    /// What is too much.
    pub limits: Limits,
    /// How long the journal keeps what.
    pub journal: Retention,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct ServerSpec {
    /// Where the server listens.
    listen: Field<ListenSpec>,
    /// `true`: also addresses beyond this host may be without encryption, and without asking who
    /// connects. `false` unless given.
    insecure: Field<bool>,
    /// The directory of the journal; `tidegate-data` in the working directory unless given.
    data: Field<String>,
    /// A directory of documents, watched.
    documents: Field<String>,
    /// A directory of certificates and CAs for proxies to use, watched; each in a subdirectory.
    secrets: Field<String>,
    /// Certificates for the port for proxies, in PEM files that are read again when they change.
    tls: Field<TlsSpec>,
    /// Which certificates may speak for which nodes; one rule that fits is enough.
    identity: Field<Vec<Field<RuleSpec>>>,
    /// The URL of the Prometheus server that gates ask where they name none, like `http://prometheus:9090`.
    prometheus: Field<String>,
    /// A file with a bearer token for that server, read anew for each query.
    prometheus_token: Field<String>,
    /// How long connections of proxies live.
    connections: Field<ConnectionsSpec>,
    /// What is too much.
    limits: Field<LimitsSpec>,
    /// How long the journal keeps what; docs/the-journal.md says more.
    journal: Field<JournalSpec>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ListenSpec {
    /// IP and port where proxies connect; `127.0.0.1:18000` unless given.
    #[schemars(with = "String")]
    xds: Field<SocketAddr>,
    /// IP and port of the REST API, health and metrics; `127.0.0.1:18080` unless given.
    #[schemars(with = "String")]
    api: Field<SocketAddr>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TlsSpec {
    /// The server's certificate and those between it and its CA.
    certificate: Field<String>,
    /// The server's private key.
    key: Field<String>,
    /// The CAs of the proxies' certificates; who has none of theirs is not let in.
    client_ca: Field<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RuleSpec {
    /// The SPIFFE id that a certificate must have; `{node}` and `{cluster}` stand for what is
    /// claimed, `*` for a part of a segment, `**` for any segments.
    spiffe: Field<String>,
    /// Or the DNS name that it must have, with the same placeholders; segments end at dots.
    dns: Field<String>,
    /// The node ids that it may speak for, where the name has no `{node}`; `*` for any.
    node: Field<String>,
    /// The node clusters that it may speak for, where the name has no `{cluster}`; `*` for any.
    cluster: Field<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct ConnectionsSpec {
    /// Age at which a connection is ended, so that proxies spread over replicas again; 10h unless
    /// given.
    #[schemars(with = "SpanText")]
    age_max: Field<Span>,
    /// Each connection gets up to so much more; 2h unless given.
    #[schemars(with = "SpanText")]
    age_jitter: Field<Span>,
    /// From the polite end of a connection (GOAWAY, its streams end) to its hard one; 5s unless given.
    #[schemars(with = "SpanText")]
    grace: Field<Span>,
    /// On shutdown, connections end at random moments within this window; 10s unless given.
    #[schemars(with = "SpanText")]
    drain_window: Field<Span>,
    /// How often a connection is pinged; 30s unless given.
    #[schemars(with = "SpanText")]
    keepalive_interval: Field<Span>,
    /// Without an answer to a ping for this long, the peer is gone; 10s unless given.
    #[schemars(with = "SpanText")]
    keepalive_timeout: Field<Span>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct LimitsSpec {
    /// Open connections; 20000 unless given. A further one is closed and counted.
    connections: Field<u32>,
    /// TLS handshakes at one time; 256 unless given. Others wait.
    handshakes: Field<u32>,
    /// How long a TLS handshake may take; 10s unless given.
    #[schemars(with = "SpanText")]
    handshake_time: Field<Span>,
    /// How long the first request of a connection, and that of a stream, is awaited; 15s unless given.
    #[schemars(with = "SpanText")]
    first_request_time: Field<Span>,
    /// Open discovery streams; 50000 unless given.
    streams: Field<u32>,
    /// Open discovery streams of one node id; 2000 unless given.
    streams_per_node: Field<u32>,
    /// Size of one request; 32MiB unless given.
    #[schemars(with = "SizeText")]
    request_size: Field<SizeWord>,
    /// What is kept of one node: its metadata, cluster, locality and agent; 64KiB unless given.
    #[schemars(with = "SizeText")]
    node_size: Field<SizeWord>,
    /// Names of one type on one stream; 50000 unless given.
    names_per_type: Field<u32>,
    /// How long a response may wait for its ACK or NACK; 60s unless given. Then its stream ends.
    #[schemars(with = "SpanText")]
    ack_time: Field<Span>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct JournalSpec {
    /// How long each entry is kept at least, and an ended rollout listed; 90d unless given. What belongs
    /// to a rollout that has not ended is kept longer.
    #[schemars(with = "SpanText")]
    retention: Field<Span>,
    /// Entries from one checkpoint to the next; 10000 unless given. A start reads the newest checkpoint
    /// and the entries after it.
    checkpoint_every: Field<u32>,
    /// Size of the journal beyond which the log warns, once an hour; 1GiB unless given. Nothing is
    /// deleted for it.
    #[schemars(with = "SizeText")]
    size_warning: Field<SizeWord>,
}

/// Reads a server's file. Paths in it are relative to `directory`, where it is.
pub fn load_server(source: &Source, directory: &Path) -> Result<Server, Refusal> {
    let sink = Sink::of_server(&source.name);
    let server = if source.text.len() > FILE_BYTES_MAX {
        sink.problem(
            Place::START,
            format!("a file may have at most {FILE_BYTES_MAX} bytes"),
        );
        None
    } else {
        read(&source.text, directory, &sink)
    };
    match (sink.into_parts(), server) {
        ((problems, _), Some(server)) if problems.is_empty() => Ok(server),
        ((problems, _), _) => Err(Refusal::new(problems, std::slice::from_ref(source))),
    }
}

fn read(text: &str, directory: &Path, sink: &Sink) -> Option<Server> {
    let trees = tree::parse(text, sink);
    if let Some(second) = trees.get(1) {
        sink.problem(second.root.place, "a server's file is one YAML document");
    }
    let Some(tree) = trees.first() else {
        // Empty, or told to be no YAML.
        return Some(Server::default());
    };
    let spec: ServerSpec = decode(&tree.root, sink)?;
    let cx = Context::new(sink, |_, _| Vec::new());
    let root = tree.root.place;
    let path = |text: String| directory.join(text);
    let (tls_at, identity_at) = (spec.tls.key(), spec.identity.key());
    let tls = spec
        .tls
        .get()
        .and_then(|tls| tls_files(tls, tls_at.unwrap_or(root), directory, sink));
    let identity = identity(spec.identity, root, &cx);
    match (tls_at, identity_at) {
        (Some(at), None) => sink.hinted(
            at,
            "with `tls`, `identity` must say which certificates may speak for which nodes",
            IDENTITY_HINT.to_owned(),
        ),
        (None, Some(at)) => sink.hinted(
            at,
            "without `tls` nobody shows a certificate, so `identity` has nothing to go by",
            "give `tls` too, or remove `identity`".to_owned(),
        ),
        _ => {}
    }
    let prometheus_at = spec.prometheus.at(root);
    let prometheus = spec.prometheus.get();
    if let Some(url) = &prometheus {
        cx.http_url(url, prometheus_at, "http://prometheus:9090");
    }
    if let Some(key) = spec.prometheus_token.key().filter(|_| prometheus.is_none()) {
        sink.problem(key, "`prometheusToken` goes with `prometheus`");
    }
    let listen = spec.listen.or(ListenSpec::default());
    Some(Server {
        listen_xds: listen.xds.get(),
        listen_api: listen.api.get(),
        insecure: spec.insecure.or(false),
        data: spec.data.get().map(path),
        documents: spec.documents.get().map(path),
        secrets: spec.secrets.get().map(path),
        tls,
        identity,
        prometheus,
        prometheus_token: spec.prometheus_token.get().map(path),
        lifetimes: lifetimes(spec.connections.or(ConnectionsSpec::default()), &cx),
        limits: limits(spec.limits.or(LimitsSpec::default()), &cx),
        journal: retention(spec.journal.or(JournalSpec::default()), &cx),
    })
}

/// A rule to begin with.
const IDENTITY_HINT: &str =
    "for example `identity: [{ spiffe: \"spiffe://example.org/edge/{node}\", cluster: edge }]`";

fn tls_files(spec: TlsSpec, at: Place, directory: &Path, sink: &Sink) -> Option<TlsFiles> {
    let path = |field: Field<String>, name| {
        let given = field.required(name, at, sink)?;
        Some(directory.join(given))
    };
    let certificate = path(spec.certificate, "certificate");
    let key = path(spec.key, "key");
    let client_ca = path(spec.client_ca, "clientCa");
    Some(TlsFiles {
        certificate: certificate?,
        key: key?,
        client_ca: client_ca?,
    })
}

fn identity(given: Field<Vec<Field<RuleSpec>>>, root: Place, cx: &Context<'_>) -> Policy {
    let at = given.key().unwrap_or(root);
    let is_given = given.is_given();
    let fields = given.or(Vec::new());
    if is_given && fields.is_empty() {
        cx.sink.hinted(
            at,
            "without a rule nobody is let in",
            IDENTITY_HINT.to_owned(),
        );
    }
    let rules = fields.into_iter().filter_map(|field| {
        let place = field.at(at);
        rule(field.get()?, place, cx)
    });
    Policy {
        rules: rules.collect(),
    }
}

/// Each rule says both which nodes and which clusters, so that none lets in more than it seems to.
fn rule(spec: RuleSpec, at: Place, cx: &Context<'_>) -> Option<Rule> {
    let pattern = |field: Field<String>| -> Option<Pattern> {
        let place = field.at(at);
        cx.parse(&field.get()?, place)
    };
    let both = spec.spiffe.is_given() == spec.dns.is_given();
    if both {
        cx.sink
            .problem(at, "a rule has one of `spiffe` and `dns`, and not both");
    }
    let (node_given, cluster_given) = (spec.node.is_given(), spec.cluster.is_given());
    let (node, cluster) = (pattern(spec.node), pattern(spec.cluster));
    let spiffe_at = spec.spiffe.at(at);
    let san = match (pattern(spec.spiffe), pattern(spec.dns)) {
        (Some(pattern), _) => San::Spiffe(pattern),
        (None, Some(pattern)) => San::Dns(pattern),
        (None, None) => return None,
    };
    if let San::Spiffe(pattern) = &san
        && !pattern.to_string().starts_with("spiffe://")
    {
        let message = format!("`{pattern}` is no pattern of SPIFFE ids");
        let hint = "a SPIFFE id begins with `spiffe://`".to_owned();
        cx.sink.hinted(spiffe_at, message, hint);
    }
    for (what, is_said) in [
        ("node", node_given || san.pattern().names_node()),
        ("cluster", cluster_given || san.pattern().names_cluster()),
    ] {
        if !is_said {
            let hint = format!(
                "write `{{{what}}}` where the {what} stands in the name, or add `{what}: …`; `{what}: \"*\"` is any"
            );
            cx.sink
                .hinted(at, format!("the rule does not say which {what}s"), hint);
        }
    }
    (!both).then_some(Rule { san, node, cluster })
}

fn lifetimes(spec: ConnectionsSpec, cx: &Context<'_>) -> Lifetimes {
    let default = Lifetimes::default();
    Lifetimes {
        age_max: cx.span("ageMax", spec.age_max, default.age_max),
        age_jitter: spec.age_jitter.or(default.age_jitter),
        grace: spec.grace.or(default.grace),
        drain_window: spec.drain_window.or(default.drain_window),
        keepalive_interval: cx.span(
            "keepaliveInterval",
            spec.keepalive_interval,
            default.keepalive_interval,
        ),
        keepalive_timeout: cx.span(
            "keepaliveTimeout",
            spec.keepalive_timeout,
            default.keepalive_timeout,
        ),
    }
}

fn retention(spec: JournalSpec, cx: &Context<'_>) -> Retention {
    let default = Retention::default();
    let every = u32::try_from(default.checkpoint_every).unwrap_or(u32::MAX);
    Retention {
        kept: cx.span("retention", spec.retention, default.kept),
        checkpoint_every: cx
            .count("checkpointEvery", spec.checkpoint_every, every)
            .into(),
        size_warning: match spec.size_warning.get() {
            Some(SizeWord(bytes)) => bytes as u64,
            None => default.size_warning,
        },
    }
}

fn limits(spec: LimitsSpec, cx: &Context<'_>) -> Limits {
    let default = Limits::default();
    let count = |name, field, default: usize| {
        let default = u32::try_from(default).unwrap_or(u32::MAX);
        cx.count(name, field, default) as usize
    };
    let size = |name, field: Field<SizeWord>, default: usize| {
        let at = field.at(Place::START);
        let SizeWord(bytes) = field.or(SizeWord(default));
        if bytes == 0 {
            cx.sink.problem(at, format!("`{name}` must be at least 1B"));
        }
        bytes
    };
    Limits {
        connections: count("connections", spec.connections, default.connections),
        handshakes: count("handshakes", spec.handshakes, default.handshakes),
        handshake_time: cx.span("handshakeTime", spec.handshake_time, default.handshake_time),
        first_request_time: cx.span(
            "firstRequestTime",
            spec.first_request_time,
            default.first_request_time,
        ),
        streams: count("streams", spec.streams, default.streams),
        streams_per_node: count(
            "streamsPerNode",
            spec.streams_per_node,
            default.streams_per_node,
        ),
        request_bytes: size("requestSize", spec.request_size, default.request_bytes),
        node_bytes: size("nodeSize", spec.node_size, default.node_bytes),
        names_per_type: count("namesPerType", spec.names_per_type, default.names_per_type),
        ack_time: cx.span("ackTime", spec.ack_time, default.ack_time),
    }
}

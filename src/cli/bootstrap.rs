//! `tidegate bootstrap`

use super::Context;
use super::failure::Failure;
use crate::domain::Span;
use crate::snapshot::{
    BootstrapOptions, Report, Secret, Shape, Variant, bootstrap, grpc_bootstrap, secret_file,
};

/// Print the bootstrap of an Envoy, or of a gRPC client, that a gateway selects
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Bootstrap {
    /// The proxy's id; each proxy has its own
    #[arg(long, default_value = "proxy-1", value_name = "ID")]
    node_id: String,
    /// What gateways select by `proxies: {cluster: …}`
    #[arg(long, value_name = "CLUSTER")]
    node_cluster: String,
    /// The proxy's region
    #[arg(long, default_value = "", hide_default_value = true)]
    region: String,
    /// The proxy's zone
    #[arg(long, default_value = "", hide_default_value = true)]
    zone: String,
    /// Where the control plane listens for proxies
    #[arg(long, default_value = "127.0.0.1:18000", value_name = "HOST:PORT", value_parser = host_and_port)]
    xds: (String, u16),
    /// Where the proxy's own admin interface listens
    #[arg(long, default_value = "127.0.0.1:9901", value_name = "HOST:PORT", value_parser = host_and_port)]
    admin: (String, u16),
    /// How often the proxy reports; a proof of drain takes about three times this
    #[arg(long, default_value = "500ms", value_name = "DURATION")]
    flush_interval: Span,
    /// A bound of an objective, at which the proxy tells faster answers from slower ones; repeatable
    #[arg(long = "latency-edge", value_name = "DURATION", value_parser = latency_edge)]
    latency_edges: Vec<Span>,
    /// State of the world in place of delta
    #[arg(long)]
    sotw: bool,
    /// The proxy has listeners of its own, and takes only clusters and what it names
    #[arg(long)]
    own_listeners: bool,
    /// How the proxy reports; by `lrs` where its metrics go elsewhere
    #[arg(long, default_value = "otlp", value_name = "HOW")]
    report: How,
    /// For a gRPC client without a proxy, that calls `xds:///SERVICE`
    #[arg(long, conflicts_with_all = ["admin", "flush_interval", "latency_edges", "sotw", "own_listeners", "report", "secret"])]
    grpc: bool,
    /// Connect with TLS, with the certificates in this directory: `tls.crt`, `tls.key` and `ca.crt`
    #[arg(long, value_name = "DIR")]
    tls: Option<String>,
    /// With `--tls`: print the file that names one of its secrets, to be put beside it in that directory
    #[arg(long, requires = "tls", value_enum, value_name = "SECRET")]
    secret: Option<SecretName>,
}

/// The secrets of a proxy with TLS; each has a file of its own.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SecretName {
    /// The CA of the control plane's certificate, for `ca.yaml`
    Ca,
    /// The proxy's own certificate, for `certificate.yaml`
    Certificate,
}

/// The two ways to report.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum How {
    Otlp,
    Lrs,
}

/// The longest latency edge.
const LATENCY_EDGE_MAX: Span = Span::secs(3600);

/// Shown below its `--help`.
const EXAMPLE: &str = "\
Examples:
  tidegate bootstrap --node-cluster web --node-id web-1 > envoy.yaml && envoy -c envoy.yaml
  tidegate bootstrap --node-cluster web --node-id api-1 --grpc > grpc.json
  GRPC_XDS_BOOTSTRAP=grpc.json python client.py

  With TLS, from a directory with tls.crt, tls.key and ca.crt:
  options='--node-cluster web --node-id web-1 --xds tidegate.internal:18000 --tls /etc/tidegate/tls'
  tidegate bootstrap $options > envoy.yaml
  tidegate bootstrap $options --secret certificate > /etc/tidegate/tls/certificate.yaml
  tidegate bootstrap $options --secret ca > /etc/tidegate/tls/ca.yaml";

impl Bootstrap {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        if let (Some(directory), Some(secret)) = (&self.tls, self.secret) {
            let secret = match secret {
                SecretName::Ca => Secret::Ca,
                SecretName::Certificate => Secret::Certificate,
            };
            let yaml = secret_file(directory, secret);
            return context.output.show(&yaml, Clone::clone);
        }
        let options = BootstrapOptions {
            node_id: self.node_id,
            node_cluster: self.node_cluster,
            region: self.region,
            zone: self.zone,
            xds_address: self.xds,
            admin_address: self.admin,
            variant: if self.sotw {
                Variant::Sotw
            } else {
                Variant::Delta
            },
            flush_interval: self.flush_interval,
            latency_edges: self.latency_edges,
            shape: if self.own_listeners {
                Shape::OwnListeners
            } else {
                Shape::Sidecar
            },
            report: match self.report {
                How::Otlp => Report::Otlp,
                How::Lrs => Report::Lrs,
            },
            tls: self.tls,
        };
        let text = if self.grpc {
            grpc_bootstrap(&options)
        } else {
            bootstrap(&options)
        };
        context.output.show(&text, Clone::clone)
    }
}

fn latency_edge(text: &str) -> Result<Span, String> {
    let edge: Span = text.parse().map_err(|error| format!("{error}"))?;
    let whole = Span::millis(u64::try_from(edge.duration().as_millis()).unwrap_or(u64::MAX));
    if whole == Span::ZERO || whole != edge || edge > LATENCY_EDGE_MAX {
        return Err(format!(
            "an edge is whole milliseconds, from 1 ms to {LATENCY_EDGE_MAX}, since Envoy counts so"
        ));
    }
    Ok(edge)
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let bad = || format!("`{text}` is no HOST:PORT");
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = port.parse().map_err(|_| bad())?;
    if host.is_empty() {
        Err(bad())
    } else {
        Ok((host.to_owned(), port))
    }
}

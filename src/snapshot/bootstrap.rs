//! The bootstrap of an Envoy that takes its configuration from Tidegate and reports back to it.
//!
//! In go who the proxy is and where Tidegate is; out comes a whole, commented YAML file. The same
//! text stands in `envoy-configs/`, where the tests start real Envoys from it. Likewise for a gRPC
//! client that does without an Envoy.

mod grpc;
mod report;
mod tls;

use std::fmt::Write;

use crate::domain::{REPORT_BY_LRS, REPORT_METADATA, Span};

pub use grpc::grpc_bootstrap;
pub use tls::{Secret, secret_file};

/// What differs from proxy to proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapOptions {
    /// `node.id`, unique in the fleet; also the name under which the proxy's metrics arrive.
    pub node_id: String,
    /// `node.cluster`, by which gateways select proxies.
    pub node_cluster: String,
    /// `node.locality.region`; empty if unknown.
    pub region: String,
    /// `node.locality.zone`; empty if unknown.
    pub zone: String,
    /// Tidegate's xDS address: host or IP, and port.
    pub xds_address: (String, u16),
    /// The proxy's own admin address: IP and port.
    pub admin_address: (String, u16),
    /// Which variant of the protocol it speaks.
    pub variant: Variant,
    /// How often it reports. A drain is proven by two reports, so this is the pace of a rollout.
    pub flush_interval: Span,
    /// Bounds of objectives, at which it tells faster answers from slower ones beside the edges that it has
    /// anyway.
    pub latency_edges: Vec<Span>,
    /// What it takes from Tidegate.
    pub shape: Shape,
    /// How it reports.
    pub report: Report,
    /// The directory of its certificates, if it connects with TLS.
    pub tls: Option<String>,
}

/// The variants of xDS. Delta is the better one: it sends only what has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// Incremental xDS.
    #[default]
    Delta,
    /// State of the world.
    Sotw,
}

/// What a proxy takes from Tidegate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// Listeners and all behind them.
    #[default]
    Sidecar,
    /// Clusters and endpoints, and the routes that the proxy's own listeners ask for.
    OwnListeners,
}

/// How a proxy reports what is in progress. One excludes the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Report {
    /// It pushes metrics: the better one, for it counts what waits for a connection as well.
    #[default]
    Otlp,
    /// By load reports, as often as the control plane asks for them.
    Lrs,
}

impl BootstrapOptions {
    /// A sidecar on the machine of its Tidegate, at the default ports.
    pub fn new(node_id: impl Into<String>, node_cluster: impl Into<String>) -> Self {
        Self {
            node_id: node_id.into(),
            node_cluster: node_cluster.into(),
            region: String::new(),
            zone: String::new(),
            xds_address: (LOOPBACK.to_owned(), XDS_PORT),
            admin_address: (LOOPBACK.to_owned(), ADMIN_PORT),
            variant: Variant::default(),
            flush_interval: FLUSH_INTERVAL,
            latency_edges: Vec::new(),
            shape: Shape::default(),
            report: Report::default(),
            tls: None,
        }
    }
}

const LOOPBACK: &str = "127.0.0.1";
const XDS_PORT: u16 = 18000;
const ADMIN_PORT: u16 = 9901;

/// Each report of an Envoy with 100 endpoints costs it about 0.5 % of one core at one per second.
const FLUSH_INTERVAL: Span = Span::millis(500);

/// The whole bootstrap, as YAML.
pub fn bootstrap(options: &BootstrapOptions) -> String {
    let mut yaml = String::new();
    yaml.push_str(&header(options));
    yaml.push_str(&node(options));
    yaml.push_str(&admin(options));
    yaml.push_str(&dynamic_resources(options));
    yaml.push_str(&static_resources(options));
    yaml.push_str(&match options.report {
        Report::Otlp => report::by_otlp(
            &options.node_id,
            options.flush_interval,
            &options.latency_edges,
        ),
        Report::Lrs => report::BY_LRS.to_owned(),
    });
    yaml
}

/// The command that prints the same again: what differs from the defaults, and who it is for.
fn header(options: &BootstrapOptions) -> String {
    let default = BootstrapOptions::new("", "");
    let address = |(host, port): &(String, u16)| format!("{host}:{port}");
    let mut flags = vec![
        ("node-id", options.node_id.clone()),
        ("node-cluster", options.node_cluster.clone()),
    ];
    if !options.region.is_empty() {
        flags.push(("region", options.region.clone()));
    }
    if !options.zone.is_empty() {
        flags.push(("zone", options.zone.clone()));
    }
    if options.xds_address != default.xds_address {
        flags.push(("xds", address(&options.xds_address)));
    }
    if options.admin_address != default.admin_address {
        flags.push(("admin", address(&options.admin_address)));
    }
    if options.flush_interval != default.flush_interval {
        let milliseconds = options.flush_interval.duration().as_millis();
        flags.push(("flush-interval", format!("{milliseconds}ms")));
    }
    for edge in &options.latency_edges {
        let milliseconds = edge.duration().as_millis();
        flags.push(("latency-edge", format!("{milliseconds}ms")));
    }
    if let Some(directory) = &options.tls {
        flags.push(("tls", directory.clone()));
    }
    let mut command = "tidegate bootstrap".to_owned();
    for (flag, value) in flags {
        // Writing to a String cannot fail.
        let _ = write!(command, " --{flag} {}", argument(&value));
    }
    if options.variant == Variant::Sotw {
        command.push_str(" --sotw");
    }
    if options.shape == Shape::OwnListeners {
        command.push_str(" --own-listeners");
    }
    if options.report == Report::Lrs {
        command.push_str(" --report lrs");
    }
    format!("# An Envoy that takes its configuration from Tidegate. Printed by:\n#   {command}\n\n")
}

/// A value on a command line, quoted unless plain; never more than one line.
fn argument(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:/@".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        quoted(value)
    }
}

fn node(options: &BootstrapOptions) -> String {
    let mut node = format!(
        "node:\n  id: {}\n  # Gateways select proxies by this, by locality or by metadata.\n  cluster: {}\n",
        quoted(&options.node_id),
        quoted(&options.node_cluster)
    );
    if !(options.region.is_empty() && options.zone.is_empty()) {
        let (region, zone) = (quoted(&options.region), quoted(&options.zone));
        let _ = writeln!(node, "  locality: {{ region: {region}, zone: {zone} }}");
    }
    if options.report == Report::Lrs {
        let _ = writeln!(
            node,
            "  # It is given clusters without statistics per endpoint, which it would refuse.\n  \
             metadata: {{ {REPORT_METADATA}: {REPORT_BY_LRS} }}"
        );
    }
    node
}

fn admin(options: &BootstrapOptions) -> String {
    let (host, port) = &options.admin_address;
    format!(
        "
admin:
  address:
    socket_address: {{ address: {}, port_value: {port} }}
",
        quoted(host)
    )
}

fn dynamic_resources(options: &BootstrapOptions) -> String {
    let api_type = match options.variant {
        Variant::Delta => "DELTA_GRPC",
        Variant::Sotw => "GRPC",
    };
    let listeners = match options.shape {
        Shape::Sidecar => "\n  lds_config: { ads: {}, resource_api_version: V3 }",
        Shape::OwnListeners => "",
    };
    format!(
        "
dynamic_resources:
  ads_config:
    api_type: {api_type}
    transport_api_version: V3
    # The node is 60 KB of extension names; once per stream is enough.
    set_node_on_first_message_only: true
    grpc_services:
      - envoy_grpc:
          cluster_name: tidegate
          # Back within a second of a restart of Tidegate; the default is up to 30 s.
          retry_policy:
            retry_back_off: {{ base_interval: 0.2s, max_interval: 1s }}
  cds_config: {{ ads: {{}}, resource_api_version: V3 }}{listeners}
"
    )
}

fn static_resources(options: &BootstrapOptions) -> String {
    let (host, port) = &options.xds_address;
    let listeners = match options.shape {
        Shape::Sidecar => "",
        Shape::OwnListeners => {
            "
  # Your own listeners stand here. One that asks Tidegate for the routes of the service `cart`
  # has, in its HTTP connection manager:
  #   rds:
  #     route_config_name: cart
  #     config_source: { ads: {}, resource_api_version: V3 }
  listeners: []"
        }
    };
    format!(
        "
static_resources:{listeners}
  clusters:
    - name: tidegate
      type: STRICT_DNS
      connect_timeout: 1s
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config:
            # A control plane that vanished without a word is noticed in 15 s.
            http2_protocol_options: {{ connection_keepalive: {{ interval: 10s, timeout: 5s }} }}
      load_assignment:
        cluster_name: tidegate
        endpoints:
          - lb_endpoints:
              - endpoint:
                  address:
                    socket_address: {{ address: {}, port_value: {port} }}
{}",
        quoted(host),
        tls::transport_socket(options),
    )
}

/// A string as YAML, whatever it contains: a JSON string is one.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;

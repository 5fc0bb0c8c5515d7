//! The part of a bootstrap that encrypts: both ends show a certificate.
//!
//! The proxy's own certificate and the CA of the server's come from files by way of Envoy's secret
//! discovery, one small file each, since Envoy reads anew only what comes that way. The bootstrap
//! itself needs no change when they do.

use std::net::IpAddr;

use super::{BootstrapOptions, quoted};

/// A secret that a proxy with TLS reads from a file of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    /// The CA of the server's certificate.
    Ca,
    /// The proxy's own certificate and key.
    Certificate,
}

impl Secret {
    /// The file's name, in the directory of the certificates.
    const fn file(self) -> &'static str {
        match self {
            Self::Ca => "ca.yaml",
            Self::Certificate => "certificate.yaml",
        }
    }
}

/// The transport socket of the cluster of Tidegate; nothing without TLS.
pub(super) fn transport_socket(options: &BootstrapOptions) -> String {
    let Some(directory) = &options.tls else {
        return String::new();
    };
    let (host, _) = &options.xds_address;
    let (sni, kind) = match host.parse::<IpAddr>() {
        Ok(_) => (String::new(), "IP_ADDRESS"),
        Err(_) => (format!("\n          sni: {}", quoted(host)), "DNS"),
    };
    let source = |secret: Secret| {
        let path = quoted(&path(directory, secret.file()));
        format!("{{ resource_api_version: V3, path_config_source: {{ path: {path} }} }}")
    };
    format!(
        "      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext{sni}
          common_tls_context:
            alpn_protocols: [h2]
            # This proxy's certificate. A rule under `identity` of the server must allow it the node above.
            tls_certificate_sds_secret_configs:
              - name: certificate
                sds_config: {}
            combined_validation_context:
              default_validation_context:
                match_typed_subject_alt_names:
                  - {{ san_type: {kind}, matcher: {{ exact: {} }} }}
              validation_context_sds_secret_config:
                name: ca
                sds_config: {}
",
        source(Secret::Certificate),
        quoted(host),
        source(Secret::Ca),
    )
}

/// The file of a secret whose PEM files are in `directory`: `tls.crt`, `tls.key` and `ca.crt`, as in a
/// Kubernetes secret.
pub fn secret_file(directory: &str, secret: Secret) -> String {
    let file = |name: &str| format!("{{ filename: {} }}", quoted(&path(directory, name)));
    let (name, body) = match secret {
        Secret::Ca => (
            "ca",
            format!("validation_context:\n      trusted_ca: {}", file("ca.crt")),
        ),
        Secret::Certificate => (
            "certificate",
            format!(
                "tls_certificate:\n      certificate_chain: {}\n      private_key: {}",
                file("tls.crt"),
                file("tls.key")
            ),
        ),
    };
    format!(
        "# {file_name}, beside the PEM files. Envoy takes them anew when one is moved into its place, as
# Kubernetes does and `mv` within the directory; it does not notice that one is written to.
resources:
  - \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
    name: {name}
    {body}
      watched_directory: {{ path: {} }}
",
        quoted(directory),
        file_name = secret.file(),
    )
}

/// A file in a directory that was given with or without a slash at its end.
pub(super) fn path(directory: &str, file: &str) -> String {
    format!("{}/{file}", directory.trim_end_matches('/'))
}

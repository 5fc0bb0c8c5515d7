//! The bootstrap of a gRPC client that finds services by itself: JSON, in which no comment can stand.

use super::tls::path;
use super::{BootstrapOptions, quoted};

/// How soon a client notices that its certificates were replaced; its default is 10 min.
const REFRESH: &str = "30s";

/// The whole file, for the environment variable `GRPC_XDS_BOOTSTRAP`. Of the options it needs who the
/// client is, where it stands, where Tidegate is, and where its certificates are.
pub fn grpc_bootstrap(options: &BootstrapOptions) -> String {
    let (host, port) = &options.xds_address;
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    let server = quoted(&format!("{host}:{port}"));
    let credentials = match &options.tls {
        Some(directory) => tls(directory),
        None => r#"{ "type": "insecure" }"#.to_owned(),
    };
    let (id, cluster) = (quoted(&options.node_id), quoted(&options.node_cluster));
    let (region, zone) = (quoted(&options.region), quoted(&options.zone));
    format!(
        r#"{{
  "xds_servers": [
    {{
      "server_uri": {server},
      "channel_creds": [{credentials}],
      "server_features": ["xds_v3"]
    }}
  ],
  "node": {{
    "id": {id},
    "cluster": {cluster},
    "locality": {{ "region": {region}, "zone": {zone} }}
  }}
}}
"#
    )
}

/// Both ends show a certificate. The same PEM files as an Envoy's.
fn tls(directory: &str) -> String {
    let file = |name| quoted(&path(directory, name));
    let (certificate, key, ca) = (file("tls.crt"), file("tls.key"), file("ca.crt"));
    format!(
        r#"{{
        "type": "tls",
        "config": {{
          "certificate_file": {certificate},
          "private_key_file": {key},
          "ca_certificate_file": {ca},
          "refresh_interval": "{REFRESH}"
        }}
      }}"#
    )
}

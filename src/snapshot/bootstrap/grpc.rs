//! The bootstrap of a gRPC client that finds services by itself: JSON, in which no comment can stand.

use super::{BootstrapOptions, quoted};

/// The whole file, for the environment variable `GRPC_XDS_BOOTSTRAP`. Of the options it needs who the
/// client is, where it stands, and where Tidegate is.
pub fn grpc_bootstrap(options: &BootstrapOptions) -> String {
    let (host, port) = &options.xds_address;
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    let server = quoted(&format!("{host}:{port}"));
    let (id, cluster) = (quoted(&options.node_id), quoted(&options.node_cluster));
    let (region, zone) = (quoted(&options.region), quoted(&options.zone));
    format!(
        r#"{{
  "xds_servers": [
    {{
      "server_uri": {server},
      "channel_creds": [{{ "type": "insecure" }}],
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

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use serde_json::json;

use super::*;
use crate::snapshot::{ResourceKind, labelled};

const TLS: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";

/// A resource from Envoy's JSON.
fn resource<M: Message + Default + prost::Name>(kind: ResourceKind, json: &Json) -> Shown {
    let descriptor = descriptors::packed(&M::full_name()).unwrap();
    let message = DynamicMessage::deserialize(descriptor, json).unwrap();
    let resource = labelled(kind, "it", "v", message.encode_to_vec());
    Shown::of(&resource).unwrap()
}

#[test]
fn a_resource_is_shown_as_it_was_written() {
    let written = json!({
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": "cart/v1",
        "connect_timeout": "0.250s",
        "lb_policy": "MAGLEV",
        "metadata": {"filter_metadata": {
            "a": {"x": 1.0, "y": {"p": [1.0, {"s": true, "t": null}], "q": "r"}},
            "b": {"k": 1.0, "l": 2.0}, "c": {}}},
        "transport_socket": {"name": "tls", "typed_config": {
            "@type": format!("{TLS}.UpstreamTlsContext"),
            "common_tls_context": {"alpn_protocols": ["h2"]},
            "sni": "cart.internal"}},
    });
    let mut fields = written.clone();
    fields.as_object_mut().unwrap().shift_remove("@type");
    let shown = resource::<Cluster>(ResourceKind::Cluster, &fields);
    for _ in 0..20 {
        let mut expected = written.to_string();
        let got = shown.json().unwrap();
        assert_eq!(got, written);
        // The order of maps, too; that of fields is Envoy's.
        let metadata = |json: &Json| json["metadata"].to_string();
        expected = metadata(&serde_json::from_str(&expected).unwrap());
        assert_eq!(metadata(&got), expected);
    }
    let cluster = Cluster::decode(shown.any().value.as_slice()).unwrap();
    assert_eq!(cluster.name, "cart/v1");
}

#[test]
fn secrets_are_blotted_out_at_any_depth() {
    let certificate = json!({
        "certificate_chain": {"inline_string": "chain"},
        "private_key": {"inline_string": "TOP SECRET"},
        "password": {"inline_bytes": "VE9QIFNFQ1JFVA=="},
    });
    let inline = json!({"name": "it", "transport_socket": {"name": "tls", "typed_config": {
        "@type": format!("{TLS}.UpstreamTlsContext"),
        "common_tls_context": {"tls_certificates": [certificate]}}}});
    let shown = [
        resource::<Secret>(
            ResourceKind::Secret,
            &json!({"name": "it", "tls_certificate": certificate}),
        ),
        resource::<Secret>(
            ResourceKind::Secret,
            &json!({"name": "it", "generic_secret": {"secret": {"inline_string": "TOP SECRET"}}}),
        ),
        resource::<Secret>(
            ResourceKind::Secret,
            &json!({"name": "it", "session_ticket_keys": {"keys": [{"inline_string": "TOP SECRET"}]}}),
        ),
        resource::<Cluster>(ResourceKind::Cluster, &inline),
    ];
    for shown in &shown {
        let json = shown.json().unwrap().to_string();
        assert!(json.contains(BLOT), "{json}");
        assert!(!json.contains("SECRET"), "{json}");
        assert!(!json.contains("VE9QIFNFQ1JFVA"), "{json}");
        let bytes = shown.any().value;
        assert!(!bytes.windows(6).any(|part| part == b"SECRET"), "{json}");
    }
    let first = shown[0].json().unwrap();
    assert_eq!(
        first["tls_certificate"]["certificate_chain"]["inline_string"],
        "chain"
    );
    let last = shown[3].json().unwrap();
    let context = &last["transport_socket"]["typed_config"]["common_tls_context"];
    let key = &context["tls_certificates"][0]["private_key"];
    assert_eq!(key["inline_string"], BLOT);
}

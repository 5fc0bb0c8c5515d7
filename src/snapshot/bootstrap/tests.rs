use super::*;

fn sidecar() -> BootstrapOptions {
    BootstrapOptions::new("sidecar-1", "web")
}

#[test]
fn the_files_are_what_is_printed() {
    let sotw = BootstrapOptions {
        variant: Variant::Sotw,
        ..sidecar()
    };
    let lrs = BootstrapOptions {
        report: Report::Lrs,
        ..BootstrapOptions::new("lrs-1", "web")
    };
    let mtls = BootstrapOptions {
        tls: Some(TLS.to_owned()),
        ..BootstrapOptions::new("mtls-1", "web")
    };
    for (options, file, text) in [
        (
            mtls,
            "mtls.yaml",
            include_str!("../../../envoy-configs/mtls.yaml"),
        ),
        (
            sidecar(),
            "sidecar.yaml",
            include_str!("../../../envoy-configs/sidecar.yaml"),
        ),
        (
            sotw,
            "sotw.yaml",
            include_str!("../../../envoy-configs/sotw.yaml"),
        ),
        (
            lrs,
            "lrs.yaml",
            include_str!("../../../envoy-configs/lrs.yaml"),
        ),
    ] {
        let printed = bootstrap(&options);
        assert!(
            printed == text,
            "envoy-configs/{file} should be:\n{printed}"
        );
    }
}

/// Where the certificates of the example are.
const TLS: &str = "/etc/tidegate/tls";

#[test]
fn the_files_of_secrets_are_what_is_printed() {
    for (secret, file, text) in [
        (
            Secret::Certificate,
            "mtls/certificate.yaml",
            include_str!("../../../envoy-configs/mtls/certificate.yaml"),
        ),
        (
            Secret::Ca,
            "mtls/ca.yaml",
            include_str!("../../../envoy-configs/mtls/ca.yaml"),
        ),
    ] {
        let printed = secret_file(TLS, secret);
        assert!(
            printed == text,
            "envoy-configs/{file} should be:\n{printed}"
        );
    }
}

#[test]
fn the_files_for_grpc_are_what_is_printed_and_every_option_is_in_them() {
    let plain = BootstrapOptions::new("grpc-1", "web");
    let mtls = BootstrapOptions {
        tls: Some(TLS.to_owned()),
        ..plain.clone()
    };
    for (options, file, text) in [
        (
            plain,
            "grpc.json",
            include_str!("../../../envoy-configs/grpc.json"),
        ),
        (
            mtls,
            "grpc-mtls.json",
            include_str!("../../../envoy-configs/grpc-mtls.json"),
        ),
    ] {
        let printed = grpc_bootstrap(&options);
        assert!(
            printed == text,
            "envoy-configs/{file} should be:\n{printed}"
        );
    }
    let options = BootstrapOptions {
        region: "eu".into(),
        zone: "eu-1".into(),
        xds_address: ("::1".into(), 18_500),
        ..BootstrapOptions::new("cart \"1\"", "edge")
    };
    let json: serde_json::Value = serde_json::from_str(&grpc_bootstrap(&options)).unwrap();
    let node = serde_json::json!({
        "id": "cart \"1\"",
        "cluster": "edge",
        "locality": { "region": "eu", "zone": "eu-1" },
    });
    assert_eq!(json["node"], node);
    assert_eq!(json["xds_servers"][0]["server_uri"], "[::1]:18500");
}

#[test]
fn every_option_is_in_the_text() {
    let options = BootstrapOptions {
        region: "eu".into(),
        zone: "eu-1".into(),
        xds_address: ("tidegate.internal".into(), 18_500),
        admin_address: ("127.0.0.2".into(), 9902),
        flush_interval: Span::millis(1250),
        latency_edges: vec![Span::millis(275), Span::millis(250)],
        shape: Shape::OwnListeners,
        tls: Some("/run/tls/".into()),
        variant: Variant::Sotw,
        ..BootstrapOptions::new("edge \"1\": a", "edge")
    };
    let text = bootstrap(&options);
    for part in [
        r#"id: "edge \"1\": a""#,
        r#"attributes: { service.instance.id: "edge \"1\": a" }"#,
        r#"cluster: "edge""#,
        r#"locality: { region: "eu", zone: "eu-1" }"#,
        r#"{ address: "tidegate.internal", port_value: 18500 }"#,
        r#"{ address: "127.0.0.2", port_value: 9902 }"#,
        "stats_flush_interval: 1.250s",
        "buckets: [0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 17.0, 20.0, 25.0, 30.0, ",
        ", 200.0, 250.0, 275.0, 300.0, ",
        ", 40000.0, 50000.0, 60000.0]\n",
        "api_type: GRPC\n",
        "metric_name: cluster.endpoint.rq_active\n",
        "route_config_name: cart",
        r#"sni: "tidegate.internal""#,
        r#"{ san_type: DNS, matcher: { exact: "tidegate.internal" } }"#,
        r#"path: "/run/tls/certificate.yaml""#,
        r#"path: "/run/tls/ca.yaml""#,
        r#"--node-id "edge \"1\": a" --node-cluster edge "#,
        "--region eu --zone eu-1 --xds tidegate.internal:18500 --admin 127.0.0.2:9902 \
         --flush-interval 1250ms --latency-edge 275ms --latency-edge 250ms --tls /run/tls/ --sotw --own-listeners",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains("lds_config"), "{text}");
}

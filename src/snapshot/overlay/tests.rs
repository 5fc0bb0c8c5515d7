use super::*;

#[test]
fn parts_of_a_cluster_pass_by_either_name() {
    for json in [
        "{}",
        r#"{"lb_policy": "RING_HASH"}"#,
        r#"{"connectTimeout": "3s"}"#,
        r#"{"common_lb_config": {"locality_weighted_lb_config": {}}}"#,
        r#"{"transport_socket": {"name": "tls", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": "cart.internal"}}}"#,
        // Not a prime: it fits the type, and it is the Envoy that refuses it.
        r#"{"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 1000}}"#,
    ] {
        check_overlay(json).unwrap_or_else(|e| panic!("{json}: {e}"));
    }
}

#[test]
fn what_is_no_part_of_a_cluster_is_refused_with_its_place() {
    for (json, said) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("[]", "invalid type"),
        ("{} {}", "trailing characters at line 1 column 4"),
        (
            r#"{"lb_polcy": "MAGLEV"}"#,
            "unrecognized field name 'lb_polcy' at line 1 column 11",
        ),
        (r#"{"lb_policy": "MAGLEVV"}"#, "at line 1 column 23"),
        (
            r#"{"transport_socket": {"typed_config": {"@type": "type.googleapis.com/no.such.Type"}}}"#,
            "no.such.Type",
        ),
    ] {
        let error = check_overlay(json).unwrap_err();
        assert!(
            matches!(error, OverlayError::Shape { .. }),
            "{json}: {error:?}"
        );
        assert!(error.to_string().contains(said), "{json}: {error}");
    }
}

#[test]
fn what_drains_rest_on_is_refused_by_either_name_and_also_as_zero() {
    for (json, field) in [
        (r#"{"name": "mine"}"#, "name"),
        (r#"{"type": "STATIC"}"#, "type"),
        (r#"{"cluster_type": {"name": "x"}}"#, "cluster_type"),
        (r#"{"altStatName": "x"}"#, "alt_stat_name"),
        (r#"{"eds_cluster_config": {}}"#, "eds_cluster_config"),
        (
            r#"{"load_assignment": {"cluster_name": "x"}}"#,
            "load_assignment",
        ),
        (
            r#"{"ignoreHealthOnHostRemoval": false}"#,
            "ignore_health_on_host_removal",
        ),
        (
            r#"{"track_cluster_stats": {"timeout_budgets": true}}"#,
            "track_cluster_stats",
        ),
        (r#"{"lrs_server": {"self": {}}}"#, "lrs_server"),
        (
            r#"{"commonLbConfig": {"healthy_panic_threshold": {"value": 50}}}"#,
            "common_lb_config.healthy_panic_threshold",
        ),
        (
            r#"{"common_lb_config": {"updateMergeWindow": "0s"}}"#,
            "common_lb_config.update_merge_window",
        ),
    ] {
        let error = check_overlay(json).unwrap_err();
        let OverlayError::Owned { field: named, .. } = error else {
            panic!("{json}: {error:?}")
        };
        assert_eq!(named, field, "{json}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("`{field}` may not be set")),
            "{error}"
        );
    }
}

#[test]
fn zeros_that_are_written_down_override() {
    let mut cluster = Cluster {
        lb_policy: 1,
        close_connections_on_host_health_failure: true,
        ..Cluster::default()
    };
    cluster
        .common_lb_config
        .get_or_insert_default()
        .ignore_new_hosts_until_first_hc = true;
    let overlay = ClusterOverlay::parse(
        r#"{"lb_policy": "ROUND_ROBIN", "closeConnectionsOnHostHealthFailure": false,
            "common_lb_config": {"ignore_new_hosts_until_first_hc": false}}"#,
    );
    overlay.unwrap().merge_into(&mut cluster).unwrap();
    assert_eq!(cluster.lb_policy, 0);
    assert!(!cluster.close_connections_on_host_health_failure);
    assert!(
        !cluster
            .common_lb_config
            .unwrap()
            .ignore_new_hosts_until_first_hc
    );
}

#[test]
fn maps_have_one_encoding() {
    let json = r#"{
        "metadata": {"filter_metadata": {
            "a": {"x": 1, "y": {"p": [1, {"s": 1, "t": 2, "u": 3}], "q": null}, "z": true},
            "b": {"k": 1, "l": 2, "m": 3, "n": 4}, "c": {}}},
        "transport_socket": {"name": "tap", "typed_config": {
            "@type": "type.googleapis.com/google.protobuf.Struct",
            "value": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}}}}"#;
    let encode = || {
        let overlay = ClusterOverlay::parse(json).unwrap();
        let mut cluster = Cluster {
            name: "cart/v1".into(),
            ..Cluster::default()
        };
        overlay.merge_into(&mut cluster).unwrap();
        let encoded = overlay.encode(&cluster).unwrap();
        assert_eq!(
            Cluster::decode(encoded.as_slice()).unwrap().metadata,
            cluster.metadata
        );
        encoded
    };
    let first = encode();
    for _ in 0..20 {
        assert_eq!(encode(), first);
    }
}

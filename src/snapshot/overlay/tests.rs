use std::fmt::Write as _;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

use super::*;
use crate::domain::OverlayPart::{FilterChain, HttpConnectionManager as Http, Listener, Route};

const TLS: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";
const HTTP: &str = "type.googleapis.com/envoy.extensions.filters.http";

/// Faults as `place: message (help)`.
#[track_caller]
fn faults(part: OverlayPart, json: &str) -> Vec<String> {
    let all = check_overlay(part, json);
    all.iter()
        .map(|fault| match &fault.help {
            Help::None => fault.to_string(),
            Help::Hint(hint) => format!("{fault} ({hint})"),
            Help::Known { word, known } => format!("{fault} ({word} of {})", known.len()),
        })
        .collect()
}

#[test]
fn parts_of_envoys_messages_pass_by_either_name() {
    let tls = |context: &str| {
        format!(
            r#"{{"transport_socket": {{"name": "tls", "typed_config": {{"@type": "{TLS}.{context}"}}}}}}"#
        )
    };
    let filters = format!(
        r#"{{"stream_idle_timeout": "30s", "useRemoteAddress": false, "http_filters": [
            {{"name": "buffer", "typed_config": {{"@type": "{HTTP}.buffer.v3.Buffer", "max_request_bytes": 1024}}}},
            {{"name": "router", "typed_config": {{"@type": "{HTTP}.router.v3.Router", "suppress_envoy_headers": true}}}}]}}"#
    );
    for (part, json) in [
        (OverlayPart::Cluster, "{}"),
        (OverlayPart::Cluster, r#"{"lb_policy": "RING_HASH"}"#),
        (
            OverlayPart::Cluster,
            r#"{"connectTimeout": "3s", "outlier_detection": {}}"#,
        ),
        (
            OverlayPart::Cluster,
            r#"{"common_lb_config": {"locality_weighted_lb_config": {}}}"#,
        ),
        (
            OverlayPart::Cluster,
            &tls(r#"UpstreamTlsContext", "sni": "cart.internal"#),
        ),
        // Not a prime: it fits the type, and it is the Envoy that refuses it.
        (
            OverlayPart::Cluster,
            r#"{"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 1000}}"#,
        ),
        (
            FilterChain,
            &tls(
                r#"DownstreamTlsContext", "require_client_certificate": true, "ocsp_staple_policy": "MUST_STAPLE"#,
            ),
        ),
        (Http, &filters),
        (Listener, r#"{"per_connection_buffer_limit_bytes": 32768}"#),
        (
            Route,
            r#"{"route": {"timeout": "5s", "retry_policy": {"retry_on": "5xx"}}}"#,
        ),
        (OverlayPart::TcpProxy, r#"{"idle_timeout": "3600s"}"#),
    ] {
        assert_eq!(faults(part, json), Vec::<String>::new(), "{json}");
    }
}

#[test]
fn each_fault_has_its_place() {
    let packed = |json: &str| {
        format!(r#"{{"transport_socket": {{"name": "tls", "typed_config": {{{json}}}}}}}"#)
    };
    let mut wrong = String::new();
    for (part, json, said) in [
        (
            OverlayPart::Cluster,
            "[]",
            "expected a mapping, a part of `envoy.config.cluster.v3.Cluster`",
        ),
        (
            OverlayPart::Cluster,
            r#"{"lb_polcy": "MAGLEV"}"#,
            "lb_polcy: `envoy.config.cluster.v3.Cluster` has no field `lb_polcy` (lb_polcy of 57)",
        ),
        (
            OverlayPart::Cluster,
            r#"{"lb_policy": "MAGLEVV"}"#,
            "lb_policy: `lb_policy` has no value `MAGLEVV` (MAGLEVV of 7)",
        ),
        (
            OverlayPart::Cluster,
            r#"{"connect_timeout": 5}"#,
            "connect_timeout: `connect_timeout` is a span of time in seconds (write `0.25s` or `30s`)",
        ),
        (
            OverlayPart::Cluster,
            r#"{"connect_timeout": "0s"}"#,
            "connect_timeout: `connect_timeout` must be greater than 0s",
        ),
        (
            OverlayPart::Cluster,
            r#"{"outlier_detection": {"max_ejection_percent": 101}}"#,
            "outlier_detection.max_ejection_percent: `max_ejection_percent` must be at most 100",
        ),
        (
            OverlayPart::Cluster,
            r#"{"circuit_breakers": {"thresholds": [{}, {"max_requests": "many"}]}}"#,
            "circuit_breakers.thresholds[1].max_requests: `max_requests` is a whole number from 0 to 4294967295",
        ),
        (
            OverlayPart::Cluster,
            r#"{"circuit_breakers": {"thresholds": {}}}"#,
            "circuit_breakers.thresholds: `thresholds` is a list",
        ),
        (
            OverlayPart::Cluster,
            r#"{"connectTimeout": "1s", "connect_timeout": "2s"}"#,
            "connect_timeout: `connect_timeout` is given twice, as `connect_timeout` and `connectTimeout`",
        ),
        (
            OverlayPart::Cluster,
            r#"{"ring_hash_lb_config": {}, "maglev_lb_config": {}}"#,
            "maglev_lb_config: only one of `ring_hash_lb_config` and `maglev_lb_config` may be given",
        ),
        (
            OverlayPart::Cluster,
            &packed(r#""@type": "type.googleapis.com/no.such.Type""#),
            "transport_socket.typed_config.@type: there is no type `no.such.Type` (only types of Envoy's own API can be given)",
        ),
        (
            OverlayPart::Cluster,
            &packed(r#""@type": "type.googleapis.com/envoy.UpstreamTlsContext""#),
            "transport_socket.typed_config.@type: there is no type `envoy.UpstreamTlsContext` (did you mean `type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext`?)",
        ),
        (
            OverlayPart::Cluster,
            &packed(&format!(
                r#""@type": "{TLS}.UpstreamTlsContext", "snii": "x""#
            )),
            "transport_socket.typed_config.snii: `envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext` has no field `snii` (snii of 7)",
        ),
        (
            FilterChain,
            &packed(r#""sni": "x""#),
            "transport_socket.typed_config: `@type` is missing (write `\"@type\": type.googleapis.com/envoy.…` first)",
        ),
        (
            FilterChain,
            &packed(&format!(r#""@type": "{TLS}.DownstreamTlsContext""#))
                .replace("tls", "")
                .replace("transport_sockets..", "transport_sockets.tls."),
            "transport_socket.name: `name` must not be empty",
        ),
        (
            FilterChain,
            r#"{"transport_socket": {"name": "tls"}}"#,
            "transport_socket: `typed_config` is missing in `envoy.config.core.v3.TransportSocket`",
        ),
        (
            Http,
            r#"{"access_log": [{"typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"}}]}"#,
            "access_log[0].typed_config: `path` is missing in `envoy.extensions.access_loggers.file.v3.FileAccessLog`",
        ),
        (
            Http,
            r#"{"request_timeout": "1s", "server_name": "a\nb"}"#,
            "server_name: `server_name` must be the value of an HTTP header",
        ),
        (
            Http,
            &format!(
                r#"{{"http_filters": [{{"name": "r", "typed_config": {{"@type": "{HTTP}.router.v3.Router"}}}},
                    {{"name": "b", "typed_config": {{"@type": "{HTTP}.cors.v3.Cors"}}}}]}}"#
            ),
            "http_filters[0]: the router is the last of the filters (put it last, or leave it out: one is there)",
        ),
        (
            FilterChain,
            r#"{"filters": [{"name": "t", "typed_config": {"stat_prefix": "x", "cluster": "x",
                "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"}}]}"#,
            "filters[0]: the last filter of a listener is there already (its settings go into `httpConnectionManager` or `tcpProxy`)",
        ),
        (
            Route,
            r#"{"route": {"retry_policy": {"retry_back_off": {}}}}"#,
            "route.retry_policy.retry_back_off: `base_interval` is missing in `envoy.config.route.v3.RetryPolicy.RetryBackOff`",
        ),
    ] {
        let got = faults(part, json);
        if got != [said] {
            let _ = writeln!(wrong, "{json}\n  expected {said}\n  got {got:?}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn all_faults_are_told_at_once() {
    let json = r#"{"name": "x", "lb_polcy": 1, "health_checks": [{"timeout": "0s"}]}"#;
    let all = faults(OverlayPart::Cluster, json);
    assert_eq!(all.len(), 7, "{all:#?}");
}

#[test]
fn what_is_owned_is_refused_by_either_name_and_also_as_zero() {
    for (part, json, field) in [
        (
            OverlayPart::Cluster,
            r#"{"altStatName": "x"}"#,
            "alt_stat_name",
        ),
        (
            OverlayPart::Cluster,
            r#"{"commonLbConfig": {"healthy_panic_threshold": {"value": 0}}}"#,
            "common_lb_config.healthy_panic_threshold",
        ),
        (
            OverlayPart::Cluster,
            r#"{"ignoreHealthOnHostRemoval": false}"#,
            "ignore_health_on_host_removal",
        ),
        (Listener, r#"{"filterChains": []}"#, "filter_chains"),
        (Http, r#"{"rds": {"route_config_name": "x"}}"#, "rds"),
        (Route, r#"{"route": {"cluster": "x"}}"#, "route.cluster"),
        (OverlayPart::TcpProxy, r#"{"cluster": "x"}"#, "cluster"),
    ] {
        let all = faults(part, json);
        let said = format!("`{field}` may not be set in an overlay");
        assert!(
            all.iter().any(|fault| fault.contains(&said)),
            "{json}: {all:?}"
        );
    }
}

/// A field that Envoy has renamed or dropped would be owned in vain.
#[test]
fn every_owned_field_is_one_of_envoys() {
    use crate::domain::OverlayPart::{Cluster, HttpConnectionManager, TcpProxy};
    for part in [
        Cluster,
        FilterChain,
        HttpConnectionManager,
        Listener,
        Route,
        TcpProxy,
    ] {
        for (path, why) in owned::owned(part) {
            let mut kind = descriptors::of_part(part);
            for name in path.split('.') {
                let field = kind.get_field_by_name(name);
                let field = field.unwrap_or_else(|| panic!("{part}: {path}"));
                if let prost_reflect::Kind::Message(inner) = field.kind() {
                    kind = inner;
                }
            }
            assert!(!why.is_empty() && !why.ends_with('.'), "{path}: {why}");
        }
    }
}

#[track_caller]
fn merged<M: Message + Default>(part: OverlayPart, mut generated: M, layers: &[&str]) -> M {
    let layers = Layers::parse(part, layers.iter().copied()).unwrap();
    layers.merge_into(&mut generated).unwrap();
    generated
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
    let json = r#"{"lb_policy": "ROUND_ROBIN", "closeConnectionsOnHostHealthFailure": false,
        "common_lb_config": {"ignore_new_hosts_until_first_hc": false}}"#;
    let cluster = merged(OverlayPart::Cluster, cluster, &[json]);
    assert_eq!(cluster.lb_policy, 0);
    assert!(!cluster.close_connections_on_host_health_failure);
    let balancing = cluster.common_lb_config.unwrap();
    assert!(!balancing.ignore_new_hosts_until_first_hc);
}

#[test]
fn the_stronger_layer_replaces_values_and_adds_to_lists() {
    let filter = |name: &str| {
        format!(r#"{{"name": "{name}", "typed_config": {{"@type": "{HTTP}.cors.v3.Cors"}}}}"#)
    };
    let weak = format!(
        r#"{{"stream_idle_timeout": "5s", "use_remote_address": true, "server_name": "weak",
            "common_http_protocol_options": {{"idle_timeout": "9s", "max_headers_count": 7}},
            "http_filters": [{}]}}"#,
        filter("one")
    );
    let strong = format!(
        r#"{{"stream_idle_timeout": "0.5s", "use_remote_address": false, "server_name": null,
            "common_http_protocol_options": {{"idle_timeout": "3s"}},
            "http_filters": [{}]}}"#,
        filter("two")
    );
    let got = merged(Http, HttpConnectionManager::default(), &[&weak, &strong]);
    let idle = got.stream_idle_timeout.unwrap();
    assert_eq!((idle.seconds, idle.nanos), (0, 500_000_000));
    assert!(!got.use_remote_address.unwrap().value);
    assert_eq!(got.server_name, "weak");
    let common = got.common_http_protocol_options.unwrap();
    assert_eq!(common.idle_timeout.unwrap().seconds, 3);
    assert_eq!(common.max_headers_count.unwrap().value, 7);
    let names: Vec<_> = got.http_filters.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
}

#[test]
fn an_any_is_merged_with_one_of_its_type_and_replaces_any_other() {
    use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
    use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;
    let tls = |fields: &str| {
        format!(
            r#"{{"transport_socket": {{"name": "tls", "typed_config": {{"@type": "{TLS}.UpstreamTlsContext", {fields}}}}}}}"#
        )
    };
    let socket = |layers: &[&str]| {
        let cluster = merged(OverlayPart::Cluster, Cluster::default(), layers);
        let ConfigType::TypedConfig(any) = cluster.transport_socket.unwrap().config_type.unwrap();
        any
    };
    let (one, two) = (
        tls(r#""sni": "one""#),
        tls(r#""allow_renegotiation": true"#),
    );
    let both = UpstreamTlsContext::decode(socket(&[&one, &two]).value.as_slice()).unwrap();
    assert_eq!((both.sni.as_str(), both.allow_renegotiation), ("one", true));
    let raw = r#"{"transport_socket": {"name": "raw", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}}}"#;
    assert!(socket(&[&one, raw]).type_url.ends_with("RawBuffer"));
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
    assert_eq!(faults(OverlayPart::Cluster, json), Vec::<String>::new());
    let encoded = || {
        let layers = Layers::parse(OverlayPart::Cluster, [json]).unwrap();
        let mut cluster = Cluster {
            name: "cart/v1".into(),
            ..Cluster::default()
        };
        layers.merge_into(&mut cluster).unwrap();
        let encoded = encode(&cluster, &[&layers]).unwrap();
        assert_eq!(
            Cluster::decode(encoded.as_slice()).unwrap().metadata,
            cluster.metadata
        );
        encoded
    };
    let first = encoded();
    for _ in 0..20 {
        assert_eq!(encoded(), first);
    }
}

#[test]
fn secrets_that_are_asked_for_by_ads_are_found_at_any_depth() {
    let json = format!(
        r#"{{"transport_socket": {{"name": "tls", "typed_config": {{
            "@type": "{TLS}.DownstreamTlsContext", "common_tls_context": {{
                "tls_certificate_sds_secret_configs": [
                    {{"name": "edge", "sds_config": {{"ads": {{}}, "resource_api_version": "V3"}}}},
                    {{"name": "own"}},
                    {{"name": "file", "sds_config": {{"path_config_source": {{"path": "/x"}}}}}}],
                "validation_context_sds_secret_config":
                    {{"name": "callers", "sds_config": {{"ads": {{}}}}}}}}}}}}}}"#
    );
    assert_eq!(faults(FilterChain, &json), Vec::<String>::new());
    let names: Vec<_> = overlay_secrets(FilterChain, &json).into_iter().collect();
    assert_eq!(names, ["callers", "edge"]);
    assert!(overlay_secrets(FilterChain, "nothing").is_empty());
}

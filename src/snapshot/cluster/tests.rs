use prost::Message;

use super::super::samples;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;

use super::*;
use crate::domain::{EndpointState, NamedEndpoint};

fn cluster(service: &ServicePlan) -> Cluster {
    let (name, encoded) = clusters(service, Client::Envoy).unwrap().remove(0);
    let cluster = Cluster::decode(encoded.as_slice()).unwrap();
    assert_eq!(
        (name.as_str(), cluster.name.as_str()),
        ("cart/v1", "cart/v1")
    );
    cluster
}

fn cart() -> ServicePlan {
    let mut cart = samples::service("cart");
    cart.versions = vec![samples::version("v1", 1)];
    cart
}

fn with_overlay(json: &str) -> Cluster {
    cluster(&ServicePlan {
        overlay: Some(samples::overlay(OverlayPart::Cluster, json)),
        warm_up: Span::secs(45),
        ..cart()
    })
}

fn protocol(cluster: &Cluster) -> Option<ProtocolConfig> {
    let any = cluster.typed_extension_protocol_options.get(HTTP_OPTIONS)?;
    let options = HttpProtocolOptions::decode(any.value.as_slice()).unwrap();
    match options.upstream_protocol_options {
        Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)) => explicit.protocol_config,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_drains_rest_on_is_always_set() {
    let got = cluster(&cart());
    assert_eq!(
        got.cluster_discovery_type,
        Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into()))
    );
    assert!(got.ignore_health_on_host_removal);
    assert!(got.track_cluster_stats.unwrap().per_endpoint_stats);
    let balancing = got.common_lb_config.unwrap();
    assert_eq!(
        balancing.healthy_panic_threshold,
        Some(Percent { value: 0.0 })
    );
    assert_eq!(balancing.update_merge_window, Some(duration(Span::ZERO)));
    assert_eq!(
        balancing.override_host_status.unwrap().statuses,
        [0, 1, 5, 3]
    );
    let limits = &got.circuit_breakers.unwrap().thresholds[0];
    assert_eq!(limits.max_retries, Some(number(1024)));
    assert_eq!(limits.max_requests, Some(number(100_000)));
}

#[test]
fn the_protocol_is_stated() {
    for (speaks, http2) in [
        (Protocol::Http1, Some(false)),
        (Protocol::Http2, Some(true)),
        (Protocol::Grpc, Some(true)),
        (Protocol::Tcp, None),
    ] {
        let got = protocol(&cluster(&ServicePlan {
            protocol: speaks,
            ..cart()
        }));
        let got = got.map(|config| matches!(config, ProtocolConfig::Http2ProtocolOptions(_)));
        assert_eq!(got, http2, "{speaks:?}");
    }
}

#[test]
fn the_check_does_not_slow_down_without_traffic() {
    let check = cluster(&cart()).health_checks.remove(0);
    assert_eq!(check.interval, Some(duration(Span::secs(2))));
    assert_eq!(check.no_traffic_interval, check.interval);
    assert_eq!(check.initial_jitter, None);
    assert_eq!(check.healthy_threshold, Some(number(2)));
    assert_eq!(check.unhealthy_threshold, Some(number(3)));
    let Some(HealthChecker::HttpHealthCheck(http)) = check.health_checker else {
        panic!()
    };
    assert_eq!(
        (http.host.as_str(), http.path.as_str()),
        ("cart", "/healthz")
    );
    assert_eq!(http.codec_client_type(), CodecClientType::Http1);
}

#[test]
fn each_probe_has_its_checker() {
    let checker = |probe| {
        let mut service = ServicePlan {
            protocol: Protocol::Grpc,
            ..cart()
        };
        service.health.probe = probe;
        cluster(&service)
            .health_checks
            .remove(0)
            .health_checker
            .unwrap()
    };
    let grpc = checker(Probe::Grpc {
        service: "cart.v1.Cart".into(),
    });
    let HealthChecker::GrpcHealthCheck(grpc) = grpc else {
        panic!("{grpc:?}")
    };
    assert_eq!(
        (grpc.service_name.as_str(), grpc.authority.as_str()),
        ("cart.v1.Cart", "cart")
    );
    let http = checker(Probe::Http { path: "/".into() });
    let HealthChecker::HttpHealthCheck(http) = http else {
        panic!("{http:?}")
    };
    assert_eq!(http.codec_client_type(), CodecClientType::Http2);
    assert!(matches!(
        checker(Probe::Tcp),
        HealthChecker::TcpHealthCheck(_)
    ));
}

#[test]
fn warming_up_goes_where_the_effective_policy_reads_it() {
    assert_eq!(cluster(&cart()).lb_config, None);
    let window = |config: Option<SlowStartConfig>| config.and_then(|c| c.slow_start_window);
    let warm = Some(duration(Span::secs(45)));

    let default = with_overlay("{}");
    assert_eq!(default.lb_policy(), LbPolicy::LeastRequest);
    let Some(LbConfig::LeastRequestLbConfig(config)) = default.lb_config else {
        panic!()
    };
    assert_eq!(window(config.slow_start_config), warm);

    let mine = with_overlay(r#"{"least_request_lb_config": {"choice_count": 3}}"#);
    let Some(LbConfig::LeastRequestLbConfig(config)) = mine.lb_config else {
        panic!()
    };
    assert_eq!(
        (config.choice_count, window(config.slow_start_config)),
        (Some(number(3)), warm)
    );

    let round = with_overlay(r#"{"lb_policy": "ROUND_ROBIN"}"#);
    assert_eq!(round.lb_policy(), LbPolicy::RoundRobin);
    let Some(LbConfig::RoundRobinLbConfig(config)) = round.lb_config else {
        panic!()
    };
    assert_eq!(window(config.slow_start_config), warm);

    let maglev =
        with_overlay(r#"{"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 65537}}"#);
    assert_eq!(maglev.lb_policy(), LbPolicy::Maglev);
    let Some(LbConfig::MaglevLbConfig(config)) = maglev.lb_config else {
        panic!()
    };
    assert_eq!(config.table_size.unwrap().value, 65537);
}

#[test]
fn an_overlay_replaces_defaults_and_keeps_the_rest() {
    let got = with_overlay(
        r#"{
            "connectTimeout": "0.25s",
            "circuit_breakers": {"thresholds": [{"max_requests": 50}]},
            "health_checks": [{"timeout": "1s", "interval": "9s", "unhealthy_threshold": 1,
                               "healthy_threshold": 1, "tcp_health_check": {}}],
            "common_lb_config": {"close_connections_on_host_set_change": false,
                                 "locality_weighted_lb_config": {}},
            "outlier_detection": {"consecutive_5xx": 7}
        }"#,
    );
    assert_eq!(got.connect_timeout, Some(duration(Span::millis(250))));
    let limits = &got.circuit_breakers.unwrap().thresholds;
    assert_eq!(limits.len(), 1);
    assert_eq!(limits[0].max_requests, Some(number(50)));
    assert_eq!(limits[0].max_retries, Some(number(1024)));
    assert_eq!(got.health_checks.len(), 1);
    assert_eq!(got.health_checks[0].interval, Some(duration(Span::secs(9))));
    let balancing = got.common_lb_config.unwrap();
    assert!(balancing.locality_config_specifier.is_some());
    assert_eq!(
        balancing.healthy_panic_threshold,
        Some(Percent { value: 0.0 })
    );
    assert!(balancing.override_host_status.is_some());
    assert_eq!(
        got.outlier_detection.unwrap().consecutive_5xx,
        Some(number(7))
    );
}

#[test]
fn an_http_option_does_not_take_the_protocol_away() {
    let json = format!(
        r#"{{"typed_extension_protocol_options": {{"{HTTP_OPTIONS}": {{
            "@type": "type.googleapis.com/{HTTP_OPTIONS}",
            "common_http_protocol_options": {{"idle_timeout": "30s"}}}}}}}}"#
    );
    let service = ServicePlan {
        protocol: Protocol::Http2,
        overlay: Some(samples::overlay(OverlayPart::Cluster, &json)),
        ..cart()
    };
    let got = cluster(&service);
    assert!(matches!(
        protocol(&got),
        Some(ProtocolConfig::Http2ProtocolOptions(_))
    ));
    let any = &got.typed_extension_protocol_options[HTTP_OPTIONS];
    let options = HttpProtocolOptions::decode(any.value.as_slice()).unwrap();
    let idle = options.common_http_protocol_options.unwrap().idle_timeout;
    assert_eq!(idle, Some(duration(Span::secs(30))));
}

/// Envoy refuses a cluster with statistics per endpoint when its bootstrap has LRS. Nothing else differs.
#[test]
fn an_envoy_that_reports_by_lrs_gets_no_statistics_per_endpoint() {
    let mut service = samples::service("cart");
    service.versions = vec![samples::version("v1", 1)];
    let of = |client| {
        let (_, encoded) = clusters(&service, client).unwrap().remove(0);
        Cluster::decode(&*encoded).unwrap()
    };
    let (by_lrs, otherwise) = (of(Client::EnvoyByLrs), of(Client::Envoy));
    assert!(otherwise.track_cluster_stats.is_some());
    let expected = Cluster {
        track_cluster_stats: None,
        ..otherwise
    };
    assert_eq!(by_lrs, expected);
}

/// A version that is known by the name of a host, as a document would list it.
fn named(url: &str, protocol: Protocol) -> ServicePlan {
    let mut service = ServicePlan { protocol, ..cart() };
    let endpoint = service.versions[0].endpoints.remove(0);
    service.versions[0].host = Some(NamedEndpoint {
        id: endpoint.id,
        host: url.parse().unwrap(),
        locality: endpoint.locality,
        state: Some(EndpointState::Healthy),
    });
    service
}

#[test]
fn a_host_by_name_is_resolved_and_must_show_its_name() {
    let got = cluster(&named("https://a.example", Protocol::Http2));
    let dns = ClusterDiscoveryType::Type(DiscoveryType::LogicalDns.into());
    assert_eq!(got.cluster_discovery_type, Some(dns));
    assert_eq!(got.eds_cluster_config, None);
    let told = format!("{:?}", got.load_assignment.unwrap());
    for part in ["\"a.example\"", "PortValue(443)", "hostname: \"v1-0\""] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let socket = got.transport_socket.unwrap();
    let Some(ConfigType::TypedConfig(any)) = socket.config_type else {
        panic!("no TLS")
    };
    let tls = UpstreamTlsContext::decode(any.value.as_slice()).unwrap();
    assert_eq!(tls.sni, "a.example");
    let common = tls.common_tls_context.unwrap();
    assert_eq!(common.alpn_protocols, ["h2"]);
    let believed = format!("{:?}", common.validation_context_type);
    for part in ["/etc/ssl/certs/ca-certificates.crt", "Exact(\"a.example\")"] {
        assert!(believed.contains(part), "{part}: {believed}");
    }
}

#[test]
fn a_host_without_tls_is_spoken_to_in_the_clear_and_by_its_own_port() {
    let got = cluster(&named("http://a.example:8080", Protocol::Http1));
    assert_eq!(got.transport_socket, None);
    let health = format!("{:?}", got.health_checks);
    assert!(
        health.contains("\"a.example:8080\"") || health.contains("TcpHealthCheck"),
        "{health}"
    );
}

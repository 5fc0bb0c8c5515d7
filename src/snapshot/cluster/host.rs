//! The cluster of a version that is known by the name of a host: a function's URL, another load balancer.
//!
//! Each Envoy resolves the name and holds one connection pool to whatever it finds, as fits a name
//! behind which many machines change (`LOGICAL_DNS`). Nothing in here changes while a version rolls: an
//! Envoy would make the cluster anew. So it says neither weight nor whether the host drains.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, DnsLookupFamily,
};
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::config::core::v3::{DataSource, TransportSocket};
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::subject_alt_name_matcher::SanType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, CommonTlsContext, SubjectAltNameMatcher, UpstreamTlsContext,
};
use envoy_types::pb::envoy::r#type::matcher::v3::StringMatcher;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::util::pack_any;

use super::super::assignment::envoy_locality;
use super::super::proto::address;
use crate::domain::{HostAddress, NamedEndpoint, Protocol, ServicePlan};

/// The name under which Envoy knows its TLS.
const TLS: &str = "envoy.transport_sockets.tls";

/// Has the cluster resolve the host. The hostname is the instance's id, as everywhere.
pub(super) fn resolve(cluster: &mut Cluster, named: &NamedEndpoint) {
    let resolved = ClusterDiscoveryType::Type(DiscoveryType::LogicalDns.into());
    cluster.cluster_discovery_type = Some(resolved);
    // Envoy's own choice is IPv6 wherever the name has such an address, be there a way to it or not.
    cluster.set_dns_lookup_family(DnsLookupFamily::V4Preferred);
    let endpoint = Endpoint {
        address: Some(address(named.host.name().to_owned(), named.host.port())),
        hostname: named.id.to_string(),
        ..Endpoint::default()
    };
    cluster.load_assignment = Some(ClusterLoadAssignment {
        cluster_name: cluster.name.clone(),
        endpoints: vec![LocalityLbEndpoints {
            locality: Some(envoy_locality(&named.locality)),
            lb_endpoints: vec![LbEndpoint {
                host_identifier: Some(HostIdentifier::Endpoint(endpoint)),
                ..LbEndpoint::default()
            }],
            ..LocalityLbEndpoints::default()
        }],
        ..ClusterLoadAssignment::default()
    });
}

/// TLS to the host, whose certificate must carry its name.
pub(super) fn secured(host: &HostAddress, service: &ServicePlan) -> TransportSocket {
    let protocol = match service.protocol {
        Protocol::Http1 => Some("http/1.1"),
        Protocol::Http2 | Protocol::Grpc => Some("h2"),
        Protocol::Tcp => None,
    };
    let mut name = SubjectAltNameMatcher {
        matcher: Some(StringMatcher {
            match_pattern: Some(MatchPattern::Exact(host.name().to_owned())),
            ..StringMatcher::default()
        }),
        ..SubjectAltNameMatcher::default()
    };
    name.set_san_type(SanType::Dns);
    let believed = CertificateValidationContext {
        trusted_ca: Some(DataSource {
            specifier: Some(Specifier::Filename(service.tls.ca.clone())),
            ..DataSource::default()
        }),
        match_typed_subject_alt_names: vec![name],
        ..CertificateValidationContext::default()
    };
    let context = UpstreamTlsContext {
        common_tls_context: Some(CommonTlsContext {
            alpn_protocols: protocol.map(str::to_owned).into_iter().collect(),
            validation_context_type: Some(ValidationContextType::ValidationContext(believed)),
            ..CommonTlsContext::default()
        }),
        sni: host.name().to_owned(),
        ..UpstreamTlsContext::default()
    };
    TransportSocket {
        name: TLS.to_owned(),
        config_type: Some(ConfigType::TypedConfig(pack_any(context))),
    }
}

//! The messages of LRS, as far as they are read.
//!
//! An Envoy sends its whole node in every report, 61 KB of extension names beside a few counts. These
//! are the fields that matter, under Envoy's numbers; the rest is skipped over and never allocated.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::domain::{Locality, Span};

/// `envoy.service.load_stats.v3.LoadStatsRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LoadStatsRequest {
    /// Still encoded: it is read in full once in a stream.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(super) node: Option<Bytes>,
    #[prost(message, repeated, tag = "2")]
    pub(super) cluster_stats: Vec<ClusterStats>,
}

/// What of `envoy.config.core.v3.Node` is looked at in every message.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NodeHead {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(string, repeated, tag = "10")]
    pub(super) client_features: Vec<String>,
}

/// `envoy.config.endpoint.v3.ClusterStats`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ClusterStats {
    #[prost(string, tag = "1")]
    pub(super) cluster_name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) upstream_locality_stats: Vec<UpstreamLocalityStats>,
    #[prost(message, optional, tag = "4")]
    pub(super) load_report_interval: Option<Interval>,
}

/// `envoy.config.endpoint.v3.UpstreamLocalityStats`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct UpstreamLocalityStats {
    #[prost(message, optional, tag = "1")]
    pub(super) locality: Option<Place>,
    #[prost(uint64, tag = "2")]
    pub(super) total_successful_requests: u64,
    #[prost(uint64, tag = "3")]
    pub(super) total_requests_in_progress: u64,
    #[prost(uint64, tag = "4")]
    pub(super) total_error_requests: u64,
    #[prost(message, repeated, tag = "7")]
    pub(super) upstream_endpoint_stats: Vec<UpstreamEndpointStats>,
}

/// `envoy.config.endpoint.v3.UpstreamEndpointStats`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct UpstreamEndpointStats {
    #[prost(message, optional, tag = "1")]
    pub(super) address: Option<Address>,
    #[prost(uint64, tag = "2")]
    pub(super) total_successful_requests: u64,
    #[prost(uint64, tag = "3")]
    pub(super) total_requests_in_progress: u64,
    #[prost(uint64, tag = "4")]
    pub(super) total_error_requests: u64,
}

/// `envoy.config.core.v3.Address`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Address {
    #[prost(message, optional, tag = "1")]
    pub(super) socket_address: Option<SocketAddress>,
}

/// `envoy.config.core.v3.SocketAddress`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SocketAddress {
    #[prost(string, tag = "2")]
    pub(super) address: String,
    #[prost(uint32, tag = "3")]
    pub(super) port_value: u32,
}

/// `envoy.config.core.v3.Locality`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Place {
    #[prost(string, tag = "1")]
    pub(super) region: String,
    #[prost(string, tag = "2")]
    pub(super) zone: String,
}

/// `google.protobuf.Duration`
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Interval {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

/// `envoy.service.load_stats.v3.LoadStatsResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LoadStatsResponse {
    #[prost(string, repeated, tag = "1")]
    pub(super) clusters: Vec<String>,
    #[prost(message, optional, tag = "2")]
    pub(super) load_reporting_interval: Option<Interval>,
    #[prost(bool, tag = "3")]
    pub(super) report_endpoint_granularity: bool,
    #[prost(bool, tag = "4")]
    pub(super) send_all_clusters: bool,
}

impl LoadStatsRequest {
    /// How long the proxy says that it measured: the longest of its clusters, since one that is new to
    /// it began later.
    pub(super) fn interval(&self) -> Option<Span> {
        let intervals = self.cluster_stats.iter();
        let intervals = intervals.filter_map(|cluster| cluster.load_report_interval);
        intervals.filter_map(Interval::span).max()
    }

    /// Endpoints that it names.
    pub(super) fn endpoints(&self) -> usize {
        let places = self.cluster_stats.iter();
        let places = places.flat_map(|cluster| &cluster.upstream_locality_stats);
        places
            .map(|place| place.upstream_endpoint_stats.len())
            .sum()
    }
}

impl UpstreamLocalityStats {
    pub(super) fn place(&self) -> Locality {
        let Place { region, zone } = self.locality.clone().unwrap_or_default();
        Locality { region, zone }
    }
}

impl UpstreamEndpointStats {
    /// Where the endpoint answers, if it is an IP address.
    pub(super) fn socket_address(&self) -> Option<SocketAddr> {
        let socket = self.address.as_ref()?.socket_address.as_ref()?;
        let port = u16::try_from(socket.port_value).ok()?;
        Some(SocketAddr::new(socket.address.parse().ok()?, port))
    }
}

impl Interval {
    fn span(self) -> Option<Span> {
        let seconds = u64::try_from(self.seconds).ok()?;
        let nanos = u32::try_from(self.nanos).ok()?;
        (nanos < 1_000_000_000).then(|| std::time::Duration::new(seconds, nanos).into())
    }
}

impl From<Span> for Interval {
    fn from(span: Span) -> Self {
        let span = span.duration();
        Self {
            seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(span.subsec_nanos()).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use envoy_types::pb::envoy::config::core::v3::{
        Address as EnvoyAddress, Locality as EnvoyLocality, Node, SocketAddress as EnvoySocket,
        address::Address as OneOf, socket_address::PortSpecifier,
    };
    use envoy_types::pb::envoy::config::endpoint::v3 as endpoint;
    use envoy_types::pb::envoy::service::load_stats::v3 as lrs;
    use envoy_types::pb::google::protobuf::Duration;
    use prost::Message;

    use super::*;

    #[test]
    fn what_envoy_writes_is_what_is_read() {
        let socket = EnvoySocket {
            address: "127.0.0.1".into(),
            port_specifier: Some(PortSpecifier::PortValue(80)),
            ..EnvoySocket::default()
        };
        let stats = endpoint::UpstreamLocalityStats {
            locality: Some(EnvoyLocality {
                region: "r".into(),
                zone: "z".into(),
                sub_zone: String::new(),
            }),
            total_successful_requests: 1,
            total_requests_in_progress: 2,
            total_error_requests: 3,
            upstream_endpoint_stats: vec![endpoint::UpstreamEndpointStats {
                address: Some(EnvoyAddress {
                    address: Some(OneOf::SocketAddress(socket)),
                }),
                total_successful_requests: 5,
                total_requests_in_progress: 2,
                total_error_requests: 6,
                ..endpoint::UpstreamEndpointStats::default()
            }],
            ..endpoint::UpstreamLocalityStats::default()
        };
        let request = lrs::LoadStatsRequest {
            node: Some(Node {
                id: "edge-1".into(),
                client_features: vec!["all".into()],
                dynamic_parameters: HashMap::new(),
                ..Node::default()
            }),
            cluster_stats: vec![endpoint::ClusterStats {
                cluster_name: "cart/v1".into(),
                upstream_locality_stats: vec![stats],
                load_report_interval: Some(Duration {
                    seconds: 1,
                    nanos: 500_000_000,
                }),
                ..endpoint::ClusterStats::default()
            }],
        };
        let read = LoadStatsRequest::decode(&*request.encode_to_vec()).unwrap();
        let head = NodeHead::decode(read.node.clone().unwrap()).unwrap();
        assert_eq!((&*head.id, &*head.client_features[0]), ("edge-1", "all"));
        assert_eq!(read.interval(), Some(Span::millis(1500)));
        let place = &read.cluster_stats[0].upstream_locality_stats[0];
        assert_eq!(
            (
                place.total_successful_requests,
                place.total_requests_in_progress,
                place.total_error_requests,
                place.place().zone.as_str(),
                place.upstream_endpoint_stats[0].socket_address(),
            ),
            (1, 2, 3, "z", Some(([127, 0, 0, 1], 80).into()))
        );

        let stats = &place.upstream_endpoint_stats[0];
        let counted = (stats.total_successful_requests, stats.total_error_requests);
        assert_eq!(counted, (5, 6));

        let asked = LoadStatsResponse {
            clusters: vec!["a".into()],
            load_reporting_interval: Some(Span::millis(600).into()),
            report_endpoint_granularity: true,
            send_all_clusters: true,
        };
        let taken = lrs::LoadStatsResponse::decode(&*asked.encode_to_vec()).unwrap();
        assert_eq!(taken.clusters, ["a"]);
        assert!(taken.report_endpoint_granularity && taken.send_all_clusters);
        assert_eq!(taken.load_reporting_interval.unwrap().nanos, 600_000_000);
    }
}

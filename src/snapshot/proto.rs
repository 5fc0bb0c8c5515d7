//! The small protobuf values that several resources are made of.

use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{
    Address, AggregatedConfigSource, ApiVersion, ConfigSource, SocketAddress, address,
};
use envoy_types::pb::google::protobuf::{BoolValue, Duration, UInt32Value};

use crate::domain::Span;

/// A length of time.
pub(super) fn duration(span: Span) -> Duration {
    let span = span.duration();
    Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or(0),
    }
}

/// A number that is there even when it is zero.
pub(super) const fn number(value: u32) -> UInt32Value {
    UInt32Value { value }
}

/// A truth that is there even when it is false.
pub(super) const fn truth(value: bool) -> BoolValue {
    BoolValue { value }
}

/// An IP address and port.
pub(super) fn address(host: String, port: u16) -> Address {
    let socket = SocketAddress {
        address: host,
        port_specifier: Some(PortSpecifier::PortValue(u32::from(port))),
        ..SocketAddress::default()
    };
    Address {
        address: Some(address::Address::SocketAddress(socket)),
    }
}

/// "Ask on the one aggregated stream", with Envoy's default patience unless told otherwise.
pub(super) fn ads(initial_fetch_timeout: Option<Span>) -> ConfigSource {
    ConfigSource {
        initial_fetch_timeout: initial_fetch_timeout.map(duration),
        resource_api_version: ApiVersion::V3.into(),
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
        ..ConfigSource::default()
    }
}

//! What an overlay may not set: what Tidegate sets itself, because drains and their proof rest on it.

use prost_reflect::{Kind, MessageDescriptor};
use serde_json::Value;

use super::descriptors;
use super::merge::field;
use crate::domain::{Help, OverlayFault, OverlayPart, Step};

const NAMES: &str = "routes, assignments and metrics find a version by its cluster's name";
const ENDPOINTS: &str = "endpoints come from the service's instances, by EDS";
const PLACE: &str = "the listener's `port` and `address` say where it listens";
const CHAIN: &str = "a listener has one filter chain, which takes every connection";
const SHARES: &str = "the rollout says which versions answer, and with which share";
const ROUTES: &str = "the routes of the listener's document are asked for by name";

/// A field with its path, and why it may not be named.
type Owned = (&'static str, &'static str);

const CLUSTER: &[Owned] = &[
    ("alt_stat_name", NAMES),
    ("cluster_type", ENDPOINTS),
    (
        "common_lb_config.healthy_panic_threshold",
        "in a panic Envoy sends new requests to instances that drain",
    ),
    (
        "common_lb_config.update_merge_window",
        "a step would begin before the last one is in force",
    ),
    ("eds_cluster_config", ENDPOINTS),
    (
        "ignore_health_on_host_removal",
        "a removed instance that still answers its health check would keep its traffic",
    ),
    (
        "lb_subset_config",
        "endpoints carry no metadata to choose a subset by, so nobody would be chosen",
    ),
    ("load_assignment", ENDPOINTS),
    (
        "lrs_server",
        "how proxies report their load is said in their bootstraps",
    ),
    ("name", NAMES),
    ("original_dst_lb_config", ENDPOINTS),
    (
        "stats_matcher",
        "the counts per instance are the proof of drain",
    ),
    (
        "track_cluster_stats",
        "the counts per instance are the proof of drain",
    ),
    ("type", ENDPOINTS),
];

const FILTER_CHAIN: &[Owned] = &[("filter_chain_match", CHAIN)];

const HTTP_CONNECTION_MANAGER: &[Owned] = &[
    ("rds", ROUTES),
    ("route_config", ROUTES),
    ("scoped_routes", ROUTES),
];

const LISTENER: &[Owned] = &[
    ("additional_addresses", PLACE),
    ("address", PLACE),
    ("api_listener", "the listener is one that proxies listen on"),
    ("bind_to_port", PLACE),
    ("default_filter_chain", CHAIN),
    ("fcds_config", CHAIN),
    ("filter_chain_matcher", CHAIN),
    (
        "filter_chains",
        "its one filter chain is set by `filterChain`, `httpConnectionManager` and `tcpProxy`",
    ),
    ("internal_listener", PLACE),
    ("name", "routes are asked for by the listener's name"),
    ("udp_listener_config", "the listener is one for TCP"),
    ("use_original_dst", PLACE),
];

const ROUTE: &[Owned] = &[
    ("direct_response", SHARES),
    ("filter_action", SHARES),
    (
        "match",
        "the route's `hosts` and `prefix` say what it matches",
    ),
    ("non_forwarding_action", SHARES),
    ("redirect", SHARES),
    ("route.cluster", SHARES),
    ("route.cluster_header", SHARES),
    ("route.cluster_specifier_plugin", SHARES),
    ("route.inline_cluster_specifier_plugin", SHARES),
    ("route.weighted_clusters", SHARES),
];

const TCP_PROXY: &[Owned] = &[
    ("cluster", SHARES),
    ("on_demand", SHARES),
    ("weighted_clusters", SHARES),
];

/// What the settings of a part may not name.
pub(super) const fn owned(part: OverlayPart) -> &'static [Owned] {
    match part {
        OverlayPart::Cluster => CLUSTER,
        OverlayPart::FilterChain => FILTER_CHAIN,
        OverlayPart::HttpConnectionManager => HTTP_CONNECTION_MANAGER,
        OverlayPart::Listener => LISTENER,
        OverlayPart::Route => ROUTE,
        OverlayPart::TcpProxy => TCP_PROXY,
    }
}

/// A fault for each owned field that the JSON names.
pub(super) fn faults(part: OverlayPart, written: &Value) -> Vec<OverlayFault> {
    let kind = descriptors::of_part(part);
    let mut faults = Vec::new();
    for (path, why) in owned(part) {
        if let Some(place) = find(&kind, written, path) {
            faults.push(OverlayFault {
                path: place,
                at_key: true,
                message: format!("`{path}` may not be set in an overlay"),
                help: Help::Hint((*why).to_owned()),
            });
        }
    }
    faults
}

/// Where the JSON names the field at this path, be it by its proto name or by its JSON name.
pub(super) fn find(kind: &MessageDescriptor, written: &Value, path: &str) -> Option<Vec<Step>> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let wanted = kind.get_field_by_name(first)?;
    let mut entries = written.as_object()?.iter();
    let (key, value) =
        entries.find(|(key, _)| field(kind, key).is_some_and(|named| named == wanted))?;
    let mut steps = vec![Step::Key(key.clone())];
    match wanted.kind() {
        _ if rest.is_empty() => {}
        Kind::Message(inner) => steps.extend(find(&inner, value, rest)?),
        _ => return None,
    }
    Some(steps)
}

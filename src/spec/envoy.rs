//! Settings in Envoy's own words, wherever a document may have them.
//!
//! They are opaque here: a function that comes in says what is wrong with them, and where; this finds
//! the line of it.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::context::Context;
use super::field::Field;
use super::problem::{did_you_mean, suggestion};
use super::source::Place;
use super::tree::{Node, Value};
use crate::domain::{Help, Overlay, OverlayFault, OverlayPart, Step};

/// Envoy settings of a service.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ServiceEnvoy {
    /// A partial `envoy.config.cluster.v3.Cluster`, merged into each generated cluster.
    #[serde(default)]
    #[schemars(with = "Map<String, Json>")]
    cluster: Field<Json>,
    /// A partial `envoy.config.route.v3.Route`, merged into each generated route to the service.
    #[serde(default)]
    #[schemars(with = "Map<String, Json>")]
    route: Field<Json>,
}

/// Envoy settings of a listener, or of all listeners of a gateway.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListenerEnvoy {
    /// A partial `envoy.config.listener.v3.FilterChain`: TLS, and filters before the last one.
    #[serde(default)]
    #[schemars(with = "Map<String, Json>")]
    filter_chain: Field<Json>,
    /// A partial `envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`;
    /// its `http_filters` stand before the router.
    #[serde(default)]
    #[schemars(with = "Map<String, Json>")]
    http_connection_manager: Field<Json>,
    /// A partial `envoy.config.listener.v3.Listener`.
    #[serde(default)]
    #[schemars(with = "Map<String, Json>")]
    listener: Field<Json>,
    /// A partial `envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy`, for TCP services.
    #[serde(default)]
    #[schemars(with = "Map<String, Json>")]
    tcp_proxy: Field<Json>,
}

/// Envoy settings of a route.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RouteEnvoy {
    /// A partial `envoy.config.route.v3.Route`, merged into the generated route.
    #[serde(default)]
    #[schemars(with = "Map<String, Json>")]
    route: Field<Json>,
}

/// The parts that one place in a document may have.
pub(super) trait Parts {
    /// Each with what was given.
    fn parts(self) -> Vec<(OverlayPart, Field<Json>)>;
}

impl Parts for ServiceEnvoy {
    fn parts(self) -> Vec<(OverlayPart, Field<Json>)> {
        vec![
            (OverlayPart::Cluster, self.cluster),
            (OverlayPart::Route, self.route),
        ]
    }
}

impl Parts for ListenerEnvoy {
    fn parts(self) -> Vec<(OverlayPart, Field<Json>)> {
        vec![
            (OverlayPart::FilterChain, self.filter_chain),
            (
                OverlayPart::HttpConnectionManager,
                self.http_connection_manager,
            ),
            (OverlayPart::Listener, self.listener),
            (OverlayPart::TcpProxy, self.tcp_proxy),
        ]
    }
}

impl Parts for RouteEnvoy {
    fn parts(self) -> Vec<(OverlayPart, Field<Json>)> {
        vec![(OverlayPart::Route, self.route)]
    }
}

/// Reads the settings given in the field `envoy` of `parent`. Those of a listener are remembered,
/// with their places, until it is known what the listener speaks.
pub(super) fn read(
    field: Field<impl Parts>,
    parent: Option<&Node>,
    listener: Option<usize>,
    cx: &Context<'_>,
) -> Option<Overlay> {
    let (_, node) = parent?.get("envoy")?;
    let mut overlay = Overlay::default();
    for (part, field) in field.get()?.parts() {
        let Some(key) = field.key() else { continue };
        let Some(settings) = field.get() else {
            continue;
        };
        if let Some(listener) = listener {
            cx.sets(listener, part, key);
        }
        let json = settings.to_string();
        let faults = (cx.check_overlay)(part, &json);
        let value = node.get(&part.to_string()).map(|(_, value)| value);
        for fault in &faults {
            tell(fault, key, value, cx);
        }
        if faults.is_empty() {
            overlay.0.insert(part, json);
        }
    }
    (!overlay.0.is_empty()).then_some(overlay)
}

fn tell(fault: &OverlayFault, key: Place, value: Option<&Node>, cx: &Context<'_>) {
    let hint = match &fault.help {
        Help::None => None,
        Help::Hint(text) => Some(text.clone()),
        Help::Known { word, known } => {
            let words = known.iter().map(String::as_str);
            if known.len() > LISTED_MAX {
                did_you_mean(word, words)
            } else {
                Some(suggestion(word, words))
            }
        }
    };
    cx.sink
        .hinted(place(fault, key, value), fault.message.clone(), hint);
}

/// Where in the file the fault is; as near as it can be found.
fn place(fault: &OverlayFault, mut key: Place, mut value: Option<&Node>) -> Place {
    for step in &fault.path {
        let next = match (step, value.map(|node| &node.value)) {
            (Step::Key(name), Some(Value::Map(_))) => value
                .and_then(|node| node.get(name))
                .map(|(key, node)| (key.place, node)),
            (Step::Item(index), Some(Value::List(items))) => {
                items.get(*index).map(|node| (node.place, node))
            }
            _ => None,
        };
        let Some((at, node)) = next else { break };
        (key, value) = (at, Some(node));
    }
    let at_value = value.filter(|_| !fault.at_key).map(|node| node.place);
    at_value.unwrap_or(key)
}

/// More known words than this are not listed in a hint.
const LISTED_MAX: usize = 12;

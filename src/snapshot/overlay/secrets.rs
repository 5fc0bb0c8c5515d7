//! Which secrets settings ask for on the aggregated stream.
//!
//! A TLS context names a secret by an `SdsSecretConfig`; with `sds_config: { ads: {} }` the proxy asks
//! Tidegate for it. Secrets without a source are the proxy's own, and other sources are others'.

use std::collections::BTreeSet;

use prost_reflect::{DynamicMessage, ReflectMessage, Value};
use serde_json::Value as Json;

use super::{descriptors, merge};
use crate::domain::OverlayPart;

const SECRET: &str = "envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig";

/// The names of the secrets that the settings of a part, given as JSON text, ask for by ADS. What
/// cannot be read asks for none.
pub(in crate::snapshot) fn overlay_secrets(part: OverlayPart, json: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    // Whoever asks for one says so by this word; the rest needs no reading.
    if !json.contains("ads") {
        return names;
    }
    let written: Json = serde_json::from_str(json).unwrap_or_default();
    if let Ok(message) = DynamicMessage::deserialize(descriptors::of_part(part), written) {
        collect(&message, &mut names);
    }
    names
}

fn collect(message: &DynamicMessage, names: &mut BTreeSet<String>) {
    if message.descriptor().full_name() == SECRET && is_by_ads(message) {
        let name = message.get_field_by_name("name");
        names.extend(name.and_then(|name| name.as_str().map(str::to_owned)));
    }
    if let Some(packed) = merge::unpacked(message) {
        return collect(&packed, names);
    }
    for (_, value) in message.fields() {
        match value {
            Value::Message(inner) => collect(inner, names),
            Value::List(items) => {
                let inner = items.iter().filter_map(Value::as_message);
                inner.for_each(|inner| collect(inner, names));
            }
            Value::Map(entries) => {
                let inner = entries.values().filter_map(Value::as_message);
                inner.for_each(|inner| collect(inner, names));
            }
            _ => {}
        }
    }
}

fn is_by_ads(secret: &DynamicMessage) -> bool {
    let source = secret.get_field_by_name("sds_config");
    let source = source.as_ref().and_then(|source| source.as_message());
    source.is_some_and(|source| source.has_field_by_name("ads"))
}

//! Users' own Envoy settings: parts of Envoy's messages as JSON, merged into the generated ones.
//!
//! In goes JSON text, out comes everything that is wrong with it, each fault at its place, or the
//! merged message. The JSON is read with Envoy's own description of its types, so whatever Envoy
//! knows may be set, `@type` extensions included, and values are held against Envoy's own rules. What
//! drains and their proof rest on may not be set (`owned`). What only an Envoy can judge is left to
//! its NACK.
//!
//! Documents are checked where they come in; a plan's overlays are only read and merged. Reading
//! takes a description of 1,600 types, built once at the first overlay; a plan without overlays never
//! comes here.

mod canonical;
mod check;
pub(super) mod descriptors;
mod merge;
mod owned;
mod rules;
mod secrets;

use prost::{Message, Name};
use prost_reflect::DynamicMessage;
use serde_json::Value;

use crate::domain::{Help, OverlayFault, OverlayPart, Step};

pub(super) use merge::{repacked, unpacked};
pub(super) use secrets::overlay_secrets;

/// Why an overlay cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// The merged message could not be written.
    #[error("it cannot be merged")]
    Merge(#[from] prost::DecodeError),
    /// Not JSON, or no part of that type of Envoy.
    #[error("`{part}` is no part of Envoy's type: {reason}")]
    Shape {
        /// Which settings.
        part: OverlayPart,
        /// What the reader said, with line and column.
        reason: String,
    },
}

/// Everything that is wrong with the settings of a part, given as JSON text.
pub fn check_overlay(part: OverlayPart, json: &str) -> Vec<OverlayFault> {
    let all = |message: String| OverlayFault {
        path: Vec::new(),
        at_key: true,
        message,
        help: Help::None,
    };
    let written: Value = match serde_json::from_str(json) {
        Ok(written) => written,
        Err(error) => return vec![all(error.to_string())],
    };
    let mut faults = check::Walk::faults(&descriptors::of_part(part), &written);
    faults.extend(owned::faults(part, &written));
    if faults.is_empty() {
        faults.extend(misplaced_filter(part, &written));
    }
    if faults.is_empty()
        && let Err(error) = Layers::parse(part, [json])
    {
        faults.push(all(error.to_string()));
    }
    faults
}

/// A filter in a place where Envoy, or Tidegate, wants another one.
fn misplaced_filter(part: OverlayPart, written: &Value) -> Option<OverlayFault> {
    let (lists, kinds, message, hint): (_, &[&str], _, _) = match part {
        OverlayPart::HttpConnectionManager => (
            ["http_filters", "httpFilters"],
            &[".http.router.v3.Router"],
            "the router is the last of the filters",
            "put it last, or leave it out: one is there",
        ),
        OverlayPart::FilterChain => (
            ["filters", "filters"],
            &[".HttpConnectionManager", ".tcp_proxy.v3.TcpProxy"],
            "the last filter of a listener is there already",
            "its settings go into `httpConnectionManager` or `tcpProxy`",
        ),
        _ => return None,
    };
    let (list, filters) = lists
        .iter()
        .find_map(|list| Some((*list, written.get(list)?.as_array()?)))?;
    let is_one = |filter: &Value| {
        let config = filter
            .get("typed_config")
            .or_else(|| filter.get("typedConfig"));
        let url = config.and_then(|config| config["@type"].as_str());
        url.is_some_and(|url| kinds.iter().any(|kind| url.ends_with(kind)))
    };
    let may_be_last = part == OverlayPart::HttpConnectionManager;
    let index = filters.iter().position(is_one)?;
    if may_be_last && index + 1 == filters.len() {
        return None;
    }
    Some(OverlayFault {
        path: vec![Step::Key(list.to_owned()), Step::Item(index)],
        at_key: false,
        message: message.to_owned(),
        help: Help::Hint(hint.to_owned()),
    })
}

/// The settings of one part from several places, the last of which wins. There may be none.
#[derive(Debug)]
pub(super) struct Layers {
    layers: Vec<(DynamicMessage, Value)>,
}

impl Layers {
    /// Reads the settings of each place, the strongest last.
    pub(super) fn parse<'a>(
        part: OverlayPart,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, OverlayError> {
        let shape = |reason: serde_json::Error| OverlayError::Shape {
            part,
            reason: reason.to_string(),
        };
        let mut layers = Vec::new();
        for json in texts {
            let mut reader = serde_json::Deserializer::from_str(json);
            let kind = descriptors::of_part(part);
            let message = DynamicMessage::deserialize(kind, &mut reader).map_err(shape)?;
            reader.end().map_err(shape)?;
            layers.push((message, serde_json::from_str(json).map_err(shape)?));
        }
        Ok(Self { layers })
    }

    /// Does one of them name this field of the message, whatever its value?
    pub(super) fn name(&self, field: &str) -> bool {
        self.layers.iter().any(|(message, written)| {
            let kind = prost_reflect::ReflectMessage::descriptor(message);
            owned::find(&kind, written, field).is_some()
        })
    }

    /// Merges them into a generated message.
    pub(super) fn merge_into<M: Message + Default>(
        &self,
        generated: &mut M,
    ) -> Result<(), OverlayError> {
        let Some((first, _)) = self.layers.first() else {
            return Ok(());
        };
        let kind = prost_reflect::ReflectMessage::descriptor(first);
        let mut merged = DynamicMessage::decode(kind, generated.encode_to_vec().as_slice())?;
        for (settings, written) in &self.layers {
            merge::merge(&mut merged, settings, written);
        }
        *generated = M::decode(merged.encode_to_vec().as_slice())?;
        Ok(())
    }
}

/// Encodes a message that settings of these kinds were merged into, the same way each time.
pub(super) fn encode<M: Message + Name>(
    message: &M,
    merged: &[&Layers],
) -> Result<Vec<u8>, OverlayError> {
    let encoded = message.encode_to_vec();
    if merged.iter().all(|layers| layers.layers.is_empty()) {
        return Ok(encoded);
    }
    match descriptors::packed(&M::full_name()) {
        Some(kind) => Ok(canonical::canonical(&kind, &encoded)?),
        None => Ok(encoded),
    }
}

#[cfg(test)]
mod tests;

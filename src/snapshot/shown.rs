//! A resource for people and for other programs: as Envoy's own JSON, without what nobody may see.
//!
//! In goes an encoded resource, out comes the same as JSON with each `Any` in it expanded, or as an
//! `Any`. Private keys, passwords and whatever else Envoy's types call sensitive are blotted out, as
//! Envoy does in its own dumps. The same resource is shown the same way each time.

use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryResponse;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage,
    SerializeOptions, Value,
};
use serde_json::{Map, Value as Json};

use super::Resource;
use super::overlay::{self, descriptors};

/// What stands in the place of a secret.
const BLOT: &str = "[redacted]";

/// Why a resource cannot be shown; a fault of who encoded it.
#[derive(Debug, thiserror::Error)]
#[error("the resource `{name}` cannot be read: {reason}")]
pub struct Unreadable {
    name: String,
    reason: String,
}

/// A resource without its secrets.
#[derive(Clone, Debug)]
pub struct Shown {
    name: String,
    type_url: String,
    message: DynamicMessage,
}

impl Shown {
    /// Reads a resource and blots out its secrets.
    pub fn of(resource: &Resource) -> Result<Self, Unreadable> {
        let unreadable = |reason: &str| Unreadable {
            name: resource.name.to_string(),
            reason: reason.to_owned(),
        };
        let field = DeltaDiscoveryResponse::decode(resource.delta_field.clone());
        let field = field.map_err(|error| unreadable(&error.to_string()))?;
        let mut resources = field.resources.into_iter();
        let any = resources.next().and_then(|resource| resource.resource);
        let any = any.ok_or_else(|| unreadable("it is empty"))?;
        let kind = descriptors::packed(&any.type_url);
        let kind = kind.ok_or_else(|| unreadable("its type is none of Envoy's"))?;
        let message = DynamicMessage::decode(kind, any.value.as_slice());
        let message = message.map_err(|error| unreadable(&error.to_string()))?;
        Ok(Self {
            name: resource.name.to_string(),
            type_url: any.type_url,
            message: blotted(&message, false),
        })
    }

    /// As an `Any`.
    pub fn any(&self) -> Any {
        Any {
            type_url: self.type_url.clone(),
            value: self.message.encode_to_vec(),
        }
    }

    /// As Envoy writes it: its field names, and what is at its default left out.
    pub fn json(&self) -> Result<Json, Unreadable> {
        let options = SerializeOptions::new().use_proto_field_name(true);
        let json = self
            .message
            .serialize_with_options(serde_json::value::Serializer, &options);
        let fields = json.map_err(|error| Unreadable {
            name: self.name.clone(),
            reason: error.to_string(),
        })?;
        let mut json = Map::new();
        json.insert("@type".to_owned(), Json::from(self.type_url.as_str()));
        json.extend(fields.as_object().cloned().unwrap_or_default());
        let mut json = Json::Object(json);
        order(&self.message.descriptor(), &mut json);
        Ok(json)
    }
}

/// The message without what is sensitive in it; all of it, if it is itself.
fn blotted(message: &DynamicMessage, is_sensitive: bool) -> DynamicMessage {
    if let Some(packed) = overlay::unpacked(message) {
        return overlay::repacked(message, &blotted(&packed, is_sensitive));
    }
    let mut blotted = message.clone();
    for (field, value) in message.fields() {
        let is_sensitive = is_sensitive || descriptors::is_sensitive(&field);
        match blot(value, is_sensitive) {
            Some(value) => blotted.set_field(&field, value),
            None => blotted.clear_field(&field),
        }
    }
    blotted
}

/// A value of a field; `None` if nothing of it may be seen.
fn blot(value: &Value, is_sensitive: bool) -> Option<Value> {
    let all = |values: &[Value]| {
        values
            .iter()
            .filter_map(|it| blot(it, is_sensitive))
            .collect()
    };
    Some(match value {
        Value::Message(message) => Value::Message(blotted(message, is_sensitive)),
        Value::List(values) => Value::List(all(values)),
        Value::Map(entries) => {
            let blot =
                |(key, value): (&MapKey, &Value)| Some((key.clone(), blot(value, is_sensitive)?));
            Value::Map(entries.iter().filter_map(blot).collect())
        }
        value if !is_sensitive => value.clone(),
        Value::String(_) => Value::String(BLOT.to_owned()),
        Value::Bytes(_) => Value::Bytes(BLOT.into()),
        _ => return None,
    })
}

/// Puts the entries of maps in order; they come in none.
fn order(kind: &MessageDescriptor, json: &mut Json) {
    if kind.full_name().starts_with("google.protobuf.") {
        let packed = json["@type"].as_str().and_then(descriptors::packed);
        match packed {
            Some(packed) => order(&packed, json),
            None => sort(json),
        }
        return;
    }
    for (key, value) in json.as_object_mut().into_iter().flatten() {
        let Some(field) = kind.get_field_by_name(key) else {
            continue;
        };
        if field.is_map() {
            let entries = value.as_object_mut();
            entries.into_iter().for_each(Map::sort_keys);
        }
        let Some(inner) = message_kind(&field) else {
            continue;
        };
        match value {
            Json::Array(items) => items.iter_mut().for_each(|item| order(&inner, item)),
            Json::Object(entries) if field.is_map() => {
                entries.values_mut().for_each(|value| order(&inner, value));
            }
            value => order(&inner, value),
        }
    }
}

/// The type of the messages in a field, or in the entries of a map.
fn message_kind(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => match entry.map_entry_value_field().kind() {
            Kind::Message(inner) => Some(inner),
            _ => None,
        },
        Kind::Message(inner) => Some(inner),
        _ => None,
    }
}

/// Values of any shape have no other order.
fn sort(json: &mut Json) {
    match json {
        Json::Object(entries) => {
            entries.sort_keys();
            entries.values_mut().for_each(sort);
        }
        Json::Array(items) => items.iter_mut().for_each(sort),
        _ => {}
    }
}

#[cfg(test)]
mod tests;

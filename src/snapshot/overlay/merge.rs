//! Merging settings into a message, the way their author would expect.
//!
//! It is protobuf's merge but for three things, where protobuf knows only what is on the wire: a
//! value that was written counts also when it is a zero; a span of time or a wrapped number is
//! replaced and not added up; and an `Any` is merged with another one of its type. So a list is
//! appended to, a message is merged, one choice replaces another, everything else is replaced.

use prost::Message;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value,
};
use serde_json::Value as Json;

use super::{descriptors, rules};

const ANY: &str = "google.protobuf.Any";

/// Merges `settings` into `base`; `written` is the JSON that `settings` was read from, which says
/// what was written.
pub(super) fn merge(base: &mut DynamicMessage, settings: &DynamicMessage, written: &Json) {
    let kind = settings.descriptor();
    for (key, json) in written.as_object().into_iter().flatten() {
        let Some(field) = field(&kind, key).filter(|_| !json.is_null()) else {
            continue;
        };
        let value = settings.get_field(&field);
        let value = if field.is_list() {
            let before = base.get_field(&field);
            let before = before.as_list().unwrap_or_default().iter();
            let added = value.as_list().unwrap_or_default().iter();
            Value::List(before.chain(added).cloned().collect())
        } else if field.is_map() {
            let mut all = base.get_field(&field).as_map().cloned().unwrap_or_default();
            for (name, value) in value.as_map().into_iter().flatten() {
                let json = name.as_str().and_then(|name| json.get(name));
                let merged = match (all.get(name), json) {
                    (Some(before), Some(json)) => merged(before, value, json),
                    _ => value.clone(),
                };
                all.insert(name.clone(), merged);
            }
            Value::Map(all)
        } else if base.has_field(&field) {
            merged(&base.get_field(&field), &value, json)
        } else {
            value.into_owned()
        };
        base.set_field(&field, value);
    }
}

/// One value merged into another.
fn merged(before: &Value, value: &Value, written: &Json) -> Value {
    let (Some(before), Some(settings)) = (before.as_message(), value.as_message()) else {
        return value.clone();
    };
    let kind = Kind::Message(settings.descriptor());
    let merged = if settings.descriptor().full_name() == ANY {
        merged_any(before, settings, written)
    } else if rules::is_well_known(&kind) {
        None
    } else {
        let mut base = before.clone();
        merge(&mut base, settings, written);
        Some(base)
    };
    merged.map_or_else(|| value.clone(), Value::Message)
}

/// One `Any` merged into another of its type; `None` where they differ in it.
fn merged_any(
    before: &DynamicMessage,
    settings: &DynamicMessage,
    written: &Json,
) -> Option<DynamicMessage> {
    let kind = packed_kind(settings).filter(|kind| packed_kind(before).as_ref() == Some(kind))?;
    let mut base = unpack(before, &kind)?;
    merge(&mut base, &unpack(settings, &kind)?, written);
    Some(repacked(settings, &base))
}

/// The same `Any` with another content.
pub(in crate::snapshot) fn repacked(
    any: &DynamicMessage,
    content: &DynamicMessage,
) -> DynamicMessage {
    let mut any = any.clone();
    any.set_field_by_name("value", Value::Bytes(content.encode_to_vec().into()));
    any
}

/// What an `Any` holds; `None` for every other message, and where it is not one of Envoy's types.
pub(in crate::snapshot) fn unpacked(message: &DynamicMessage) -> Option<DynamicMessage> {
    unpack(message, &packed_kind(message)?)
}

/// The type that an `Any` holds, if it is one of Envoy's; `None` for every other message.
pub(super) fn packed_kind(any: &DynamicMessage) -> Option<MessageDescriptor> {
    if any.descriptor().full_name() != ANY {
        return None;
    }
    let url = any.get_field_by_name("type_url")?;
    let kind = descriptors::packed(url.as_str()?)?;
    (!rules::is_well_known(&Kind::Message(kind.clone()))).then_some(kind)
}

/// What an `Any` of this type holds.
fn unpack(any: &DynamicMessage, kind: &MessageDescriptor) -> Option<DynamicMessage> {
    let value = any.get_field_by_name("value")?;
    DynamicMessage::decode(kind.clone(), value.as_bytes()?.clone()).ok()
}

/// The field with this name, or with this JSON name.
pub(super) fn field(kind: &MessageDescriptor, key: &str) -> Option<FieldDescriptor> {
    kind.get_field_by_name(key)
        .or_else(|| kind.get_field_by_json_name(key))
}

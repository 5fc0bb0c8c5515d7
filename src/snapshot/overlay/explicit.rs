//! Zeros that a user wrote down.
//!
//! Protobuf does not encode a plain scalar that is zero, so `lb_policy: ROUND_ROBIN`, the zero of
//! its enum, would be no change at all. Here each such field that stands in the JSON is appended to
//! the encoding by hand; whoever merges those bytes sets it.

use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage};
use serde_json::Value;

/// Types with a JSON form of their own, whose fields are not the JSON's keys.
const WELL_KNOWN: &str = "google.protobuf.";

/// Appends the zeros that `written`, the JSON that `message` was read from, names.
pub(super) fn append_zeros(message: &DynamicMessage, written: &Value, encoded: &mut Vec<u8>) {
    let kind = message.descriptor();
    for (key, value) in written.as_object().into_iter().flatten() {
        let Some(field) = field(&kind, key) else {
            continue;
        };
        if value.is_null() || field.is_list() || field.is_map() {
            continue;
        }
        match field.kind() {
            Kind::Message(inner) if inner.full_name().starts_with(WELL_KNOWN) => {}
            Kind::Message(_) => {
                let mut nested = Vec::new();
                if let Some(inner) = message.get_field(&field).as_message() {
                    append_zeros(inner, value, &mut nested);
                }
                if !nested.is_empty() {
                    encode_key(field.number(), WireType::LengthDelimited, encoded);
                    encode_varint(nested.len() as u64, encoded);
                    encoded.append(&mut nested);
                }
            }
            _ if field.supports_presence() || message.has_field(&field) => {}
            scalar => append_zero(&field, &scalar, encoded),
        }
    }
}

fn field(kind: &MessageDescriptor, key: &str) -> Option<FieldDescriptor> {
    kind.get_field_by_name(key)
        .or_else(|| kind.get_field_by_json_name(key))
}

fn append_zero(field: &FieldDescriptor, scalar: &Kind, encoded: &mut Vec<u8>) {
    let (wire, zeros): (_, &[u8]) = match scalar {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => (WireType::SixtyFourBit, &[0; 8]),
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => (WireType::ThirtyTwoBit, &[0; 4]),
        Kind::Bytes | Kind::String => (WireType::LengthDelimited, &[0]),
        _ => (WireType::Varint, &[0]),
    };
    encode_key(field.number(), wire, encoded);
    encoded.extend_from_slice(zeros);
}

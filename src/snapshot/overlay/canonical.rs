//! One encoding for one content.
//!
//! Map fields are written in no order, neither by prost nor by prost-reflect, so two replicas would
//! give one overlay two hashes, and every proxy would be sent the same cluster twice. Here an
//! encoded message is rewritten with the entries of each map in order, at every depth and within
//! `Any`.

use prost::DecodeError;
use prost::bytes::Buf;
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
};
use prost_reflect::{Kind, MessageDescriptor};

use super::descriptors;

const ANY: &str = "google.protobuf.Any";
const ANY_TYPE_URL: u32 = 1;
const ANY_VALUE: u32 = 2;

/// The same message with its maps in order.
pub(super) fn canonical(kind: &MessageDescriptor, encoded: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut fields = split(encoded)?;
    let packed = packed_kind(kind, &fields);
    for field in &mut fields {
        let Some(payload) = &mut field.payload else {
            continue;
        };
        let inner = match kind.get_field(field.number).map(|field| field.kind()) {
            Some(Kind::Message(inner)) => Some(inner),
            Some(Kind::Bytes) if field.number == ANY_VALUE => packed.clone(),
            _ => None,
        };
        if let Some(inner) = inner {
            *payload = canonical(&inner, payload)?;
        }
    }
    let is_map = |number| kind.get_field(number).is_some_and(|field| field.is_map());
    for run in fields.chunk_by_mut(|a, b| a.number == b.number) {
        if is_map(run[0].number) {
            run.sort_by(|a, b| a.payload.cmp(&b.payload));
        }
    }
    Ok(join(&fields))
}

/// One field on the wire: its payload where it has a length, else its bytes, key included.
struct Field<'a> {
    number: u32,
    whole: &'a [u8],
    payload: Option<Vec<u8>>,
}

fn split(encoded: &[u8]) -> Result<Vec<Field<'_>>, DecodeError> {
    let mut fields = Vec::new();
    let mut rest = encoded;
    while rest.has_remaining() {
        let before = rest;
        let (number, wire) = decode_key(&mut rest)?;
        let mut after_key = rest;
        skip_field(wire, number, &mut rest, DecodeContext::default())?;
        let whole = &before[..before.len() - rest.len()];
        let payload = if wire == WireType::LengthDelimited {
            decode_varint(&mut after_key)?;
            Some(after_key[..after_key.len() - rest.len()].to_vec())
        } else {
            None
        };
        fields.push(Field {
            number,
            whole,
            payload,
        });
    }
    Ok(fields)
}

fn join(fields: &[Field<'_>]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for field in fields {
        if let Some(payload) = &field.payload {
            encode_key(field.number, WireType::LengthDelimited, &mut encoded);
            encode_varint(payload.len() as u64, &mut encoded);
            encoded.extend_from_slice(payload);
        } else {
            encoded.extend_from_slice(field.whole);
        }
    }
    encoded
}

/// What an `Any` holds; `None` for every other message, and for a type that is not known.
fn packed_kind(kind: &MessageDescriptor, fields: &[Field<'_>]) -> Option<MessageDescriptor> {
    if kind.full_name() != ANY {
        return None;
    }
    let url = fields
        .iter()
        .find(|field| field.number == ANY_TYPE_URL)?
        .payload
        .as_deref()?;
    descriptors::packed(std::str::from_utf8(url).ok()?)
}

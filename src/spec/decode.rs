//! Trees → raw specs, by serde, without stopping at the first thing that is wrong.
//!
//! A struct's unknown keys are told and skipped; a field ([`super::field::Field`]) that does not
//! fit is told and left empty. Lists hold fields, too. So what comes out is complete but for what
//! was told.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use super::field::{FIELD, MANY};
use super::problem::{Sink, did_you_mean, suggestion};
use super::source::Place;
use super::tree::{Key, Node, Value};

/// Reads `node` as a `T`; whatever does not fit is told to `sink`.
pub(super) fn decode<'a, T: de::Deserialize<'a>>(node: &'a Node, sink: &'a Sink) -> Option<T> {
    let key = node.place;
    match T::deserialize(Decoder { node, key, sink }) {
        Ok(value) => Some(value),
        Err(misfit) => {
            misfit.tell(node.place, sink);
            None
        }
    }
}

/// A value that is not what was wanted.
#[derive(Debug)]
pub(super) struct Misfit {
    /// Known when it is not the value that is being read, but something within.
    place: Option<Place>,
    message: String,
    hint: Option<String>,
}

impl Misfit {
    fn new(message: String) -> Self {
        Self {
            place: None,
            message,
            hint: None,
        }
    }

    fn within(self, place: Place) -> Self {
        Self {
            place: Some(self.place.unwrap_or(place)),
            ..self
        }
    }

    fn tell(self, place: Place, sink: &Sink) {
        sink.hinted(self.place.unwrap_or(place), self.message, self.hint);
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let hint = Some(suggestion(variant, expected.iter().copied()));
        Self {
            hint,
            ..Self::new(format!("unknown value `{variant}`"))
        }
    }
}

/// Reads one node; `key` is the place of the key that it is the value of.
#[derive(Clone, Copy)]
struct Decoder<'a> {
    node: &'a Node,
    key: Place,
    sink: &'a Sink,
}

impl<'a> Decoder<'a> {
    fn misfit(self, wanted: &str) -> Misfit {
        let found = match &self.node.value {
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
            Value::Null => "nothing".to_owned(),
            Value::Scalar { text, .. } => format!("`{text}`"),
        };
        Misfit::new(format!("expected {wanted}, found {found}"))
    }

    fn text(self) -> Result<&'a str, Misfit> {
        match &self.node.value {
            Value::Scalar { text, .. } => Ok(text),
            _ => Err(self.misfit("a text")),
        }
    }

    fn number<N: std::str::FromStr>(self, wanted: &str) -> Result<N, Misfit> {
        match &self.node.value {
            Value::Scalar { text, plain: true } => text.parse().ok(),
            _ => None,
        }
        .ok_or_else(|| self.misfit(wanted))
    }
}

impl<'de> de::Deserializer<'de> for Decoder<'de> {
    type Error = Misfit;

    /// By YAML's core schema; for opaque values such as Envoy's own settings.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.node.value {
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
            Value::Null => visitor.visit_unit(),
            Value::Scalar { text, plain: false } => visitor.visit_str(text),
            Value::Scalar { text, plain: true } => match text.as_str() {
                "true" | "True" | "TRUE" => visitor.visit_bool(true),
                "false" | "False" | "FALSE" => visitor.visit_bool(false),
                text if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
                    visitor.visit_str(text)
                }
                text => match (text.parse(), text.parse(), text.parse::<f64>()) {
                    (Ok(number), _, _) => visitor.visit_u64(number),
                    (_, Ok(number), _) => visitor.visit_i64(number),
                    (_, _, Ok(number)) if number.is_finite() => visitor.visit_f64(number),
                    _ => visitor.visit_str(text),
                },
            },
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_bool(self.number("`true` or `false`")?)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_u16(self.number("a whole number from 0 to 65535")?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_u32(self.number("a whole number")?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        if name != MANY {
            return visitor.visit_newtype_struct(self);
        }
        let items = match &self.node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(self.node),
        };
        visitor.visit_seq(Items {
            rest: items.iter(),
            sink: self.sink,
        })
    }

    /// Only fields are read like this: both places as numbers, then the value if it fits.
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        assert_eq!(name, FIELD, "specs have no other tuples");
        let [key, at] = [self.key.parts(), self.node.place.parts()];
        let places = key.into_iter().chain(at).collect::<Vec<_>>().into_iter();
        visitor.visit_seq(FieldAccess {
            decoder: self,
            places,
            done: false,
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(Items {
                rest: items.iter(),
                sink: self.sink,
            }),
            _ => Err(self.misfit("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.node.value {
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| (key, node)).collect();
                visitor.visit_map(Entries::new(entries, self.sink))
            }
            _ => Err(self.misfit("a mapping")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let Value::Map(entries) = &self.node.value else {
            return Err(self.misfit("a mapping"));
        };
        let mut known = Vec::new();
        for (key, node) in entries {
            if fields.contains(&key.name.as_str()) {
                known.push((key, node));
            } else {
                unknown_field(key, fields, self.sink);
            }
        }
        visitor.visit_map(Entries::new(known, self.sink))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let word: StrDeserializer<'_, Misfit> = self.text()?.into_deserializer();
        visitor.visit_enum(word)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple
        identifier
    }
}

fn unknown_field(key: &Key, fields: &[&'static str], sink: &Sink) {
    // `fields` has some that are known only to be told unsupported, so it is not listed.
    let hint = did_you_mean(&key.name, fields.iter().copied())
        .unwrap_or_else(|| sink.reference().to_owned());
    sink.hinted(key.place, format!("unknown field `{}`", key.name), hint);
}

/// The parts of a field: eight numbers, then the value, or nothing if it was told.
struct FieldAccess<'a> {
    decoder: Decoder<'a>,
    places: std::vec::IntoIter<usize>,
    done: bool,
}

impl<'a> de::SeqAccess<'a> for FieldAccess<'a> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        if let Some(number) = self.places.next() {
            return seed.deserialize(number.into_deserializer()).map(Some);
        }
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        let Decoder { node, sink, .. } = self.decoder;
        Ok(seed
            .deserialize(self.decoder)
            .map_err(|misfit| misfit.tell(node.place, sink))
            .ok())
    }
}

/// The items of a list: fields, which take care of what does not fit, or opaque values.
struct Items<'a> {
    rest: std::slice::Iter<'a, Node>,
    sink: &'a Sink,
}

impl<'a> de::SeqAccess<'a> for Items<'a> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        let Some(node) = self.rest.next() else {
            return Ok(None);
        };
        let decoder = Decoder {
            node,
            key: node.place,
            sink: self.sink,
        };
        seed.deserialize(decoder)
            .map(Some)
            .map_err(|misfit| misfit.within(node.place))
    }
}

/// The entries of a mapping.
struct Entries<'a> {
    rest: std::vec::IntoIter<(&'a Key, &'a Node)>,
    value: Option<(&'a Key, &'a Node)>,
    sink: &'a Sink,
}

impl<'a> Entries<'a> {
    fn new(entries: Vec<(&'a Key, &'a Node)>, sink: &'a Sink) -> Self {
        Self {
            rest: entries.into_iter(),
            value: None,
            sink,
        }
    }
}

impl<'a> de::MapAccess<'a> for Entries<'a> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        self.value = self.rest.next();
        let Some((key, _)) = self.value else {
            return Ok(None);
        };
        let name: StrDeserializer<'_, Misfit> = key.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let Some((key, node)) = self.value.take() else {
            return Err(Misfit::new("a value without its key".to_owned()));
        };
        let decoder = Decoder {
            node,
            key: key.place,
            sink: self.sink,
        };
        seed.deserialize(decoder)
            .map_err(|misfit| misfit.within(node.place))
    }
}

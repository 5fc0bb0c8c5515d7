//! A field of a raw spec: absent, or given with its places and a value if that fits.
//!
//! Reading a field never fails, so one mistake does not hide the next.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

use super::problem::Sink;
use super::source::Place;

/// The name under which the decoder knows fields.
pub(super) const FIELD: &str = "tidegate::spec::Field";

/// A field. A value that was given but does not fit is `None`, and has been told.
#[derive(Clone, Debug, Default)]
pub(super) enum Field<T> {
    #[default]
    Absent,
    Given {
        key: Place,
        at: Place,
        value: Option<T>,
    },
}

impl<T> Field<T> {
    /// The value, if there is one.
    pub(super) fn get(self) -> Option<T> {
        match self {
            Self::Given { value, .. } => value,
            Self::Absent => None,
        }
    }

    /// The value, or what holds unless said otherwise.
    pub(super) fn or(self, default: T) -> T {
        self.get().unwrap_or(default)
    }

    /// The value; that it is absent is told, `parent` being where it should stand.
    pub(super) fn required(self, name: &str, parent: Place, sink: &Sink) -> Option<T> {
        if matches!(self, Self::Absent) {
            sink.problem(parent, format!("missing field `{name}`"));
        }
        self.get()
    }

    /// Was it written at all?
    pub(super) fn is_given(&self) -> bool {
        matches!(self, Self::Given { .. })
    }

    /// Where its key stands.
    pub(super) fn key(&self) -> Option<Place> {
        match self {
            Self::Given { key, .. } => Some(*key),
            Self::Absent => None,
        }
    }

    /// Where its value stands, or `parent` if it is absent.
    pub(super) fn at(&self, parent: Place) -> Place {
        match self {
            Self::Given { at, .. } => *at,
            Self::Absent => parent,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field")
    }

    /// What serde calls for a field that is absent.
    fn visit_none<E: de::Error>(self) -> Result<Field<T>, E> {
        Ok(Field::Absent)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field<T>, D::Error> {
        deserializer.deserialize_tuple_struct(FIELD, PLACES + 1, self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Field<T>, A::Error> {
        let mut places = [[0_usize; 4]; 2];
        for (i, number) in places.as_flattened_mut().iter_mut().enumerate() {
            *number = parts
                .next_element()?
                .ok_or_else(|| de::Error::invalid_length(i, &self))?;
        }
        let [key, at] = places.map(Place::from_parts);
        Ok(Field::Given {
            key,
            at,
            value: parts.next_element()?,
        })
    }
}

/// Numbers that make up the two places of a field.
const PLACES: usize = 8;

/// In the schema a field is its value.
impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// The name under which the decoder knows one or several.
pub(super) const MANY: &str = "tidegate::spec::Many";

/// Several of a kind, written as a list, or one of them without.
#[derive(Clone, Debug)]
pub(super) struct Many<T>(pub(super) Vec<Field<T>>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(MANY, ManyVisitor(PhantomData))
    }
}

struct ManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ManyVisitor<T> {
    type Value = Many<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one or several")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Many<T>, A::Error> {
        let mut many = Vec::new();
        while let Some(item) = items.next_element()? {
            many.push(item);
        }
        Ok(Many(many))
    }
}

impl<T: JsonSchema> JsonSchema for Many<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Many{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

/// A value that nobody looks at, because its field is not supported yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ignored;

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

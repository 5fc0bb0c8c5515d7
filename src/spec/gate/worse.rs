//! What follows from what gates say, in gates and in rollouts.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::domain::{OnUnsure, OnWorse};

/// What follows when the new version is worse.
#[derive(Clone, Copy, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum WorseWord {
    Rollback,
    Pause,
    Report,
}

impl From<WorseWord> for OnWorse {
    fn from(word: WorseWord) -> Self {
        match word {
            WorseWord::Rollback => Self::Rollback,
            WorseWord::Pause => Self::Pause,
            WorseWord::Report => Self::Report,
        }
    }
}

/// What follows when a gate cannot tell.
#[derive(Clone, Copy, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::spec) enum UnsureWord {
    Pause,
    Proceed,
    Rollback,
}

impl From<UnsureWord> for OnUnsure {
    fn from(word: UnsureWord) -> Self {
        match word {
            UnsureWord::Pause => Self::Pause,
            UnsureWord::Proceed => Self::Proceed,
            UnsureWord::Rollback => Self::Rollback,
        }
    }
}

/// What a rollout says of that: a word, or `{ rollback: this wave, then: pause }`.
#[derive(Clone, Copy, Debug)]
pub(in crate::spec) struct WorseSpec(pub(in crate::spec) OnWorse);

/// How it is written.
const SHAPE: &str = "`rollback`, `pause`, `report` or `{ rollback: this wave, then: pause }`";

impl<'de> Deserialize<'de> for WorseSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WorseVisitor)
    }
}

struct WorseVisitor;

impl<'de> Visitor<'de> for WorseVisitor {
    type Value = WorseSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHAPE)
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<WorseSpec, E> {
        let word = WorseWord::deserialize(de::value::StrDeserializer::new(word))?;
        Ok(WorseSpec(word.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<WorseSpec, A::Error> {
        let misfit = || de::Error::custom(format!("it may be {SHAPE}"));
        let mut is_wave = false;
        while let Some((name, word)) = entries.next_entry::<String, String>()? {
            match (name.as_str(), word.as_str()) {
                ("rollback", "this wave") => is_wave = true,
                ("then", "pause") => {}
                _ => return Err(misfit()),
            }
        }
        is_wave
            .then_some(WorseSpec(OnWorse::RollbackWave))
            .ok_or_else(misfit)
    }
}

impl JsonSchema for WorseSpec {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "WorseSpec".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "enum": ["rollback", "pause", "report"] },
            {
                "type": "object",
                "properties": {
                    "rollback": { "const": "this wave", "description": "How far it goes back." },
                    "then": { "const": "pause", "description": "What follows." },
                },
                "required": ["rollback"],
                "additionalProperties": false,
            },
        ] })
    }
}

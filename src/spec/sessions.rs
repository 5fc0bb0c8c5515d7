//! How sessions are kept, as a service and a rollout say it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::context::Context;
use super::field::Field;
use super::source::Place;
use super::words::SpanText;
use crate::domain::{Moves, Protocol, SessionKey, Sessions, Span};

/// How clients keep the version that they began with.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct SessionsSpec {
    /// `version`: a client stays with its version while shares move; `none` unless given.
    #[schemars(with = "String", extend("enum" = ["none", "version"]))]
    stick_to: Field<StickTo>,
    /// `minimal`: as few clients move as the shares need; `newOnly`: none before its version has no share any more, and
    /// new clients follow the shares. `minimal` unless given.
    #[serde(rename = "move")]
    #[schemars(with = "String", extend("enum" = ["minimal", "newOnly"]))]
    moves: Field<Moves>,
    /// What a client is known by: `auto` for a cookie of Tidegate's own, `{ cookie: NAME }` for one of the application,
    /// or `{ header: NAME }`; `auto` unless given.
    #[schemars(with = "KeySpec")]
    key: Field<KeySpec>,
    /// How long a client keeps Tidegate's cookie; until the client ends unless given.
    #[schemars(with = "SpanText")]
    ttl: Field<Span>,
}

/// What sessions stay with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum StickTo {
    None,
    Version,
    Instance,
}

/// Reads the sessions of a service that speaks `protocol`.
pub(super) fn read(
    field: Field<SessionsSpec>,
    protocol: Protocol,
    cx: &Context<'_>,
) -> Option<Sessions> {
    let at = field.key()?;
    let spec = field.get()?;
    if !spec.stick_to.is_given() {
        let hint = "write `stickTo: version`".to_owned();
        cx.sink
            .hinted(at, "`sessions` does not say what they stick to", hint);
    }
    let sticks = sticks(spec.stick_to, cx);
    let key_at = spec.key.key();
    let key = spec.key.get().map_or(SessionKey::Auto, |KeySpec(key)| key);
    let moves = spec.moves.or(Moves::Minimal);
    if let Some(at) = key_at.filter(|_| moves == Moves::NewOnly) {
        let hint =
            "with `newOnly` a client is known by the version in its cookie: remove one of them";
        let message = "`key` does not go with `move: newOnly`";
        cx.sink.hinted(at, message, hint.to_owned());
    }
    if sticks && protocol == Protocol::Tcp {
        let hint = "a connection stays with its instance as it is: remove it".to_owned();
        cx.sink
            .hinted(at, "`sessions` does not go with `protocol: tcp`", hint);
    }
    let ttl = ttl(spec.ttl, &key, cx);
    sticks.then_some(Sessions { moves, key, ttl })
}

/// In whole seconds, as a cookie has it; one of less than a second would be gone at once.
fn ttl(field: Field<Span>, key: &SessionKey, cx: &Context<'_>) -> Option<Span> {
    let at = field.at(Place::START);
    let key_at = field.key()?;
    let ttl = field.get()?;
    if matches!(key, SessionKey::Header(_)) {
        let hint = "it is the time to live of a cookie: remove one of them".to_owned();
        cx.sink
            .hinted(key_at, "`ttl` does not go with a header", hint);
    } else if ttl < TTL_MIN {
        let hint = "without `ttl` it lives until the client ends".to_owned();
        let message = format!("a cookie lives for {TTL_MIN} at least");
        cx.sink.hinted(at, message, hint);
    }
    Some(ttl)
}

/// The shortest life of a cookie.
const TTL_MIN: Span = Span::secs(1);

/// Do sessions stay with their version?
pub(super) fn sticks(field: Field<StickTo>, cx: &Context<'_>) -> bool {
    let at = field.at(Place::START);
    match field.get() {
        None | Some(StickTo::None) => false,
        Some(StickTo::Version) => true,
        Some(StickTo::Instance) => {
            let hint = "`stickTo: version` keeps them with their version".to_owned();
            let message = "not supported yet: sessions that stick to an instance";
            cx.sink.hinted(at, message, hint);
            false
        }
    }
}

/// What a client is known by.
#[derive(Clone, Debug)]
struct KeySpec(SessionKey);

/// How it is written.
const SHAPE: &str = "`auto`, `{ cookie: NAME }` or `{ header: NAME }`";

impl<'de> Deserialize<'de> for KeySpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = KeySpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHAPE)
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<KeySpec, E> {
        match word {
            "auto" => Ok(KeySpec(SessionKey::Auto)),
            _ => Err(E::custom(format!(
                "unknown value `{word}`; it may be {SHAPE}"
            ))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<KeySpec, A::Error> {
        let misfit = || de::Error::custom(format!("it may be {SHAPE}"));
        let (kind, name) = entries.next_entry::<String, String>()?.ok_or_else(misfit)?;
        if !is_token(&name) {
            let told = format!("`{name}` is not the name of a {kind}");
            return Err(de::Error::custom(told));
        }
        let key = match kind.as_str() {
            "cookie" => SessionKey::Cookie(name),
            "header" => SessionKey::Header(name.to_ascii_lowercase()),
            _ => return Err(misfit()),
        };
        match entries.next_key::<String>()? {
            None => Ok(KeySpec(key)),
            Some(_) => Err(misfit()),
        }
    }
}

/// Is it a token of HTTP (RFC 9110, 5.6.2), as the names of headers and cookies are?
fn is_token(name: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(is_legal)
}

/// Most bytes in the name of a header or a cookie.
const NAME_BYTES_MAX: usize = 128;

impl JsonSchema for KeySpec {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "KeySpec".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let named = |kind: &str, what: &str| {
            json_schema!({
                "type": "object",
                "properties": { kind: { "type": "string", "description": what } },
                "required": [kind],
                "additionalProperties": false,
            })
        };
        json_schema!({ "anyOf": [
            { "const": "auto" },
            named("cookie", "A cookie of the application."),
            named("header", "A header that the client sends."),
        ] })
    }
}

//! Instances that a Service document lists itself, version by version.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::domain::{Address, InstanceSource, VersionName};
use crate::spec::context::Context;
use crate::spec::field::Field;
use crate::spec::source::Place;

/// Most addresses in one document.
const ADDRESSES_MAX: usize = 1000;

/// Where a version answers: one address, or a list of them.
pub(super) enum Addresses {
    One(String),
    Many(Vec<Field<String>>),
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Addresses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address or a list of addresses")
            }

            fn visit_str<E>(self, text: &str) -> Result<Addresses, E> {
                Ok(Addresses::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Addresses, A::Error> {
                let mut all = Vec::new();
                while let Some(next) = seq.next_element()? {
                    all.push(next);
                }
                Ok(Addresses::Many(all))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

impl JsonSchema for Addresses {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Addresses".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "array"],
            "items": { "type": "string" },
            "minItems": 1,
        })
    }
}

/// Reads the list; `None` once it was told what is wrong with it.
pub(super) fn read(
    field: Field<BTreeMap<String, Field<Addresses>>>,
    at: Place,
    cx: &Context<'_>,
) -> Option<InstanceSource> {
    let list_at = field.at(at);
    let mut seen = BTreeSet::new();
    let mut versions = BTreeMap::new();
    for (version, field) in field.get()? {
        let (key_at, place) = (field.key().unwrap_or(list_at), field.at(list_at));
        let version = cx.parse::<VersionName>(&version, key_at);
        let given = match field.get() {
            Some(Addresses::One(text)) => vec![(text, place)],
            Some(Addresses::Many(fields)) => texts(fields, place),
            None => continue,
        };
        let Some(version) = version else { continue };
        let (mut addresses, is_empty) = (Vec::new(), given.is_empty());
        for (text, place) in given {
            let Some(address) = cx.parse::<Address>(&text, place) else {
                continue;
            };
            if !seen.insert(address.as_id()) {
                let message = format!("`{address}` is listed twice");
                let hint = "an instance is of one version".to_owned();
                cx.sink.hinted(place, message, hint);
            }
            addresses.push(address);
        }
        let names_a_host = |address: &Address| matches!(address, Address::Host(_));
        if addresses.len() > 1 && addresses.iter().any(names_a_host) {
            let message = format!("the host of version `{version}` is not its only address");
            let hint =
                "a version is either the URL of one host or a list of IP addresses".to_owned();
            cx.sink.hinted(place, message, hint);
        }
        if is_empty {
            cx.sink
                .problem(place, format!("version `{version}` has no address"));
        }
        versions.insert(version, addresses);
    }
    let count: usize = versions.values().map(Vec::len).sum();
    if count > ADDRESSES_MAX {
        let message = format!("{count} addresses are listed, over the limit of {ADDRESSES_MAX}");
        cx.sink.hinted(
            list_at,
            message,
            "use `from: file` or `from: api`".to_owned(),
        );
    }
    Some(InstanceSource::Listed { versions })
}

fn texts(fields: Vec<Field<String>>, at: Place) -> Vec<(String, Place)> {
    let placed = fields.into_iter().map(|field| (field.at(at), field.get()));
    placed
        .filter_map(|(place, text)| Some((text?, place)))
        .collect()
}

//! Everything that is wrong with settings, each at its place in their JSON.
//!
//! The JSON is walked along Envoy's description of its types, into every `Any`. Whether one value
//! fits its type is asked of the reader that reads the whole later, so both agree; whether Envoy
//! would take it is asked of Envoy's own rules. Settings are a part: what is missing at their top,
//! where they meet what is generated, is not missing.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde_json::{Map, Value as Json};

use super::merge::field;
use super::{descriptors, rules};
use crate::domain::{Help, OverlayFault, Step};
use crate::snapshot::cluster::HTTP_OPTIONS;

/// Walks one piece of JSON.
pub(super) struct Walk {
    path: Vec<Step>,
    faults: Vec<OverlayFault>,
}

impl Walk {
    /// All faults of `written`, a part of a `kind`.
    pub(super) fn faults(kind: &MessageDescriptor, written: &Json) -> Vec<OverlayFault> {
        let mut walk = Self {
            path: Vec::new(),
            faults: Vec::new(),
        };
        walk.message(kind, written, true);
        walk.faults
    }

    /// What is wrong with the value at the path.
    fn fault(&mut self, message: impl Into<String>, help: Help) {
        self.tell(message.into(), help, false);
    }

    /// What is wrong with the key at the path.
    fn fault_of_key(&mut self, message: impl Into<String>, help: Help) {
        self.tell(message.into(), help, true);
    }

    fn tell(&mut self, message: String, help: Help, at_key: bool) {
        self.faults.push(OverlayFault {
            path: self.path.clone(),
            at_key,
            message,
            help,
        });
    }

    fn within(&mut self, step: Step, then: impl FnOnce(&mut Self)) {
        self.path.push(step);
        then(self);
        self.path.pop();
    }

    /// A message; `is_part` if it will be merged with one that is generated, so nothing is missing.
    fn message(&mut self, kind: &MessageDescriptor, written: &Json, is_part: bool) {
        let Some(entries) = written.as_object() else {
            let message = format!("expected a mapping, a part of `{}`", kind.full_name());
            return self.fault(message, Help::None);
        };
        let mut named: Vec<FieldDescriptor> = Vec::new();
        for (key, value) in entries {
            self.within(Step::Key(key.clone()), |walk| {
                let Some(field) = field(kind, key) else {
                    return walk.unknown_field(kind, key);
                };
                if value.is_null() {
                    return;
                }
                walk.beside(&field, key, &named);
                walk.field(kind, &field, value);
                named.push(field);
            });
        }
        if !is_part {
            self.missing(kind, &named);
        }
    }

    fn unknown_field(&mut self, kind: &MessageDescriptor, key: &str) {
        let known = kind
            .fields()
            .map(|field| {
                if key.contains(char::is_uppercase) {
                    field.json_name().to_owned()
                } else {
                    field.name().to_owned()
                }
            })
            .collect();
        let word = key.to_owned();
        let message = format!("`{}` has no field `{key}`", kind.full_name());
        self.fault_of_key(message, Help::Known { word, known });
    }

    /// A field that may not stand beside another one, or not at all.
    fn beside(&mut self, field: &FieldDescriptor, key: &str, named: &[FieldDescriptor]) {
        if named.contains(field) {
            let message = format!(
                "`{key}` is given twice, as `{}` and `{}`",
                field.name(),
                field.json_name()
            );
            self.fault_of_key(message, Help::None);
        } else if let Some(choice) = field.containing_oneof()
            && let Some(other) = named
                .iter()
                .find(|other| other.containing_oneof().as_ref() == Some(&choice))
        {
            let message = format!(
                "only one of `{}` and `{}` may be given",
                other.name(),
                field.name()
            );
            self.fault_of_key(message, Help::None);
        }
        if rules::is_retired(field) {
            let message = format!("`{key}` is so old that Envoy refuses it");
            self.fault_of_key(message, Help::None);
        }
    }

    fn field(&mut self, kind: &MessageDescriptor, field: &FieldDescriptor, written: &Json) {
        let before = self.faults.len();
        let of_field = rules::of(field);
        let of_items = of_field.as_ref().and_then(rules::of_items);
        if field.is_list() {
            let Some(items) = written.as_array() else {
                return self.fault(format!("`{}` is a list", field.name()), Help::None);
            };
            for (index, item) in items.iter().enumerate() {
                self.within(Step::Item(index), |walk| {
                    let alone = Json::Array(vec![item.clone()]);
                    walk.value(kind, field, &field.kind(), item, alone, of_items.as_ref());
                });
            }
        } else if field.is_map() {
            let (Some(entries), Kind::Message(entry)) = (written.as_object(), field.kind()) else {
                return self.fault(format!("`{}` is a mapping", field.name()), Help::None);
            };
            for (name, value) in entries {
                self.within(Step::Key(name.clone()), |walk| {
                    let alone = [(name.clone(), value.clone())];
                    let alone = Json::Object(alone.into_iter().collect());
                    let of_value = entry.map_entry_value_field().kind();
                    walk.value(kind, field, &of_value, value, alone, of_items.as_ref());
                });
            }
        } else {
            self.value(kind, field, &field.kind(), written, written.clone(), None);
        }
        // What is no list of good items is not counted.
        if self.faults.len() == before
            && let Some(rules) = of_field
            && let Some(value) = read(kind, field, written.clone()).ok()
            && let Some(what) = rules::broken(&rules, &value)
        {
            self.fault(format!("`{}` {what}", field.name()), Help::None);
        }
    }

    /// One value, or one item of a list or map; `alone` is the field with nothing else in it.
    fn value(
        &mut self,
        parent: &MessageDescriptor,
        field: &FieldDescriptor,
        kind: &Kind,
        written: &Json,
        alone: Json,
        of_item: Option<&DynamicMessage>,
    ) {
        match kind {
            Kind::Message(inner) if inner.full_name() == "google.protobuf.Any" => self.any(written),
            Kind::Message(inner) if !rules::is_well_known(kind) => {
                let is_part = matches!(self.path.as_slice(), [Step::Key(key)] if key == ROUTE);
                self.message(inner, written, is_part);
            }
            _ => match read(parent, field, alone) {
                Ok(value) => {
                    let item = match &value {
                        Value::List(items) => items.first(),
                        Value::Map(entries) => entries.values().next(),
                        _ => None,
                    };
                    if let (Some(rules), Some(item)) = (of_item, item)
                        && let Some(what) = rules::broken(rules, item)
                    {
                        self.fault(format!("each of `{}` {what}", field.name()), Help::None);
                    }
                }
                Err(reason) => self.misfit(field, kind, written, &reason),
            },
        }
    }

    fn misfit(&mut self, field: &FieldDescriptor, kind: &Kind, written: &Json, reason: &str) {
        match (kind, written.as_str()) {
            (Kind::Enum(of), Some(word)) => {
                let known = of.values().map(|value| value.name().to_owned()).collect();
                let word = word.to_owned();
                let message = format!("`{}` has no value `{word}`", field.name());
                self.fault(message, Help::Known { word, known });
            }
            (Kind::Message(of), _) if of.full_name() == "google.protobuf.Duration" => {
                let message = format!("`{}` is a span of time in seconds", field.name());
                self.fault(message, Help::Hint("write `0.25s` or `30s`".to_owned()));
            }
            _ => {
                let message = match wanted(kind) {
                    Some(what) => format!("`{}` is {what}", field.name()),
                    None => format!("`{}` does not fit: {reason}", field.name()),
                };
                self.fault(message, Help::None);
            }
        }
    }

    fn any(&mut self, written: &Json) {
        let hint = "write `\"@type\": type.googleapis.com/envoy.…` first";
        let Some(entries) = written.as_object() else {
            return self.fault(
                "expected a mapping with `@type`",
                Help::Hint(hint.to_owned()),
            );
        };
        let Some(url) = entries.get("@type") else {
            return self.fault_of_key("`@type` is missing", Help::Hint(hint.to_owned()));
        };
        let kind = url.as_str().and_then(descriptors::packed);
        let Some(kind) = kind else {
            return self.within(Step::Key("@type".to_owned()), |walk| walk.unknown_type(url));
        };
        if rules::is_well_known(&Kind::Message(kind.clone())) {
            let any = descriptors::pool().get_message_by_name("google.protobuf.Any");
            let read = any.map(|any| DynamicMessage::deserialize(any, written));
            if let Some(Err(error)) = read {
                self.fault(plain(&error.to_string()), Help::None);
            }
            return;
        }
        let is_part = self.path.last() == Some(&Step::Key(HTTP_OPTIONS.to_owned()));
        let mut fields = entries.clone();
        fields.shift_remove("@type");
        self.message(&kind, &Json::Object(fields), is_part);
    }

    fn unknown_type(&mut self, url: &Json) {
        let Some(url) = url.as_str() else {
            return self.fault("`@type` is a text", Help::None);
        };
        let word = url.rsplit('/').next().unwrap_or(url);
        let (package, name) = word.rsplit_once('.').unwrap_or(("", word));
        let types = descriptors::pool().all_messages();
        let beside: Vec<_> = types
            .filter(|kind| kind.parent_message().is_none() && kind.package_name() == package)
            .map(|kind| kind.name().to_owned())
            .collect();
        let mut named = descriptors::pool().all_messages();
        let elsewhere =
            named.find(|kind| kind.name() == name && kind.full_name().starts_with("envoy."));
        let help = match elsewhere {
            _ if !beside.is_empty() => Help::Known {
                word: name.to_owned(),
                known: beside,
            },
            Some(kind) => {
                let name = kind.full_name();
                Help::Hint(format!("did you mean `type.googleapis.com/{name}`?"))
            }
            None => Help::Hint("only types of Envoy's own API can be given".to_owned()),
        };
        self.fault(format!("there is no type `{word}`"), help);
    }

    /// What must be there and is not.
    fn missing(&mut self, kind: &MessageDescriptor, named: &[FieldDescriptor]) {
        for field in kind.fields().filter(|field| !named.contains(field)) {
            let in_choice = field
                .containing_oneof()
                .is_some_and(|of| !of.is_synthetic());
            let broken = !in_choice
                && rules::of(&field).is_some_and(|rules| rules::broken_by_absence(&field, &rules));
            if broken {
                let message = format!("`{}` is missing in `{}`", field.name(), kind.full_name());
                self.fault_of_key(message, Help::None);
            }
        }
        let has_name = kind.get_field_by_name("name").is_some();
        for choice in kind.oneofs().filter(|choice| !choice.is_synthetic()) {
            let is_config = has_name && choice.fields().any(|field| field.name() == "typed_config");
            let is_taken = named
                .iter()
                .any(|field| field.containing_oneof().as_ref() == Some(&choice));
            if !is_taken && (is_config || rules::is_required(&choice)) {
                let fields: Vec<_> = choice
                    .fields()
                    .map(|field| format!("`{}`", field.name()))
                    .collect();
                let message = match fields.as_slice() {
                    [only] => format!("{only} is missing in `{}`", kind.full_name()),
                    _ => format!(
                        "one of {} is missing in `{}`",
                        fields.join(", "),
                        kind.full_name()
                    ),
                };
                self.fault_of_key(message, Help::None);
            }
        }
    }
}

/// The field of a route that is generated: which versions answer.
const ROUTE: &str = "route";

/// What a scalar, or what wraps one, must be.
fn wanted(kind: &Kind) -> Option<&'static str> {
    let wrapped = match kind {
        Kind::Message(of) => of.full_name().strip_prefix("google.protobuf."),
        _ => None,
    };
    Some(match (kind, wrapped) {
        (Kind::Bool, _) | (_, Some("BoolValue")) => "`true` or `false`",
        (Kind::Bytes, _) | (_, Some("BytesValue")) => "a text in base64",
        (Kind::String, _) | (_, Some("StringValue")) => "a text",
        (Kind::Double | Kind::Float, _) | (_, Some("DoubleValue" | "FloatValue")) => "a number",
        (Kind::Uint32, _) | (_, Some("UInt32Value")) => "a whole number from 0 to 4294967295",
        (Kind::Uint64, _) | (_, Some("UInt64Value")) => "a whole number, not less than 0",
        (Kind::Int32 | Kind::Int64, _) | (_, Some("Int32Value" | "Int64Value")) => "a whole number",
        _ => return None,
    })
}

/// One field of a message, as the reader of the whole would read it.
fn read(kind: &MessageDescriptor, field: &FieldDescriptor, written: Json) -> Result<Value, String> {
    let alone: Map<_, _> = [(field.name().to_owned(), written)].into_iter().collect();
    let message = DynamicMessage::deserialize(kind.clone(), Json::Object(alone));
    let message = message.map_err(|error| plain(&error.to_string()))?;
    Ok(message.get_field(field).into_owned())
}

/// An error of the reader without the line and column of text that nobody wrote.
fn plain(error: &str) -> String {
    match error.rfind(" at line ") {
        Some(end) => error[..end].to_owned(),
        None => error.to_owned(),
    }
}

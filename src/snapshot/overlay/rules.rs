//! Envoy's own rules for values: what its types say of themselves in `validate.rules`.
//!
//! Envoy refuses a resource, and everything else in the same response, for one value out of range.
//! The rules come with the description of its types, so those values are known before anything is
//! sent. Regular expressions are left to Envoy.

use std::sync::OnceLock;

use prost_reflect::{
    DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, OneofDescriptor, ReflectMessage,
    Value,
};

use super::descriptors;

const NANOS: i128 = 1_000_000_000;

/// The rules of a field, if it has any: `validate.FieldRules`.
pub(super) fn of(field: &FieldDescriptor) -> Option<DynamicMessage> {
    static RULES: OnceLock<Option<ExtensionDescriptor>> = OnceLock::new();
    let rules = extension(&RULES, "validate.rules")?;
    let options = field.options();
    options
        .has_extension(rules)
        .then(|| options.get_extension(rules).as_message().cloned())
        .flatten()
}

/// Must one of the choices be taken?
pub(super) fn is_required(choice: &OneofDescriptor) -> bool {
    static REQUIRED: OnceLock<Option<ExtensionDescriptor>> = OnceLock::new();
    extension(&REQUIRED, "validate.required")
        .is_some_and(|required| choice.options().get_extension(required).as_bool() == Some(true))
}

/// Does Envoy refuse the field because it is too old?
pub(super) fn is_retired(field: &FieldDescriptor) -> bool {
    static RETIRED: OnceLock<Option<ExtensionDescriptor>> = OnceLock::new();
    extension(&RETIRED, "envoy.annotations.disallowed_by_default")
        .is_some_and(|retired| field.options().get_extension(retired).as_bool() == Some(true))
}

fn extension<'a>(
    cell: &'a OnceLock<Option<ExtensionDescriptor>>,
    name: &str,
) -> Option<&'a ExtensionDescriptor> {
    cell.get_or_init(|| descriptors::pool().get_extension_by_name(name))
        .as_ref()
}

/// Which rule a value breaks, as words that follow the name of the field.
pub(super) fn broken(rules: &DynamicMessage, value: &Value) -> Option<String> {
    let (group, operands) = group(rules)?;
    let operands: Vec<_> = operands
        .fields()
        .map(|(field, value)| (field.name().to_owned(), value.clone()))
        .collect();
    let flag = |name: &str| {
        let operand = operands.iter().find(|(of, _)| of == name);
        operand.and_then(|(_, value)| value.as_bool())
    };
    if flag("ignore_empty") == Some(true) && is_empty(value) {
        return None;
    }
    let value = unwrapped(value);
    operands
        .iter()
        .find_map(|(name, operand)| match name.as_str() {
            "well_known_regex" => {
                let is_name = operand.as_enum_number() == Some(1);
                let strict = flag("strict") != Some(false);
                header(value.as_str()?, is_name, strict)
            }
            "defined_only" => None,
            _ => against(&group, name, operand, &value),
        })
}

/// Which rule a field breaks by not being there.
pub(super) fn broken_by_absence(field: &FieldDescriptor, rules: &DynamicMessage) -> bool {
    let flag = |message: &DynamicMessage, name: &str| {
        let field = message.get_field_by_name(name);
        field.is_some_and(|value| value.as_bool() == Some(true))
    };
    let message = rules.get_field_by_name("message");
    let message = message.as_ref().and_then(|value| value.as_message());
    if message.is_some_and(|message| flag(message, "required")) {
        return true;
    }
    let Some((group, operands)) = group(rules) else {
        return false;
    };
    match group.as_str() {
        "any" | "duration" | "timestamp" => flag(&operands, "required"),
        _ if field.supports_presence() => false,
        _ => broken(rules, &field.default_value()).is_some(),
    }
}

/// The rules of an item of a list or a map.
pub(super) fn of_items(rules: &DynamicMessage) -> Option<DynamicMessage> {
    let (group, operands) = group(rules)?;
    let name = match group.as_str() {
        "repeated" => "items",
        "map" => "values",
        _ => return None,
    };
    let field = operands.descriptor().get_field_by_name(name)?;
    operands
        .has_field(&field)
        .then(|| operands.get_field(&field).as_message().cloned())
        .flatten()
}

/// The one group of rules that a field has: its name, and the rules in it.
fn group(rules: &DynamicMessage) -> Option<(String, DynamicMessage)> {
    let mut groups = rules
        .fields()
        .filter(|(field, _)| field.name() != "message");
    let (field, value) = groups.next()?;
    Some((field.name().to_owned(), value.as_message()?.clone()))
}

fn is_empty(value: &Value) -> bool {
    match unwrapped(value) {
        Value::String(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        value => number(&value) == Some(Number::Whole(0)),
    }
}

/// What stands in a `UInt32Value` and its kind; every other value as it is.
fn unwrapped(value: &Value) -> Value {
    match value {
        Value::Message(message) if message.descriptor().full_name().ends_with("Value") => message
            .get_field_by_name("value")
            .map_or_else(|| value.clone(), std::borrow::Cow::into_owned),
        _ => value.clone(),
    }
}

#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Number {
    Whole(i128),
    Broken(f64),
}

/// A number, or a duration in nanoseconds.
fn number(value: &Value) -> Option<Number> {
    Some(match value {
        Value::I64(number) => Number::Whole((*number).into()),
        Value::U32(number) => Number::Whole((*number).into()),
        Value::U64(number) => Number::Whole((*number).into()),
        Value::I32(number) | Value::EnumNumber(number) => Number::Whole((*number).into()),
        Value::F32(number) => Number::Broken((*number).into()),
        Value::F64(number) => Number::Broken(*number),
        Value::Message(message) => Number::Whole(nanoseconds(message)?),
        _ => return None,
    })
}

fn nanoseconds(duration: &DynamicMessage) -> Option<i128> {
    let seconds = duration.get_field_by_name("seconds")?.as_i64()?;
    let nanos = duration.get_field_by_name("nanos")?.as_i32()?;
    Some(i128::from(seconds) * NANOS + i128::from(nanos))
}

fn shown(operand: &Value) -> String {
    match (operand, number(operand)) {
        (Value::Message(_), Some(Number::Whole(nanos))) => {
            let (seconds, rest) = (nanos / NANOS, nanos % NANOS);
            let text = format!("{seconds}.{rest:09}");
            format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
        }
        (_, Some(Number::Whole(whole))) => whole.to_string(),
        (_, Some(Number::Broken(broken))) => broken.to_string(),
        (operand, None) => operand
            .as_str()
            .map_or_else(String::new, |text| format!("`{text}`")),
    }
}

fn against(group: &str, rule: &str, operand: &Value, value: &Value) -> Option<String> {
    let (left, right) = (number(value), number(operand));
    let compared = |fits: fn(&Number, &Number) -> bool, words: &str| {
        let fits = fits(&left?, &right?);
        (!fits).then(|| format!("must be {words} {}", shown(operand)))
    };
    let length = |size: usize, fits: fn(&i128, &i128) -> bool, words: &str, unit: &str| {
        let Number::Whole(limit) = right? else {
            return None;
        };
        if fits(&i128::try_from(size).ok()?, &limit) {
            None
        } else if limit == 1 && words == "at least" {
            Some("must not be empty".to_owned())
        } else {
            Some(format!("must have {words} {limit} {unit}"))
        }
    };
    let one_of = |operand: &Value| {
        let listed = operand.as_list().unwrap_or_default();
        listed
            .iter()
            .any(|one| one == value || (number(one).is_some() && number(one) == left))
    };
    let text = value.as_str();
    match (group, rule) {
        ("string", "min_len") => length(text?.chars().count(), i128::ge, "at least", "characters"),
        ("string", "max_len") => length(text?.chars().count(), i128::le, "at most", "characters"),
        ("string", "min_bytes") => length(text?.len(), i128::ge, "at least", "bytes"),
        ("string", "max_bytes") => length(text?.len(), i128::le, "at most", "bytes"),
        ("string", "prefix") => (!text?.starts_with(operand.as_str()?))
            .then(|| format!("must begin with {}", shown(operand))),
        ("string", "suffix") => (!text?.ends_with(operand.as_str()?))
            .then(|| format!("must end with {}", shown(operand))),
        ("bytes", "min_len") => length(value.as_bytes()?.len(), i128::ge, "at least", "bytes"),
        ("bytes", "max_len") => length(value.as_bytes()?.len(), i128::le, "at most", "bytes"),
        ("repeated", "min_items") => length(value.as_list()?.len(), i128::ge, "at least", "items"),
        ("repeated", "max_items") => length(value.as_list()?.len(), i128::le, "at most", "items"),
        ("map", "min_pairs") => length(value.as_map()?.len(), i128::ge, "at least", "entries"),
        ("bool", "const") => {
            let (is, must) = (value.as_bool()?, operand.as_bool()?);
            (is != must).then(|| format!("must be `{must}`"))
        }
        (_, "gt") => compared(Number::gt, "greater than"),
        (_, "gte") => compared(Number::ge, "at least"),
        (_, "lt") => compared(Number::lt, "less than"),
        (_, "lte") => compared(Number::le, "at most"),
        (_, "in") => (!one_of(operand)).then(|| {
            let listed = operand.as_list().unwrap_or_default();
            let words: Vec<_> = listed.iter().map(shown).collect();
            format!("must be one of {}", words.join(", "))
        }),
        (_, "not_in") => one_of(operand).then(|| "has a value that may not stand here".to_owned()),
        _ => None,
    }
}

/// What HTTP allows in the name or the value of a header.
fn header(text: &str, is_name: bool, strict: bool) -> Option<String> {
    let fits = |c: char| match (strict, is_name) {
        (true, true) => c.is_ascii_alphanumeric() || "!#$%&'*+-.^_|~`".contains(c),
        (true, false) => !(c.is_control() && c != '\t'),
        (false, _) => !matches!(c, '\0' | '\n' | '\r'),
    };
    let rest = text.strip_prefix(':').filter(|_| is_name).unwrap_or(text);
    if rest.is_empty() && is_name {
        return Some("must not be empty".to_owned());
    }
    let what = if is_name { "name" } else { "value" };
    (!rest.chars().all(fits)).then(|| format!("must be the {what} of an HTTP header"))
}

/// The kinds that are one value and no message to look into.
pub(super) fn is_well_known(kind: &Kind) -> bool {
    matches!(kind, Kind::Message(message) if message.full_name().starts_with("google.protobuf."))
}

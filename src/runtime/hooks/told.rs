//! What a hook is told: the same fields as a JSON object, in arguments, and in the environment.

use serde::Serialize;
use serde_json::Value;

/// What the names of all variables begin with.
const PREFIX: &str = "TIDEGATE_";

/// What one call is told.
#[derive(Debug)]
pub(super) struct Told {
    /// By which the other side knows a repetition.
    pub(super) key: String,
    /// The how manieth try in a row, from 1.
    pub(super) attempt: u32,
    /// Everything, as JSON.
    pub(super) body: Vec<u8>,
    /// Everything, by name.
    fields: Vec<(String, String)>,
}

impl Told {
    /// A call that is told the fields of `what`.
    pub(super) fn new(key: &str, attempt: u32, what: &impl Serialize) -> Result<Self, String> {
        let told = serde_json::to_value(what).map_err(|error| error.to_string())?;
        let fields = told.as_object().into_iter().flatten();
        let fields = fields.filter_map(|(name, value)| {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => return None,
            };
            Some((name.clone(), text))
        });
        Ok(Self {
            key: key.to_owned(),
            attempt,
            fields: fields.collect(),
            body: told.to_string().into_bytes(),
        })
    }

    /// An argument with each field filled in where it is named, like `{instance}`.
    pub(super) fn fill(&self, argument: &str) -> String {
        let (mut filled, mut rest) = (String::new(), argument);
        while let Some((before, after)) = rest.split_once('{') {
            filled += before;
            let named = after.split_once('}').and_then(|(name, after)| {
                let mut fields = self.fields.iter();
                Some((&fields.find(|(field, _)| field == name)?.1, after))
            });
            rest = if let Some((text, after)) = named {
                filled += text;
                after
            } else {
                filled.push('{');
                after
            };
        }
        filled + rest
    }

    /// The variables for a program.
    pub(super) fn environment(&self) -> impl Iterator<Item = (String, String)> {
        let fields = self.fields.iter();
        let fields =
            fields.map(|(name, text)| (format!("{PREFIX}{}", name.to_uppercase()), text.clone()));
        let attempt = (format!("{PREFIX}ATTEMPT"), self.attempt.to_string());
        fields.chain([attempt])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_filled_in_once_and_what_is_none_stays() {
        let what = serde_json::json!({ "instance": "{version}", "version": "v2", "number": 3 });
        let told = Told::new("k", 2, &what).unwrap();
        for (argument, filled) in [
            ("{instance}-{version}", "{version}-v2"),
            ("batch {number}", "batch 3"),
            ("{{version}}", "{v2}"),
            ("{other} {", "{other} {"),
            ("no field", "no field"),
        ] {
            assert_eq!(told.fill(argument), filled);
        }
        let environment: Vec<_> = told.environment().collect();
        let wanted = [
            ("TIDEGATE_INSTANCE", "{version}"),
            ("TIDEGATE_VERSION", "v2"),
            ("TIDEGATE_NUMBER", "3"),
            ("TIDEGATE_ATTEMPT", "2"),
        ];
        let wanted = wanted.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(environment, wanted);
    }
}

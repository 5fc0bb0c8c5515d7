//! The JSON Schema of all documents, for editors. What is not supported yet is not in it.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::gate::GateSpec;
use super::gateway::GatewaySpec;
use super::policy::PolicySpec;
use super::rollout::RolloutSpec;
use super::service::ServiceSpec;
use crate::domain::Kind;

/// The schema of one document of any kind, JSON Schema draft 2020-12.
pub fn json_schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let kinds = [
        document(
            Kind::Gateway,
            generator.subschema_for::<GatewaySpec>().to_value(),
        ),
        document(
            Kind::Service,
            generator.subschema_for::<ServiceSpec>().to_value(),
        ),
        document(
            Kind::Rollout,
            generator.subschema_for::<RolloutSpec>().to_value(),
        ),
        document(
            Kind::Policy,
            generator.subschema_for::<PolicySpec>().to_value(),
        ),
        document(Kind::Gate, generator.subschema_for::<GateSpec>().to_value()),
    ];
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tidegate document",
        "oneOf": kinds,
        "$defs": generator.take_definitions(true),
    })
}

fn document(kind: Kind, spec: Value) -> Value {
    json!({
        "title": kind.to_string(),
        "type": "object",
        "properties": {
            "kind": { "const": kind.to_string() },
            "name": super::words::NameText::json_schema(&mut schemars::SchemaGenerator::default()),
            "spec": spec,
        },
        "required": ["kind", "name", "spec"],
        "additionalProperties": false,
    })
}

//! `tidegate validate` and `tidegate schema`

use std::path::PathBuf;

use serde_json::json;

use super::failure::Failure;
use super::serve::read_server_file;
use super::{Context, files};
use crate::runtime::check_documents;
use crate::secrets::check_secrets;
use crate::spec;

/// Check documents, as one set, or a server's file, without a control plane
#[derive(Debug, clap::Args)]
pub(super) struct Validate {
    /// Files, or directories of them
    #[arg(required_unless_present = "config", value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// A server's own file, as `tidegate serve -c` reads it
    #[arg(short = 'c', long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Validate {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let mut secrets = None;
        if let Some(path) = &self.config {
            let server = read_server_file(path, context)?;
            secrets = Some(server.secrets);
            if self.paths.is_empty() {
                let said = json!({ "valid": true, "documents": [], "warnings": [] });
                return context
                    .output
                    .show(&said, |_| format!("valid: {}", path.display()));
            }
        }
        let loaded = files::load(&self.paths, context)?;
        let users = check_documents(&loaded.documents).map_err(|what| Failure::News {
            what,
            hint: String::new(),
        })?;
        let warnings = loaded.warnings.iter().map(ToString::to_string);
        let mut warnings: Vec<String> = warnings.collect();
        // Without the server's file nobody knows where its secrets are.
        let secrets = secrets.map(|path| path.as_deref().map(check_secrets));
        if let Some(secrets) = secrets.map(Option::unwrap_or_default) {
            warnings.extend(secrets.problem.clone());
            warnings.extend(secrets.asked_by(&users).warnings());
        }
        let output = &context.output;
        for warning in &warnings {
            output.note(warning);
        }
        let documents = loaded.index.iter();
        let names = documents.map(|entry| format!("{} {}", entry.kind, entry.name));
        let names: Vec<String> = names.collect();
        let said = json!({ "valid": true, "documents": names, "warnings": warnings });
        output.show(&said, |_| format!("valid: {}", names.join(", ")))
    }
}

pub(super) fn schema(context: &Context) -> Result<(), Failure> {
    let schema = spec::json_schema();
    context.output.show(&schema, |schema| format!("{schema:#}"))
}

//! `tidegate validate` and `tidegate schema`

use std::path::PathBuf;

use serde_json::json;

use super::Context;
use super::failure::Failure;
use super::serve::read_server_file;
use crate::runtime::check_documents;
use crate::secrets::check_secrets;
use crate::snapshot::check_overlay;
use crate::spec::{self, Source};

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
        let sources = read_sources(&self.paths)?;
        let output = &context.output;
        match spec::load(&sources, check_overlay) {
            Ok(loaded) => {
                let users = check_documents(&loaded.documents).map_err(|what| Failure::News {
                    what,
                    hint: String::new(),
                })?;
                let mut warnings: Vec<String> =
                    loaded.warnings.iter().map(ToString::to_string).collect();
                // Without the server's file nobody knows where its secrets are.
                let secrets = secrets.map(|path| path.as_deref().map(check_secrets));
                if let Some(secrets) = secrets.map(Option::unwrap_or_default) {
                    warnings.extend(secrets.problem.clone());
                    warnings.extend(secrets.asked_by(&users).warnings());
                }
                for warning in &warnings {
                    output.note(warning);
                }
                if loaded.index.is_empty() {
                    return Err(Failure::News {
                        what: "there is no document in what was given".to_owned(),
                        hint: "a directory's documents are its *.yaml and *.yml files".to_owned(),
                    });
                }
                let names: Vec<String> = loaded
                    .index
                    .iter()
                    .map(|entry| format!("{} {}", entry.kind, entry.name))
                    .collect();
                let said = json!({ "valid": true, "documents": names, "warnings": warnings });
                output.show(&said, |_| format!("valid: {}", names.join(", ")))
            }
            Err(refusal) => Err(context.refused(&refusal)),
        }
    }
}

/// Files, and what is in directories.
pub(super) fn read_sources(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for path in paths {
        if path.is_dir() {
            sources.extend(spec::read_directory(path).map_err(Failure::Input)?);
        } else {
            let text = fs_err::read_to_string(path).map_err(Failure::Input)?;
            sources.push(Source {
                name: path.display().to_string(),
                text,
            });
        }
    }
    Ok(sources)
}

pub(super) fn schema(context: &Context) -> Result<(), Failure> {
    let schema = spec::json_schema();
    context.output.show(&schema, |schema| format!("{schema:#}"))
}

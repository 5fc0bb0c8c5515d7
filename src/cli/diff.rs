//! `tidegate diff`: drift between documents in files and what runs.

mod drift;

use std::path::PathBuf;
use std::process::ExitCode;

use super::Context;
use super::failure::{DRIFT, Failure};
use super::{files, render};
use crate::runtime::DocumentsView;
use crate::snapshot::check_overlay;
use crate::spec::{self, Loaded, Source};

pub(crate) use drift::{Change, DocumentDrift, Drift};

/// Drift between documents in files and what runs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Diff {
    /// A file or a directory of documents, all that are to be in force; may be given more than once
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    file: Vec<PathBuf>,
}

/// Shown below its `--help`.
const EXAMPLE: &str = "\
Example:
  tidegate diff -f documents/ || echo drift";

impl Diff {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let wanted = files::load(&self.file, context)?;
        let client = context.client()?;
        let shown: DocumentsView = client.get("/v1/documents").await?;
        let in_force = in_force(&shown)?;
        let drift = Drift::between(&wanted, &in_force, &client.view().await?);
        let (output, look) = (&context.output, context.output.look());
        output.show(&drift, |drift| render::drift(drift, look))?;
        if !shown.refused.is_empty() {
            output.note("the newest change of the control plane's own directory is refused:");
            for line in &shown.refused {
                output.note(&format!("  {line}"));
            }
        }
        Ok(if drift.any {
            DRIFT.into()
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// The documents in force, read as they were written.
fn in_force(shown: &DocumentsView) -> Result<Loaded, Failure> {
    let sources = shown.documents.iter().map(|document| Source {
        name: document.source.clone(),
        text: document.yaml.clone(),
    });
    spec::load(&sources.collect::<Vec<_>>(), check_overlay).map_err(|refusal| Failure::News {
        what: format!("what is in force there cannot be read here: {refusal}"),
        hint: "use the `tidegate` of the control plane's version".to_owned(),
    })
}

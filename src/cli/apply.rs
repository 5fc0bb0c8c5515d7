//! `tidegate apply`

use std::path::PathBuf;

use hyper::Method;
use tokio::io::AsyncReadExt as _;

use super::client::Payload;
use super::failure::Failure;
use super::{Context, files};
use crate::runtime::Applied;

/// More than the API takes, so that the refusal comes from there, with its reason.
const STDIN_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Add documents, or replace those of the same kind and name; all of them or none
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Apply {
    /// A file of documents, or a directory of them; `-` for stdin; may be given more than once
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    file: Vec<PathBuf>,
}

/// Shown below its `--help`.
const EXAMPLE: &str = "\
Examples:
  tidegate apply -f gateway.yaml -f service.yaml
  tidegate apply -f examples/mesh
  make-documents | tidegate apply -f -";

impl Apply {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let mut texts = Vec::new();
        for path in &self.file {
            if path.as_os_str() == "-" {
                texts.push(stdin().await?);
            } else {
                texts.extend(files::read(path)?.into_iter().map(|source| source.text));
            }
        }
        let yaml = Payload::Yaml(texts.join("\n---\n"));
        let client = context.client()?;
        let applied: Applied = client.send(Method::POST, "/v1/documents", yaml).await?;
        context.output.show(&applied, |it| it.changes.join("\n"))?;
        for warning in &applied.warnings {
            context.output.note(&format!("warning: {warning}"));
        }
        Ok(())
    }
}

async fn stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let mut limited = tokio::io::stdin().take(STDIN_BYTES_MAX);
    limited
        .read_to_string(&mut text)
        .await
        .map_err(Failure::Input)?;
    Ok(text)
}

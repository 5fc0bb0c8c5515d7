//! `tidegate get`

use super::Context;
use super::failure::Failure;
use super::render;
use crate::domain::Kind;
use crate::runtime::DocumentsView;

/// The documents in force, and where they stand
#[derive(Debug, clap::Args)]
pub(super) struct Get {
    /// Only those of this kind: gate, gateway, rollout or service
    #[arg(value_enum, hide_possible_values = true)]
    kind: Option<DocumentKind>,
    /// Only this one, as it was written
    name: Option<String>,
}

/// A kind of document, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum DocumentKind {
    /// What "no worse" means
    #[value(name = "gate", alias = "gates", alias = "Gate")]
    Gate,
    /// Listeners and routes for some proxies
    #[value(name = "gateway", alias = "gateways", alias = "Gateway")]
    Gateway,
    /// One change
    #[value(name = "rollout", alias = "rollouts", alias = "Rollout")]
    Rollout,
    /// What callers call
    #[value(name = "service", alias = "services", alias = "Service")]
    Service,
}

impl DocumentKind {
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Gate => Kind::Gate,
            Self::Gateway => Kind::Gateway,
            Self::Rollout => Kind::Rollout,
            Self::Service => Kind::Service,
        }
    }
}

impl Get {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let mut all: DocumentsView = client.get("/v1/documents").await?;
        all.documents.retain(|document| {
            self.kind.is_none_or(|kind| kind.kind() == document.kind)
                && self.name.as_ref().is_none_or(|n| *n == document.name)
        });
        let output = &context.output;
        if let Some(name) = &self.name {
            if all.documents.is_empty() {
                let kind = self
                    .kind
                    .map_or_else(|| "document".to_owned(), |kind| kind.kind().to_string());
                return Err(Failure::News {
                    what: format!("there is no {kind} `{name}`"),
                    hint: "`tidegate get` lists them".to_owned(),
                });
            }
            output.show(&all.documents, |documents| {
                let texts: Vec<&str> = documents.iter().map(|d| d.yaml.trim_end()).collect();
                texts.join("\n---\n")
            })?;
        } else {
            let view = client.view().await?;
            let look = output.look();
            output.show(&all, |all| render::documents(&all.documents, &view, look))?;
        }
        for warning in &all.warnings {
            output.note(&format!("warning: {warning}"));
        }
        if !all.refused.is_empty() {
            output.note(
                "the newest change of the documents is refused; the last good set is in force:",
            );
            for line in &all.refused {
                output.note(&format!("  {line}"));
            }
        }
        Ok(())
    }
}

//! `tidegate delete`

use hyper::Method;

use super::Context;
use super::client::{Payload, encoded};
use super::failure::Failure;
use super::get::DocumentKind;
use crate::runtime::Applied;

/// Remove a document that was applied; a rollout that runs because of it holds
#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// Its kind: gate, gateway, policy, rollout or service
    #[arg(value_enum, hide_possible_values = true)]
    kind: DocumentKind,
    /// Its name
    name: String,
}

impl Delete {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let path = format!("/v1/documents/{}/{}", self.kind.kind(), encoded(&self.name));
        let client = context.client()?;
        let applied: Applied = client.send(Method::DELETE, &path, Payload::Nothing).await?;
        context.output.show(&applied, |it| it.changes.join("\n"))
    }
}

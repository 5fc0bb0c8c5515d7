//! `tidegate secrets`

use super::Context;
use super::failure::Failure;
use super::render;
use crate::runtime::SecretsView;

/// The certificates and CAs that proxies are given, who asks for them, and what is wrong
#[derive(Debug, clap::Args)]
pub(super) struct Secrets {}

impl Secrets {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let (client, output) = (context.client()?, &context.output);
        let view: SecretsView = client.get("/v1/secrets").await?;
        let look = output.look();
        output.show(&view, |view| render::secrets(view, look))?;
        if let Some(problem) = &view.problem {
            output.note(&format!("warning: {problem}"));
        }
        Ok(())
    }
}

//! `tidegate proxies`

use hyper::Method;

use super::Context;
use super::client::{Payload, encoded};
use super::failure::Failure;
use super::render;
use crate::api::Reason;
use crate::domain::ProxyId;

/// Who is connected, what each has acknowledged, and what it refuses
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Proxies {
    #[command(subcommand)]
    command: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Say that a proxy will not come back, so that nothing waits for its word
    Forget {
        /// Its node id
        node: ProxyId,
        /// Why, for the audit trail
        #[arg(long)]
        reason: Option<String>,
    },
}

impl Proxies {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let (client, output) = (context.client()?, &context.output);
        if let Some(Verb::Forget { node, reason }) = self.command {
            let path = format!("/v1/proxies/{}", encoded(node.as_str()));
            let reason = Payload::json(&Reason { reason })?;
            let answer = client.carry_out(Method::DELETE, &path, reason).await?;
            return output.show(&answer, |it| it.message.clone());
        }
        let view = client.view().await?;
        let look = output.look();
        output.show(&view.proxies, |all| render::proxies(all, view.at, look))
    }
}

//! `tidegate freeze` and `tidegate unfreeze`

use hyper::Method;

use super::Context;
use super::client::Payload;
use super::failure::Failure;
use crate::api::Reason;

/// Hold every rollout: none begins anything more, what has begun is finished
#[derive(Debug, clap::Args)]
pub(super) struct Freeze {
    /// Why, for the audit trail
    #[arg(long)]
    reason: Option<String>,
}

/// Let rollouts go on after a freeze
#[derive(Debug, clap::Args)]
pub(super) struct Unfreeze {
    /// Why, for the audit trail
    #[arg(long)]
    reason: Option<String>,
}

impl Freeze {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        ask("/v1/freeze", self.reason, context).await
    }
}

impl Unfreeze {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        ask("/v1/unfreeze", self.reason, context).await
    }
}

async fn ask(path: &str, reason: Option<String>, context: &Context) -> Result<(), Failure> {
    let reason = Payload::json(&Reason { reason })?;
    let client = context.client()?;
    let answer = client.carry_out(Method::POST, path, reason).await?;
    context.output.show(&answer, |it| it.message.clone())
}

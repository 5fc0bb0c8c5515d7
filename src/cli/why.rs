//! `tidegate why`

use super::Context;
use super::client::encoded;
use super::failure::Failure;
use super::render;
use crate::api;

/// Why a rollout waits: a sentence for each reason, and the next command
#[derive(Debug, clap::Args)]
pub(super) struct Why {
    /// The rollout
    name: String,
}

impl Why {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let path = format!("/v1/rollouts/{}/why", encoded(&self.name));
        let why: api::Why = context.client()?.get(&path).await?;
        let look = context.output.look();
        context.output.show(&why, |why| render::why(why, look))
    }
}

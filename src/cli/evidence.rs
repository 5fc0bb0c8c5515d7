//! `tidegate evidence`

use super::Context;
use super::client::encoded;
use super::failure::Failure;
use super::render;
use crate::api;

/// What the gates of a rollout go by: counts, instances, decisions
#[derive(Debug, clap::Args)]
pub(super) struct Evidence {
    /// The rollout
    name: String,
}

impl Evidence {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let path = format!("/v1/rollouts/{}/evidence", encoded(&self.name));
        let weighed: api::Weighed = context.client()?.get(&path).await?;
        let look = context.output.look();
        let show = |weighed: &api::Weighed| render::evidence(weighed, look);
        context.output.show(&weighed, show)
    }
}

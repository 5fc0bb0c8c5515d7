//! `tidegate instances`

use super::Context;
use super::client::encoded;
use super::failure::Failure;
use super::render;
use crate::api::LocatedInstance;
use crate::domain::ServiceName;

/// Instances: stage, health, requests in progress
#[derive(Debug, clap::Args)]
pub(super) struct Instances {
    /// Only those of this service
    #[arg(long)]
    service: Option<ServiceName>,
}

impl Instances {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let path = self.service.map_or_else(
            || "/v1/instances".to_owned(),
            |name| format!("/v1/instances?service={}", encoded(name.as_str())),
        );
        let instances: Vec<LocatedInstance> = context.client()?.get(&path).await?;
        let look = context.output.look();
        context
            .output
            .show(&instances, |all| render::instances(all, look))
    }
}

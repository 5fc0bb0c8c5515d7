//! `tidegate demo`, and the processes that it starts of this same binary

use std::path::PathBuf;
use std::process::ExitCode;

use super::Context;
use super::failure::Failure;
use crate::demo::{self, AppOptions, DemoOptions, KeeperOptions, ProxySpec, Scenario};
use crate::domain::Span;
use crate::snapshot::{BootstrapOptions, bootstrap};

/// Roll ten instances behind real Envoys under load, and check what is promised
#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// What happens meanwhile
    #[arg(long, value_enum, default_value_t = Scenario::Rolling, value_name = "SCENARIO")]
    scenario: Scenario,
    /// So many Envoys
    #[arg(long, default_value_t = DemoOptions::PROXIES, value_name = "NUMBER")]
    proxies: usize,
    /// So many instances
    #[arg(long, default_value_t = DemoOptions::INSTANCES, value_name = "NUMBER")]
    instances: usize,
    /// So many requests a second
    #[arg(long, default_value_t = DemoOptions::RPS, value_name = "NUMBER")]
    rps: u32,
    /// The Envoy to start [default: target/tools/bin/envoy, then PATH]
    #[arg(long, env = "TIDEGATE_ENVOY", value_name = "FILE")]
    envoy: Option<PathBuf>,
    /// Keep journals, logs and configurations here
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Draw the random moments from this number
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

impl Demo {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let options = DemoOptions {
            scenario: self.scenario,
            proxies: self.proxies,
            instances: self.instances,
            rps: self.rps,
            json: context.output.is_for_programs(),
            envoy: self.envoy,
            keep: self.keep,
            seed: self.seed,
            bootstrap: bootstrap_of,
        };
        let verdict = demo::run(options).await.map_err(failed)?;
        Ok(verdict.into())
    }
}

/// The demo's Envoys start from what `tidegate bootstrap` prints.
fn bootstrap_of(proxy: &ProxySpec) -> String {
    let control_plane = proxy.control_plane;
    bootstrap(&BootstrapOptions {
        xds_address: (control_plane.ip().to_string(), control_plane.port()),
        flush_interval: Span::from(proxy.flush_interval),
        ..BootstrapOptions::new(proxy.id.clone(), proxy.cluster.clone())
    })
}

pub(super) async fn app(options: AppOptions) -> Result<ExitCode, Failure> {
    demo::serve(options).await.map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn keeper(options: KeeperOptions) -> Result<ExitCode, Failure> {
    demo::keep(options).await.map_err(failed)
}

fn failed(error: demo::DemoError) -> Failure {
    Failure::News {
        what: error.to_string(),
        hint: String::new(),
    }
}

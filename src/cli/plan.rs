//! `tidegate plan`: what documents would do, before anything is changed.

mod known;

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::failure::Failure;
use super::sim::Place;
use super::{Context, files, render};
use crate::domain::Share;
use crate::engine::Outcome;
use crate::forecast::{Ask, Fleet, Forecast, RolloutForecast, forecast};
use crate::process::clock;
use crate::runtime::check_documents;
use crate::sim::Setup;
use known::Known;

/// What documents would do, before anything is changed
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Plan {
    /// Documents: files, or directories of them; those in force that they do not name stay as they are
    #[arg(value_name = "FILE", required_unless_present = "file")]
    paths: Vec<PathBuf>,
    /// The same
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Ask no control plane: the documents are all there are, for a made-up fleet
    #[arg(long)]
    offline: bool,
    /// So many requests a second to each service; without it nobody can say how soon a gate would see
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    rps: Option<u32>,
    /// The share of the requests that fails anyway
    #[arg(long, default_value = "0.1%", value_name = "SHARE")]
    errors: Share,
    /// So many instances of each service in the made-up fleet
    #[arg(long, requires = "offline", default_value_t = Setup::INSTANCES, value_name = "NUMBER",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(Setup::INSTANCES_MAX)))]
    instances: u32,
    /// So many proxies of each gateway in it
    #[arg(long, requires = "offline", default_value_t = Setup::PROXIES, value_name = "NUMBER",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(Setup::PROXIES_MAX)))]
    proxies: u32,
    /// Where its instances stand, in turn: `eu-1,eu-2`, or with regions `eu/eu-1,us/us-1`
    /// [default: the places that waves name, and a,b]
    #[arg(
        long,
        requires = "offline",
        value_delimiter = ',',
        value_name = "ZONES"
    )]
    zones: Vec<Place>,
}

/// Shown below its `--help`.
const EXAMPLE: &str = "\
Where no control plane answers and `--server` names none, it goes on as with --offline, and says so.

Exit codes:
  0  every rollout that would begin would be done
  1  one would not, or there is no plan; the output says why
  3  the control plane that `--server` names cannot be reached

Examples:
  tidegate plan rollout.yaml --rps 210
  tidegate plan --offline --instances 200 --zones eu-1,eu-2 examples/mesh";

/// What is said.
#[derive(Debug, Serialize)]
pub(crate) struct Said {
    /// Whose fleet it is for; `None` for a made-up one.
    pub(crate) server: Option<String>,
    /// Why it is made up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) made_up: Option<String>,
    /// Requests a second to each service, as far as it was said.
    pub(crate) rps: Option<u32>,
    #[serde(flatten)]
    pub(crate) forecast: Forecast,
}

impl Plan {
    pub(super) async fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let paths: Vec<PathBuf> = self.paths.iter().chain(&self.file).cloned().collect();
        let (known, made_up) = self.whose(context).await?;
        let in_force = known.iter().flat_map(|known| &known.documents.documents);
        let loaded = files::load_over(&paths, in_force, context)?;
        check_documents(&loaded.documents).map_err(|what| Failure::News {
            what,
            hint: "`tidegate validate` checks documents".to_owned(),
        })?;
        for warning in &loaded.warnings {
            context.output.note(&warning.to_string());
        }
        let is_known = known.is_some();
        let ask = Ask {
            documents: loaded.documents,
            now: clock::now(),
            fleet: known.map_or_else(|| self.fleet(), Known::fleet),
            rps: self.rps,
            errors: self.errors,
        };
        let forecast = forecast(ask).map_err(|error| Failure::News {
            what: error.to_string(),
            hint: "`tidegate validate` lists the documents in a file".to_owned(),
        })?;
        let gets_there = |rollout: &RolloutForecast| {
            matches!(rollout.outcome, Some(Outcome::Done | Outcome::Superseded))
        };
        let is_good = forecast.rollouts.iter().all(gets_there);
        let said = Said {
            server: is_known.then(|| context.global.server.clone()),
            made_up,
            rps: self.rps,
            forecast,
        };
        let look = context.output.look();
        context
            .output
            .show(&said, |said| render::plan(said, look))?;
        Ok(if is_good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    /// The control plane whose fleet it is for; or why it is for none.
    async fn whose(&self, context: &Context) -> Result<(Option<Known>, Option<String>), Failure> {
        if self.offline {
            return Ok((None, Some("--offline".to_owned())));
        }
        match Known::ask(&context.client()?).await {
            Err(Failure::Client(error))
                if error.is_unreachable() && context.global.names_no_server() =>
            {
                Ok((None, Some(error.to_string())))
            }
            known => Ok((Some(known?), None)),
        }
    }

    fn fleet(&self) -> Fleet {
        let places = self.zones.iter().map(|Place(place)| place.clone());
        Fleet::MadeUp {
            instances: self.instances,
            proxies: self.proxies,
            places: places.collect(),
        }
    }
}

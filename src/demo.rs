//! `tidegate demo`: a real rollout on one machine, to be watched and judged.
//!
//! The control plane, real Envoys and ten instances run as processes of their own, steady load goes
//! through the Envoys, and a [`Scenario`] is played. Then every promise of that scenario is judged
//! by what was seen: by the load's own counts, by the processes that were really stopped, and by
//! what the control plane says of its proofs.
//!
//! Loopback only; free ports; one directory for logs and data; every process ends with the demo.
//! It knows the control plane only from outside: its command line, its API, its documents.

mod app;
mod child;
mod clients;
mod clock;
mod connection;
mod control;
mod documents;
mod envoy;
mod error;
mod fleet;
mod habit;
mod histogram;
mod hook;
mod http;
mod judged;
mod keeper;
mod lane;
mod live;
mod load;
mod outcome;
mod port;
mod promise;
mod relay;
mod report;
mod scenario;
mod view;
mod world;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

pub use app::{AppOptions, serve};
pub use child::stdin_closed;
pub use envoy::ProxySpec;
pub use error::DemoError;
pub use habit::Habit;
pub use keeper::{KeeperOptions, keep};
pub use scenario::Scenario;

use promise::Promise;
use report::Summary;
use world::World;

/// What to play, and with what.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// The story.
    pub scenario: Scenario,
    /// How many Envoys; at least 1, and at least 2 for `lost-proxy`.
    pub proxies: usize,
    /// How many instances; at least 1, and 3 for `crash` and 4 for `lost-proxy`.
    pub instances: usize,
    /// Requests per second in all.
    pub rps: u32,
    /// Print one JSON object as the last line of standard output?
    pub json: bool,
    /// The Envoy to use; `None` looks for one.
    pub envoy: Option<PathBuf>,
    /// Where to keep logs and data; `None` uses a directory that goes away when all promises held.
    pub keep: Option<PathBuf>,
    /// What random moments follow from; `None` draws one.
    pub seed: Option<u64>,
    /// Writes the bootstrap of a proxy.
    pub bootstrap: fn(&ProxySpec) -> String,
}

/// The defaults of the command line.
impl DemoOptions {
    /// Envoys.
    pub const PROXIES: usize = 2;
    /// Instances.
    pub const INSTANCES: usize = 10;
    /// Requests per second: 1,495 fast, 100 of 300 ms, 5 of 2 s.
    pub const RPS: u32 = 1600;
}

/// Did the scenario's promises hold?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every one.
    Held,
    /// At least one did not.
    Broken,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Held => Self::SUCCESS,
            Verdict::Broken => Self::FAILURE,
        }
    }
}

/// Plays a scenario and reports. SIGINT and SIGTERM end it, with all that it started.
pub async fn run(options: DemoOptions) -> Result<Verdict, DemoError> {
    check(&options)?;
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let scratch = std::env::temp_dir().join(format!("tidegate-demo-{}", std::process::id()));
    let directory = options.keep.clone().unwrap_or(scratch);
    fs_err::create_dir_all(&directory)?;
    let verdict = tokio::select! {
        verdict = play(&options, &directory) => verdict,
        _ = interrupt.recv() => Err(DemoError::Interrupted),
        _ = terminate.recv() => Err(DemoError::Interrupted),
    };
    let of_no_use = matches!(verdict, Ok(Verdict::Held) | Err(DemoError::Interrupted));
    if of_no_use && options.keep.is_none() {
        // A temporary directory that cannot be removed does not change what was seen.
        let _ = fs_err::remove_dir_all(&directory);
    } else {
        writeln!(anstream::stderr(), "logs and data: {}", directory.display())?;
    }
    verdict
}

async fn play(options: &DemoOptions, directory: &Path) -> Result<Verdict, DemoError> {
    let scenario = options.scenario;
    let rps = scenario.rps(options.rps);
    let options = &DemoOptions {
        rps,
        ..options.clone()
    };
    let seed = options.seed.unwrap_or_else(clock::seed);
    let (documents, relayed) = (scenario.documents(), scenario.needs_relay());
    let mut world = World::raise(options, documents, relayed, seed, directory.to_owned()).await?;
    let played = scenario.play(&mut world).await;

    let (facts, mut promises) = world.finish().await;
    promises.extend(scenario.promises(&facts));
    if let Err(error) = played {
        promises.push(Promise::new(
            "the story comes to its end",
            false,
            error.to_string(),
        ));
    }
    let broken = promises.iter().any(|promise| !promise.held);
    let title = format!("{}  (seed {seed})", scenario.title());
    let text = report::text(&title, &facts, world.tally(), &promises);
    writeln!(anstream::stderr(), "{text}")?;
    world.end().await;
    if options.json {
        writeln!(
            std::io::stdout(),
            "{}",
            Summary::new(scenario.name(), &facts).line()
        )?;
    }
    Ok(if broken {
        Verdict::Broken
    } else {
        Verdict::Held
    })
}

/// What cannot work is refused before anything is started.
fn check(options: &DemoOptions) -> Result<(), DemoError> {
    let (proxies_min, instances_min) = match options.scenario {
        Scenario::LostProxy => (2, 4),
        // With two instances left of each version it shows which of them is bad.
        Scenario::OneBadBox => (1, 5),
        Scenario::BadVersion | Scenario::LowTraffic | Scenario::SharedOutage => (1, 2),
        Scenario::Crash => (1, 3),
        // Two Envoys that know nothing of each other deal them alike.
        Scenario::Sessions => (2, 2),
        Scenario::Naive | Scenario::Nack | Scenario::Rolling => (1, 1),
    };
    let name = options.scenario.name();
    let bounds = [
        ("proxies", options.proxies, proxies_min, PROXIES_MAX),
        ("instances", options.instances, instances_min, INSTANCES_MAX),
        ("rps", options.rps as usize, 1, RPS_MAX),
    ];
    for (what, given, least, most) in bounds {
        if !(least..=most).contains(&given) {
            return Err(DemoError::Options(format!(
                "`{name}` needs --{what} between {least} and {most}, not {given}"
            )));
        }
    }
    Ok(())
}

const PROXIES_MAX: usize = 20;
const INSTANCES_MAX: usize = 40;
const RPS_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn a_scenario_is_refused_with_what_it_cannot_be_told_with() {
        let options = |scenario, proxies, instances, rps| DemoOptions {
            scenario,
            proxies,
            instances,
            rps,
            json: true,
            envoy: None,
            keep: None,
            seed: None,
            bootstrap: |_| String::new(),
        };
        let (lost, rolling) = (Scenario::LostProxy, Scenario::Rolling);
        for (given, refused) in [
            (options(rolling, 1, 1, 1), None),
            (
                options(
                    lost,
                    DemoOptions::PROXIES,
                    DemoOptions::INSTANCES,
                    DemoOptions::RPS,
                ),
                None,
            ),
            (
                options(lost, 1, 10, 1600),
                Some("`lost-proxy` needs --proxies between 2 and 20, not 1"),
            ),
            (
                options(rolling, 0, 10, 1600),
                Some("`rolling` needs --proxies between 1 and 20, not 0"),
            ),
            (
                options(rolling, 2, 10, 0),
                Some("`rolling` needs --rps between 1 and 20000, not 0"),
            ),
        ] {
            assert_eq!(
                check(&given).err().map(|e| e.to_string()).as_deref(),
                refused
            );
        }
    }

    #[test]
    fn scenarios_have_one_name() {
        for scenario in Scenario::value_variants() {
            let value = scenario.to_possible_value().unwrap();
            assert_eq!(value.get_name(), scenario.name());
        }
    }
}

//! The xDS server measured, beside floors and other servers, in one run: `make bench-xds`.
//!
//! One program in three roles, each a process of its own: the run, which starts the others and
//! reads what they used; a server, on one core; the load, on another. See `docs/benchmarks.md`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints what it measures"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "its processes end with the run, and nothing supervises them"
)]

mod child;
mod end_to_end;
mod load;
mod machine;
mod pilot;
mod plan;
mod push;
mod report;
mod server;
mod storm;
mod targets;
mod tls;
mod world;

use std::path::PathBuf;

use clap::Parser;

use child::Failed;
use push::Bench;
use report::Results;

#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    role: Option<Role>,
    /// A few shapes, in two minutes.
    #[arg(long)]
    quick: bool,
    /// Only measurements whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Changes that are counted in each measurement.
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// Where the results go as JSON; else to stdout.
    #[arg(long)]
    json: Option<PathBuf>,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Role {
    #[command(hide = true)]
    Server(server::ServerOptions),
    #[command(hide = true)]
    Load(load::LoadOptions),
}

fn main() -> Result<(), Failed> {
    machine::raise_file_limit()?;
    let options = Options::parse();
    match &options.role {
        Some(Role::Server(server)) => server::run(server),
        Some(Role::Load(load)) => load::run(load.clone()),
        None => run(&options),
    }
}

fn run(options: &Options) -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    tls::write(directory.path())?;
    let mut results = Results::default();
    let go = push::build_go(directory.path());
    if let Err(reason) = &go {
        let skipped = format!("go-control-plane: {reason}");
        results.skipped.push(skipped);
    }
    let bench = Bench {
        cores: machine::two_cores()?,
        go: go.ok(),
        certificates: directory.path().to_owned(),
        rounds: options.rounds,
    };
    plan::measure(&bench, options.quick, options.only.as_deref(), &mut results);
    results.targets = targets::judge(&results);
    results.print();
    let json = serde_json::to_string_pretty(&results)?;
    match &options.json {
        Some(path) => fs_err::write(path, json)?,
        None => println!("{json}"),
    }
    Ok(())
}

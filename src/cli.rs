//! The command line: one file per command, most of which talk to a control plane by its API.
//!
//! Data goes to stdout, all else to stderr; `--output json` or `yaml` gives programs the API's own values.
//! A command returns what failed and never ends the process or prints by other means than
//! [`Output`]. Rendering is pure and lives in `render`.

mod apply;
mod bootstrap;
mod client;
mod completions;
mod delete;
mod demo;
mod diff;
mod drain;
mod evidence;
mod failure;
mod files;
mod freeze;
mod get;
#[cfg(feature = "harness-adapter")]
mod harness;
mod history;
mod instances;
mod journal;
mod output;
mod plan;
mod proxies;
mod register;
pub(crate) mod render;
mod rollout;
mod secrets;
mod serve;
mod signal;
mod sim;
mod sse;
#[cfg(test)]
mod tests;
mod validate;
mod watch;
mod why;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::json;

use crate::demo::{AppOptions, KeeperOptions};
use crate::observe::{LogFormat, init_logs};
use crate::spec::Refusal;
use client::Client;
use failure::Failure;
use output::{Format, Output};

/// Shown below `tidegate --help`.
const EXIT_CODES: &str = "\
Exit codes:
  0  done; for `drain --wait`: safe to stop, and the output says if that is unproven
  1  failed or refused; for `drain --wait`: not released in time; for `rollout watch`: rolled back
  2  the command line is wrong
  3  the control plane cannot be reached
  4  for `diff`: what runs is not what the documents say";

/// Rolls versions at the proxy: an xDS control plane for Envoy that takes the next step only when
/// every proxy has proven the last one.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes; shown below its own options.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// The control plane's API
    #[arg(
        long,
        global = true,
        env = "TIDEGATE_SERVER",
        default_value = SERVER_DEFAULT,
        value_name = "URL"
    )]
    server: String,
    /// For people (`text`), or for programs (`json`, `yaml`)
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "FORMAT"
    )]
    output: Format,
    /// Who asks, for the audit trail [default: user@host]
    #[arg(long, global = true, env = "TIDEGATE_ACTOR", value_name = "NAME")]
    actor: Option<String>,
    /// The groups of who asks, where a policy wants one; commas between them
    #[arg(long, global = true, env = "TIDEGATE_GROUPS", value_name = "NAMES")]
    groups: Option<String>,
    /// The login name, for the default of `--actor`
    #[arg(
        long,
        global = true,
        env = "USER",
        hide = true,
        default_value = "unknown"
    )]
    user: String,
    /// Which log lines go to stderr, such as `info,tidegate::xds=debug`
    #[arg(
        long,
        global = true,
        env = "TIDEGATE_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    log: String,
    /// How log lines are written: `text`, or `json` with an object a line
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "FORMAT"
    )]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    Apply(apply::Apply),
    Bootstrap(bootstrap::Bootstrap),
    Completions(completions::Completions),
    Delete(delete::Delete),
    Demo(demo::Demo),
    /// A sample service; the demo's instances are processes of it
    #[command(hide = true)]
    DemoApp(AppOptions),
    /// Runs a program that must not outlive the demo
    #[command(hide = true)]
    DemoKeeper(KeeperOptions),
    Diff(diff::Diff),
    Drain(drain::Drain),
    Evidence(evidence::Evidence),
    Freeze(freeze::Freeze),
    Get(get::Get),
    History(history::History),
    Instances(instances::Instances),
    Journal(journal::Journal),
    Plan(plan::Plan),
    Proxies(proxies::Proxies),
    Register(register::Register),
    Rollout(rollout::Rollout),
    /// Print the JSON Schema of all documents, for editors
    Schema,
    Secrets(secrets::Secrets),
    Serve(serve::Serve),
    Sim(sim::Sim),
    Undrain(drain::Undrain),
    Unfreeze(freeze::Unfreeze),
    Validate(validate::Validate),
    Why(why::Why),
}

/// Where a control plane listens that was not told to listen elsewhere.
const SERVER_DEFAULT: &str = "http://127.0.0.1:18080";

impl Global {
    /// Is the control plane left to the default?
    fn names_no_server(&self) -> bool {
        self.server == SERVER_DEFAULT
    }
}

/// What every command runs with.
struct Context {
    global: Global,
    output: Output,
}

impl Context {
    /// A client of the control plane that `--server` names.
    fn client(&self) -> Result<Client, Failure> {
        let actor = self.global.actor.clone().unwrap_or_else(|| {
            let host = client::host_name();
            format!("{}@{host}", self.global.user)
        });
        let client = Client::new(&self.global.server, &actor)?;
        Ok(client.in_groups(self.global.groups.as_deref().unwrap_or_default()))
    }

    /// Shows everything that is wrong with what was read, and gives the failure that sums it up.
    fn refused(&self, refusal: &Refusal) -> Failure {
        let output = &self.output;
        if output.is_for_programs() {
            let said = json!({ "valid": false, "problems": refusal.problems });
            if let Err(failure) = output.show(&said, |_| String::new()) {
                return failure;
            }
        } else {
            output.note(refusal.report(output.look().colour).trim_end_matches('\n'));
        }
        Failure::News {
            what: match refusal.problems.len() {
                1 => "1 problem found".to_owned(),
                count => format!("{count} problems found"),
            },
            hint: String::new(),
        }
    }
}

/// Runs the command line of this process.
pub async fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    let output = Output::new(global.output);
    let context = Context { global, output };
    let begun = init_logs(&context.global.log, context.global.log_format);
    let ended = match begun {
        Ok(()) => run(command, &context).await,
        Err(e) => Err(e.into()),
    };
    match ended {
        Ok(code) => code,
        Err(failure) => {
            context.output.failure(&failure);
            failure.exit_code()
        }
    }
}

async fn run(command: Command, context: &Context) -> Result<ExitCode, Failure> {
    match command {
        Command::Apply(it) => it.run(context).await?,
        Command::Bootstrap(it) => it.run(context)?,
        Command::Completions(it) => it.run(context)?,
        Command::Delete(it) => it.run(context).await?,
        Command::Demo(it) => return it.run(context).await,
        Command::DemoApp(options) => return demo::app(options).await,
        Command::DemoKeeper(options) => return demo::keeper(options).await,
        Command::Diff(it) => return it.run(context).await,
        Command::Drain(it) => it.run(context).await?,
        Command::Freeze(it) => it.run(context).await?,
        Command::Get(it) => it.run(context).await?,
        Command::History(it) => it.run(context).await?,
        Command::Instances(it) => it.run(context).await?,
        Command::Journal(it) => it.run(context).await?,
        Command::Plan(it) => return it.run(context).await,
        Command::Proxies(it) => it.run(context).await?,
        Command::Register(it) => it.run(context).await?,
        Command::Rollout(it) => it.run(context).await?,
        Command::Schema => validate::schema(context)?,
        Command::Secrets(it) => it.run(context).await?,
        Command::Serve(it) => it.run(context).await?,
        Command::Sim(it) => return it.run(context),
        Command::Undrain(it) => it.run(context).await?,
        Command::Unfreeze(it) => it.run(context).await?,
        Command::Validate(it) => it.run(context)?,
        Command::Evidence(it) => it.run(context).await?,
        Command::Why(it) => it.run(context).await?,
    }
    Ok(ExitCode::SUCCESS)
}

//! `tidegate rollout`: start one, see where it stands, and the verbs.

use hyper::Method;
use serde_json::json;

use super::client::{Client, Payload, encoded};
use super::failure::Failure;
use super::{Context, render, watch};
use crate::api::Ask;
use crate::domain::{RolloutName, ServiceName, VersionName};
use crate::engine::RolloutView;
use crate::runtime::Applied;

/// Start a rollout, follow it, hold it, turn it round
#[derive(Debug, clap::Args)]
pub(super) struct Rollout {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Go back through the same steps
    Abort(Abort),
    /// In an emergency: no house rule and no freeze holds this one any more
    Override(Override),
    /// Begin no further step
    Pause(Verb),
    /// Say the word that it waits for, or end its present step
    Promote(Promote),
    /// Go on after a pause
    Resume(Verb),
    /// Try again what failed
    Retry(Verb),
    /// Do not wait for what it waits for now
    Skip(Skip),
    /// Begin one: applies a Rollout document with every default
    Start(Start),
    /// Where rollouts stand
    Status(Status),
    /// Go back to the version before, after the end
    Undo(Verb),
    /// Follow a rollout to its end
    Watch(watch::Watch),
}

#[derive(Debug, clap::Args)]
struct Verb {
    /// The rollout
    name: RolloutName,
    /// Why, for the audit trail
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Abort {
    #[command(flatten)]
    verb: Verb,
    /// All traffic back at once, whatever the old version can take
    #[arg(long)]
    emergency: bool,
    /// Only what belongs to the present wave; then it pauses
    #[arg(long, conflicts_with = "emergency")]
    wave: bool,
}

#[derive(Debug, clap::Args)]
struct Override {
    /// The rollout
    name: RolloutName,
    /// Why, for the audit trail
    #[arg(long)]
    reason: String,
}

#[derive(Debug, clap::Args)]
struct Promote {
    #[command(flatten)]
    verb: Verb,
    /// Every step but the last
    #[arg(long)]
    all: bool,
    /// Only at this step or wave, by its number; past it, nothing is done
    #[arg(long, value_name = "N")]
    step: Option<u32>,
}

#[derive(Debug, clap::Args)]
struct Skip {
    #[command(flatten)]
    verb: Verb,
    /// Only at this step or wave, by its number; past it, nothing is done
    #[arg(long, value_name = "N")]
    step: Option<u32>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = START_EXAMPLE)]
struct Start {
    /// What is rolled
    service: ServiceName,
    /// The version it ends on
    #[arg(long)]
    to: VersionName,
    /// Its name [default: service and version]
    #[arg(long)]
    name: Option<RolloutName>,
}

#[derive(Debug, clap::Args)]
struct Status {
    /// Only this one, in detail
    name: Option<RolloutName>,
}

/// Shown below the `--help` of `start`.
const START_EXAMPLE: &str = "\
Example:
  tidegate rollout start cart --to v42 && tidegate rollout watch cart-v42";

impl Rollout {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let mut ask = Ask::default();
        let (word, verb) = match self.command {
            Command::Start(start) => return start.run(context).await,
            Command::Status(status) => return status.run(context).await,
            Command::Watch(watch) => return watch.run(context).await,
            Command::Abort(abort) => {
                (ask.emergency, ask.wave) = (abort.emergency, abort.wave);
                ("abort", abort.verb)
            }
            Command::Promote(promote) => {
                (ask.all, ask.step) = (promote.all, promote.step);
                ("promote", promote.verb)
            }
            Command::Override(Override { name, reason }) => {
                let reason = Some(reason);
                ("override", Verb { name, reason })
            }
            Command::Pause(verb) => ("pause", verb),
            Command::Resume(verb) => ("resume", verb),
            Command::Retry(verb) => ("retry", verb),
            Command::Skip(skip) => {
                ask.step = skip.step;
                ("skip", skip.verb)
            }
            Command::Undo(verb) => ("undo", verb),
        };
        let path = format!("/v1/rollouts/{}/{word}", encoded(verb.name.as_str()));
        ask.reason = verb.reason;
        let ask = Payload::json(&ask)?;
        let client = context.client()?;
        let answer = client.carry_out(Method::POST, &path, ask).await?;
        let look = context.output.look();
        context
            .output
            .show(&answer, |answer| render::answer(answer, look))
    }
}

impl Start {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let name = match self.name {
            Some(name) => name,
            None => RolloutName::derived(&self.service, &self.to).map_err(|e| Failure::News {
                what: e.to_string(),
                hint: "give it a --name".to_owned(),
            })?,
        };
        if let Some(ended) = ended(&client, name.as_str()).await? {
            return Err(Failure::News {
                what: format!(
                    "there is a rollout `{name}` already, and it is {}",
                    ended.phase
                ),
                hint: "give the new one another --name".to_owned(),
            });
        }
        // JSON is YAML, and quotes what needs quotes.
        let document = json!({
            "kind": "Rollout",
            "name": name,
            "spec": { "service": self.service, "to": self.to },
        });
        let yaml = Payload::Yaml(document.to_string());
        let applied: Applied = client.send(Method::POST, "/v1/documents", yaml).await?;
        context.output.show(&applied, |it| it.changes.join("\n"))?;
        for warning in &applied.warnings {
            context.output.note(&format!("warning: {warning}"));
        }
        let next = format!("`tidegate rollout watch {name}` follows it");
        context.output.note(&next);
        Ok(())
    }
}

/// A rollout of that name which is over; the same document again would do nothing.
async fn ended(client: &Client, name: &str) -> Result<Option<RolloutView>, Failure> {
    let path = format!("/v1/rollouts/{}", encoded(name));
    match client.get::<RolloutView>(&path).await {
        Ok(rollout) => Ok(rollout.ended.is_some().then_some(rollout)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e.into()),
    }
}

impl Status {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        let view = context.client()?.view().await?;
        let (output, look) = (&context.output, context.output.look());
        let Some(name) = self.name else {
            return output.show(&view.rollouts, |all| {
                let frozen = view.frozen.iter().map(|frozen| format!("{frozen}\n"));
                frozen
                    .chain([render::rollouts(all, view.at, look)])
                    .collect()
            });
        };
        let found = watch::find(&view, &name)?;
        output.show(found, |rollout| {
            render::rollout(&view, rollout, &[], view.at, look)
        })
    }
}

//! `tidegate drain` and `undrain`: for preStop hooks, `ExecStop=` and scripts.

use std::time::Duration;

use hyper::Method;

use super::Context;
use super::client::{Client, ClientError, Payload, encoded};
use super::failure::Failure;
use super::output::Output;
use crate::api::{DrainAnswer, Reason};
use crate::domain::{InstanceId, ServiceName, Span};

/// How long one request sits with the server, and so the pace of the progress lines.
const POLL: Span = Span::secs(5);

/// Between attempts while the server is away.
const RETRY: Duration = Duration::from_secs(1);

/// Take an instance out; with --wait, return when it is safe to stop
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Drain {
    /// The instance
    instance: InstanceId,
    /// Its service, where the id alone does not tell
    #[arg(long)]
    service: Option<ServiceName>,
    /// Return only when the instance may be stopped
    #[arg(long)]
    wait: bool,
    /// Wait no longer than this
    #[arg(long, requires = "wait", default_value = "1h", value_name = "DURATION")]
    timeout: Span,
    /// Why, for the audit trail
    #[arg(long)]
    reason: Option<String>,
}

/// Put a drained instance back
#[derive(Debug, clap::Args)]
pub(super) struct Undrain {
    /// The instance
    instance: InstanceId,
    /// Its service, where the id alone does not tell
    #[arg(long)]
    service: Option<ServiceName>,
    /// Why, for the audit trail
    #[arg(long)]
    reason: Option<String>,
}

/// Shown below its `--help`.
const EXAMPLE: &str = "\
Example:
  tidegate drain cart-7 --wait --timeout 10m && systemctl stop cart@7

Exit codes with --wait:
  0  safe to stop; the output says if that is unproven
  1  not released in time";

impl Drain {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let (client, output) = (context.client()?, &context.output);
        if !self.wait {
            let answer = self.ask(&client, Span::ZERO).await?;
            return output.show(&answer, |it| it.message.clone());
        }
        let waited = self.until_released(&client, output);
        let Ok(answer) = tokio::time::timeout(self.timeout.duration(), waited).await else {
            return Err(Failure::News {
                what: format!("{} is not released after {}", self.instance, self.timeout),
                hint: "it goes on draining; run this again to wait on, or `tidegate undrain`"
                    .to_owned(),
            });
        };
        let answer = answer?;
        if answer.drain.as_ref().is_some_and(|d| !d.proven) {
            output.note("warning: not every proxy has proven that it is idle");
        }
        output.show(&answer, |it| it.message.clone())
    }

    /// Asks again and again; once the server has been seen, it may also be away for a while.
    async fn until_released(
        &self,
        client: &Client,
        output: &Output,
    ) -> Result<DrainAnswer, ClientError> {
        let mut begun = false;
        loop {
            match self.ask(client, POLL).await {
                Ok(answer) if answer.released => return Ok(answer),
                Ok(answer) => {
                    begun = true;
                    output.note(&format!("waiting: {}", answer.message));
                }
                Err(e) if begun && e.is_passing() => {
                    output.note(&format!("waiting: {e}"));
                    tokio::time::sleep(RETRY).await;
                }
                // It was there and is known no more: whoever ran it has ended its lease.
                Err(e) if begun && e.is_not_found() => return Ok(self.gone()),
                Err(e) => return Err(e),
            }
        }
    }

    async fn ask(&self, client: &Client, wait: Span) -> Result<DrainAnswer, ClientError> {
        let path = format!(
            "{}{}wait={wait}",
            target("drain", &self.instance, self.service.as_ref()),
            if self.service.is_some() { "&" } else { "?" },
        );
        let reason = Payload::json(&Reason {
            reason: self.reason.clone(),
        })?;
        client
            .send_waiting(Method::POST, &path, reason, wait.duration())
            .await
    }

    fn gone(&self) -> DrainAnswer {
        DrainAnswer {
            instance: self.instance.clone(),
            released: true,
            stage: "gone".to_owned(),
            message: format!("{} is gone, and nothing waits for it", self.instance),
            drain: None,
            blockers: Vec::new(),
        }
    }
}

impl Undrain {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let path = target("undrain", &self.instance, self.service.as_ref());
        let reason = Payload::json(&Reason {
            reason: self.reason,
        })?;
        let client = context.client()?;
        let answer = client.carry_out(Method::POST, &path, reason).await?;
        context.output.show(&answer, |it| it.message.clone())
    }
}

fn target(verb: &str, instance: &InstanceId, service: Option<&ServiceName>) -> String {
    let of = service.map_or_else(String::new, |name| {
        format!("?service={}", encoded(name.as_str()))
    });
    format!("/v1/instances/{}/{verb}{of}", encoded(instance.as_str()))
}

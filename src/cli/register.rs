//! `tidegate register`: keeps an instance's lease for as long as this command runs.

use std::pin::pin;
use std::time::Duration;

use hyper::Method;

use super::Context;
use super::client::{Client, ClientError, Payload, encoded};
use super::failure::Failure;
use super::signal::stopped;
use crate::api::Lease;
use crate::domain::{Address, InstanceId, Rps, ServiceName, Span, VersionName};
use crate::engine::Answer;

/// Two renewals may fail before a lease ends.
const RENEWALS_PER_TTL: u32 = 3;

/// Between attempts while the server is away, if renewals are not more frequent anyway.
const RETRY: Duration = Duration::from_secs(1);

/// Announce an instance and keep its lease until this command is stopped
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Register {
    /// What it is an instance of
    #[arg(long)]
    service: ServiceName,
    /// The build it runs
    #[arg(long)]
    version: VersionName,
    /// Where it answers: an IP address and a port, or a host's URL, as `https://thumbnail-17.example`
    #[arg(long, value_name = "IP:PORT|URL")]
    address: Address,
    /// Its id, unique within its service [default: its address]
    #[arg(long)]
    id: Option<InstanceId>,
    /// Its region
    #[arg(long, default_value = "", hide_default_value = true)]
    region: String,
    /// Its zone
    #[arg(long, default_value = "", hide_default_value = true)]
    zone: String,
    /// What it carries, such as `60rps`, where that differs from its service's
    #[arg(long, value_name = "RATE")]
    capacity: Option<Rps>,
    /// Something else to know of it; may be given more than once
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    labels: Vec<(String, String)>,
    /// Without renewal the lease ends after this long
    #[arg(long, default_value = "10s", value_name = "DURATION")]
    ttl: Span,
    /// Begin or renew the lease once, and return
    #[arg(long)]
    once: bool,
}

/// Shown below its `--help`.
const EXAMPLE: &str = "\
Example:
  tidegate register --service cart --version v42 --address 10.0.0.7:8080 --zone a";

impl Register {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let (client, output) = (context.client()?, &context.output);
        let id = match &self.id {
            Some(id) => id.to_string(),
            None => self.address.as_id(),
        };
        let path = format!(
            "/v1/instances/{}/{}",
            encoded(self.service.as_str()),
            encoded(&id)
        );
        let (ttl, once) = (self.ttl, self.once);
        let lease = self.lease();
        if once {
            let answer = renew(&client, &path, &lease).await?;
            return output.show(&answer, |it| it.message.clone());
        }
        let kept = async {
            let mut held = Held::Never;
            loop {
                let pace = match renew(&client, &path, &lease).await {
                    Ok(answer) => {
                        match held {
                            Held::Never => output.line(&answer, |it| it.message.clone())?,
                            Held::Lost => output.note(&format!("{id}: the lease is renewed again")),
                            Held::Now => {}
                        }
                        held = Held::Now;
                        ttl.duration() / RENEWALS_PER_TTL
                    }
                    // At first a refusal is a mistake in the command; later it may pass.
                    Err(e) if held == Held::Never && !e.is_passing() => return Err(e.into()),
                    Err(e) => {
                        if held != Held::Lost {
                            output.note(&format!("{id}: {e}; trying on"));
                        }
                        held = Held::Lost;
                        RETRY.min(ttl.duration() / RENEWALS_PER_TTL)
                    }
                };
                tokio::time::sleep(pace).await;
            }
        };
        tokio::select! {
            failed = pin!(kept) => failed,
            () = stopped() => {
                let end = client.send(Method::DELETE, &path, Payload::Nothing);
                match end.await {
                    Ok(Answer { message, .. }) => output.note(&message),
                    Err(e) => output.note(&format!("{id}: {e}; the lease ends by itself in {ttl}")),
                }
                Ok(())
            }
        }
    }

    fn lease(self) -> Lease {
        Lease {
            address: self.address,
            version: self.version,
            region: self.region,
            zone: self.zone,
            ttl: self.ttl,
            capacity: self.capacity,
            labels: self.labels.into_iter().collect(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    Never,
    Now,
    Lost,
}

async fn renew(client: &Client, path: &str, lease: &Lease) -> Result<Answer, ClientError> {
    client.send(Method::PUT, path, Payload::json(lease)?).await
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a label is written KEY=VALUE".to_owned()),
    }
}

//! `tidegate history`

use std::time::Duration;

use super::Context;
use super::client::{Client, ClientError, encoded};
use super::failure::Failure;
use super::render;
use super::sse::Events;
use crate::api::HistoryPage;
use crate::domain::RolloutName;
use crate::runtime::Numbered;

/// Entries asked for at once.
const PAGE: usize = 1000;

/// Between attempts while the server is away.
const RETRY: Duration = Duration::from_secs(1);

/// The audit trail: every decision, when and why
#[derive(Debug, clap::Args)]
pub(super) struct History {
    /// Only what belongs to this rollout
    #[arg(long)]
    rollout: Option<RolloutName>,
    /// Begin with this number
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    from: u64,
    /// Go on with new entries as they come
    #[arg(long)]
    follow: bool,
}

impl History {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let (client, output) = (context.client()?, &context.output);
        let mut next = self.from;
        let mut show = |entry: &Numbered| output.line(entry, render::entry);
        let rollout = self.rollout.as_ref();
        if !self.follow {
            return read(&client, rollout, &mut next, &mut show).await;
        }
        let mut events = client.events().await?;
        loop {
            match follow(&client, &mut events, rollout, &mut next, &mut show).await {
                Err(Failure::Client(e)) if e.is_passing() => {
                    output.note(&format!("{e}; trying on"));
                    events = reconnected(&client).await?;
                }
                ended => return ended,
            }
        }
    }
}

/// A new connection to a server that was there before.
pub(super) async fn reconnected(client: &Client) -> Result<Events, ClientError> {
    loop {
        tokio::time::sleep(RETRY).await;
        match client.events().await {
            Err(e) if e.is_passing() => {}
            other => return other,
        }
    }
}

/// Gives `take` every entry from number `next` on, and leaves in it the number to go on from.
pub(super) async fn read(
    client: &Client,
    rollout: Option<&RolloutName>,
    next: &mut u64,
    take: &mut impl FnMut(&Numbered) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let of = rollout.map_or_else(String::new, |name| {
        format!("&rollout={}", encoded(name.as_str()))
    });
    loop {
        let path = format!("/v1/history?from={next}&limit={PAGE}{of}");
        let page: HistoryPage = client.get(&path).await?;
        *next = page.next;
        page.entries.iter().try_for_each(&mut *take)?;
        if page.end {
            return Ok(());
        }
    }
}

/// Takes entries as they come, until the server goes away. The stream is open before the past is
/// read, so nothing falls between the two.
async fn follow(
    client: &Client,
    events: &mut Events,
    rollout: Option<&RolloutName>,
    next: &mut u64,
    take: &mut impl FnMut(&Numbered) -> Result<(), Failure>,
) -> Result<(), Failure> {
    read(client, rollout, next, take).await?;
    loop {
        let event = events.next().await?;
        match event.name.as_str() {
            "missed" => read(client, rollout, next, take).await?,
            "entry" => {
                let entry: Numbered = events.read(&event)?;
                if entry.seq < *next {
                    continue;
                }
                *next = entry.seq + 1;
                if rollout.is_none() || entry.entry.record.rollout() == rollout {
                    take(&entry)?;
                }
            }
            _ => {}
        }
    }
}

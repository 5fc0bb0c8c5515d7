//! `tidegate history`

use std::collections::VecDeque;
use std::str::FromStr;
use std::time::Duration;

use super::Context;
use super::client::{Client, ClientError, encoded};
use super::failure::Failure;
use super::render;
use super::sse::Events;
use crate::api::HistoryPage;
use crate::domain::{RolloutName, ServiceName, Span, Time};
use crate::process::clock;
use crate::runtime::Numbered;

/// Entries asked for at once.
const PAGE: usize = 1000;

/// Between attempts while the server is away.
const RETRY: Duration = Duration::from_secs(1);

/// The audit trail: every decision, when and why
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct History {
    #[command(flatten)]
    which: Which,
    /// Begin with this number
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    from: u64,
    /// Only so many of them, the newest
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// Go on with new entries as they come
    #[arg(long)]
    follow: bool,
}

/// Shown below its `--help`.
const EXAMPLE: &str = "\
Examples:
  tidegate history --rollout cart-42
  tidegate history --service cart --since 2h --limit 50
  tidegate history --by ada --output json > what-ada-did.jsonl";

/// Which entries are wanted; all of these hold of each.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Which {
    /// Only what belongs to this rollout
    #[arg(long)]
    pub(super) rollout: Option<RolloutName>,
    /// Only what is about this service
    #[arg(long)]
    service: Option<ServiceName>,
    /// Only what this person or program asked for: `ada`, or `ada@laptop`
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Only what is newer: `2h` ago, or a moment like 2026-11-23T12:00:00Z
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,
}

impl Which {
    pub(super) fn of_rollout(name: &RolloutName) -> Self {
        Self {
            rollout: Some(name.clone()),
            ..Self::default()
        }
    }

    fn is_all(&self) -> bool {
        let Self {
            rollout,
            service,
            by,
            since,
        } = self;
        rollout.is_none() && service.is_none() && by.is_none() && since.is_none()
    }

    fn query(&self) -> String {
        let rollout = self.rollout.as_ref().map(ToString::to_string);
        let service = self.service.as_ref().map(ToString::to_string);
        let since = self.since.map(|Since(moment)| moment.to_string());
        let given = [
            ("rollout", rollout),
            ("service", service),
            ("by", self.by.clone()),
            ("since", since),
        ];
        let given = given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let pairs: Vec<String> = given
            .map(|(name, value)| format!("&{name}={}", encoded(&value)))
            .collect();
        pairs.concat()
    }
}

/// A moment, also as a span before now.
#[derive(Clone, Copy, Debug)]
struct Since(Time);

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let before = |span: Span| clock::now().checked_sub(span.duration());
        let moment = match text.parse::<Span>() {
            Ok(span) => before(span).ok(),
            Err(_) => text.parse().ok(),
        };
        moment.map(Self).ok_or_else(|| {
            format!("`{text}` is neither a span like `2h` nor a moment like 2026-11-23T12:00:00Z")
        })
    }
}

impl History {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let (client, output, which) = (context.client()?, &context.output, &self.which);
        let mut next = self.from;
        let mut show = |entry: &Numbered| output.line(entry, render::entry);
        // The stream is open before the past is read, so nothing falls between the two.
        let events = if self.follow {
            Some(client.events().await?)
        } else {
            None
        };
        let mut newest = VecDeque::new();
        let first = match self.limit {
            None => read(&client, which, &mut next, &mut show).await?,
            Some(limit) => {
                let mut keep = |entry: &Numbered| {
                    newest.push_back(entry.clone());
                    if newest.len() > limit {
                        newest.pop_front();
                    }
                    Ok(())
                };
                read(&client, which, &mut next, &mut keep).await?
            }
        };
        newest.iter().try_for_each(&mut show)?;
        if self.from < first {
            output.note(&format!(
                "entries before {first} are deleted: they were older than the retention"
            ));
        }
        let Some(mut events) = events else {
            return Ok(());
        };
        loop {
            match follow(&client, &mut events, which, &mut next, &mut show).await {
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

/// Gives `take` every entry from number `next` on, leaves in it the number to go on from, and returns
/// the number of the oldest entry that is kept.
pub(super) async fn read(
    client: &Client,
    which: &Which,
    next: &mut u64,
    take: &mut impl FnMut(&Numbered) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let query = which.query();
    loop {
        let path = format!("/v1/history?from={next}&limit={PAGE}{query}");
        let page: HistoryPage = client.get(&path).await?;
        *next = page.next;
        page.entries.iter().try_for_each(&mut *take)?;
        if page.end {
            return Ok(page.first);
        }
    }
}

/// Takes entries as they come, until the server goes away; first those that came before the stream.
async fn follow(
    client: &Client,
    events: &mut Events,
    which: &Which,
    next: &mut u64,
    take: &mut impl FnMut(&Numbered) -> Result<(), Failure>,
) -> Result<(), Failure> {
    read(client, which, next, take).await?;
    loop {
        let event = events.next().await?;
        match event.name.as_str() {
            "missed" => {
                read(client, which, next, take).await?;
            }
            "entry" => {
                let entry: Numbered = events.read(&event)?;
                if entry.seq < *next {
                    continue;
                }
                if which.is_all() {
                    *next = entry.seq + 1;
                    take(&entry)?;
                } else {
                    // Which of them are wanted only the server can tell.
                    read(client, which, next, take).await?;
                }
            }
            _ => {}
        }
    }
}

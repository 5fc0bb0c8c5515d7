//! `tidegate rollout watch`: a table that is redrawn on a terminal, lines elsewhere.

use std::collections::VecDeque;

use super::client::Client;
use super::failure::Failure;
use super::history::{read, reconnected};
use super::output::Output;
use super::sse::Event;
use super::{Context, render};
use crate::domain::RolloutName;
use crate::engine::{Outcome, RolloutView, View};
use crate::runtime::Numbered;

/// So many entries of its history are shown.
const RECENT_MAX: usize = 6;

#[derive(Debug, clap::Args)]
pub(super) struct Watch {
    /// The rollout
    name: RolloutName,
}

impl Watch {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let mut screen = Screen::new(self.name, &context.output);
        let mut events = client.events().await?;
        let outcome = 'connected: loop {
            screen.catch_up(&client).await?;
            let gone = loop {
                match events.next().await {
                    Ok(event) => {
                        if let Some(outcome) = screen.take(&event, &events)? {
                            break 'connected outcome;
                        }
                    }
                    Err(gone) => break gone,
                }
            };
            screen.interrupted();
            context.output.note(&format!("{gone}; trying on"));
            events = reconnected(&client).await?;
        };
        match outcome {
            Outcome::Done => Ok(()),
            Outcome::RolledBack => Err(Failure::News {
                what: format!("{} was rolled back", screen.name),
                hint: format!("`tidegate history --rollout {}` tells why", screen.name),
            }),
        }
    }
}

/// The rollout of that name, or words about what to do.
pub(super) fn find<'a>(view: &'a View, name: &RolloutName) -> Result<&'a RolloutView, Failure> {
    let found = view.rollouts.iter().find(|rollout| rollout.name == *name);
    found.ok_or_else(|| Failure::News {
        what: format!("there is no rollout {name}"),
        hint: "`tidegate rollout status` lists them".to_owned(),
    })
}

/// What has been shown so far.
struct Screen<'a> {
    name: RolloutName,
    output: &'a Output,
    recent: VecDeque<Numbered>,
    next: u64,
    shown: Option<RolloutView>,
    said: String,
    lines: usize,
}

impl<'a> Screen<'a> {
    fn new(name: RolloutName, output: &'a Output) -> Self {
        Self {
            name,
            output,
            recent: VecDeque::new(),
            next: 1,
            shown: None,
            said: String::new(),
            lines: 0,
        }
    }

    /// Reads the history since the last look.
    async fn catch_up(&mut self, client: &Client) -> Result<(), Failure> {
        let recent = &mut self.recent;
        let mut take = |entry: &Numbered| {
            remember(recent, entry.clone());
            Ok(())
        };
        read(client, Some(&self.name), &mut self.next, &mut take).await
    }

    /// Takes an event in; the outcome, once the rollout has ended.
    fn take(
        &mut self,
        event: &Event,
        events: &super::sse::Events,
    ) -> Result<Option<Outcome>, Failure> {
        match event.name.as_str() {
            "entry" => {
                let entry: Numbered = events.read(event)?;
                if entry.seq >= self.next && entry.entry.record.rollout() == Some(&self.name) {
                    self.next = entry.seq + 1;
                    remember(&mut self.recent, entry);
                }
                Ok(None)
            }
            "state" => {
                let view: View = events.read(event)?;
                let rollout = find(&view, &self.name)?;
                self.draw(&view, rollout)?;
                Ok(rollout.outcome)
            }
            _ => Ok(None),
        }
    }

    fn draw(&mut self, view: &View, rollout: &RolloutView) -> Result<(), Failure> {
        if self.output.is_json() {
            if self.shown.as_ref() != Some(rollout) {
                self.shown = Some(rollout.clone());
                self.output.line(rollout, |_| String::new())?;
            }
            return Ok(());
        }
        if !self.output.is_terminal() {
            let line = render::rollout_line(view, rollout);
            if line != self.said {
                self.output
                    .data(&format!("{}  {line}", view.at.strftime("%H:%M:%S")))?;
                self.said = line;
            }
            return Ok(());
        }
        let recent = self.recent.make_contiguous();
        let text = render::rollout(view, rollout, recent, view.at, self.output.look());
        // Up to where the last picture began, and away with it.
        let back = match self.lines {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r\x1b[J"),
        };
        self.lines = text.lines().count();
        self.output.data(&format!("{back}{text}"))
    }

    /// Something else is printed now; the next picture begins below it.
    fn interrupted(&mut self) {
        self.lines = 0;
    }
}

fn remember(recent: &mut VecDeque<Numbered>, entry: Numbered) {
    if recent.len() == RECENT_MAX {
        recent.pop_front();
    }
    recent.push_back(entry);
}

//! `tidegate rollout watch`: a table that is redrawn on a terminal, lines elsewhere.

use std::collections::VecDeque;

use super::client::Client;
use super::failure::Failure;
use super::history::{Which, read, reconnected};
use super::output::Output;
use super::sse::Events;
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
        let outcome = loop {
            let gone = match screen.follow(&client, &mut events).await {
                Err(Failure::Client(e)) if e.is_passing() => e,
                ended => break ended?,
            };
            screen.interrupted();
            context.output.note(&format!("{gone}; trying on"));
            events = reconnected(&client).await?;
        };
        match outcome {
            Outcome::Done => Ok(()),
            Outcome::Superseded => Err(Failure::News {
                what: format!("{} was superseded", screen.name),
                hint: "`tidegate rollout status` shows by which".to_owned(),
            }),
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
        what: format!("there is no rollout `{name}`"),
        hint: "`tidegate rollout status` lists them".to_owned(),
    })
}

/// `text` in the place of a picture of `before` lines that the cursor stands below, without a moment
/// of emptiness between the two. What the terminal has no room for is left out at the end: lines
/// that have scrolled away cannot be overwritten.
fn over(before: usize, text: &str, height: usize) -> String {
    let back = match before {
        0 => String::new(),
        lines => format!("\x1b[{lines}A\r"),
    };
    let lines: Vec<&str> = text.lines().take(height.saturating_sub(1)).collect();
    back + &lines.join("\x1b[K\n") + "\x1b[J\n"
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

    /// Shows the rollout until it ends.
    async fn follow(&mut self, client: &Client, events: &mut Events) -> Result<Outcome, Failure> {
        self.catch_up(client).await?;
        loop {
            let event = events.next().await?;
            match event.name.as_str() {
                "entry" => self.remember(events.read(&event)?),
                "missed" => self.catch_up(client).await?,
                "state" => {
                    let view: View = events.read(&event)?;
                    let rollout = find(&view, &self.name)?;
                    self.draw(&view, rollout)?;
                    if let Some(outcome) = rollout.outcome {
                        return Ok(outcome);
                    }
                }
                _ => {}
            }
        }
    }

    /// Reads the history since the last look.
    async fn catch_up(&mut self, client: &Client) -> Result<(), Failure> {
        let mut next = self.next;
        let name = self.name.clone();
        let mut take = |entry: &Numbered| {
            self.remember(entry.clone());
            Ok(())
        };
        let which = Which::of_rollout(&name);
        read(client, &which, &mut next, &mut take).await?;
        self.next = next;
        Ok(())
    }

    fn remember(&mut self, entry: Numbered) {
        if entry.seq < self.next || entry.entry.record.rollout() != Some(&self.name) {
            return;
        }
        self.next = entry.seq + 1;
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(entry);
    }

    fn draw(&mut self, view: &View, rollout: &RolloutView) -> Result<(), Failure> {
        if self.output.is_for_programs() {
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
        let picture = over(self.lines, &text, Output::height());
        self.lines = picture.matches('\n').count();
        self.output.data(&picture)
    }

    /// Something else is printed now; the next picture begins below it.
    fn interrupted(&mut self) {
        self.lines = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::over;

    /// The cursor goes up by as many lines as it came down before.
    #[test]
    fn a_picture_covers_the_one_before() {
        let first = over(0, "a\nb\nc", 24);
        assert_eq!(first, "a\x1b[K\nb\x1b[K\nc\x1b[J\n");
        let second = over(first.matches('\n').count(), "d", 24);
        assert_eq!(second, "\x1b[3A\rd\x1b[J\n");
        assert_eq!(over(1, "a\nb\nc", 3), "\x1b[1A\ra\x1b[K\nb\x1b[J\n");
    }
}

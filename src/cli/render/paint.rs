//! Colours, where they may be used.

use owo_colors::{OwoColorize as _, Style};

/// What a piece of text is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Needs somebody.
    Bad,
    /// On its way.
    Busy,
    /// As it should be.
    Good,
    /// New, and not in use yet.
    New,
    /// Of less interest.
    Quiet,
    /// To be seen first.
    Strong,
}

pub(super) fn paint(text: &str, tone: Tone, colour: bool) -> String {
    if !colour {
        return text.to_owned();
    }
    let style = Style::new();
    let style = match tone {
        Tone::Bad => style.bold().red(),
        Tone::Busy => style.yellow(),
        Tone::Good => style.green(),
        Tone::New => style.cyan(),
        Tone::Quiet => style.dimmed(),
        Tone::Strong => style.bold(),
    };
    text.style(style).to_string()
}

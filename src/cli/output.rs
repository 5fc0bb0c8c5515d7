//! Where everything is printed: data on stdout, all else on stderr.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use anstream::{AutoStream, ColorChoice};
use serde::Serialize;

use super::failure::Failure;
use super::render::Look;

/// For whom data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// The same values as YAML.
    Yaml,
}

/// The streams of this process, and how to write to them. The locks are held for one write each and
/// keep what two tasks print apart.
pub(super) struct Output {
    format: Format,
    terminal: bool,
    colour: bool,
    stdout: Sink,
    stderr: Sink,
}

type Sink = Mutex<Box<dyn Write + Send>>;

impl Output {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            terminal: io::stdout().is_terminal(),
            colour: AutoStream::choice(&io::stdout()) != ColorChoice::Never,
            stdout: Mutex::new(Box::new(io::stdout())),
            stderr: Mutex::new(Box::new(anstream::stderr())),
        }
    }

    /// Prints elsewhere, for tests.
    #[cfg(test)]
    pub(super) fn into_sinks(
        format: Format,
        stdout: impl Write + Send + 'static,
        stderr: impl Write + Send + 'static,
    ) -> Self {
        Self {
            format,
            terminal: false,
            colour: false,
            stdout: Mutex::new(Box::new(stdout)),
            stderr: Mutex::new(Box::new(stderr)),
        }
    }

    /// How to render for stdout. Asked anew each time, since a terminal may be resized.
    pub(super) fn look(&self) -> Look {
        Look {
            colour: self.colour,
            width: self.terminal.then(terminal_width),
        }
    }

    /// Lines of the terminal.
    pub(super) fn height() -> usize {
        terminal_size::terminal_size().map_or(HEIGHT_DEFAULT, |(_, height)| usize::from(height.0))
    }

    /// Can what was printed be overwritten?
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Is all data printed as it is, for programs?
    pub(super) fn is_for_programs(&self) -> bool {
        self.format != Format::Text
    }

    /// Prints data as text, or as indented JSON.
    pub(super) fn show<T: Serialize + ?Sized>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        self.print(value, text, serde_json::to_string_pretty)
    }

    /// Prints data of a series: a line of text, or a line of JSON.
    pub(super) fn line<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        self.print(value, text, serde_json::to_string)
    }

    fn print<T: Serialize + ?Sized>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
        json: impl FnOnce(&T) -> serde_json::Result<String>,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Text => self.data(&text(value)),
            Format::Json => {
                let json = json(value).map_err(io::Error::other);
                self.data(&json.map_err(Failure::Stdout)?)
            }
            Format::Yaml => self.data(&format!("---\n{}", yaml(value)?)),
        }
    }

    /// Prints data, and an end of line where there is none.
    pub(super) fn data(&self, text: &str) -> Result<(), Failure> {
        let end = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        let mut stdout = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        write!(stdout, "{text}{end}")
            .and_then(|()| stdout.flush())
            .map_err(Failure::Stdout)
    }

    /// Says something that is no data.
    pub(super) fn note(&self, text: &str) {
        let mut stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody is left to be told that stderr is closed.
        let _ = writeln!(stderr, "{text}");
    }

    /// Says what failed and what would help.
    pub(super) fn failure(&self, failure: &Failure) {
        if failure.is_silent() {
            return;
        }
        self.note(&format!("\x1b[1;31merror\x1b[0m: {failure}"));
        if let Some(hint) = failure.hint() {
            self.note(&format!("\x1b[1;36mhint\x1b[0m: {hint}"));
        }
    }
}

/// A value as YAML.
pub(super) fn yaml<T: Serialize + ?Sized>(value: &T) -> Result<String, Failure> {
    let yaml = serde_saphyr::to_string(&value).map_err(io::Error::other);
    yaml.map_err(Failure::Stdout)
}

/// For terminals that do not know their width, such as those of some CI systems.
const WIDTH_DEFAULT: usize = 80;

/// The same for the height.
const HEIGHT_DEFAULT: usize = 24;

/// No picture is worth anything below this.
const WIDTH_MIN: usize = 30;

fn terminal_width() -> usize {
    match terminal_size::terminal_size() {
        None | Some((terminal_size::Width(0), _)) => WIDTH_DEFAULT,
        Some((width, _)) => usize::from(width.0).max(WIDTH_MIN),
    }
}

//! `tidegate journal`: where it stands, whether it is whole, and how it is copied.
//!
//! `check` and `import` work on files that no process is using; `export` on those too, or by the API.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Context;
use super::client::Client;
use super::failure::Failure;
use super::history::{Which, read};
use super::output::Output;
use crate::domain::counted;
use crate::runtime::{self, CheckpointLine, Inspection, JournalView, Numbered, TransferError};
use crate::store::{EmbeddedStore, StoreError};

/// Look after the journal: where it stands, is it whole, copy it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Journal {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Verify a journal that no process is using: numbers, entries, checkpoint, what they add up to
    Check(Check),
    /// Print a journal as lines of JSON: the running control plane's, or that of a directory
    Export(Export),
    /// Make a journal of what `export` has printed, where there is none
    Import(Import),
    /// How the running control plane's journal stands
    Status,
}

#[derive(Debug, clap::Args)]
struct Check {
    /// The directory that was `--data`, or the file in it
    #[arg(value_name = "DIR")]
    journal: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Export {
    /// The directory that was `--data`, or the file in it; without it the running control plane is asked
    #[arg(value_name = "DIR")]
    journal: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Import {
    /// What `export` printed; `-` for stdin
    file: PathBuf,
    /// The directory that will be `--data`
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Shown below its `--help`.
const EXAMPLE: &str = "\
Examples:
  tidegate journal export > journal.jsonl
  tidegate journal import journal.jsonl /var/lib/tidegate
  tidegate journal check /var/lib/tidegate";

impl Journal {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let output = &context.output;
        match self.command {
            Command::Check(it) => check(&it.journal, output),
            Command::Export(Export { journal: None }) => copy(&context.client()?, output).await,
            Command::Export(Export {
                journal: Some(path),
            }) => export(&path, output),
            Command::Import(it) => import(&it, output),
            Command::Status => {
                let view: JournalView = context.client()?.get("/v1/journal").await?;
                output.show(&view, status)
            }
        }
    }
}

fn status(view: &JournalView) -> String {
    let JournalView {
        first,
        last,
        checkpoint,
        bytes,
        problem,
    } = view;
    let mut lines = vec![format!("{}, {bytes} bytes", entries(*first, *last))];
    lines.push(match checkpoint {
        0 => "no checkpoint yet".to_owned(),
        seq => format!("checkpoint at entry {seq}, {} since", last - seq),
    });
    lines.extend(
        problem
            .iter()
            .map(|problem| format!("not compacted: {problem}")),
    );
    lines.join("\n")
}

fn entries(first: u64, last: u64) -> String {
    match (first, last) {
        (_, 0) => "no entries".to_owned(),
        (1, last) => format!("entries 1 to {last}"),
        (first, last) => format!("entries {first} to {last}, those before are deleted"),
    }
}

// --- check

fn check(path: &Path, output: &Output) -> Result<(), Failure> {
    let store = EmbeddedStore::open_existing(path).map_err(|error| unopened(&error))?;
    let found = runtime::inspect(&store).map_err(|error| unopened(&error))?;
    output.show(&found, |found| {
        format!("{}\n{}", store.path().display(), inspection(found))
    })?;
    match found.problems.len() {
        0 => Ok(()),
        count => Err(Failure::News {
            what: match count {
                1 => "the journal has 1 problem".to_owned(),
                count => format!("the journal has {count} problems"),
            },
            hint: "restore it from a copy; docs/the-journal.md says how".to_owned(),
        }),
    }
}

fn inspection(found: &Inspection) -> String {
    let mut lines = vec![entries(found.first, found.last)];
    if let Some((from, to)) = found.from.zip(found.to) {
        lines[0] = format!("{}, from {from:.0} to {to:.0}", lines[0]);
    }
    if let Some(checkpoint) = &found.checkpoint {
        let is_true = match found.checkpoint_is_true {
            Some(true) => ", says what the entries add up to",
            Some(false) => ", does not say what the entries add up to",
            None => "",
        };
        let (seq, release, at) = (checkpoint.seq, &checkpoint.release, checkpoint.at);
        lines.push(format!(
            "checkpoint at entry {seq}, written by tidegate {release} at {at:.0}{is_true}"
        ));
    }
    if let Some(sum) = &found.sum {
        let number = |count: usize, what| counted(u32::try_from(count).unwrap_or(u32::MAX), what);
        lines.push(format!(
            "generation {}: {}, {}, {}, {} ({} not ended)",
            sum.generation,
            number(sum.services, "service"),
            number(sum.instances, "instance"),
            number(sum.proxies, "proxy"),
            number(sum.rollouts, "rollout"),
            sum.unfinished,
        ));
    }
    lines.extend(found.problems.iter().map(|what| format!("wrong: {what}")));
    if found.problems.is_empty() {
        lines.push("sound".to_owned());
    }
    lines.join("\n")
}

/// Why a journal's file cannot be looked at, for somebody who does not want to serve from it.
fn unopened(error: &StoreError) -> Failure {
    Failure::News {
        what: runtime::chain(error),
        hint: match error {
            StoreError::InUse { .. } => {
                "stop that process first; `tidegate journal export` without DIR asks it while it runs"
            }
            other => other.hint().unwrap_or_default(),
        }
        .to_owned(),
    }
}

// --- export and import

fn export(path: &Path, output: &Output) -> Result<(), Failure> {
    let store = EmbeddedStore::open_existing(path).map_err(|error| unopened(&error))?;
    let mut lines = Lines {
        output,
        begun: Vec::new(),
    };
    runtime::export(&store, &mut lines).map_err(moved)
}

/// The same lines by the API.
async fn copy(client: &Client, output: &Output) -> Result<(), Failure> {
    let checkpoint: Value = client.get("/v1/journal/checkpoint").await?;
    let mut covered = 0;
    if !checkpoint.is_null() {
        covered = checkpoint["seq"].as_u64().unwrap_or(0);
        output.data(&json(&CheckpointLine { checkpoint })?)?;
    }
    let mut last = 0;
    let mut take = |entry: &Numbered| {
        let begins_right = last == 0 && entry.seq <= covered.max(1);
        if !begins_right && entry.seq != last + 1 {
            return Err(Failure::News {
                what: "old entries were deleted while they were read".to_owned(),
                hint: "run it again".to_owned(),
            });
        }
        last = entry.seq;
        output.data(&json(entry)?)
    };
    read(client, &Which::default(), &mut 1, &mut take).await?;
    Ok(())
}

fn import(it: &Import, output: &Output) -> Result<(), Failure> {
    let lines: Box<dyn BufRead> = if it.file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        let file = fs_err::File::open(&it.file).map_err(Failure::Input)?;
        Box::new(BufReader::new(file))
    };
    let found = runtime::import(lines, &it.directory).map_err(moved)?;
    output.show(&found, |found| {
        let at = EmbeddedStore::file_in(&it.directory);
        format!("{}\n{}", at.display(), inspection(found))
    })
}

fn moved(error: TransferError) -> Failure {
    match error {
        TransferError::Store(error) => unopened(&error),
        // The only stream that is written to.
        TransferError::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            Failure::Stdout(error)
        }
        error => Failure::News {
            what: runtime::chain(&error),
            hint: error.hint().to_owned(),
        },
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::Stdout(error.into()))
}

/// Gives whole lines to the output.
struct Lines<'a> {
    output: &'a Output,
    begun: Vec<u8>,
}

impl Write for Lines<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        if bytes.ends_with(b"\n") {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let text = String::from_utf8_lossy(&std::mem::take(&mut self.begun)).into_owned();
        self.output.data(&text).map_err(|failure| match failure {
            Failure::Stdout(error) => error,
            other => io::Error::other(other.to_string()),
        })
    }
}

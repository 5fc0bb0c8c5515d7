//! The binary as a user runs it: arguments in; stdout, stderr and the exit code out.

use std::fmt;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

/// What is filtered out of every transcript: ports, moments and the width of columns.
const FILTERS: [(&str, &str); 4] = [
    (r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "[TIME]"),
    (r" +\n", "\n"),
    (r"(\S) {2,}", "$1  "),
];

/// Durations, for transcripts in which something runs.
pub(crate) const SPANS: (&str, &str) = (r"\b(\d+m)?\d+(\.\d+)?(ms|s)\b", "[SPAN]");

/// A wait on a condition that takes longer than this has failed.
const DEADLINE: Duration = Duration::from_mins(1);

/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a command did.
pub(crate) struct Ran {
    line: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Its data as JSON.
    pub(crate) fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.stdout);
        parsed.unwrap_or_else(|e| panic!("no JSON ({e}):\n{self}"))
    }

    /// Shows `words` as `shown`, wherever they are.
    pub(crate) fn rename(&mut self, words: &str, shown: &str) {
        for text in [&mut self.line, &mut self.stdout, &mut self.stderr] {
            *text = text.replace(words, shown);
        }
    }

    /// Itself, if it ended well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}", self.line)?;
        f.write_str(&self.stdout)?;
        for line in self.stderr.lines() {
            writeln!(f, "! {line}")?;
        }
        match self.code {
            Some(0) => Ok(()),
            code => writeln!(f, "= {code:?}"),
        }
    }
}

/// The binary, in a clean environment.
pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(words).env_clear().env("USER", "ada");
    command
}

/// Runs it to its end.
pub(crate) fn tidegate(words: &[&str]) -> Ran {
    fed(words, "")
}

/// Runs it to its end with something on stdin.
pub(crate) fn fed(words: &[&str], stdin: &str) -> Ran {
    let mut child = command(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its stdin has closed it by now.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        line: format!("tidegate {}", words.join(" ")),
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Compares a transcript with its snapshot.
pub(crate) fn transcript(name: &str, text: &str, more: &[(&str, &str)]) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, shown) in more.iter().chain(&FILTERS) {
        settings.add_filter(pattern, *shown);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Waits until `look` finds something.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..(DEADLINE.as_millis() / LOOK_EVERY.as_millis()) {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    panic!("not within {DEADLINE:?}: {what}");
}

//! A process of the demo, which never outlives it.
//!
//! Each child gets the read end of a pipe as its standard input and nobody ever writes to it. When
//! the demo ends, however it ends, the pipe closes, and the child takes that as its order to end.
//! That needs no signal, no process group and no `unsafe`, and it also holds when the demo is
//! killed with -9. In the normal case the child is killed when its [`Child`] is dropped.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

use super::DemoError;

/// Comes true when whoever holds the other end of standard input is gone.
///
/// It reads on a thread of its own: a runtime waits at its end for reads on its blocking pool, and
/// this one may never return.
pub async fn stdin_closed() {
    let (closed, seen) = oneshot::channel();
    std::thread::spawn(move || {
        let mut ignored = [0; 256];
        let mut stdin = std::io::stdin();
        while stdin.read(&mut ignored).is_ok_and(|read| read > 0) {}
        // Nobody listens any more only if the process is ending anyway.
        let _ = closed.send(());
    });
    let _ = seen.await;
}

/// A running process.
#[derive(Debug)]
pub(super) struct Child {
    name: String,
    process: tokio::process::Child,
    /// Closing it is the order to end.
    leash: Option<ChildStdin>,
    log: PathBuf,
}

impl Child {
    /// Starts `command` with its output in `log`. Standard output goes there too, unless the
    /// command has it piped for [`Child::stdout`].
    pub(super) fn start(
        name: &str,
        command: &mut Command,
        log: &Path,
        output: Output,
    ) -> Result<Self, DemoError> {
        let file = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)?;
        let errors = file.try_clone()?.into_file();
        let stdout = match output {
            Output::Log => Stdio::from(file.into_file()),
            Output::Pipe => Stdio::piped(),
        };
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::from(errors))
            .spawn()
            .map_err(|source| DemoError::Start {
                name: name.to_owned(),
                source,
            })?;
        let leash = process.stdin.take();
        Ok(Self {
            name: name.to_owned(),
            process,
            leash,
            log: log.to_owned(),
        })
    }

    /// The piped standard output, once.
    pub(super) fn stdout(&mut self) -> Option<ChildStdout> {
        self.process.stdout.take()
    }

    /// Kills it and waits until it is gone.
    pub(super) async fn kill(mut self) {
        // It fails only if the process is gone already.
        let _ = self.process.kill().await;
    }

    /// Closes its standard input and waits until it has ended by itself; kills it if it does not.
    pub(super) async fn end(mut self) {
        self.leash = None;
        if tokio::time::timeout(END_MAX, self.process.wait())
            .await
            .is_err()
        {
            self.kill().await;
        }
    }

    /// An error with its last words, if it has ended.
    pub(super) fn check(&mut self) -> Result<(), DemoError> {
        match self.process.try_wait() {
            Ok(Some(status)) => Err(self.ended(&status.to_string())),
            _ => Ok(()),
        }
    }

    /// The error that says how it ended, with the end of its log.
    pub(super) fn ended(&self, status: &str) -> DemoError {
        let text = fs_err::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        DemoError::Ended {
            name: self.name.clone(),
            status: status.to_owned(),
            log: self.log.clone(),
            tail: lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"),
        }
    }
}

/// Where a child's standard output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// To its log, like its errors.
    Log,
    /// To whoever takes [`Child::stdout`].
    Pipe,
}

const END_MAX: Duration = Duration::from_secs(3);
const TAIL_LINES: usize = 12;

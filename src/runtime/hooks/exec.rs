//! Hooks that are programs: run without a shell, ended with all that they have started when they take too long, their
//! last words kept.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::WORDS_BYTES_MAX;
use super::told::Told;
use crate::domain::Span;
use crate::engine::HookAnswer;

/// The exit code of a program that says "not yet": `EX_TEMPFAIL` of sysexits.h.
const NOT_YET: i32 = 75;

/// How long the output of a program is listened to that has ended.
const LAST_WORDS_TIME_MAX: Duration = Duration::from_secs(1);

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 8 * 1024;

/// A program that has ended.
#[derive(Debug)]
pub(super) struct Ran {
    program: String,
    status: ExitStatus,
    out: String,
    err: String,
}

impl Ran {
    /// What it printed, or how it failed.
    pub(super) fn success(self) -> Result<String, String> {
        if self.status.success() {
            return Ok(self.out);
        }
        Err(self.failure(&self.err))
    }

    /// Its exit code as an answer: 0 passes, 75 holds, any other fails. One that was killed has said nothing.
    pub(super) fn answer(self) -> HookAnswer {
        let or = |first: &str, second: &str| {
            let words = if first.is_empty() { second } else { first };
            words.to_owned()
        };
        match self.status.code() {
            Some(0) => HookAnswer::Passes(self.out),
            Some(NOT_YET) => HookAnswer::Holds(or(&self.out, &self.err)),
            Some(_) => HookAnswer::Fails(self.failure(&or(&self.err, &self.out))),
            None => HookAnswer::Silent(self.failure(&self.err)),
        }
    }

    fn failure(&self, words: &str) -> String {
        let Self {
            program, status, ..
        } = self;
        match words {
            "" => format!("`{program}` ended with {status}"),
            words => format!("`{program}` ended with {status}: {words}"),
        }
    }
}

/// Runs a program to its end.
pub(super) async fn run(argv: &[String], told: &Told, timeout: Span) -> Result<Ran, String> {
    let filled: Vec<String> = argv.iter().map(|argument| told.fill(argument)).collect();
    let Some((program, arguments)) = filled.split_first() else {
        return Err("the hook names no program".to_owned());
    };
    let mut child = Command::new(program)
        .args(arguments)
        .envs(told.environment())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("`{program}` does not run: {error}"))?;
    let mut group = Group::led_by(&child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = (LastWords::default(), LastWords::default());
    let ended = async {
        let listening = async { tokio::join!(out.listen(stdout), err.listen(stderr)) };
        tokio::pin!(listening);
        let mut is_heard = false;
        let status = tokio::select! {
            status = child.wait() => status,
            _ = &mut listening => {
                is_heard = true;
                child.wait().await
            }
        };
        group.let_be();
        if !is_heard {
            // What it leaves running may hold its output open for ever; what it said itself comes at once.
            let _ = tokio::time::timeout(LAST_WORDS_TIME_MAX, listening).await;
        }
        status
    };
    match tokio::time::timeout(timeout.duration(), ended).await {
        Ok(Ok(status)) => Ok(Ran {
            program: program.clone(),
            status,
            out: out.text(),
            err: err.text(),
        }),
        Ok(Err(error)) => Err(format!("`{program}` is lost: {error}")),
        Err(_) => Err(match (out.text(), err.text()) {
            (out, err) if out.is_empty() && err.is_empty() => {
                format!("no answer within {timeout}")
            }
            (out, err) => format!("no answer within {timeout}, after {out}{err}"),
        }),
    }
}

/// A program and what it has started, in a process group of its own. All of it is ended with this, unless the program
/// has ended by itself: then what it leaves running is its business.
struct Group(Option<Pid>);

impl Group {
    fn led_by(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    fn let_be(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Nobody is left where this fails.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// The end of a stream of any length.
#[derive(Default)]
struct LastWords(Vec<u8>);

impl LastWords {
    /// Listens until the stream ends.
    async fn listen(&mut self, from: Option<impl AsyncRead + Unpin>) {
        let Some(mut from) = from else { return };
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            self.0.extend_from_slice(&chunk[..read]);
            let too_many = self.0.len().saturating_sub(WORDS_BYTES_MAX);
            self.0.drain(..too_many);
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).trim().to_owned()
    }
}

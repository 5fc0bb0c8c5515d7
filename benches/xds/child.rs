//! The processes of a run: each asked by a line, and answering by one.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::machine;

pub(crate) type Failed = Box<dyn Error>;

/// How often a process is looked at until it rests.
const LOOK: Duration = Duration::from_millis(20);

/// A process that takes less than this share of a core rests.
const RESTING: f64 = 0.01;

/// Longest wait for a process to rest.
const RESTS_WITHIN: Duration = Duration::from_secs(20);

/// A process that ends with the run.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Child {
    /// Starts it on one core.
    pub(crate) fn spawn(command: &mut Command, core: usize) -> Result<Self, Failed> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = machine::on_core(core, || command.spawn())??;
        let stdin = process.stdin.take().ok_or("a child without stdin")?;
        let stdout = process.stdout.take().ok_or("a child without stdout")?;
        Ok(Self {
            process,
            stdin,
            stdout: BufReader::new(stdout),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// One line to it, and one from it.
    pub(crate) fn ask(&mut self, line: &str) -> Result<String, Failed> {
        self.stdin.write_all(format!("{line}\n").as_bytes())?;
        self.hear()
    }

    /// The next line from it.
    pub(crate) fn hear(&mut self) -> Result<String, Failed> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            return Err(format!("process {} ended: {:?}", self.pid(), self.process.wait()?).into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// One line to it, and JSON from it.
    pub(crate) fn ask_json(&mut self, line: &str) -> Result<Value, Failed> {
        Ok(serde_json::from_str(&self.ask(line)?)?)
    }

    pub(crate) fn hear_json(&mut self) -> Result<Value, Failed> {
        Ok(serde_json::from_str(&self.hear()?)?)
    }

    /// One line to it; the word behind `answer` from it.
    pub(crate) fn ask_word(&mut self, line: &str, answer: &str) -> Result<String, Failed> {
        let heard = self.ask(line)?;
        word(&heard, answer)
    }

    /// The word behind `answer` in its next line.
    pub(crate) fn hear_word(&mut self, answer: &str) -> Result<String, Failed> {
        let heard = self.hear()?;
        word(&heard, answer)
    }

    /// Nanoseconds on a core since it began.
    pub(crate) fn cpu(&self) -> Result<u64, Failed> {
        Ok(machine::cpu_nanos(self.pid())?)
    }

    /// The same once it rests, with threads that have ended, but to no more than 10 ms.
    pub(crate) fn cpu_of_all(&self) -> Result<u64, Failed> {
        self.rest()?;
        Ok(machine::cpu_nanos_of_all(self.pid())?)
    }

    /// KiB that it holds.
    pub(crate) fn rss(&self) -> Result<u64, Failed> {
        Ok(machine::rss_kib(self.pid())?.0)
    }

    /// KiB that it held at most since [`Child::forget_peak`].
    pub(crate) fn peak(&self) -> Result<u64, Failed> {
        Ok(machine::rss_kib(self.pid())?.1)
    }

    pub(crate) fn forget_peak(&self) -> Result<(), Failed> {
        const PEAK: &str = "5";
        fs_err::write(format!("/proc/{}/clear_refs", self.pid()), PEAK)?;
        Ok(())
    }

    /// Waits until it has done what it had to do; gives its time on a core so far.
    pub(crate) fn rest(&self) -> Result<u64, Failed> {
        let deadline = Instant::now() + RESTS_WITHIN;
        let mut before = self.cpu()?;
        loop {
            std::thread::sleep(LOOK);
            let now = self.cpu()?;
            let share = (now - before) as f64 / LOOK.as_nanos() as f64;
            if share < RESTING || Instant::now() > deadline {
                return Ok(now);
            }
            before = now;
        }
    }
}

fn word(heard: &str, answer: &str) -> Result<String, Failed> {
    let rest = heard.strip_prefix(answer);
    let rest = rest.ok_or_else(|| format!("{heard:?} does not begin with {answer:?}"))?;
    Ok(rest.trim().to_owned())
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

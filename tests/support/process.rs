//! A process that a test owns: it ends with the test, and its last words are shown if that failed.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Lines of a log that are shown.
const TAIL: usize = 50;

/// A process with its log and, if it has one, its configuration.
///
/// Each holds its standard input open, and ends when that closes; so none outlives the tests, even
/// if they are killed.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    config: Option<PathBuf>,
    /// It keeps a child of its own, which it ends only when its input closes.
    keeper: bool,
}

impl Process {
    /// Starts `command`, with all that it prints in `<directory>/<name>.log`.
    pub(crate) fn start(name: &str, command: &mut Command, directory: &Path) -> Self {
        let log = directory.join(format!("{name}.log"));
        let mut options = File::options();
        let file = options.create(true).append(true).open(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Self::spawn(name, command, log)
    }

    /// Starts `command`, and takes the first line that it prints.
    pub(crate) fn start_and_read(
        name: &str,
        command: &mut Command,
        directory: &Path,
    ) -> (Self, String) {
        let log = directory.join(format!("{name}.log"));
        command
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap());
        let mut process = Self::spawn(name, command, log);
        let mut line = String::new();
        let stdout = process.child.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        (process, line.trim().to_owned())
    }

    /// Starts a program that does not end with its parent under one that sees to it.
    pub(crate) fn start_kept(name: &str, program: &Path, args: &[&str], directory: &Path) -> Self {
        let mut command = Command::new(super::tools::tidegate());
        command.args(["demo-keeper", "--"]).arg(program).args(args);
        let mut process = Self::start(name, &mut command, directory);
        process.keeper = true;
        process
    }

    fn spawn(name: &str, command: &mut Command, log: PathBuf) -> Self {
        let child = command.stdin(Stdio::piped()).spawn();
        Self {
            name: name.to_owned(),
            child: child.unwrap_or_else(|error| panic!("cannot start {name}: {error}")),
            log,
            config: None,
            keeper: false,
        }
    }

    /// Shows this file too if the test fails.
    pub(crate) fn with_config(mut self, config: PathBuf) -> Self {
        self.config = Some(config);
        self
    }

    /// All that it has printed.
    pub(crate) fn log(&self) -> String {
        let bytes = fs_err::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Panics if it has ended.
    pub(crate) fn check(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("{} has ended: {status}", self.name);
        }
    }

    /// Closes its standard input, and waits until it has ended by itself.
    pub(crate) fn end(&mut self) {
        drop(self.child.stdin.take());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{} has ended: {status}", self.name);
    }

    /// Kills it with -9, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        drop(self.child.stdin.take());
        if !self.keeper {
            // It fails only if the process is gone already.
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }

    fn show(&self) {
        if let Some(config) = &self.config {
            let text = fs_err::read_to_string(config).unwrap_or_default();
            // What follows is the same in every file, and long.
            let text = text.split("\nstats_sinks:").next().unwrap_or_default();
            eprintln!("--- configuration of {}\n{text}", self.name);
        }
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
        eprintln!("--- last lines of {}\n{tail}", self.name);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            self.show();
        }
    }
}

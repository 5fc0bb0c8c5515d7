//! Why a demo could not be played to its end. A promise that did not hold is no error: it is reported.

use std::path::PathBuf;

/// What kept the demo from being played.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A call to the control plane or to an Envoy was refused, or not answered.
    #[error("`{call}` failed: {detail}")]
    Api {
        /// Method and address.
        call: String,
        /// The answer, or why there was none.
        detail: String,
    },
    /// A process of the demo ended before it was ready.
    #[error("{name} ended before it was ready ({status}); its last words, from {}:\n{tail}", log.display())]
    Ended {
        /// Which process.
        name: String,
        /// How it ended.
        status: String,
        /// Where its whole output is.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// The Envoy that was found is older than what the proof of drain needs.
    #[error("{} is Envoy {found}, but 1.36 or newer is needed; run `make tools`", path.display())]
    EnvoyTooOld {
        /// Where it is.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// A signal asked the demo to end.
    #[error("interrupted; every process of the demo has been ended")]
    Interrupted,
    /// A file or a directory of the demo could not be used.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// No Envoy anywhere.
    #[error("no Envoy found; run `make tools` (looked in {looked})")]
    NoEnvoy {
        /// Where it was looked for.
        looked: String,
    },
    /// Every port tried was taken.
    #[error("no free port on the loopback address after {attempts} attempts")]
    NoPort {
        /// How many were tried.
        attempts: u32,
    },
    /// The options contradict the scenario.
    #[error("{0}")]
    Options(String),
    /// A program could not be started.
    #[error("{name} could not be started: {source}")]
    Start {
        /// Which process.
        name: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Something that should have come true did not.
    #[error("waited {seconds} s for {what}{because}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long, in seconds.
        seconds: u64,
        /// What was known to be in the way; empty if nothing was.
        because: String,
    },
}

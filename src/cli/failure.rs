//! What a command may end with when it does not end well: the words, the hint and the exit code.

use std::io;
use std::process::ExitCode;

use super::client::ClientError;
use crate::observe::BadFilter;

/// The exit code of everything that has no other.
const FAILED: u8 = 1;

/// The exit code of a wrong command line; clap's own.
const USAGE: u8 = 2;

/// The exit code when the control plane cannot be reached.
const UNREACHABLE: u8 = 3;

/// The exit code of `diff` when it finds some.
pub(super) const DRIFT: u8 = 4;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The control plane said no, or nothing.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file or stdin cannot be read.
    #[error(transparent)]
    Input(io::Error),
    /// An argument that clap lets pass makes no sense.
    #[error(transparent)]
    Log(#[from] BadFilter),
    /// Stdout is closed, so nobody reads any more.
    #[error("stdout: {0}")]
    Stdout(io::Error),
    /// The command was carried out, and this is bad news.
    #[error("{what}")]
    News {
        /// The news.
        what: String,
        /// What would help.
        hint: String,
    },
}

impl Failure {
    /// The next thing to try.
    pub(super) fn hint(&self) -> Option<&str> {
        let hint = match self {
            Self::Client(error) => error.hint(),
            Self::News { hint, .. } => hint,
            Self::Input(_) | Self::Log(_) | Self::Stdout(_) => "",
        };
        (!hint.is_empty()).then_some(hint)
    }

    /// For the shell.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            // `tidegate … | head` has seen enough; that is no failure.
            Self::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Client(error) if error.is_unreachable() => UNREACHABLE.into(),
            Self::Client(ClientError::BadServer { .. }) | Self::Log(_) => USAGE.into(),
            _ => FAILED.into(),
        }
    }

    /// Is there anybody to tell?
    pub(super) fn is_silent(&self) -> bool {
        matches!(self, Self::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

//! `tidegate demo-keeper -- PROGRAM ARG…`: runs a program that does not itself end with its parent.
//!
//! Envoy does not watch its standard input. The keeper does it in its place: it starts the program,
//! waits for the program's end or for its own standard input to close, and kills the program in the
//! second case. Whoever ends the keeper must therefore close its input, not kill it.

use std::ffi::OsString;
use std::process::{ExitCode, Stdio};

use tokio::process::Command;

use super::DemoError;
use super::child::stdin_closed;

/// What to keep.
#[derive(Clone, Debug, clap::Args)]
pub struct KeeperOptions {
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

/// Runs the program until it ends or standard input closes. The exit code is the program's, or 0
/// when it was killed because its parent is gone.
pub async fn keep(options: KeeperOptions) -> Result<ExitCode, DemoError> {
    let Some((program, arguments)) = options.command.split_first() else {
        return Err(DemoError::Options(
            "`demo-keeper` needs a program to run".to_owned(),
        ));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| DemoError::Start {
            name: program.to_string_lossy().into_owned(),
            source,
        })?;
    let status = tokio::select! {
        status = child.wait() => status?,
        () = stdin_closed() => {
            child.kill().await?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

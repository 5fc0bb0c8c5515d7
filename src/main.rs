//! The `tidegate` binary; all of it is in the library.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    tidegate::cli::main().await
}

//! `tidegate completions`

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::failure::Failure;
use super::{Cli, Context};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "tidegate", &mut script);
        context.output.data(&String::from_utf8_lossy(&script))
    }
}

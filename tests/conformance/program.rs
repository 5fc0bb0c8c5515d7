//! `tidegate serve --harness-adapter` as a process.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use crate::support::control_plane::two_free_addresses;
use crate::support::process::Process;
use crate::support::tools::tidegate;
use crate::support::wait::{SOON, eventually};

/// The running program, and where it listens.
pub(crate) struct Program {
    /// For xDS clients.
    pub(crate) xds: SocketAddr,
    /// For the harness.
    pub(crate) adapter: SocketAddr,
    _process: Process,
}

impl Program {
    /// Starts it, with all that it keeps in `directory`.
    pub(crate) fn start(directory: &Path) -> Self {
        let (xds, api) = two_free_addresses();
        let (adapter, _) = two_free_addresses();
        let mut command = Command::new(tidegate());
        command
            .args(["serve", "--exit-with-stdin"])
            .args(["--listen-xds", &xds.to_string()])
            .args(["--listen-api", &api.to_string()])
            .args(["--harness-adapter", &adapter.to_string()])
            .arg("--data")
            .arg(directory.join("data"));
        let mut process = Process::start("tidegate", &mut command, directory);
        for address in [adapter, xds] {
            eventually(SOON, "the ports to be open", || {
                process.check();
                TcpStream::connect(address)
            });
        }
        Self {
            xds,
            adapter,
            _process: process,
        }
    }
}

//! An instance of the service: `tidegate demo-app`, announced by `tidegate register`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::control_plane::ControlPlane;
use super::http;
use super::process::Process;
use super::tools::tidegate;

/// The service that the tests roll.
pub(crate) const SERVICE: &str = "cart";

/// An instance: a process, and the command that keeps its lease.
#[derive(Debug)]
pub(crate) struct App {
    id: String,
    process: Process,
    lease: Process,
}

/// How an instance is announced.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lease<'a> {
    pub(crate) version: &'a str,
    /// Without renewal it ends after this long.
    pub(crate) ttl: &'a str,
    /// What it carries, if not as much as any other.
    pub(crate) capacity: Option<&'a str>,
}

impl App {
    /// Starts an instance and announces it.
    pub(crate) fn start(id: &str, version: &str, to: &ControlPlane, directory: &Path) -> Self {
        let (process, address) = run(id, version, None, directory);
        let lease = Lease {
            version,
            ttl: "60s",
            ..Lease::default()
        };
        Self::announced(id, process, &address, lease, to, directory)
    }

    /// The same with a lease that ends soon after it is no longer renewed.
    pub(crate) fn start_leased(id: &str, lease: Lease<'_>, to: &ControlPlane, dir: &Path) -> Self {
        let (process, address) = run(id, lease.version, None, dir);
        Self::announced(id, process, &address, lease, to, dir)
    }

    /// Announces an instance that runs.
    pub(crate) fn announced(
        id: &str,
        process: Process,
        address: &str,
        lease: Lease<'_>,
        to: &ControlPlane,
        directory: &Path,
    ) -> Self {
        let server = to.url("");
        let label = format!("service={SERVICE}");
        let mut args = vec![
            "--server",
            &server,
            "register",
            "--service",
            SERVICE,
            "--version",
            lease.version,
            "--id",
            id,
            "--address",
            address,
            "--ttl",
            lease.ttl,
            "--label",
            &label,
        ];
        if let Some(capacity) = lease.capacity {
            args.extend(["--capacity", capacity]);
        }
        let name = format!("{id}-register");
        let lease = Process::start_kept(&name, tidegate(), &args, directory);
        Self {
            id: id.to_owned(),
            process,
            lease,
        }
    }

    /// Stops the instance at once, as who runs it does when it is released: no last words, no
    /// grace for what is in progress.
    pub(crate) fn stop(mut self, to: &ControlPlane) {
        self.process.kill();
        self.lease.kill();
        let url = to.url(&format!("/v1/instances/{SERVICE}/{}", self.id));
        let answer = http::delete(&url).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Its process lives on, but nobody renews its lease any more.
    pub(crate) fn stop_renewing(&mut self) {
        self.lease.kill();
    }
}

/// The process alone, at an address or at one of its choice.
pub(crate) fn run(
    id: &str,
    version: &str,
    at: Option<SocketAddr>,
    directory: &Path,
) -> (Process, String) {
    let mut command = Command::new(tidegate());
    command.args(["demo-app", "--app-version", version, "--instance", id]);
    if let Some(address) = at {
        command.args(["--listen", &address.to_string()]);
    }
    Process::start_and_read(id, &mut command, directory)
}

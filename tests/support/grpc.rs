//! gRPC without a proxy: instances that speak it, and real clients that find them by xDS.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::app::{App, Lease};
use super::certificates::relocated;
use super::load::Tally;
use super::process::Process;
use super::tools;
use super::wait::{SOON, eventually, if_so};
use super::world::World;

/// Which library the client is built on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Library {
    /// grpcio, on C-core.
    Python,
    /// grpc-js with grpc-js-xds.
    Node,
}

impl Library {
    fn command(self) -> Command {
        match self {
            Self::Python => {
                let mut command = Command::new(python());
                command.arg(script("client.py"));
                command
            }
            Self::Node => {
                let modules = tools::node_modules().unwrap_or_else(|why| panic!("{why}"));
                let mut command = Command::new("node");
                command.env("NODE_PATH", modules).arg(script("client.js"));
                command
            }
        }
    }
}

/// A client that sends steady calls: in each lane one after the other, and none again that failed.
#[derive(Debug)]
pub(crate) struct GrpcClient {
    id: String,
    process: Process,
}

impl GrpcClient {
    /// Starts one as `id` from `envoy-configs/grpc.json`, with nothing replaced but its port and id.
    pub(crate) fn start(library: Library, id: &str, lanes: &[&str], world: &World) -> Self {
        Self::start_at(world.control.xds(), library, id, lanes, world)
    }

    /// The same, and its way to the control plane begins at `xds`.
    pub(crate) fn start_at(
        xds: SocketAddr,
        library: Library,
        id: &str,
        lanes: &[&str],
        world: &World,
    ) -> Self {
        let mut command = library.command();
        command.arg("xds:///cart").args(lanes);
        Self::start_from(&bootstrap("grpc.json"), xds, &mut command, id, world)
    }

    /// One on C-core, from `envoy-configs/grpc-mtls.json` with its certificates in `tls`.
    pub(crate) fn start_with(tls: &Path, id: &str, lanes: &[&str], world: &World) -> Self {
        let bootstrap = relocated(&bootstrap("grpc-mtls.json"), tls);
        let mut command = Library::Python.command();
        command.arg("xds:///cart").args(lanes);
        Self::start_from(&bootstrap, world.control.xds(), &mut command, id, world)
    }

    fn start_from(
        bootstrap: &str,
        xds: SocketAddr,
        command: &mut Command,
        id: &str,
        world: &World,
    ) -> Self {
        let text = bootstrap
            .replace("grpc-1", id)
            .replace(":18000", &format!(":{}", xds.port()));
        let config = world.path().join(format!("{id}.json"));
        fs_err::write(&config, text).unwrap();
        command.env("GRPC_XDS_BOOTSTRAP", &config);
        Self {
            id: id.to_owned(),
            process: Process::start(id, command, world.path()).with_config(config),
        }
    }

    /// Its node id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// What has come back so far.
    pub(crate) fn so_far(&self) -> Tally {
        let log = self.process.log();
        // The last line may still be on its way.
        let tallies = log.lines().rev().filter(|line| line.starts_with('{'));
        let mut tallies = tallies.filter_map(|line| serde_json::from_str(line).ok());
        tallies.next().unwrap_or_default()
    }

    /// Waits until so many more calls have been answered.
    pub(crate) fn until_more(&self, more: u64) {
        let wanted = self.so_far().requests + more;
        eventually(SOON, &format!("{more} more calls of {}", self.id), || {
            let tally = self.so_far();
            if_so(tally.requests >= wanted, format!("{tally:?}"))
        });
    }

    /// Sends nothing more, and waits for what is in progress; not one call may have failed.
    pub(crate) fn stop_without_loss(mut self) -> Tally {
        self.process.end();
        let tally = self.so_far();
        tally.assert_no_loss();
        tally
    }
}

/// Starts and announces an instance.
pub(crate) fn start_app(id: &str, version: &str, capacity: Option<&str>, world: &World) -> App {
    let mut command = Command::new(python());
    command.arg(script("instance.py")).args([version, id]);
    let (process, address) = Process::start_and_read(id, &mut command, world.path());
    let lease = Lease {
        version,
        ttl: "60s",
        capacity,
    };
    App::announced(id, process, &address, lease, &world.control, world.path())
}

fn bootstrap(file: &str) -> String {
    let path = tools::repository().join("envoy-configs").join(file);
    fs_err::read_to_string(path).unwrap()
}

fn python() -> PathBuf {
    tools::python().unwrap_or_else(|why| panic!("{why}"))
}

fn script(name: &str) -> PathBuf {
    let directory: &Path = tools::repository();
    directory.join("tests/grpc").join(name)
}

//! A real Envoy: found, checked, started under its keeper, and asked where it listens.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use super::DemoError;
use super::child::{Child, Output};
use super::clock::now;
use super::http::Http;

/// What the bootstrap of a demo's proxy must say.
#[derive(Clone, Debug)]
pub struct ProxySpec {
    /// `node.id`.
    pub id: String,
    /// `node.cluster`.
    pub cluster: String,
    /// Where its control plane is; the metrics go there too.
    pub control_plane: SocketAddr,
    /// How often it reports. Short, because a proof needs two reports: a drain then ends about
    /// half a second after its last request.
    pub flush_interval: Duration,
}

/// How often a demo's proxies report their metrics.
pub(super) const FLUSH_INTERVAL: Duration = Duration::from_millis(250);

/// Finds an Envoy that is new enough: the one given, or the first of `target/tools/bin/envoy` in
/// any directory from here or from this binary upward, and then the search path.
pub(super) async fn find(given: Option<&Path>) -> Result<PathBuf, DemoError> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => search().ok_or_else(|| DemoError::NoEnvoy {
            looked: "target/tools/bin from here upward, and PATH".to_owned(),
        })?,
    };
    let output = Command::new(&path)
        .arg("--version")
        .output()
        .await
        .map_err(|source| DemoError::Start {
            name: format!("Envoy at {}", path.display()),
            source,
        })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match version(&text) {
        Some(found) if found >= VERSION_MIN => Ok(path),
        _ => Err(DemoError::EnvoyTooOld {
            path,
            found: text.trim().to_owned(),
        }),
    }
}

fn search() -> Option<PathBuf> {
    let starts = [std::env::current_dir().ok(), std::env::current_exe().ok()];
    let upward = starts.iter().flatten().flat_map(|start| start.ancestors());
    let in_tools = upward.map(|directory| directory.join("target/tools/bin/envoy"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|directory| directory.join("envoy"));
    in_tools
        .chain(on_path)
        .find(|candidate| candidate.is_file())
}

/// The major and minor number out of `envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`.
fn version(text: &str) -> Option<(u32, u32)> {
    let number = text.split("version:").nth(1)?.split('/').nth(1)?;
    let mut parts = number.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// A running Envoy. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Envoy {
    keeper: Child,
    listener: SocketAddr,
}

impl Envoy {
    /// Starts one with `bootstrap`, and waits until its first listener is up.
    pub(super) async fn start(
        program: &Path,
        envoy: &Path,
        directory: &Path,
        id: &str,
        bootstrap: &str,
    ) -> Result<Self, DemoError> {
        let config = directory.join(format!("{id}.yaml"));
        let admin = directory.join(format!("{id}.admin"));
        fs_err::write(&config, bootstrap)?;
        // The keeper must not be killed: it ends, and Envoy with it, when its input closes.
        let mut command = Command::new(program);
        command
            .args(["demo-keeper", "--"])
            .arg(envoy)
            .arg("--config-path")
            .arg(&config)
            .args(["--config-yaml", ADMIN])
            .arg("--admin-address-path")
            .arg(&admin)
            .args([
                "--concurrency",
                "1",
                "--disable-hot-restart",
                "--log-level",
                "warn",
            ]);
        let log = directory.join(format!("{id}.log"));
        let mut keeper = Child::start(id, &mut command, &log, Output::Log)?;
        let listener = first_listener(&mut keeper, id, &admin).await?;
        Ok(Self { keeper, listener })
    }

    /// Where it takes requests.
    pub(super) const fn listener(&self) -> SocketAddr {
        self.listener
    }

    /// Ends it, and waits for that.
    pub(super) async fn end(self) {
        self.keeper.end().await;
    }
}

/// Waits for the admin page, for readiness, and for a listener with a port.
async fn first_listener(
    keeper: &mut Child,
    id: &str,
    admin: &Path,
) -> Result<SocketAddr, DemoError> {
    let http = Http::new();
    let deadline = now() + UP_MAX;
    loop {
        keeper.check()?;
        if let Ok(address) = fs_err::read_to_string(admin)
            && let Some(port) = listener_port(&http, address.trim()).await
        {
            return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        }
        if now() > deadline {
            return Err(DemoError::TimedOut {
                what: format!("a listener of Envoy {id}"),
                seconds: UP_MAX.as_secs(),
                because: " that its control plane should have sent".to_owned(),
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn listener_port(http: &Http, admin: &str) -> Option<u16> {
    http.get(&format!("http://{admin}/ready")).await.ok()?;
    let body = http
        .get(&format!("http://{admin}/listeners?format=json"))
        .await
        .ok()?;
    port_of(&body)
}

/// The port of the first listener on Envoy's `/listeners?format=json` page.
fn port_of(page: &[u8]) -> Option<u16> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(default)]
        listener_statuses: Vec<Status>,
    }
    #[derive(Deserialize)]
    struct Status {
        local_address: Address,
    }
    #[derive(Deserialize)]
    struct Address {
        socket_address: Socket,
    }
    #[derive(Deserialize)]
    struct Socket {
        port_value: u16,
    }
    let page: Page = serde_json::from_slice(page).ok()?;
    page.listener_statuses
        .first()
        .map(|status| status.local_address.socket_address.port_value)
        .filter(|port| *port > 0)
}

/// Merged over the bootstrap, so that any number of Envoys share a machine.
const ADMIN: &str = "{admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}}";
/// The first release with per-endpoint gauges in the OpenTelemetry sink, as the proof needs them.
const VERSION_MIN: (u32, u32) = (1, 36);
const UP_MAX: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_envoy_prints() {
        for (text, found) in [
            (
                "\nenvoy  version: 9e55/1.40.0/Clean/RELEASE/BoringSSL\n",
                Some((1, 40)),
            ),
            (
                "envoy version: 9e55/1.36.2-dev/Clean/RELEASE/BoringSSL",
                Some((1, 36)),
            ),
            ("envoy 1.40.0", None),
            ("", None),
        ] {
            assert_eq!(version(text), found, "{text:?}");
        }
    }

    #[test]
    fn the_listener_port_is_read_once_it_is_bound() {
        let page = |port: u16| {
            format!(
                r#"{{"listener_statuses":[{{"name":"l","local_address":
                   {{"socket_address":{{"address":"127.0.0.1","port_value":{port}}}}}}}]}}"#
            )
        };
        assert_eq!(port_of(page(41_000).as_bytes()), Some(41_000));
        assert_eq!(port_of(page(0).as_bytes()), None);
        assert_eq!(port_of(b"{}"), None);
        assert_eq!(port_of(b"not yet"), None);
    }
}

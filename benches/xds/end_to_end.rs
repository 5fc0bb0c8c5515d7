//! `tidegate serve` itself, with a directory of documents and files of instances: what the first
//! configuration of every proxy costs, and how long a route's edit takes from the write of its
//! document to the last proxy's ACK.
//!
//! The instances are addresses of loopback, behind one port that answers health checks.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::child::{Child, Failed};
use crate::machine::monotonic;
use crate::push::{Bench, Shape, Who, median, millis};
use crate::world::{Change, NODE_CLUSTER};

/// Edits that are not counted, and those that are.
const WARM_UP: u32 = 2;
const EDITS: u32 = 8;

/// Until all instances must serve.
const READY_WITHIN: Duration = Duration::from_mins(4);
const LOOK: Duration = Duration::from_millis(200);

/// How much is served.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Fleet {
    pub(crate) services: usize,
    /// Of each service.
    pub(crate) instances: usize,
    pub(crate) proxies: usize,
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct EndToEnd {
    pub(crate) fleet: Fleet,
    /// From the start of `serve` until all instances serve.
    pub(crate) ready_ms: f64,
    /// From the first connection until each proxy has its configuration, and what that cost the
    /// server for each proxy.
    pub(crate) sync_ms: f64,
    pub(crate) sync_cpu_us: f64,
    /// Of the configuration, at a proxy's socket.
    pub(crate) sync_bytes: f64,
    /// From the write of the document to the last proxy's ACK: median, and the slowest.
    pub(crate) edit_ms: f64,
    pub(crate) edit_max_ms: f64,
    /// Server's microseconds for each proxy and edit, all that an edit causes included.
    pub(crate) edit_cpu_us: f64,
    /// At a proxy's socket for one edit.
    pub(crate) edit_bytes: f64,
    /// Server's memory for each proxy after the edits.
    pub(crate) pushed_kib: f64,
}

impl Bench {
    /// Measures one fleet.
    pub(crate) fn end_to_end(&self, fleet: Fleet) -> Result<EndToEnd, Failed> {
        let directory = tempfile::tempdir()?;
        let documents = directory.path().join("documents");
        fs_err::create_dir_all(&documents)?;
        let health = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let port = health.local_addr()?.port();
        std::thread::spawn(move || health.incoming().for_each(drop));
        fleet.write(directory.path(), port)?;

        let [xds, api] = two_free_ports()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(["serve", "--exit-with-stdin"]);
        command.args(["--listen-xds", &format!("127.0.0.1:{xds}")]);
        command.args(["--listen-api", &format!("127.0.0.1:{api}")]);
        command.arg("--data").arg(directory.path().join("data"));
        command.arg("--documents").arg(&documents);
        command.stderr(
            fs_err::File::create(directory.path().join("log"))?
                .into_parts()
                .0,
        );
        let began = monotonic();
        let server = Child::spawn(&mut command, self.cores[0])?;
        until_serving(api, fleet.services * fleet.instances)?;
        let ready_ms = (monotonic() - began) as f64 / 1e6;

        let shape = Shape::plain(Who::Tidegate, Change::Route, 0, fleet.proxies);
        let mut load = self.load(&shape, &format!("127.0.0.1:{xds}"))?;
        let base = server.cpu_of_all()?;
        let base_kib = server.rss()?;
        let synced = load.ask_json("connect")?;
        let sync_cpu = server.cpu_of_all()? - base;
        let sync_bytes = load.ask_json("count")?["bytes"]
            .as_f64()
            .unwrap_or_default();

        let mut took = Vec::new();
        let mut cpu = 0;
        for number in 0..WARM_UP + EDITS {
            if number == WARM_UP {
                took.clear();
                load.ask("count")?;
                cpu = server.cpu_of_all()?;
            }
            load.ask("round RouteConfiguration")?;
            let at = monotonic();
            fleet.edit(directory.path(), number)?;
            took.push(millis(&load.hear_json()?, "last", at));
            server.rest()?;
        }
        let cpu = server.cpu_of_all()? - cpu;
        let edit_bytes = load.ask_json("count")?["bytes"]
            .as_f64()
            .unwrap_or_default();
        let proxies = fleet.proxies as f64;
        let edits = f64::from(EDITS) * proxies;
        Ok(EndToEnd {
            fleet,
            ready_ms,
            sync_ms: millis(
                &synced,
                "last",
                synced["began"].as_u64().unwrap_or_default(),
            ),
            sync_cpu_us: sync_cpu as f64 / 1000.0 / proxies,
            sync_bytes: sync_bytes / proxies,
            edit_ms: median(&took),
            edit_max_ms: took.iter().copied().fold(0.0, f64::max),
            edit_cpu_us: cpu as f64 / 1000.0 / edits,
            edit_bytes: edit_bytes / edits,
            pushed_kib: server.rss()?.saturating_sub(base_kib) as f64 / proxies,
        })
    }
}

impl Fleet {
    fn write(self, directory: &Path, port: u16) -> Result<(), Failed> {
        let mut address = u32::from(Ipv4Addr::new(127, 1, 0, 0));
        for service in 0..self.services {
            let document = format!(
                "kind: Service\nname: service-{service}\nspec:\n  \
                 instances: {{ from: file, file: ../instances-{service}.yaml }}\n  \
                 health: {{ tcp: true, interval: 1h, timeout: 30s, healthyAfter: 1 }}\n  \
                 minReady: 0s\n"
            );
            let file = format!("documents/service-{service}.yaml");
            fs_err::write(directory.join(file), document)?;
            let mut instances = String::new();
            for instance in 0..self.instances {
                let ip = Ipv4Addr::from(address);
                address += 1;
                writeln!(
                    instances,
                    "- {{ id: i-{service}-{instance}, address: \"{ip}:{port}\", version: v1 }}"
                )?;
            }
            let file = format!("instances-{service}.yaml");
            fs_err::write(directory.join(file), instances)?;
        }
        self.edit(directory, u32::MAX)
    }

    /// Another path for the first service, written whole.
    fn edit(self, directory: &Path, number: u32) -> Result<(), Failed> {
        let mut document = format!(
            "kind: Gateway\nname: bench\nspec:\n  proxies: {{ cluster: {NODE_CLUSTER} }}\n  \
             listeners:\n    - port: 10000\n      routes:\n"
        );
        for service in 0..self.services {
            let prefix = match service {
                0 => format!("/edit-{number}"),
                _ => "/".to_owned(),
            };
            writeln!(
                document,
                "        - {{ hosts: [service-{service}.internal], prefix: {prefix}, service: service-{service} }}"
            )?;
        }
        let begun = directory.join("gateway.begun");
        fs_err::write(&begun, document)?;
        fs_err::rename(begun, directory.join("documents/gateway.yaml"))?;
        Ok(())
    }
}

fn two_free_ports() -> Result<[u16; 2], Failed> {
    let listeners = [
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
    ];
    let [xds, api] = &listeners;
    Ok([xds.local_addr()?.port(), api.local_addr()?.port()])
}

/// Waits until the control plane says so of so many instances.
fn until_serving(api: u16, instances: usize) -> Result<(), Failed> {
    let deadline = Instant::now() + READY_WITHIN;
    let mut serving = 0;
    while Instant::now() < deadline {
        std::thread::sleep(LOOK);
        serving = state(api).map_or(0, |text| text.matches("\"stage\":\"serving\"").count());
        if serving == instances {
            return Ok(());
        }
    }
    Err(format!(
        "after {} s {serving} of {instances} instances serve",
        READY_WITHIN.as_secs()
    )
    .into())
}

fn state(api: u16) -> std::io::Result<String> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, api))?;
    socket.write_all(b"GET /v1/state HTTP/1.1\r\nhost: tidegate\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    socket.read_to_string(&mut text)?;
    Ok(text)
}

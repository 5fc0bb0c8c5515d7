//! `tidegate serve` as a process, and the same binary as its client.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use tidegate::api::HistoryPage;
use tidegate::engine::{InstanceView, ProxyView, RolloutView, ServiceView, View};

use super::certificates::SETTINGS;
use super::http::{self, Answer};
use super::process::Process;
use super::tools::tidegate;
use super::wait::{SOON, eventually, if_so};

/// Below the range that the kernel hands out to outgoing connections: else an Envoy that retries a
/// dead port may be given that very port as its own, and connect to itself.
const PORTS: std::ops::Range<u16> = 20_000..31_000;
const PORTS_COUNT: u16 = PORTS.end - PORTS.start;

/// A control plane; perhaps dead at the moment.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    directory: PathBuf,
    documents: Option<PathBuf>,
    xds: SocketAddr,
    api: SocketAddr,
    process: Option<Process>,
}

/// What a command ended with.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl ControlPlane {
    /// Starts one on free ports, with its data under `directory`, and waits until it answers.
    pub(crate) fn start(directory: &Path, documents: Option<PathBuf>) -> Self {
        let (xds, api) = two_free_addresses();
        let mut control = Self {
            directory: directory.to_owned(),
            documents,
            xds,
            api,
            process: None,
        };
        control.restart();
        control
    }

    /// Kills it with -9.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it on the same ports and data.
    pub(crate) fn restart(&mut self) {
        let mut command = Command::new(tidegate());
        command
            .args(["serve", "--exit-with-stdin"])
            .args(["--listen-xds", &self.xds.to_string()])
            .args(["--listen-api", &self.api.to_string()])
            .arg("--data")
            .arg(self.directory.join("data"));
        let settings = self.directory.join(SETTINGS);
        if settings.exists() {
            command.arg("-c").arg(settings);
        }
        if let Some(documents) = &self.documents {
            command.arg("--documents").arg(documents);
        }
        let mut process = Process::start("control-plane", &mut command, &self.directory);
        let url = self.url("/healthz");
        eventually(SOON, "the control plane to answer", || {
            process.check();
            http::get(&url)
        });
        self.process = Some(process);
    }

    /// Where proxies connect to.
    pub(crate) const fn xds(&self) -> SocketAddr {
        self.xds
    }

    /// All that it has logged.
    pub(crate) fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    // --- by its API

    /// A path of its API.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.api)
    }

    /// Everything that it knows, as an answer of its API that must be good.
    pub(crate) fn get(&self, path: &str) -> Answer {
        let answer = http::get(&self.url(path)).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer
    }

    /// Everything that it knows.
    pub(crate) fn view(&self) -> View {
        serde_json::from_str(&self.get("/v1/state").body).unwrap()
    }

    /// Puts documents in force.
    pub(crate) fn apply(&self, yaml: &str) {
        let url = self.url("/v1/documents");
        let answer = http::post(&url, "application/yaml", yaml.to_owned()).unwrap();
        assert_eq!(answer.status, 200, "{}\n{yaml}", answer.body);
    }

    /// The journal in sentences, one line for each entry.
    pub(crate) fn history(&self) -> String {
        let page = self.get("/v1/history?limit=1000");
        let page: HistoryPage = serde_json::from_str(&page.body).unwrap();
        let entries = page.entries.into_iter().map(|numbered| numbered.entry);
        let lines = entries.map(|entry| format!("{} {}", entry.at, entry.record));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// A service by name.
    pub(crate) fn service(&self, name: &str) -> Result<ServiceView, String> {
        let view = self.view();
        let found = view.services.into_iter().find(|s| s.name.as_str() == name);
        found.ok_or_else(|| format!("no service {name}"))
    }

    /// An instance of the only service.
    pub(crate) fn instance(&self, id: &str) -> Result<InstanceView, String> {
        let mut all = self.view().services.into_iter().flat_map(|s| s.instances);
        all.find(|instance| instance.id.as_str() == id)
            .ok_or_else(|| format!("no instance {id}"))
    }

    /// A rollout by name.
    pub(crate) fn rollout(&self, name: &str) -> Result<RolloutView, String> {
        let mut rollouts = self.view().rollouts.into_iter();
        rollouts
            .find(|rollout| rollout.name.as_str() == name)
            .ok_or_else(|| format!("no rollout {name}"))
    }

    /// A proxy by its id.
    pub(crate) fn proxy(&self, id: &str) -> Result<ProxyView, String> {
        let mut proxies = self.view().proxies.into_iter();
        proxies
            .find(|proxy| proxy.id.as_str() == id)
            .ok_or_else(|| format!("no proxy {id}"))
    }

    // --- waits

    /// Waits until an instance is in a stage.
    pub(crate) fn until_stage(&self, id: &str, stage: &str) -> InstanceView {
        eventually(SOON, &format!("{id} to be {stage}"), || {
            let instance = self.instance(id)?;
            if_so(instance.stage == stage, format!("{instance:?}"))?;
            Ok::<_, String>(instance)
        })
    }

    /// Waits until a rollout says that it waits for something of that sound.
    pub(crate) fn until_blocked(&self, name: &str, words: &[&str]) -> String {
        let what = format!("{name} to wait for {words:?}");
        eventually(SOON, &what, || {
            let texts: Vec<String> = self
                .rollout(name)?
                .blockers
                .into_iter()
                .map(|blocker| blocker.text)
                .collect();
            let fits = |text: &&String| words.iter().all(|word| text.contains(word));
            texts
                .iter()
                .find(fits)
                .cloned()
                .ok_or_else(|| texts.join("; "))
        })
    }

    /// Waits until a proxy is connected and has everything in force that is published.
    pub(crate) fn until_in_force(&self, proxy: &str) {
        eventually(SOON, &format!("{proxy} to be up to date"), || {
            let view = self.view();
            let known = self.proxy(proxy)?;
            let up_to_date = known.in_force == Some(view.generation);
            let seen = format!("generation {:?}; {known:?}", view.generation);
            if_so(known.connected && up_to_date, seen)
        });
    }

    // --- by the command line

    /// A command of the same binary, that talks to this control plane.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(tidegate());
        command
            .args(["--server", &self.url("")])
            .args(["--actor", "tests"])
            .args(args)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn cli(&self, args: &[&str]) -> Ended {
        let output = self.command(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Runs a command that must end well, and gives what it printed.
    pub(crate) fn cli_ok(&self, args: &[&str]) -> String {
        let ended = self.cli(args);
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
        ended.stdout
    }
}

impl Drop for ControlPlane {
    /// What it decided tells more of a failure than any log.
    fn drop(&mut self) {
        let url = self.url("/healthz");
        if std::thread::panicking() && http::get(&url).is_ok() {
            eprintln!("--- history\n{}", self.history());
        }
    }
}

/// Addresses that no control plane of this run has had before.
pub(crate) fn two_free_addresses() -> (SocketAddr, SocketAddr) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Runs at the same time begin at different ports; which of them are free is then tried.
    let begin = u16::try_from(std::process::id() % 100).unwrap() * (PORTS_COUNT / 100);
    let mut free = (0..PORTS_COUNT)
        .map(|_| NEXT.fetch_add(1, Ordering::Relaxed))
        .map(|offset| PORTS.start + (begin + offset % PORTS_COUNT) % PORTS_COUNT)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .filter(|address| TcpListener::bind(address).is_ok());
    (free.next().unwrap(), free.next().unwrap())
}

//! One comparison's measurement: a server, so many proxies, a change again and again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use crate::child::{Child, Failed};
use crate::world::Change;

/// Rounds that are not counted: they fill caches and buffers.
const WARM_UP: u32 = 2;

/// A measurement ends after so long, with the rounds that it has.
const LONG_ENOUGH: Duration = Duration::from_secs(8);
const ROUNDS_MIN: u32 = 3;

/// What can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Who {
    Tidegate,
    Tcp,
    TonicShared,
    TonicNaive,
    GoLinear,
    GoSnapshot,
}

impl Who {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Tidegate => "tidegate",
            Self::Tcp => "tcp",
            Self::TonicShared => "tonic-shared",
            Self::TonicNaive => "tonic-naive",
            Self::GoLinear => "go-linear",
            Self::GoSnapshot => "go-snapshot",
        }
    }
}

/// What all measurements of a run share.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    /// The server's core and the load's.
    pub(crate) cores: [usize; 2],
    /// go-control-plane's server, if it could be built.
    pub(crate) go: Option<PathBuf>,
    pub(crate) certificates: PathBuf,
    pub(crate) rounds: u32,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Shape {
    pub(crate) who: Who,
    pub(crate) change: Change,
    pub(crate) clusters: usize,
    /// Of each cluster.
    pub(crate) endpoints: usize,
    pub(crate) streams: usize,
    /// `delta` or `sotw`.
    pub(crate) protocol: &'static str,
    /// `prompt`, `slow`, `refusing` or `stalled`.
    pub(crate) manners: &'static str,
    pub(crate) tls: bool,
}

impl Shape {
    /// One service, delta, no TLS, proxies that answer at once.
    pub(crate) const fn plain(who: Who, change: Change, endpoints: usize, streams: usize) -> Self {
        Self {
            who,
            change,
            clusters: 1,
            endpoints,
            streams,
            protocol: "delta",
            manners: "prompt",
            tls: false,
        }
    }
}

/// What came out. Times are from the publication to the proxies' acknowledgements.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) shape: Shape,
    pub(crate) rounds: u32,
    /// Server's microseconds on its core for one push and its ACK: median, least and most of the rounds.
    pub(crate) cpu_us: f64,
    pub(crate) cpu_us_min: f64,
    pub(crate) cpu_us_max: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    /// To the last proxy's: median of the rounds, and the slowest round.
    pub(crate) all_ms: f64,
    pub(crate) all_max_ms: f64,
    /// Bytes at a proxy's socket for one push.
    pub(crate) push_bytes: f64,
    /// Server's memory for each stream: with nothing going on, after the pushes.
    pub(crate) idle_kib: f64,
    pub(crate) pushed_kib: f64,
    /// Server's memory in MiB: without streams, most while pushing more than when idle, and after
    /// nine in ten proxies left.
    pub(crate) base_mib: f64,
    pub(crate) peak_added_mib: f64,
    pub(crate) left_mib: f64,
    /// Connections that had to be opened again.
    pub(crate) failures: u64,
    /// Share of its core that the load needed while a push was under way.
    pub(crate) load_busy: f64,
    /// From the first connection until all have their configuration.
    pub(crate) sync_ms: f64,
    /// Server's microseconds for one stream until it has.
    pub(crate) sync_cpu_us: f64,
}

/// A server that listens.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Bench {
    /// Starts a server; `at` is an address to listen on, if it has to be that.
    pub(crate) fn serve(&self, shape: &Shape, at: Option<&str>) -> Result<Running, Failed> {
        let cache = match shape.who {
            Who::GoLinear => Some("linear"),
            Who::GoSnapshot => Some("snapshot"),
            _ => None,
        };
        let mut command = if let Some(cache) = cache {
            let go = self.go.as_ref().ok_or("go-control-plane is not built")?;
            let mut command = Command::new(go);
            command.args(["--cache", cache]);
            command
        } else {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["server", "--server", shape.who.word()]);
            if shape.tls {
                command.arg("--tls").arg(&self.certificates);
            }
            command
        };
        command.args(["--clusters", &shape.clusters.to_string()]);
        command.args(["--endpoints", &shape.endpoints.to_string()]);
        if shape.change == Change::Leds {
            command.arg("--leds");
        }
        if let Some(at) = at {
            command.args(["--listen", at]);
        }
        let mut child = Child::spawn(&mut command, self.cores[0])?;
        let address = child.hear_word("listening")?;
        Ok(Running { child, address })
    }

    /// Starts proxies that will connect to `address`.
    pub(crate) fn load(&self, shape: &Shape, address: &str) -> Result<Child, Failed> {
        let protocol = if shape.who == Who::Tcp {
            "tcp"
        } else {
            shape.protocol
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["load", "--to", address]);
        command.args(["--streams", &shape.streams.to_string()]);
        command.args(["--protocol", protocol, "--manners", shape.manners]);
        if shape.change == Change::Leds {
            command.arg("--leds");
        }
        if shape.tls {
            command.arg("--tls").arg(&self.certificates);
        }
        Child::spawn(&mut command, self.cores[1])
    }

    /// Measures one shape.
    pub(crate) fn push(&self, shape: Shape) -> Result<Row, Failed> {
        let mut server = self.serve(&shape, None)?;
        let mut load = self.load(&shape, &server.address)?;
        let server = &mut server.child;
        let base = server.rest()?;
        let base_kib = server.rss()?;
        let synced = load.ask_json("connect")?;
        let sync_cpu = server.rest()? - base;
        let idle_kib = server.rss()?;

        let mut rounds = Rounds::default();
        server.forget_peak()?;
        let began = Instant::now();
        for number in 0..WARM_UP + self.rounds {
            if number == WARM_UP {
                load.ask("count")?;
                rounds = Rounds::default();
            }
            rounds.add(&round(server, &mut load, shape.change, number + 1)?);
            let counted = (number + 1).saturating_sub(WARM_UP);
            if counted >= ROUNDS_MIN && began.elapsed() > LONG_ENOUGH {
                break;
            }
        }
        let counted = load.ask_json("count")?;
        let (pushed_kib, peak_kib) = (server.rss()?, server.peak()?);
        load.ask("leave 90")?;
        server.rest()?;
        let left_kib = server.rss()?;

        let streams = shape.streams as f64;
        let per_stream = |kib: u64| kib.saturating_sub(base_kib) as f64 / streams;
        let of = |name: &str| counted[name].as_f64().unwrap_or_default();
        Ok(Row {
            shape,
            rounds: u32::try_from(rounds.cpu.len())?,
            cpu_us: median(&rounds.cpu) / streams,
            cpu_us_min: least(&rounds.cpu) / streams,
            cpu_us_max: most(&rounds.cpu) / streams,
            p50_ms: median(&rounds.p50),
            p99_ms: median(&rounds.p99),
            p999_ms: median(&rounds.p999),
            all_ms: median(&rounds.all),
            all_max_ms: most(&rounds.all),
            push_bytes: of("bytes") / of("responses"),
            idle_kib: per_stream(idle_kib),
            pushed_kib: per_stream(pushed_kib),
            base_mib: base_kib as f64 / 1024.0,
            peak_added_mib: peak_kib.saturating_sub(idle_kib) as f64 / 1024.0,
            left_mib: left_kib as f64 / 1024.0,
            failures: counted["failures"].as_u64().unwrap_or_default(),
            load_busy: rounds.load_cpu / rounds.all.iter().sum::<f64>() / 1000.0,
            sync_ms: millis(
                &synced,
                "last",
                synced["began"].as_u64().unwrap_or_default(),
            ),
            sync_cpu_us: sync_cpu as f64 / 1000.0 / streams,
        })
    }
}

/// What one change cost.
struct Round {
    cpu_us: f64,
    load_cpu_us: f64,
    at: u64,
    seen: Value,
}

/// Publishes one change, and waits until each proxy has acknowledged it.
pub(crate) fn published(
    server: &mut Child,
    load: &mut Child,
    change: Change,
    number: u32,
) -> Result<(u64, Value), Failed> {
    let kind = change.kind().rsplit('.').next().unwrap_or_default();
    load.ask(&format!("round {kind}"))?;
    let publish = format!("publish {} {number}", change.word());
    let at = server.ask_word(&publish, "published")?.parse()?;
    Ok((at, load.hear_json()?))
}

fn round(
    server: &mut Child,
    load: &mut Child,
    change: Change,
    number: u32,
) -> Result<Round, Failed> {
    let (before, load_before) = (server.cpu()?, load.cpu()?);
    let (at, seen) = published(server, load, change, number)?;
    let load_cpu = load.cpu()? - load_before;
    let cpu = server.rest()? - before;
    Ok(Round {
        cpu_us: cpu as f64 / 1000.0,
        load_cpu_us: load_cpu as f64 / 1000.0,
        at,
        seen,
    })
}

/// Microseconds of the server, and milliseconds to the proxies, of each round.
#[derive(Default)]
struct Rounds {
    cpu: Vec<f64>,
    load_cpu: f64,
    p50: Vec<f64>,
    p99: Vec<f64>,
    p999: Vec<f64>,
    all: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, round: &Round) {
        self.cpu.push(round.cpu_us);
        self.load_cpu += round.load_cpu_us;
        self.p50.push(millis(&round.seen, "p50", round.at));
        self.p99.push(millis(&round.seen, "p99", round.at));
        self.p999.push(millis(&round.seen, "p999", round.at));
        self.all.push(millis(&round.seen, "last", round.at));
    }
}

/// Milliseconds from `since` to a moment of a summary.
pub(crate) fn millis(summary: &Value, moment: &str, since: u64) -> f64 {
    let at = summary[moment].as_u64().unwrap_or_default();
    at.saturating_sub(since) as f64 / 1e6
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 if middle > 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted.get(middle).copied().unwrap_or_default(),
    }
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// Builds go-control-plane's server where Go is.
pub(crate) fn build_go(into: &Path) -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/go-control-plane");
    let program = into.join("go-control-plane");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(source)
        .output();
    match built {
        Err(error) => Err(format!("Go is not there: {error}")),
        Ok(output) if output.status.success() => Ok(program),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

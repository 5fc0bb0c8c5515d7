//! `tidegate sim`

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use serde_json::json;

use super::failure::Failure;
use super::{Context, files};
use crate::domain::{Locality, Span};
use crate::sim::{Fault, Line, Nobody, Outcome, Report, RolloutReport, Setup, simulate};

/// Play rollouts on a simulated fleet in virtual time, without a control plane
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Sim {
    /// Documents: files, or directories of them; every Rollout in them is played, and what Services `run`
    #[arg(short, long = "file", required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What goes wrong: bad-version, flapping, leader-loss, lost-proxy, nack, slow-drain or
    /// slow-start; may be given several times
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<Fault>,
    /// Draw what is left to chance from this number; the same number tells the same story
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// So many instances of each service
    #[arg(long, default_value_t = Setup::INSTANCES, value_name = "NUMBER",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(Setup::INSTANCES_MAX)))]
    instances: u32,
    /// So many proxies of each gateway
    #[arg(long, default_value_t = Setup::PROXIES, value_name = "NUMBER",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(Setup::PROXIES_MAX)))]
    proxies: u32,
    /// Where instances stand, in turn: `eu-1,eu-2`, or with regions `eu/eu-1,us/us-1`
    /// [default: the places that waves name, and a,b]
    #[arg(long, value_delimiter = ',', value_name = "ZONES")]
    zones: Vec<Place>,
    /// So many requests a second to each service
    #[arg(long, default_value_t = Setup::RPS, value_name = "NUMBER")]
    rps: u32,
    /// Whoever is asked for approval gives it after this long, or `never`
    #[arg(long, default_value = "1m", value_name = "SPAN")]
    approve_after: Approve,
}

/// Shown below its `--help`.
const EXAMPLE: &str = "\
Exit codes:
  0  every rollout is done, and no request failed
  1  anything else; the report says what

Examples:
  tidegate sim -f examples/mesh
  tidegate sim -f examples/mesh --fault lost-proxy --fault leader-loss --seed 7
  tidegate sim -f examples/mesh --instances 2000 --output json";

/// A zone, perhaps within a region; else it is a region, too.
#[derive(Clone, Debug)]
pub(super) struct Place(pub(super) Locality);

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (region, zone) = text.split_once('/').unwrap_or((text, text));
        if region.is_empty() || zone.is_empty() {
            return Err(format!(
                "`{text}` is no zone; write it like `eu-1` or `eu/eu-1`"
            ));
        }
        let (region, zone) = (region.to_owned(), zone.to_owned());
        Ok(Self(Locality { region, zone }))
    }
}

/// When somebody says yes.
#[derive(Clone, Copy, Debug)]
struct Approve(Option<Span>);

impl FromStr for Approve {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self(None));
        }
        let span = text.parse().map_err(|bad| format!("{bad}, or `never`"))?;
        Ok(Self(Some(span)))
    }
}

impl Sim {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Failure> {
        let loaded = files::load(&self.files, context)?;
        for warning in &loaded.warnings {
            context.output.note(&warning.to_string());
        }
        let mut setup = Setup::new(loaded.documents);
        if !self.zones.is_empty() {
            setup.places = self.zones.into_iter().map(|Place(place)| place).collect();
        }
        setup.faults = self.faults.into_iter().collect::<BTreeSet<_>>();
        (setup.seed, setup.rps) = (self.seed, self.rps);
        (setup.instances, setup.proxies) = (self.instances, self.proxies);
        setup.approve_after = self.approve_after.0;
        let outcome = simulate(setup, &mut Nobody).map_err(|error| Failure::News {
            what: error.to_string(),
            hint: "`tidegate validate` lists the documents in a file".to_owned(),
        })?;
        let Outcome {
            timeline, report, ..
        } = &outcome;
        let is_good = report.is_good();
        let said = json!({ "asExpected": is_good, "report": report, "timeline": timeline });
        context.output.show(&said, |_| text(timeline, report))?;
        Ok(if is_good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// For people: what happened, then what it came to.
fn text(timeline: &[Line], report: &Report) -> String {
    let mut text = String::new();
    for line in timeline {
        let _ = writeln!(text, "{:>10}  {}", clock(line.at), line.what);
    }
    for rollout in &report.rollouts {
        let _ = write!(text, "\n{}", of_rollout(rollout));
    }
    let faults = match report.faults.as_slice() {
        [] => "no faults".to_owned(),
        some => some.join(", "),
    };
    let _ = writeln!(
        text,
        "\n{} requests in {} of virtual time through {} proxies; {} failed",
        report.requests,
        span(report.duration_s),
        report.proxies,
        report.failed
    );
    for (why, count) in &report.failed_by {
        let _ = writeln!(text, "  {count:>6}  {why}");
    }
    if let (Some(p50), Some(max)) = (report.ack_ms_p50, report.ack_ms_max) {
        let _ = writeln!(
            text,
            "from publish to the last ACK: p50 {p50} ms, max {max} ms"
        );
    }
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    let _ = write!(text, "seed {}, {faults}", report.seed);
    text
}

fn of_rollout(rollout: &RolloutReport) -> String {
    let mut text = String::new();
    let from = rollout
        .from
        .as_ref()
        .map_or("?", |version| version.as_str());
    let (name, service, to) = (&rollout.name, &rollout.service, &rollout.to);
    let took = rollout.duration_s.map(|s| format!(" in {}", span(s)));
    let _ = writeln!(
        text,
        "{name}: {service} {from} → {to}: {}{}, {} of {} instances replaced",
        rollout.phase,
        took.unwrap_or_default(),
        rollout.done,
        rollout.total
    );
    if let Some(min) = rollout.min_ready {
        let total = rollout.total;
        let _ = writeln!(text, "  lowest ready capacity: {min} of {total} instances");
    }
    let proven = rollout.drained.iter().filter(|drained| drained.proven);
    let proven = proven.count();
    let longest = rollout.drained.iter().map(|drained| drained.took_s);
    if let Some(longest) = longest.reduce(f64::max) {
        let _ = writeln!(
            text,
            "  drains: {proven} proven, {} unproven; the longest took {}",
            rollout.drained.len() - proven,
            span(longest)
        );
    }
    let unproven = rollout.drained.iter().filter(|drained| !drained.proven);
    for drained in unproven.take(UNPROVEN_SHOWN_MAX) {
        let missing = drained.missing.join("; ");
        let _ = writeln!(text, "    {} UNPROVEN: {missing}", drained.instance);
    }
    for wait in &rollout.waits {
        let _ = writeln!(text, "  waits: {wait}");
    }
    text
}

/// Unproven drains that are named one by one.
const UNPROVEN_SHOWN_MAX: usize = 10;

/// `02:03.4`, `1:02:03.4`.
fn clock(at: Span) -> String {
    let (seconds, tenths) = (at.duration().as_secs(), at.duration().subsec_millis() / 100);
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes:02}:{rest:02}.{tenths}"),
        _ => format!("{hours}:{minutes:02}:{rest:02}.{tenths}"),
    }
}

fn span(seconds: f64) -> String {
    Span::from(std::time::Duration::from_secs_f64(seconds)).to_string()
}

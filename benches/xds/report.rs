//! What a run found: JSON for programs, tables for people.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::end_to_end::{EndToEnd, Fleet};
use crate::pilot::Pilot;
use crate::push::{Row, Shape};
use crate::storm::Storm;
use crate::targets::Target;
use crate::world::Change;

/// Everything that a run found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Results {
    /// What was left out, and why.
    pub(crate) skipped: Vec<String>,
    pub(crate) push: Vec<Row>,
    pub(crate) storms: Vec<Storm>,
    pub(crate) end_to_end: Vec<EndToEnd>,
    pub(crate) targets: Vec<Target>,
}

impl Row {
    /// Which measurement it is, but for the server.
    pub(crate) fn name(&self) -> String {
        self.shape.name()
    }
}

impl Shape {
    /// Which measurement it is, but for the server.
    pub(crate) fn name(&self) -> String {
        let shape = self;
        let what = match shape.change {
            Change::Route => "RDS weight".to_owned(),
            Change::Leds => format!("LEDS 1 of {}", shape.endpoints),
            Change::Large => "EDS 1 MB".to_owned(),
            Change::Endpoint if shape.clusters > 1 => {
                format!("EDS {} of {} clusters", shape.endpoints, shape.clusters)
            }
            Change::Endpoint => format!("EDS {}", shape.endpoints),
        };
        let mut name = format!("{what}, {} streams", shape.streams);
        let mut add = |is_so: bool, word: &str| {
            if is_so {
                name.push_str(", ");
                name.push_str(word);
            }
        };
        add(shape.tls, "mTLS");
        add(shape.protocol == "sotw", "SotW");
        add(shape.manners != "prompt", shape.manners);
        name
    }
}

impl Fleet {
    /// Which measurement it is.
    pub(crate) fn name(self) -> String {
        format!(
            "end to end, {} × {} instances, {} proxies",
            self.services, self.instances, self.proxies
        )
    }
}

impl Results {
    /// The tables.
    pub(crate) fn print(&self) {
        let mut push = table(&[
            "change",
            "server",
            "CPU µs",
            "± of rounds",
            "p50 ms",
            "p99",
            "p99.9",
            "all",
            "bytes",
            "idle KiB",
            "pushed",
            "peak + MiB",
            "left MiB",
            "load busy",
        ]);
        for row in &self.push {
            push.add_row([
                row.name(),
                row.shape.who.word().to_owned(),
                format!("{:.1}", row.cpu_us),
                format!("{:.1}–{:.1}", row.cpu_us_min, row.cpu_us_max),
                format!("{:.1}", row.p50_ms),
                format!("{:.1}", row.p99_ms),
                format!("{:.1}", row.p999_ms),
                format!("{:.1}", row.all_ms),
                format!("{:.0}", row.push_bytes),
                format!("{:.1}", row.idle_kib),
                format!("{:.1}", row.pushed_kib),
                format!("{:.1}", row.peak_added_mib),
                format!("{:.0}", row.left_mib),
                format!("{:.0} %", row.load_busy * 100.0),
            ]);
        }
        eprintln!("\nOne change to every proxy, acknowledged by each\n{push}");

        if !self.storms.is_empty() {
            let mut storms = table(&[
                "proxies",
                "server",
                "mTLS",
                "all back ms",
                "CPU µs per stream",
                "peak KiB per stream",
                "resources sent",
                "next change ms",
            ]);
            for storm in &self.storms {
                storms.add_row([
                    storm.streams.to_string(),
                    storm.who.word().to_owned(),
                    if storm.tls { "yes" } else { "no" }.to_owned(),
                    format!("{:.0}", storm.back_ms),
                    format!("{:.0}", storm.cpu_us),
                    format!("{:.1}", storm.peak_kib),
                    storm.resources.to_string(),
                    format!("{:.1}", storm.next_change_ms),
                ]);
            }
            eprintln!("\nA restart with unchanged configuration\n{storms}");
        }

        if !self.end_to_end.is_empty() {
            let mut rows = table(&[
                "fleet",
                "who",
                "first sync ms",
                "CPU µs per proxy",
                "bytes",
                "edit to last ACK ms",
                "slowest",
                "CPU µs per proxy",
                "bytes",
                "KiB per stream",
            ]);
            for row in &self.end_to_end {
                rows.add_row([
                    row.fleet.name(),
                    "tidegate".to_owned(),
                    format!("{:.0}", row.sync_ms),
                    format!("{:.0}", row.sync_cpu_us),
                    format!("{:.0}", row.sync_bytes),
                    format!("{:.1}", row.edit_ms),
                    format!("{:.1}", row.edit_max_ms),
                    format!("{:.1}", row.edit_cpu_us),
                    format!("{:.0}", row.edit_bytes),
                    format!("{:.1}", row.pushed_kib),
                ]);
                let pilot = Pilot::of(row.fleet);
                let shown = |value: Option<f64>| value.map_or("–".into(), |v| format!("{v:.0}"));
                rows.add_row([
                    row.fleet.name(),
                    "Istio's pilot*".to_owned(),
                    shown(pilot.sync_ms),
                    shown(pilot.sync_cpu_us),
                    String::new(),
                    shown(pilot.edit_ms),
                    String::new(),
                    shown(pilot.edit_cpu_us),
                    String::new(),
                    String::new(),
                ]);
            }
            eprintln!("\nA directory of documents, and a route in it edited\n{rows}");
            eprintln!("* measured elsewhere, see docs/benchmarks.md; not in this run");
        }

        let mut targets = table(&["target", "value", "at most", ""]);
        for target in &self.targets {
            targets.add_row([
                target.what.clone(),
                significant(target.value),
                significant(target.limit),
                if target.is_met { "ok" } else { "missed" }.to_owned(),
            ]);
        }
        eprintln!("\nTargets\n{targets}");
        for skipped in &self.skipped {
            eprintln!("left out: {skipped}");
        }
    }
}

/// Small shares with their first digits.
fn significant(value: f64) -> String {
    if value > 0.0 && value < 0.01 {
        format!("{value:.5}")
    } else {
        format!("{value:.2}")
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

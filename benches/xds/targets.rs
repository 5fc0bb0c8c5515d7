//! What the numbers have to be, each judged by rows of the same run.

use serde::Serialize;

use crate::pilot::Pilot;
use crate::push::{Row, Who};
use crate::report::Results;
use crate::world::Change;

/// One target and what came out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) value: f64,
    /// The value may be at most this.
    pub(crate) limit: f64,
    pub(crate) is_met: bool,
}

impl Target {
    fn new(what: impl Into<String>, value: f64, limit: f64) -> Self {
        Self {
            what: what.into(),
            value,
            limit,
            is_met: value <= limit,
        }
    }
}

/// Plain rows that were measured for Tidegate and another.
fn pairs(results: &Results, other: Who) -> impl Iterator<Item = (&Row, &Row)> {
    let is_pair = move |ours: &&Row, theirs: &Row| {
        let (a, b) = (&ours.shape, &theirs.shape);
        b.who == other
            && a.change == b.change
            && (a.clusters, a.endpoints, a.streams) == (b.clusters, b.endpoints, b.streams)
            && (a.protocol, a.manners, a.tls) == (b.protocol, b.manners, b.tls)
    };
    let rows = results.push.iter();
    rows.filter(|row| row.shape.who == Who::Tidegate)
        .filter_map(move |ours| {
            let theirs = results.push.iter().find(|theirs| is_pair(&ours, theirs))?;
            Some((ours, theirs))
        })
}

/// Every target that the results can judge.
pub(crate) fn judge(results: &Results) -> Vec<Target> {
    let mut targets = Vec::new();
    against_the_floor(results, &mut targets);
    against_go(results, &mut targets);
    one_by_one(results, &mut targets);
    by_itself(results, &mut targets);
    against_pilot(results, &mut targets);
    targets
}

fn against_the_floor(results: &Results, targets: &mut Vec<Target>) {
    const CPU_OF_FLOOR: f64 = 1.15;
    for (ours, floor) in pairs(results, Who::TonicShared) {
        let name = ours.name();
        targets.push(Target::new(
            format!("{name}: CPU per push+ACK, of the tonic floor's"),
            ours.cpu_us / floor.cpu_us,
            CPU_OF_FLOOR,
        ));
        targets.push(Target::new(
            format!("{name}: KiB per idle stream, of the tonic floor's"),
            ours.idle_kib / floor.idle_kib,
            1.0,
        ));
    }
}

fn against_go(results: &Results, targets: &mut Vec<Target>) {
    const CPU_OF_LINEAR: f64 = 0.55;
    const RSS_OF_LINEAR: f64 = 0.45;
    /// The most endpoints at which those hold; beyond, the message is all.
    const ENDPOINTS_OF_LINEAR: usize = 1_000;
    const KIB_AT_10_000: f64 = 60.0;
    for (ours, linear) in pairs(results, Who::GoLinear) {
        let name = ours.name();
        if ours.shape.streams == 1_000 && ours.shape.endpoints <= ENDPOINTS_OF_LINEAR {
            let cpu = ours.cpu_us / linear.cpu_us;
            let what = format!("{name}: CPU per push+ACK, of go-control-plane's linear cache's");
            targets.push(Target::new(what, cpu, CPU_OF_LINEAR));
            let rss = ours.pushed_kib / linear.pushed_kib;
            let what = format!("{name}: RSS after pushes, of go-control-plane's linear cache's");
            targets.push(Target::new(what, rss, RSS_OF_LINEAR));
        }
        if ours.shape.endpoints == 10_000 {
            let what = format!("{name}: KiB per stream after pushes");
            targets.push(Target::new(what, ours.pushed_kib, KIB_AT_10_000));
        }
    }
    for (ours, snapshot) in pairs(results, Who::GoSnapshot) {
        let limit = match ours.shape.endpoints {
            1_000 => 1.0 / 8.0,
            10_000 => 1.0 / 20.0,
            _ => continue,
        };
        let what = format!(
            "{}: CPU per push+ACK, of go-control-plane's snapshot cache's",
            ours.name()
        );
        targets.push(Target::new(what, ours.cpu_us / snapshot.cpu_us, limit));
    }
}

/// One endpoint by LEDS beside go-control-plane, which sends the whole assignment.
fn one_by_one(results: &Results, targets: &mut Vec<Target>) {
    const ENDPOINTS: usize = 10_000;
    const CPU_OF_LINEAR: f64 = 1.0 / 4.0;
    const CPU_OF_SNAPSHOT: f64 = 1.0 / 100.0;
    const BYTES: f64 = 1.0 / 1_000.0;
    let find = |who: Who, change: Change| {
        let mut rows = results.push.iter();
        rows.find(|row| {
            let shape = &row.shape;
            (shape.who, shape.change, shape.endpoints) == (who, change, ENDPOINTS)
        })
    };
    let Some(ours) = find(Who::Tidegate, Change::Leds) else {
        return;
    };
    for (who, cpu) in [
        (Who::GoLinear, CPU_OF_LINEAR),
        (Who::GoSnapshot, CPU_OF_SNAPSHOT),
    ] {
        if let Some(theirs) = find(who, Change::Endpoint) {
            let name = format!("{}: of {}'s whole EDS", ours.name(), who.word());
            let what = format!("{name}, CPU per push+ACK");
            targets.push(Target::new(what, ours.cpu_us / theirs.cpu_us, cpu));
            let what = format!("{name}, bytes");
            targets.push(Target::new(
                what,
                ours.push_bytes / theirs.push_bytes,
                BYTES,
            ));
        }
    }
}

fn by_itself(results: &Results, targets: &mut Vec<Target>) {
    const IDLE_KIB: f64 = 25.0;
    const LARGE_MIB: f64 = 40.0;
    const STALLED_P99: f64 = 1.05;
    /// What 100 times the clusters may add to the cost of a change.
    const CLUSTERS_COST: f64 = 1.2;
    let ours = |fits: &dyn Fn(&Row) -> bool| {
        let mut rows = results.push.iter();
        rows.find(|row| row.shape.who == Who::Tidegate && fits(row))
    };
    let is_plain = |row: &Row| {
        let shape = &row.shape;
        shape.streams == 1_000
            && (shape.endpoints, shape.clusters, shape.tls) == (10, 1, false)
            && shape.protocol == "delta"
            && shape.change == Change::Endpoint
    };
    let prompt = ours(&|row| is_plain(row) && row.shape.manners == "prompt");
    if let Some(prompt) = prompt {
        let what = format!("{}: KiB per idle stream", prompt.name());
        targets.push(Target::new(what, prompt.idle_kib, IDLE_KIB));
    }
    if let Some(large) = ours(&|row| row.shape.change == Change::Large) {
        let what = format!("{}: MiB that it adds", large.name());
        targets.push(Target::new(what, large.peak_added_mib, LARGE_MIB));
    }
    let stalled = ours(&|row| is_plain(row) && row.shape.manners == "stalled");
    if let (Some(prompt), Some(stalled)) = (prompt, stalled) {
        let what = format!("{}: p99 of the others, of that without", stalled.name());
        targets.push(Target::new(
            what,
            stalled.p99_ms / prompt.p99_ms,
            STALLED_P99,
        ));
    }
    let with = |clusters: usize| ours(&move |row| row.shape.clusters == clusters);
    if let (Some(few), Some(many)) = (with(100), with(10_000)) {
        let what = format!("{}: CPU of that of 100 clusters", many.name());
        targets.push(Target::new(what, many.cpu_us / few.cpu_us, CLUSTERS_COST));
    }
    for storm in results
        .storms
        .iter()
        .filter(|storm| storm.who == Who::Tidegate)
    {
        let what = format!(
            "restart, {} proxies{}: resources that they are sent again",
            storm.streams,
            if storm.tls { ", mTLS" } else { "" }
        );
        targets.push(Target::new(what, storm.resources as f64, 0.0));
    }
}

/// Istio's pilot was measured elsewhere, so its share is an indication and no more.
fn against_pilot(results: &Results, targets: &mut Vec<Target>) {
    const SYNC_CPU: f64 = 1.0 / 10.0;
    const SYNC_INSTANCES: usize = 1_000;
    const EDIT_TIME: f64 = 1.0 / 5.0;
    const EDIT_CPU_ONE: f64 = 1.0 / 8.0;
    const EDIT_CPU_MANY: f64 = 1.0 / 20.0;
    for row in &results.end_to_end {
        let pilot = Pilot::of(row.fleet);
        let name = row.fleet.name();
        let edit_cpu = match row.fleet.services {
            1 => EDIT_CPU_ONE,
            _ => EDIT_CPU_MANY,
        };
        // The others are said beside, and are no targets.
        let sync_cpu = pilot
            .sync_cpu_us
            .filter(|_| row.fleet.instances == SYNC_INSTANCES);
        for (what, ours, theirs, limit) in [
            (
                "CPU of an edit",
                row.edit_cpu_us,
                pilot.edit_cpu_us,
                edit_cpu,
            ),
            (
                "edit to the last ACK",
                row.edit_ms,
                pilot.edit_ms,
                EDIT_TIME,
            ),
            ("CPU of the first sync", row.sync_cpu_us, sync_cpu, SYNC_CPU),
        ] {
            if let Some(theirs) = theirs {
                let what = format!("{name}: {what}, of the pilot's quoted");
                targets.push(Target::new(what, ours / theirs, limit));
            }
        }
    }
}

//! `make bench-engine`: what a rollout costs the engine, from a hundred instances to ten thousand.
//!
//! Each row plays one rolling rollout of `tidegate sim` in batches of a fiftieth of the fleet, ten proxies before it, and
//! says how much processor time that took: the engine's with the simulation's. Without quadratic cost an instance costs
//! as much in a large fleet as in a small one. Prints a table for people and, at the end, one JSON object; fails when a
//! goal is missed.

#[path = "../../tests/engine/sample.rs"]
#[expect(dead_code, reason = "it is made for the tests of the engine")]
mod sample;

use serde::Serialize;
use tidegate::domain::Rollout;
use tidegate::engine::Phase;
use tidegate::sim::{Nobody, Setup, simulate};

/// So many instances, in the rows.
const FLEETS: [u32; 5] = [100, 300, 1_000, 2_000, 10_000];
const PROXIES: u32 = 10;
/// A batch is such a part of the fleet.
const BATCHES: u32 = 50;

/// A rollout of so many instances is to take less processor time than this.
const GOAL: (u32, f64) = (2_000, 10.0);
/// From one row to the next an instance may cost so much more for each time that the fleet is larger.
const GROWTH_MAX: f64 = 0.5;

#[derive(Debug, Serialize)]
struct Row {
    instances: u32,
    cpu_s: f64,
    /// Of each instance that is replaced.
    per_instance_ms: f64,
    virtual_s: f64,
    /// How the cost of an instance grows with the fleet since the row before: 0 is not at all, 1 is quadratic in all.
    growth: Option<f64>,
}

fn main() {
    println!(
        "{:>10} {:>10} {:>16} {:>12} {:>8}",
        "instances", "CPU", "per instance", "virtual", "growth"
    );
    let mut rows: Vec<Row> = Vec::new();
    for instances in FLEETS {
        let row = play(instances, rows.last());
        let growth = row.growth.map_or("–".to_owned(), |it| format!("{it:.2}"));
        println!(
            "{:>10} {:>8.2} s {:>13.3} ms {:>10.0} s {:>8}",
            row.instances, row.cpu_s, row.per_instance_ms, row.virtual_s, growth
        );
        rows.push(row);
    }
    let fast = rows
        .iter()
        .filter(|row| row.instances == GOAL.0)
        .all(|row| row.cpu_s < GOAL.1);
    let linear = rows
        .iter()
        .filter_map(|row| row.growth)
        .all(|growth| growth <= GROWTH_MAX);
    let said = |held| if held { "held" } else { "MISSED" };
    println!(
        "\n{} instances in less than {} s: {}",
        GOAL.0,
        GOAL.1,
        said(fast)
    );
    println!(
        "growth of at most {GROWTH_MAX} everywhere: {}",
        said(linear)
    );
    let all =
        serde_json::json!({ "rows": rows, "proxies": PROXIES, "fast": fast, "linear": linear });
    println!("\n{all}");
    std::process::exit(i32::from(!(fast && linear)));
}

fn play(instances: u32, before: Option<&Row>) -> Row {
    let mut documents = sample::documents(sample::service());
    let batch = (instances / BATCHES).max(1);
    let next = Rollout {
        strategy: sample::rolling(batch, batch, 0),
        ..sample::rollout("next", "v2")
    };
    documents.rollouts.insert(next.name.clone(), next);
    let mut setup = Setup::new(documents);
    (setup.instances, setup.proxies, setup.seed) = (instances, PROXIES, 1);
    setup.rps = instances * 10;
    let began = cpu_s();
    let outcome = simulate(setup, &mut Nobody).expect("it can be played");
    let cpu_s = cpu_s() - began;
    let report = &outcome.report;
    assert_eq!(report.phase, Some(Phase::Done), "{report:?}");
    let per_instance_ms = cpu_s * 1e3 / f64::from(instances);
    let growth = before.map(|before| {
        let larger = f64::from(instances) / f64::from(before.instances);
        (per_instance_ms / before.per_instance_ms).ln() / larger.ln()
    });
    Row {
        instances,
        cpu_s,
        per_instance_ms,
        virtual_s: report.duration_s,
        growth,
    }
}

/// The processor time of this thread, as the kernel counts it.
#[expect(
    clippy::disallowed_methods,
    reason = "without the file it reads 0, and no error is told"
)]
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds: u64 = stat
        .split(' ')
        .next()
        .and_then(|it| it.parse().ok())
        .unwrap_or(0);
    nanoseconds as f64 / 1e9
}

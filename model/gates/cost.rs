//! What a second costs where much is rolled at once.

use std::time::Instant;

use serde::Serialize;
use tidegate::domain::{Check, Codes, Gate, InstanceId};
use tidegate::gates::{Answers, Baseline, Counts, Histogram, Period, Trial};

use crate::traffic::EDGES;

/// What a tick is to cost at most.
pub const GOAL_MS: f64 = 10.0;
const VERSIONS: usize = 100;
const INSTANCES: usize = 1_000;
const TICKS: u64 = 41;

#[derive(Debug, Serialize)]
pub struct Cost {
    pub versions: usize,
    pub instances: usize,
    pub thresholds: usize,
    pub median_ms: f64,
    pub held: bool,
}

/// One trial for each version, each with as many instances, all of which answer in each second.
pub fn measure() -> Cost {
    let answers = |all: u64| {
        let mut counts = vec![0; EDGES.len() + 1];
        (0..all).for_each(|number| counts[number as usize % 30] += 1);
        Answers {
            total: all,
            http: [(200, all - 1), (503, 1)].into(),
            times: Histogram::new(EDGES.to_vec(), counts).expect("a histogram"),
            ..Answers::default()
        }
    };
    let mut baseline = Baseline::default();
    for _ in 0..60 {
        baseline.hear(&answers(10_000), &[Codes::default()]);
    }
    let mut gate = Gate::built_in("no-worse".parse().expect("a name"));
    for check in &mut gate.checks {
        if let Check::Latency {
            quantiles,
            slower_than,
            ..
        } = check
        {
            *quantiles = vec![0.5, 0.9, 0.95, 0.99];
            *slower_than = Some(tidegate::domain::Span::secs(1));
        }
    }
    let ids: Vec<InstanceId> = (0..INSTANCES)
        .map(|number| format!("new-{number}").parse().expect("an id"))
        .collect();
    let mut trials: Vec<Trial> = (0..VERSIONS)
        .map(|_| Trial::new(&gate, &baseline))
        .collect();
    let mut ticks: Vec<f64> = (0..TICKS)
        .map(|second| {
            let instances = ids.iter().enumerate();
            // One in a thousand fails.
            let instances = instances.map(|(number, id)| {
                let failed = u64::from(number as u64 % 97 == second % 97);
                (id.clone(), Counts::new(10, failed))
            });
            let period = Period {
                new: answers(10_000),
                stable: answers(10_000),
                instances: instances.collect(),
                stable_attempts: Counts::new(10_000, 1),
            };
            let periods = [period];
            #[expect(clippy::disallowed_methods, reason = "a measurement")]
            let begins = Instant::now();
            for trial in &mut trials {
                trial.hear(second, &periods, &baseline);
                std::hint::black_box(trial.alarm());
            }
            begins.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    ticks.sort_by(f64::total_cmp);
    let median_ms = ticks[ticks.len() / 2];
    let thresholds = trials[0]
        .checks()
        .iter()
        .map(|check| match check {
            tidegate::gates::Check::Latency(it) => it.slowness.thresholds().len(),
            _ => 0,
        })
        .sum();
    Cost {
        versions: VERSIONS,
        instances: INSTANCES,
        thresholds,
        median_ms,
        held: median_ms < GOAL_MS,
    }
}

//! What the stable version is like, from before a rollout: what a trial goes by that must be fixed beforehand.
//!
//! In go its answers second by second; out come how bursty its errors and its slow requests are, and how long
//! requests took in the last ten minutes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Answers, Counts, Dispersion, Histogram};
use crate::domain::Codes;

/// Times are kept by minutes, for so many of them.
const MINUTES: usize = 10;

/// Kinds of failures that are told apart; more are not heard of.
const KINDS_MAX: usize = 16;

/// Seconds in a minute, as they are heard: one that brings nothing is one, too.
const MINUTE: u32 = 60;

/// The share of requests that failed is over about so many seconds.
const RATE_SECONDS: f64 = 600.0;

/// A version as it was seen so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// For each kind of failure that some gate looks at.
    errors: Vec<(Codes, Kind)>,
    /// For each edge of the histograms, in milliseconds.
    slow: Vec<(f64, Dispersion)>,
    /// The newest last, with how many seconds it has.
    minutes: VecDeque<(u32, Histogram)>,
}

/// A kind of failure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Kind {
    dispersion: Dispersion,
    requests: f64,
    bad: f64,
}

impl Kind {
    fn hear(&mut self, counts: Counts) {
        self.dispersion.hear(counts);
        let fades = 1.0 - 1.0 / RATE_SECONDS;
        self.requests = self.requests * fades + counts.requests as f64;
        self.bad = self.bad * fades + counts.bad as f64;
    }
}

impl Baseline {
    /// Takes in what the stable version answered in a second, over all regions, with the kinds of failures that
    /// somebody may ask for.
    pub fn hear(&mut self, answers: &Answers, kinds: &[Codes]) {
        self.errors.retain(|(codes, _)| kinds.contains(codes));
        for codes in kinds.iter().take(KINDS_MAX) {
            if !self.errors.iter().any(|(known, _)| known == codes) {
                self.errors.push((codes.clone(), Kind::default()));
            }
        }
        for (codes, kind) in &mut self.errors {
            kind.hear(answers.failures(codes));
        }
        self.hear_times(&answers.times);
    }

    fn hear_times(&mut self, times: &Histogram) {
        if times.total() > 0 {
            let edges = times.edges();
            let is_same = self.slow.iter().map(|(edge, _)| edge).eq(edges);
            if !is_same {
                self.slow = edges
                    .iter()
                    .map(|edge| (*edge, Dispersion::default()))
                    .collect();
                self.minutes.clear();
            }
            let (all, mut above) = (times.total(), times.total());
            for ((_, dispersion), count) in self.slow.iter_mut().zip(times.counts()) {
                above -= count;
                dispersion.hear(Counts::new(all, above));
            }
        }
        match self.minutes.back_mut() {
            Some((seconds, sum)) if *seconds < MINUTE => {
                *seconds += 1;
                sum.add(times);
            }
            _ => self.minutes.push_back((1, times.clone())),
        }
        if self.minutes.len() > MINUTES {
            self.minutes.pop_front();
        }
    }

    /// φ of failures of a kind; what is assumed where that kind was never heard of.
    pub fn dispersion(&self, codes: &Codes) -> f64 {
        let known = self.errors.iter().find(|(known, _)| known == codes);
        known
            .map_or_else(Dispersion::default, |(_, kind)| kind.dispersion.clone())
            .factor()
    }

    /// φ of requests that are slower than an edge.
    pub fn dispersion_over(&self, edge_ms: f64) -> f64 {
        let known = self
            .slow
            .iter()
            .find(|(edge, _)| edge.total_cmp(&edge_ms).is_eq());
        known
            .map_or_else(Dispersion::default, |(_, dispersion)| dispersion.clone())
            .factor()
    }

    /// The share of requests that failed of late; `None` without requests.
    pub fn rate(&self, codes: &Codes) -> Option<f64> {
        let (_, kind) = self.errors.iter().find(|(known, _)| known == codes)?;
        (kind.requests >= 1.0).then(|| kind.bad / kind.requests)
    }

    /// How long requests took in the last ten minutes.
    pub fn times(&self) -> Histogram {
        let mut sum = Histogram::default();
        for (_, minute) in &self.minutes {
            sum.add(minute);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(failed: u64, slow: u64) -> Answers {
        Answers {
            total: 100,
            http: [(200, 100 - failed), (503, failed)].into(),
            times: Histogram::new(vec![10.0, 100.0], vec![50, 50 - slow, slow]).unwrap(),
            ..Answers::default()
        }
    }

    #[test]
    fn the_last_ten_minutes_are_known() {
        let mut baseline = Baseline::default();
        let kinds = [Codes::default()];
        assert_eq!(baseline.times().total(), 0);
        for at in 0..3_600 {
            baseline.hear(&second(1, if at < 2_000 { 50 } else { 0 }), &kinds);
        }
        let times = baseline.times();
        assert_eq!((times.total() / 100).clamp(540, 600), times.total() / 100);
        assert_eq!(times.above(100.0), Some(0));
        assert!((baseline.rate(&kinds[0]).unwrap() - 0.01).abs() < 1e-6);
        assert_eq!(
            baseline.rate(&Codes {
                http: Vec::new(),
                grpc: Vec::new()
            }),
            None
        );
    }

    #[test]
    fn each_kind_and_each_edge_has_its_own_bursts() {
        let mut baseline = Baseline::default();
        let kinds = [
            Codes::default(),
            Codes {
                http: vec!["429".parse().unwrap()],
                grpc: Vec::new(),
            },
        ];
        for at in 0..3_600 {
            let in_burst = at % 10 == 0;
            baseline.hear(&second(if in_burst { 8 } else { 0 }, 2), &kinds);
        }
        assert!(baseline.dispersion(&kinds[0]) > 4.0);
        let unseen = baseline.dispersion(&kinds[1]);
        assert!((unseen - 2.0).abs() < 1e-9, "nothing was seen of it");
        assert!(baseline.dispersion_over(100.0) < 1.5);
        let unknown = baseline.dispersion_over(55.0);
        assert!((unknown - 2.0).abs() < 1e-9, "no such edge");
    }
}

//! What a version answered in a period: by code, and how long it took.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Counts, Histogram};
use crate::domain::Codes;

/// Answers of one version to requests of one region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// All requests that were answered.
    pub total: u64,
    /// HTTP answers by status code.
    pub http: BTreeMap<u16, u64>,
    /// gRPC answers by status.
    pub grpc: BTreeMap<u16, u64>,
    /// Cut off after the answer had begun; each is among the codes, too.
    pub cut: u64,
    /// How long they took.
    pub times: Histogram,
}

impl Answers {
    /// All of them, and those that are failures. A gRPC call that fails has an HTTP answer, too, which may be fine or
    /// not; so the larger number counts, and not the sum.
    pub fn failures(&self, codes: &Codes) -> Counts {
        let http = self.http.iter().filter(|(code, _)| codes.has_http(**code));
        let http = http.map(|(_, count)| count).sum::<u64>();
        let grpc = self
            .grpc
            .iter()
            .filter(|(status, _)| codes.has_grpc(**status));
        let grpc = grpc.map(|(_, count)| count).sum::<u64>();
        Counts::new(self.total, http.saturating_add(self.cut).max(grpc))
    }

    /// All whose time is known, and those that took longer than an edge; `None` if that is no edge here.
    pub fn slower(&self, edge_ms: f64) -> Option<Counts> {
        Some(Counts::new(self.times.total(), self.times.above(edge_ms)?))
    }

    /// Adds others. Times with other edges cannot be added and are left out.
    pub fn add(&mut self, others: &Self) {
        self.total = self.total.saturating_add(others.total);
        self.cut = self.cut.saturating_add(others.cut);
        for (own, more) in [
            (&mut self.http, &others.http),
            (&mut self.grpc, &others.grpc),
        ] {
            for (code, count) in more {
                let sum = own.entry(*code).or_default();
                *sum = sum.saturating_add(*count);
            }
        }
        self.times.add(&others.times);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_what_the_codes_say() {
        let answers = Answers {
            total: 100,
            http: [(200, 90), (429, 4), (503, 6)].into(),
            grpc: [(0, 80), (14, 12)].into(),
            cut: 1,
            times: Histogram::default(),
        };
        let usual = Codes::default();
        assert_eq!(
            answers.failures(&usual),
            Counts::new(100, 12),
            "as gRPC has it"
        );
        let http = Answers {
            grpc: BTreeMap::new(),
            ..answers.clone()
        };
        assert_eq!(http.failures(&usual), Counts::new(100, 7));
        let too_many = Codes {
            http: vec!["429".parse().unwrap()],
            grpc: Vec::new(),
        };
        assert_eq!(http.failures(&too_many), Counts::new(100, 5));
        let mut sum = http.clone();
        sum.add(&http);
        assert_eq!(sum.failures(&usual), Counts::new(200, 14));
    }
}

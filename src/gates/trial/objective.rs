//! The check of what was promised to users: how fast the errors that are allowed get used up.

use serde::{Deserialize, Serialize};

use super::{Finding, Stands, percent, share};
use crate::domain::{Burn, Codes, InTime};
use crate::gates::{Answers, Budget, Counts, InsideBound};

/// An objective, or two: so many requests without a failure, and so many in time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    promises: Vec<Promise>,
}

/// One promise about the new version, and how the stable one keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Promise {
    of: Of,
    allowed: f64,
    burns: Vec<(Burn, Budget, Budget)>,
    inside: InsideBound,
    new: Counts,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Of {
    Failures(Codes),
    Slow { within_ms: f64 },
}

impl Objective {
    pub(super) fn new(
        availability: Option<f64>,
        codes: Codes,
        latency: Option<InTime>,
        burn: Vec<Burn>,
    ) -> Self {
        let failures = availability.map(|kept| (Of::Failures(codes), 1.0 - kept));
        let slow = latency.map(|in_time| {
            let within_ms = in_time.within.duration().as_secs_f64() * 1e3;
            (Of::Slow { within_ms }, 1.0 - share(in_time.share))
        });
        let promise = |(of, allowed): (Of, f64)| {
            // Proven is what burns more slowly than the slowest rate that would be too fast.
            let slowest = burn
                .iter()
                .map(|burn| burn.rate)
                .fold(f64::INFINITY, f64::min);
            let budget = |burn: &Burn| Budget::new(allowed, burn.long, burn.short);
            Promise {
                of,
                allowed,
                burns: burn
                    .iter()
                    .map(|burn| (*burn, budget(burn), budget(burn)))
                    .collect(),
                inside: InsideBound::of((allowed * slowest).min(0.5)),
                new: Counts::default(),
            }
        };
        Self {
            promises: failures.into_iter().chain(slow).map(promise).collect(),
        }
    }

    pub(super) fn hear(&mut self, second: u64, new: &Answers, stable: &Answers) {
        for promise in &mut self.promises {
            let counts = |answers: &Answers| match &promise.of {
                Of::Failures(codes) => answers.failures(codes),
                Of::Slow { within_ms } => {
                    let edge = answers.times.edge_near(*within_ms);
                    edge.and_then(|edge| answers.slower(edge))
                        .unwrap_or_default()
                }
            };
            let (new, stable) = (counts(new), counts(stable));
            promise.new += new;
            promise.inside.hear(new);
            for (_, of_new, of_stable) in &mut promise.burns {
                of_new.hear(second, new);
                of_stable.hear(second, stable);
            }
        }
    }

    /// Which promise the new version breaks while the stable one keeps it, in words.
    pub(super) fn missed(&self, needed: f64) -> Option<String> {
        let mut promises = self.promises.iter();
        promises.find_map(|promise| {
            let mut burns = promise.burns.iter();
            burns.find_map(|(burn, new, stable)| {
                let is_over = new.burning().is_over(burn.rate) && new.ln_e() >= needed;
                let is_own = !stable.burning().is_over(burn.rate);
                (is_over && is_own).then(|| promise.burns_at(burn, new))
            })
        })
    }

    pub(super) fn finding(&self, proven: f64, needed: f64) -> Finding {
        if let Some(says) = self.missed(needed) {
            return Finding {
                stands: Stands::Worse,
                says,
            };
        }
        let says = self
            .promises
            .iter()
            .map(Promise::says)
            .collect::<Vec<_>>()
            .join(", ");
        let shared = self.promises.iter().any(Promise::is_broken_by_both);
        let is_proven = !shared
            && self
                .promises
                .iter()
                .all(|promise| promise.inside.ln_e() >= proven);
        let stands = if is_proven {
            Stands::Good
        } else {
            Stands::Unsure
        };
        let says = if shared {
            format!("{says}; the stable version burns as fast")
        } else {
            says
        };
        Finding { stands, says }
    }
}

impl Promise {
    fn what(&self) -> &'static str {
        match self.of {
            Of::Failures(_) => "failed",
            Of::Slow { .. } => "slow",
        }
    }

    fn burns_at(&self, burn: &Burn, budget: &Budget) -> String {
        let burning = budget.burning();
        let (long, what, allowed) = (burning.long, self.what(), percent(self.allowed));
        format!("{what} requests use up the allowed {allowed} {long:.1} times too fast ({burn})")
    }

    fn says(&self) -> String {
        let Counts { requests, .. } = self.new;
        if requests == 0 {
            return "no requests to the new version".to_owned();
        }
        let (rate, allowed) = (percent(self.new.rate()), percent(self.allowed));
        format!(
            "{rate} of {requests} requests {}, {allowed} allowed",
            self.what()
        )
    }

    fn is_broken_by_both(&self) -> bool {
        let mut burns = self.burns.iter();
        burns.any(|(burn, new, stable)| {
            new.burning().is_over(burn.rate) && stable.burning().is_over(burn.rate)
        })
    }
}

//! Who decides: the gate, and re-creations of what others do, from their documentation and code.

use tidegate::domain::{Check, Gate};
use tidegate::gates::{Answers, Baseline, Period, Telling, Trial};

/// What is decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Worse,
    /// This instance.
    OneBox(String),
}

/// Somebody who looks at each second.
pub trait Policy {
    /// What the stable version answered before the rollout.
    fn before(&mut self, answers: &Answers);
    /// What a second of the rollout brought.
    fn next(&mut self, second: u64, period: &Period) -> Option<Verdict>;
    /// Has it proven the version to be no worse?
    fn is_sure(&self) -> bool {
        false
    }
}

/// The gate of this repository.
pub struct Ours {
    gate: Gate,
    baseline: Baseline,
    trial: Option<Trial>,
}

impl Ours {
    /// The one that judges where nobody names another.
    pub fn built_in() -> Self {
        let name = "no-worse".parse().expect("a name");
        Self::new(Gate::built_in(name))
    }

    /// Errors alone: what policies that look at success rates are compared with.
    pub fn of_errors() -> Self {
        let name = "errors".parse().expect("a name");
        let mut gate = Gate::built_in(name);
        gate.checks
            .retain(|check| matches!(check, Check::Errors { .. }));
        Self::new(gate)
    }

    /// Times, by four quantiles.
    pub fn of_times() -> Self {
        let name = "times".parse().expect("a name");
        let mut gate = Gate::built_in(name);
        gate.checks
            .retain(|check| matches!(check, Check::Latency { .. }));
        if let Some(Check::Latency { quantiles, .. }) = gate.checks.first_mut() {
            *quantiles = vec![0.5, 0.9, 0.95, 0.99];
        }
        Self::new(gate)
    }

    fn new(gate: Gate) -> Self {
        Self {
            gate,
            baseline: Baseline::default(),
            trial: None,
        }
    }
}

impl Policy for Ours {
    fn before(&mut self, answers: &Answers) {
        self.baseline
            .hear(answers, &[tidegate::domain::Codes::default()]);
    }

    fn next(&mut self, second: u64, period: &Period) -> Option<Verdict> {
        let (gate, baseline) = (&self.gate, &self.baseline);
        let trial = self.trial.get_or_insert_with(|| Trial::new(gate, baseline));
        trial.hear(second, std::slice::from_ref(period), &self.baseline);
        match trial.alarm()?.telling {
            Telling::OneBox(suspect) => Some(Verdict::OneBox(suspect.instance.to_string())),
            Telling::Undecided => None,
            Telling::Version | Telling::OnlyOne => Some(Verdict::Worse),
        }
    }

    fn is_sure(&self) -> bool {
        let findings = self.trial.iter().flat_map(Trial::findings).flatten();
        let stands: Vec<_> = findings.map(|it| it.stands).collect();
        !stands.is_empty() && stands.iter().all(|it| *it == tidegate::gates::Stands::Good)
    }
}

/// A success rate that is looked at every so many seconds, over that time.
pub struct Rate {
    every: u64,
    least: f64,
    /// So many bad looks are too many.
    limit: u32,
    /// It is acted on a look later.
    late: bool,
    /// A look without requests is a bad one.
    no_data_fails: bool,
    seen: (u64, u64),
    bad: u32,
}

impl Rate {
    /// Flagger: each minute, at least 99 %, 5 failed checks. Its code looks at the number before the next analysis, so it
    /// acts one interval later; a check without data has failed.
    pub const fn flagger() -> Self {
        Self::new(60, 0.99, 5, true, true)
    }

    /// Flagger as its documentation has it: 10 failed checks.
    pub const fn flagger_docs() -> Self {
        Self::new(60, 0.99, 10, true, true)
    }

    /// Flagger as well as it can be tuned for +1 %: each 10 s, at least 99.5 %.
    pub const fn flagger_tuned() -> Self {
        Self::new(10, 0.995, 5, true, true)
    }

    /// Argo Rollouts as in its documentation: every 5 minutes at least 95 %, the fourth failure is too many.
    pub const fn argo() -> Self {
        Self::new(300, 0.95, 4, false, false)
    }

    /// Argo Rollouts tuned: each minute at least 99.5 %, the first failure is too many.
    pub const fn argo_tuned() -> Self {
        Self::new(60, 0.995, 1, false, false)
    }

    const fn new(every: u64, least: f64, limit: u32, late: bool, no_data_fails: bool) -> Self {
        Self {
            every,
            least,
            limit,
            late,
            no_data_fails,
            seen: (0, 0),
            bad: 0,
        }
    }
}

impl Policy for Rate {
    fn before(&mut self, _: &Answers) {}

    fn next(&mut self, second: u64, period: &Period) -> Option<Verdict> {
        let failures = period.new.failures(&tidegate::domain::Codes::default());
        self.seen = (self.seen.0 + failures.requests, self.seen.1 + failures.bad);
        if !second.is_multiple_of(self.every) {
            return None;
        }
        if self.late && self.bad >= self.limit {
            return Some(Verdict::Worse);
        }
        let (requests, bad) = std::mem::take(&mut self.seen);
        let is_bad = match requests {
            0 => self.no_data_fails,
            _ => 1.0 - bad as f64 / (requests as f64) < self.least,
        };
        self.bad += u32::from(is_bad);
        (!self.late && self.bad >= self.limit).then_some(Verdict::Worse)
    }
}

//! A gate's trial of a new version: all of its checks, fed second by second, and what they say together.
//!
//! In go periods, one for each region; out come an alarm, if there is one, and how each check stands. What the checks
//! compare shares the gate's chance of a false alarm; objectives are held to it each for itself, and never while the
//! stable version misses them, too. What somebody else judges (metrics, webhooks, crashes) is not in here.
//!
//! Everything that a test goes by is fixed before it is looked at: dispersions when the trial begins, thresholds
//! then or, where nothing was known, from what the stable version shows meanwhile.

mod errors;
mod latency;
mod objective;

use serde::{Deserialize, Serialize};

pub use errors::Errors;
pub use latency::Latency;
pub use objective::Objective;

use super::{Answers, Baseline, Counts, Suspect, ln_sum};
use crate::domain::{Check as Declared, Gate, InstanceId};

/// The chance of taking what is bad for proven: the β of a proof.
const UNPROVEN: f64 = 0.05;

/// What one second brought in one region: requests there fell to one version or the other by chance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Period {
    /// What the new version answered.
    pub new: Answers,
    /// What the stable one did.
    pub stable: Answers,
    /// Attempts at each instance of the new version.
    pub instances: Vec<(InstanceId, Counts)>,
    /// Attempts at the stable version's instances together.
    pub stable_attempts: Counts,
}

/// The trial, as far as it has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    false_alarm: f64,
    checks: Vec<Check>,
    /// All requests that were compared.
    new: u64,
    stable: u64,
}

/// A check of the gate, in the order of the gate's checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Check {
    /// Failed requests.
    Errors(Box<Errors>),
    /// Slow requests.
    Latency(Box<Latency>),
    /// What was promised.
    Objective(Box<Objective>),
    /// Judged by somebody else.
    Elsewhere,
}

impl Check {
    /// Do requests come, and nobody tells what this goes by?
    pub fn is_untold(&self) -> bool {
        matches!(self, Self::Latency(latency) if latency.is_untold())
    }

    /// Is what it compares different, and by enough to matter?
    fn matters(&self) -> bool {
        match self {
            Self::Errors(errors) => errors.matters(),
            Self::Latency(latency) => latency.matters(),
            Self::Objective(_) | Self::Elsewhere => false,
        }
    }
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stands {
    /// It cannot tell.
    Unsure,
    /// Proven to be good.
    Good,
    /// The new version is worse.
    Worse,
}

/// How a check stands, and in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How it stands.
    pub stands: Stands,
    /// What was counted, or what is missing.
    pub says: String,
}

/// The new version looks worse.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// What was counted, in words.
    pub says: String,
    /// The version, or one instance of it?
    pub telling: Telling,
}

/// The version, or one instance of it?
#[derive(Clone, Debug, PartialEq)]
pub enum Telling {
    /// The version, whichever instance is left out; or nobody counts by instance.
    Version,
    /// This instance; without it the others are no worse.
    OneBox(Suspect),
    /// There is only one instance, so there is no telling.
    OnlyOne,
    /// Not known yet.
    Undecided,
}

impl Trial {
    /// A trial that has seen nothing yet.
    pub fn new(gate: &Gate, baseline: &Baseline) -> Self {
        let check = |(declared, part): (&Declared, f64)| match declared {
            Declared::Errors {
                no_worse_than,
                min_effect,
                codes,
                ..
            } => {
                let min_effect = share(*min_effect);
                let dispersion = baseline.dispersion(codes);
                let errors =
                    Errors::new(part, *no_worse_than, min_effect, codes.clone(), dispersion);
                Check::Errors(Box::new(errors))
            }
            Declared::Latency {
                quantiles,
                no_worse_than,
                min_effect,
                slower_than,
                ..
            } => {
                let bounds = slower_than.map(|bound| bound.duration().as_secs_f64() * 1e3);
                let bounds = bounds.into_iter().collect();
                let min_effect = share(*min_effect);
                let latency =
                    Latency::new(part, quantiles.clone(), bounds, *no_worse_than, min_effect);
                Check::Latency(Box::new(latency))
            }
            Declared::Slo {
                availability,
                codes,
                latency,
                burn,
            } => {
                let (availability, burn) = (availability.map(share), burn.clone());
                let objective = Objective::new(availability, codes.clone(), *latency, burn);
                Check::Objective(Box::new(objective))
            }
            _ => Check::Elsewhere,
        };
        let mut trial = Self {
            false_alarm: share(gate.false_alarm),
            checks: gate.checks.iter().zip(gate.parts()).map(check).collect(),
            new: 0,
            stable: 0,
        };
        trial.prepare(baseline);
        trial
    }

    /// Fixes thresholds where there are none yet, if the stable version has shown enough.
    fn prepare(&mut self, baseline: &Baseline) {
        let open = self
            .checks
            .iter()
            .any(|check| matches!(check, Check::Latency(it) if !it.is_fixed()));
        if !open {
            return;
        }
        let shown = baseline.times();
        for check in &mut self.checks {
            if let Check::Latency(latency) = check {
                latency.fix(&shown, |edge| baseline.dispersion_over(edge));
            }
        }
    }

    /// Takes in a second: so many after some fixed moment, with what came of it from each region. `baseline` knows the
    /// stable version up to then.
    pub fn hear(&mut self, second: u64, periods: &[Period], baseline: &Baseline) {
        self.prepare(baseline);
        let (mut new, mut stable) = (Answers::default(), Answers::default());
        for period in periods {
            new.add(&period.new);
            stable.add(&period.stable);
            for check in &mut self.checks {
                match check {
                    Check::Errors(errors) => errors.hear(period),
                    Check::Latency(latency) => latency.hear(period),
                    Check::Objective(_) | Check::Elsewhere => {}
                }
            }
        }
        self.new = self.new.saturating_add(new.total);
        self.stable = self.stable.saturating_add(stable.total);
        for check in &mut self.checks {
            if let Check::Objective(objective) = check {
                objective.hear(second, &new, &stable);
            }
        }
    }

    /// From now on only what comes is to prove it: a larger share of the traffic may show what a smaller one did not.
    pub fn prove_anew(&mut self) {
        for check in &mut self.checks {
            match check {
                Check::Errors(errors) => errors.prove_anew(),
                Check::Latency(latency) => latency.prove_anew(),
                Check::Objective(_) | Check::Elsewhere => {}
            }
        }
    }

    /// The natural logarithm of the evidence that the new version is worse, all comparisons together.
    pub fn ln_e(&self) -> f64 {
        let parts = self.checks.iter().filter_map(|check| match check {
            Check::Errors(errors) => Some((errors.part, errors.ln_e())),
            Check::Latency(latency) => Some((latency.part, latency.ln_e())),
            Check::Objective(_) | Check::Elsewhere => None,
        });
        super::average(parts)
    }

    /// What it takes for an alarm: the logarithm of one over the chance of a false one.
    pub fn needed(&self) -> f64 {
        -self.false_alarm.ln()
    }

    /// Requests to the new version and to the stable one that were compared.
    pub const fn compared(&self) -> (u64, u64) {
        (self.new, self.stable)
    }

    /// The checks, in the order of the gate's.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Does the new version look worse?
    pub fn alarm(&self) -> Option<Alarm> {
        let needed = self.needed();
        let missed = self.checks.iter().find_map(|check| match check {
            Check::Objective(objective) => objective.missed(needed),
            _ => None,
        });
        let alarm = |says, telling| Some(Alarm { says, telling });
        if let Some(says) = missed {
            return alarm(says, Telling::Version);
        }
        // A check whose difference does not matter adds nothing; without it the sum is only smaller.
        let material = self.checks.iter().filter_map(|check| match check {
            Check::Errors(errors) if errors.matters() => Some(errors.part.ln() + errors.ln_e()),
            Check::Latency(latency) if latency.matters() => {
                Some(latency.part.ln() + latency.ln_e())
            }
            _ => None,
        });
        if ln_sum(material) >= needed {
            return alarm(self.said_by(Check::matters), self.telling());
        }
        let sick = self.errors().find_map(|errors| errors.sick(needed))?;
        let says = self.said_by(|check| matches!(check, Check::Errors(_)));
        alarm(says, Telling::OneBox(sick))
    }

    fn errors(&self) -> impl Iterator<Item = &Errors> {
        self.checks.iter().filter_map(|check| match check {
            Check::Errors(errors) => Some(&**errors),
            _ => None,
        })
    }

    /// Instances are told apart by their errors. An alarm that errors alone would not raise is the version's.
    fn telling(&self) -> Telling {
        let needed = self.needed();
        let alone = self.errors().filter(|errors| errors.matters());
        let alone = alone.filter(|errors| errors.part.ln() + errors.ln_e() >= needed);
        let tellings: Vec<Telling> = alone.map(|errors| errors.telling(needed)).collect();
        let by_latency = self.checks.iter().any(|check| {
            matches!(check, Check::Latency(it) if it.matters() && it.part.ln() + it.ln_e() >= needed)
        });
        if by_latency || tellings.is_empty() || tellings.contains(&Telling::Version) {
            return Telling::Version;
        }
        tellings.into_iter().next().unwrap_or(Telling::Version)
    }

    /// What the comparisons have counted.
    pub fn says(&self) -> String {
        self.said_by(|_| true)
    }

    fn said_by(&self, which: impl Fn(&Check) -> bool) -> String {
        let checks = self.checks.iter().filter(|check| which(check));
        let says = checks.filter_map(|check| match check {
            Check::Errors(errors) => Some(errors.says()),
            Check::Latency(latency) => latency.says(),
            Check::Objective(_) | Check::Elsewhere => None,
        });
        says.collect::<Vec<_>>().join(", ")
    }

    /// How each check stands, in their order; nothing of those that somebody else judges.
    pub fn findings(&self) -> Vec<Option<Finding>> {
        let proven = -UNPROVEN.ln();
        let needed = self.needed();
        let of = |check: &Check| match check {
            Check::Errors(errors) => Some(errors.finding(proven)),
            Check::Latency(latency) => Some(latency.finding(proven)),
            Check::Objective(objective) => Some(objective.finding(proven, needed)),
            Check::Elsewhere => None,
        };
        self.checks.iter().map(of).collect()
    }

    /// Of those that were taken out, whoever `serves` is another process under the same id: it is judged with the
    /// others.
    pub fn judge_again(&mut self, serves: impl Fn(&InstanceId) -> bool) {
        for check in &mut self.checks {
            if let Check::Errors(errors) = check {
                errors.boxes.judge_again(&serves);
            }
        }
    }

    /// An instance is taken out for good, and its replacement is judged with the others.
    pub fn put_aside(&mut self, instance: &InstanceId) {
        for check in &mut self.checks {
            if let Check::Errors(errors) = check {
                errors.put_aside(instance);
            }
        }
    }
}

fn share(share: crate::domain::Share) -> f64 {
    f64::from(share.millionths()) / 1e6
}

/// A share as people write it: `0.12%`.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = match percent {
        p if p == 0.0 || p >= 10.0 => 0,
        p if p >= 0.095 => 1,
        p if p >= 0.0095 => 2,
        _ => 3,
    };
    format!("{percent:.digits$}%")
}

//! Is it the version that is worse, or one instance of it?
//!
//! Two questions for each instance, and a [`Comparison`] for each:
//!
//! * *Without it*, is the new version still worse than the stable one? If one instance is sick and the version is not,
//!   then the test that leaves this one out is a fair one. So the least of all of them is an e-value against "the
//!   version is good, but perhaps for one box".
//! * *Against the others* of the new version, is it worse? If the version is bad, all are alike. There are as many
//!   such tests as instances, so each is held to as many times the evidence.
//!
//! Counted are attempts, as the proxies send them: a retry hides a failure from the caller and not from here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Comparison, Counts, Table};
use crate::domain::InstanceId;

/// The tests that tell the boxes apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Boxes {
    /// Nobody is left out but those who were taken out for good.
    all: Comparison,
    /// One that takes the most requests of all and was never bad, against the others.
    spotless: Comparison,
    /// Those of which something was bad. Leaving out one that was never bad makes the rest look worse, so its test is
    /// never the least; and it is not worse than others.
    known: BTreeMap<InstanceId, Tests>,
    /// What was counted of each.
    seen: BTreeMap<InstanceId, Counts>,
    /// Taken out, since each was worse than the rest.
    put_aside: Vec<InstanceId>,
}

/// The tests of one instance. Where it was spotless until now, they begin with what is known of all and of a
/// spotless one: that is less than its own evidence would be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tests {
    without: Comparison,
    against: Comparison,
}

/// The instance without which the new version looks best.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    /// Which.
    pub instance: InstanceId,
    /// What was counted of it.
    pub counts: Counts,
    /// What was counted of the others.
    pub others: Counts,
    /// The logarithm of the e-value that it is worse than the others, of which there are so many that this one might
    /// be it by chance: their number is taken off.
    pub ln_e: f64,
}

impl Boxes {
    /// The tests have the tolerance and the dispersion of that of the whole version.
    pub fn of_errors(tolerated: f64, dispersion: f64) -> Self {
        Self {
            all: Comparison::of_errors(tolerated, dispersion),
            spotless: Comparison::of_errors(1.0, dispersion),
            known: BTreeMap::new(),
            seen: BTreeMap::new(),
            put_aside: Vec::new(),
        }
    }

    /// Takes in a period: attempts at instances of the new version, each once, and at the stable one together.
    pub fn hear(&mut self, stable: Counts, instances: &[(InstanceId, Counts)]) {
        let mut new = Counts::default();
        let mut busiest = 0;
        let mut counted = BTreeMap::new();
        for (id, counts) in instances {
            if self.put_aside.contains(id) {
                continue;
            }
            new += *counts;
            busiest = busiest.max(counts.requests);
            *self.seen.entry(id.clone()).or_default() += *counts;
            if counts.bad > 0 && !self.known.contains_key(id) {
                let (without, against) = (self.all.clone(), self.spotless.clone());
                self.known.insert(id.clone(), Tests { without, against });
            }
            counted.insert(id, *counts);
        }
        for (id, tests) in &mut self.known {
            let own = counted.get(id).copied().unwrap_or_default();
            let others = new.without(own);
            tests.without.hear(&Table {
                new: others,
                stable,
            });
            tests.against.hear(&Table {
                new: own,
                stable: others,
            });
        }
        let spotless = Counts::new(busiest, 0);
        self.spotless.hear(&Table {
            new: spotless,
            stable: new.without(spotless),
        });
        self.all.hear(&Table { new, stable });
    }

    /// So many instances of the new version have taken requests and count.
    pub fn count(&self) -> usize {
        let asked = self.seen.iter().filter(|(_, counts)| counts.requests > 0);
        asked.filter(|(id, _)| !self.put_aside.contains(id)).count()
    }

    /// The logarithm of the e-value that the version is worse, whichever one instance is left out. With fewer than
    /// two instances nothing is left to judge by, and it is 0.
    pub fn ln_e(&self) -> f64 {
        if self.count() < 2 {
            return 0.0;
        }
        let without = self.known.values().map(|tests| tests.without.ln_e());
        without.fold(self.all.ln_e(), f64::min)
    }

    /// The logarithm of the e-value of all together, but those that were taken out.
    pub fn ln_e_of_all(&self) -> f64 {
        self.all.ln_e()
    }

    /// Which instance is most likely to be worse than the others.
    pub fn suspect(&self) -> Option<Suspect> {
        let count = self.count();
        let by_e = |a: &&Tests, b: &&Tests| a.against.ln_e().total_cmp(&b.against.ln_e());
        let (instance, tests) = self.known.iter().max_by(|a, b| by_e(&a.1, &b.1))?;
        let counts = self.seen.get(instance).copied().unwrap_or_default();
        let mut all = Counts::default();
        let counted = self
            .seen
            .iter()
            .filter(|(id, _)| !self.put_aside.contains(id));
        counted.for_each(|(_, counts)| all += *counts);
        (count >= 2).then(|| Suspect {
            instance: instance.clone(),
            counts,
            others: all.without(counts),
            ln_e: tests.against.ln_e() - (count as f64).ln(),
        })
    }

    /// The logarithm of the e-value that an instance is worse than the others.
    pub fn against_others(&self, instance: &InstanceId) -> f64 {
        let known = self.known.get(instance);
        known.map_or(self.spotless.ln_e(), |tests| tests.against.ln_e())
    }

    /// The instance is taken out for good: from now on the others are all there are.
    pub fn put_aside(&mut self, instance: &InstanceId) {
        if let Some(tests) = self.known.remove(instance) {
            self.all = tests.without;
            // What the others' tests know of it would speak against or for them.
            self.known.clear();
        }
        self.put_aside.push(instance.clone());
    }

    /// Who was taken out.
    pub fn aside(&self) -> &[InstanceId] {
        &self.put_aside
    }

    /// What was counted of each instance, also of those that were taken out until then.
    pub const fn seen(&self) -> &BTreeMap<InstanceId, Counts> {
        &self.seen
    }
}

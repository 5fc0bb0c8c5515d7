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
//!
//! Of a thousand instances few are under suspicion: only those that were bad most often have tests of their own. The
//! evidence without one of the others is bounded by how often it was bad.

use serde::{Deserialize, Serialize};

use super::{Comparison, Counts, Table};
use crate::domain::InstanceId;

/// So many instances have tests of their own at most.
const SUSPECTS_MAX: usize = 64;

/// The tests that tell the boxes apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Boxes {
    /// Nobody is left out but those who were taken out for good.
    all: Comparison,
    /// One that takes the most requests of all and was never bad, against the others.
    spotless: Comparison,
    /// Those that were bad most often. Leaving out one that was never bad makes the rest look worse, so its test
    /// would never be the least; and it is not worse than others.
    suspects: Vec<Tests>,
    /// What was counted of each, in the order of their ids.
    seen: Vec<Seen>,
    /// Taken out, since each was worse than the rest.
    put_aside: Vec<InstanceId>,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    id: InstanceId,
    counts: Counts,
    /// Where its tests are, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    suspect: Option<usize>,
}

/// The tests of one instance. They begin with what is known of all without the times that it was bad, and of a
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
            suspects: Vec::new(),
            seen: Vec::new(),
            put_aside: Vec::new(),
        }
    }

    /// Takes in a period: attempts at instances of the new version, each once, and at the stable one together. It takes
    /// least where they come in the order of their ids.
    pub fn hear(&mut self, stable: Counts, instances: &[(InstanceId, Counts)]) {
        let (mut new, mut busiest, mut next) = (Counts::default(), 0, 0);
        let mut of_suspects = vec![Counts::default(); self.suspects.len()];
        for (id, counts) in instances {
            if self.put_aside.contains(id) {
                continue;
            }
            new += *counts;
            busiest = busiest.max(counts.requests);
            let at = self.place(id, next);
            next = at + 1;
            if counts.bad > 0 && self.seen[at].suspect.is_none() {
                self.suspect_too(at);
                of_suspects.resize(self.suspects.len(), Counts::default());
            }
            let seen = &mut self.seen[at];
            seen.counts += *counts;
            if let Some(suspect) = seen.suspect {
                of_suspects[suspect] = *counts;
            }
        }
        for (tests, own) in self.suspects.iter_mut().zip(of_suspects) {
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

    /// Where an instance stands, which is perhaps `next`.
    fn place(&mut self, id: &InstanceId, next: usize) -> usize {
        if self.seen.get(next).is_some_and(|seen| seen.id == *id) {
            return next;
        }
        let found = self.seen.binary_search_by(|seen| seen.id.cmp(id));
        found.unwrap_or_else(|at| {
            let seen = Seen {
                id: id.clone(),
                counts: Counts::default(),
                suspect: None,
            };
            self.seen.insert(at, seen);
            at
        })
    }

    /// Gives an instance tests of its own, in the place of the least suspicious if there are too many.
    fn suspect_too(&mut self, at: usize) {
        let was_bad = self.seen[at].counts.bad;
        let tests = Tests {
            without: self.all.without(was_bad),
            against: self.spotless.clone(),
        };
        if self.suspects.len() < SUSPECTS_MAX {
            self.seen[at].suspect = Some(self.suspects.len());
            self.suspects.push(tests);
            return;
        }
        let suspects = self.seen.iter_mut().filter(|seen| seen.suspect.is_some());
        let least = suspects.min_by_key(|seen| seen.counts.bad);
        if let Some(least) = least.filter(|least| least.counts.bad <= was_bad)
            && let Some(suspect) = least.suspect.take()
        {
            self.suspects[suspect] = tests;
            self.seen[at].suspect = Some(suspect);
        }
    }

    fn counted(&self) -> impl Iterator<Item = &Seen> {
        let counted = self.seen.iter();
        counted.filter(|seen| !self.put_aside.contains(&seen.id))
    }

    /// So many instances of the new version have taken requests and count.
    pub fn count(&self) -> usize {
        let asked = self.counted().filter(|seen| seen.counts.requests > 0);
        asked.count()
    }

    /// The logarithm of the e-value that the version is worse, whichever one instance is left out. With fewer than
    /// two instances nothing is left to judge by, and it is 0.
    pub fn ln_e(&self) -> f64 {
        if self.count() < 2 {
            return 0.0;
        }
        let others = self.counted().filter(|seen| seen.suspect.is_none());
        let most = others.map(|seen| seen.counts.bad).max().unwrap_or_default();
        let of_others = self.all.without(most).ln_e();
        let without = self.suspects.iter().map(|tests| tests.without.ln_e());
        without.fold(of_others, f64::min)
    }

    /// The logarithm of the e-value of all together, but those that were taken out.
    pub fn ln_e_of_all(&self) -> f64 {
        self.all.ln_e()
    }

    /// Which instance is most likely to be worse than the others.
    pub fn suspect(&self) -> Option<Suspect> {
        let known = self.seen.iter().filter_map(|seen| {
            let tests = &self.suspects[seen.suspect?];
            Some((seen, tests.against.ln_e()))
        });
        let (seen, ln_e) = known.max_by(|a, b| a.1.total_cmp(&b.1))?;
        let (mut all, mut count) = (Counts::default(), 0_u32);
        for other in self.counted().filter(|seen| seen.counts.requests > 0) {
            all += other.counts;
            count += 1;
        }
        (count >= 2).then(|| Suspect {
            instance: seen.id.clone(),
            counts: seen.counts,
            others: all.without(seen.counts),
            ln_e: ln_e - f64::from(count).ln(),
        })
    }

    /// The logarithm of the e-value that an instance is worse than the others.
    pub fn against_others(&self, instance: &InstanceId) -> f64 {
        let tests = self.tests(instance);
        tests.map_or(self.spotless.ln_e(), |tests| tests.against.ln_e())
    }

    fn tests(&self, instance: &InstanceId) -> Option<&Tests> {
        let found = self.seen.binary_search_by(|seen| seen.id.cmp(instance));
        let suspect = self.seen[found.ok()?].suspect?;
        self.suspects.get(suspect)
    }

    /// The instance is taken out for good: from now on the others are all there are.
    pub fn put_aside(&mut self, instance: &InstanceId) {
        if let Some(tests) = self.tests(instance) {
            self.all = tests.without.clone();
            // What the others' tests know of it would speak against or for them.
            self.suspects.clear();
            self.seen.iter_mut().for_each(|seen| seen.suspect = None);
        }
        self.put_aside.push(instance.clone());
    }

    /// Whoever of them `serves` is not the process that was taken out: it begins anew.
    pub fn judge_again(&mut self, serves: impl Fn(&InstanceId) -> bool) {
        let Self {
            put_aside, seen, ..
        } = self;
        put_aside.retain(|id| {
            let is_back = serves(id);
            if is_back {
                seen.retain(|seen| seen.id != *id);
            }
            !is_back
        });
    }

    /// Who was taken out.
    pub fn aside(&self) -> &[InstanceId] {
        &self.put_aside
    }

    /// What was counted of each instance, also of those that were taken out until then.
    pub fn seen(&self) -> impl Iterator<Item = (&InstanceId, Counts)> {
        self.seen.iter().map(|seen| (&seen.id, seen.counts))
    }
}

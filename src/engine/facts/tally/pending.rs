//! What was added and not taken yet, by version and region, and by instance.

use std::collections::BTreeMap;

use super::series::Count;
use super::{Edges, InstanceId, Times, VersionName};

/// The codes that a proxy answers for the version: with the first an answer that broke the protocol before
/// it had begun, with the second one that had not begun in time.
const BROKEN_BEFORE_BEGUN: u16 = 502;
const LATE_BEFORE_BEGUN: u16 = 504;

/// What was added since the last time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taken {
    /// What clients were answered in the end, by version and by the region of the proxies they asked. A version
    /// or region that is missing had nothing added.
    pub answers: BTreeMap<VersionName, BTreeMap<String, Answers>>,
    /// What instances were asked, repeated requests as often as they were tried.
    pub tried: BTreeMap<VersionName, BTreeMap<InstanceId, Tried>>,
}

/// Answers that were added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// All of them.
    pub total: u64,
    /// By code. They add up to the total, but for a flush that comes in parts: the others follow.
    pub codes: BTreeMap<u16, u64>,
    /// gRPC calls by status.
    pub grpc: BTreeMap<u16, u64>,
    /// Cut off after they had begun, and counted under their code, too; at least so many. Proxies do not
    /// count these by themselves, so what may have ended in another way is taken off: a 502 may stand for
    /// one that broke before it began, a 504 for one that was late, a repeated request for either.
    pub cut: u64,
    /// How long answers took, a set of counts for each set of edges that proxies have.
    pub times: Vec<Times>,
}

/// Attempts that were added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Answered, and with no code of 5xx.
    pub ok: u64,
    /// Answered with 5xx, not in time, or not at all.
    pub failed: u64,
}

type Counts = BTreeMap<Count, u64>;

#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    answers: BTreeMap<VersionName, BTreeMap<String, Counts>>,
    tried: BTreeMap<VersionName, BTreeMap<InstanceId, Tried>>,
}

impl Pending {
    pub(super) fn answered(
        &mut self,
        version: &VersionName,
        region: &str,
        count: Count,
        more: u64,
    ) {
        let of_version = within(&mut self.answers, version);
        if !of_version.contains_key(region) {
            of_version.insert(region.to_owned(), Counts::new());
        }
        if let Some(counts) = of_version.get_mut(region) {
            let value = counts.entry(count).or_default();
            *value = value.saturating_add(more);
        }
    }

    pub(super) fn tried(
        &mut self,
        version: &VersionName,
        instance: &InstanceId,
        count: Count,
        more: u64,
    ) {
        let tried = within(within(&mut self.tried, version), instance);
        match count {
            Count::Ok => tried.ok = tried.ok.saturating_add(more),
            Count::Failed => tried.failed = tried.failed.saturating_add(more),
            _ => {}
        }
    }

    pub(super) fn retain(&mut self, is_known: impl Fn(&VersionName) -> bool) {
        self.answers.retain(|version, _| is_known(version));
        self.tried.retain(|version, _| is_known(version));
    }

    pub(super) fn taken(self, edges: &Edges) -> Taken {
        let regions = |by_region: BTreeMap<String, Counts>| {
            let answers = by_region.into_iter();
            let answers = answers.map(|(region, counts)| (region, answers_of(&counts, edges)));
            answers.collect()
        };
        let answers = self.answers.into_iter();
        Taken {
            answers: answers
                .map(|(version, by_region)| (version, regions(by_region)))
                .collect(),
            tried: self.tried,
        }
    }
}

fn answers_of(counts: &Counts, edges: &Edges) -> Answers {
    let mut answers = Answers::default();
    let mut times: BTreeMap<u16, Option<Times>> = BTreeMap::new();
    for (count, value) in counts {
        match *count {
            Count::Answered => answers.total = *value,
            Count::Code(code) => drop(answers.codes.insert(code, *value)),
            Count::Grpc(status) => drop(answers.grpc.insert(status, *value)),
            Count::Took(set, class) => {
                edges.put(times.entry(set).or_default(), set, class, *value);
            }
            Count::Broken | Count::Late | Count::Repeated | Count::Ok | Count::Failed => {}
        }
    }
    let of = |count| counts.get(&count).copied().unwrap_or(0);
    let broken = of(Count::Broken).saturating_sub(of(Count::Code(BROKEN_BEFORE_BEGUN)));
    let late = of(Count::Late).saturating_sub(of(Count::Code(LATE_BEFORE_BEGUN)));
    answers.cut = broken.saturating_sub(of(Count::Repeated)) + late;
    answers.times = times.into_values().flatten().collect();
    answers
}

fn within<'a, K: Clone + Ord, V: Default>(map: &'a mut BTreeMap<K, V>, key: &K) -> &'a mut V {
    map.entry(key.clone()).or_default()
}

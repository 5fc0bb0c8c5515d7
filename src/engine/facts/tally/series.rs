//! Counters that grow together, and what was added to each.
//!
//! What can be counted is one flat set of names, so that answers, times and attempts obey one rule.

use super::{Attempts, Completed, Edges, InstanceId, Times, VersionName};

/// What counters are about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    /// What clients were answered in the end.
    Version(VersionName),
    /// What an endpoint was asked: version, instance and address.
    Endpoint(VersionName, InstanceId, String),
}

impl Of {
    pub(super) fn endpoint(said: &Attempts) -> Self {
        let (instance, address) = (said.instance.clone(), said.address.clone());
        Self::Endpoint(said.version.clone(), instance, address)
    }

    pub(super) const fn version(&self) -> &VersionName {
        match self {
            Self::Version(version) | Self::Endpoint(version, ..) => version,
        }
    }
}

/// One thing that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Count {
    /// Answers, all.
    Answered,
    /// Answers with this code.
    Code(u16),
    /// gRPC calls with this status.
    Grpc(u16),
    /// Answers that broke the protocol.
    Broken,
    /// Answers that were not complete in time.
    Late,
    /// Requests that were sent again.
    Repeated,
    /// Attempts that were answered.
    Ok,
    /// Attempts that failed.
    Failed,
    /// Answers that took so long: a set of edges, and a class of it.
    Took(u16, u16),
}

/// What a reading says of a version.
pub(super) fn answers(said: &Completed, edges: &mut Edges) -> Vec<(Count, u64)> {
    let one = |count, value: Option<u64>| value.map(|value| (count, value));
    let mut counts: Vec<(Count, u64)> = one(Count::Answered, said.total).into_iter().collect();
    let mishaps = said.mishaps;
    counts.extend(one(Count::Broken, mishaps.broken));
    counts.extend(one(Count::Late, mishaps.late));
    counts.extend(one(Count::Repeated, mishaps.repeated));
    let codes = said.codes.iter();
    counts.extend(codes.map(|(code, value)| (Count::Code(*code), *value)));
    let grpc = said.grpc.iter();
    counts.extend(grpc.map(|(status, value)| (Count::Grpc(*status), *value)));
    if let Some(Times {
        bounds_ms,
        counts: took,
    }) = &said.times
        && took.len() == bounds_ms.len() + 1
        && let Some(set) = edges.number(bounds_ms)
    {
        // Most classes are empty for ever, and need not be kept.
        let took = (0_u16..).zip(took).filter(|(_, value)| **value > 0);
        counts.extend(took.map(|(class, value)| (Count::Took(set, class), *value)));
    }
    counts
}

/// Says a count of a version, as a reading would.
pub(super) fn put(said: &mut Completed, count: Count, value: u64, edges: &Edges) {
    match count {
        Count::Answered => said.total = Some(value),
        Count::Code(code) => said.codes.push((code, value)),
        Count::Grpc(status) => said.grpc.push((status, value)),
        Count::Broken => said.mishaps.broken = Some(value),
        Count::Late => said.mishaps.late = Some(value),
        Count::Repeated => said.mishaps.repeated = Some(value),
        Count::Took(set, class) => edges.put(&mut said.times, set, class, value),
        Count::Ok | Count::Failed => {}
    }
}

/// What a reading says of an endpoint.
pub(super) fn attempts(said: &Attempts) -> Vec<(Count, u64)> {
    let ok = said.ok.map(|value| (Count::Ok, value));
    let failed = said.failed.map(|value| (Count::Failed, value));
    ok.into_iter().chain(failed).collect()
}

/// The counters of one version or endpoint, as one proxy last said them.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    /// In the order of what they count.
    pub(super) counters: Vec<Counter>,
    /// The reading with which its process began.
    pub(super) began: u64,
    /// The reading that spoke of it last.
    pub(super) last: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Counter {
    pub(super) count: Count,
    pub(super) value: u64,
    /// The reading that said so.
    pub(super) reading: u64,
}

/// One reading of a proxy, among those that were taken in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// Its number; parts of one flush have the same.
    pub(super) number: u64,
    /// Nothing in it is new: counting begins with it.
    pub(super) is_baseline: bool,
    /// A count that fell has not been made anew: this may be an old reading, for all that one knows.
    pub(super) is_doubtful: bool,
}

impl Series {
    /// Takes in what a reading says, of a process that began with the reading `began` or later.
    pub(super) fn hear(
        &mut self,
        counts: &[(Count, u64)],
        reading: Reading,
        began: u64,
        mut more: impl FnMut(Count, u64),
    ) {
        self.began = self.began.max(began);
        self.last = reading.number;
        let mut fallen = counts
            .iter()
            .filter(|(count, value)| self.is_fall(*count, *value, reading.number));
        if !reading.is_doubtful && fallen.next().is_some() {
            self.began = reading.number;
        }
        for (count, value) in counts {
            let at = self.counters.binary_search_by(|it| it.count.cmp(count));
            let known = at.ok().map(|at| self.counters[at]);
            let known = known.filter(|it| it.reading >= self.began || it.reading == reading.number);
            let before = known.map_or(0, |it| it.value);
            let counter = Counter {
                count: *count,
                value: before.max(*value),
                reading: reading.number,
            };
            match at {
                Ok(at) => self.counters[at] = counter,
                Err(at) => self.counters.insert(at, counter),
            }
            let added = value.saturating_sub(before);
            if added > 0 && !reading.is_baseline {
                more(*count, added);
            }
        }
    }

    /// Was more counted in an earlier reading of the same process? Classes of time do not tell, as a proxy
    /// works them out from a summary.
    fn is_fall(&self, count: Count, value: u64, reading: u64) -> bool {
        let at = self.counters.binary_search_by(|it| it.count.cmp(&count));
        let known = at.ok().map(|at| self.counters[at]);
        let known = known.filter(|it| (self.began..reading).contains(&it.reading));
        !matches!(count, Count::Took(..)) && known.is_some_and(|it| value < it.value)
    }
}

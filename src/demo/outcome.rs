//! What became of a request, and the counts of that.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::histogram::Histogram;

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 200 with its whole body.
    Ok,
    /// No connection to the proxy.
    Connect,
    /// The connection broke before the answer's head.
    Reset,
    /// Another status; with why, in the proxy's words.
    Status(u16, String),
    /// No whole answer within the deadline.
    Timeout,
    /// The connection broke within the answer's body.
    Truncated,
}

impl Outcome {
    /// From an answer's status and the beginning of its body.
    pub(super) fn of_answer(status: u16, body: &str) -> Self {
        if status == 200 {
            Self::Ok
        } else {
            Self::Status(status, reason(body))
        }
    }

    /// The name that failures are counted under; `None` for a success.
    pub(super) fn failure(&self) -> Option<Cow<'static, str>> {
        Some(match self {
            Self::Ok => return None,
            Self::Connect => "connect".into(),
            Self::Reset => "reset".into(),
            Self::Status(status, why) if why.is_empty() => status.to_string().into(),
            Self::Status(status, why) => format!("{status} {why}").into(),
            Self::Timeout => "timeout".into(),
            Self::Truncated => "truncated".into(),
        })
    }
}

/// Envoy writes why it answered in place of an instance into the body; its last clause says most.
fn reason(body: &str) -> String {
    let line = body.lines().next().unwrap_or_default();
    let clause = line.split("reset reason: ").nth(1).unwrap_or(line);
    let clause = clause
        .split(", transport failure reason: ")
        .next()
        .unwrap_or(clause);
    clause.trim().chars().take(REASON_CHARS_MAX).collect()
}

/// The three kinds of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Answered at once.
    Fast,
    /// Answered after 300 ms.
    Slow300,
    /// Answered after 2 s.
    Slow2s,
}

impl Class {
    /// All, in the order of their counts.
    pub(super) const ALL: [Self; 3] = [Self::Fast, Self::Slow300, Self::Slow2s];

    /// What is asked for.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Fast => "/fast",
            Self::Slow300 => "/slow300",
            Self::Slow2s => "/slow2s",
        }
    }

    /// How reports call it.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Slow300 => "300 ms",
            Self::Slow2s => "2 s",
        }
    }
}

/// The counts of a run, shared by all that send.
#[derive(Debug)]
pub(super) struct Tally {
    classes: [Mutex<Counts>; 3],
}

/// The counts of one class, or of all.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    /// Requests that have ended.
    pub(super) requests: u64,
    /// Those of them that failed.
    pub(super) failed: u64,
    /// The same by reason.
    pub(super) failed_by: BTreeMap<String, u64>,
    /// Successes by the version that answered.
    pub(super) by_version: BTreeMap<String, u64>,
    /// Failures by the version that answered, or was to.
    pub(super) failed_on: BTreeMap<String, u64>,
    /// Latencies of the successes.
    pub(super) latency: Histogram,
}

impl Tally {
    /// All zero.
    pub(super) fn new() -> Self {
        Self {
            classes: std::array::from_fn(|_| Mutex::new(Counts::new())),
        }
    }

    /// Counts the end of one request.
    pub(super) fn record(&self, class: Class, outcome: &Outcome, version: &str, took: Duration) {
        let mut counts = self.classes[class as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        counts.requests += 1;
        if let Some(failure) = outcome.failure() {
            counts.failed += 1;
            count(&mut counts.failed_by, &failure);
            count(&mut counts.failed_on, version);
        } else {
            counts.latency.record(took);
            count(&mut counts.by_version, version);
        }
    }

    /// A copy of one class's counts.
    pub(super) fn class(&self, class: Class) -> Counts {
        self.classes[class as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Requests ended and failed, over all classes.
    pub(super) fn totals(&self) -> (u64, u64) {
        self.classes
            .iter()
            .fold((0, 0), |(requests, failed), counts| {
                let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                (requests + counts.requests, failed + counts.failed)
            })
    }

    /// Requests that failed on a version, over all classes, those included that no version answered.
    pub(super) fn failed_on(&self, version: &str) -> u64 {
        let of = |counts: Counts| {
            let of = |name: &str| counts.failed_on.get(name).copied().unwrap_or(0);
            of(version) + of(NOBODY)
        };
        Class::ALL.map(|class| of(self.class(class))).iter().sum()
    }

    /// Failures by reason, over all classes.
    pub(super) fn failed_by(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for class in Class::ALL {
            for (reason, failed) in self.class(class).failed_by {
                *all.entry(reason).or_default() += failed;
            }
        }
        all
    }
}

impl Counts {
    fn new() -> Self {
        Self {
            requests: 0,
            failed: 0,
            failed_by: BTreeMap::new(),
            by_version: BTreeMap::new(),
            failed_on: BTreeMap::new(),
            latency: Histogram::new(),
        }
    }
}

/// One more of `name`; allocates only for a name's first.
fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    if let Some(counted) = counts.get_mut(name) {
        *counted += 1;
    } else if counts.len() < NAMES_MAX {
        counts.insert(name.to_owned(), 1);
    } else {
        *counts.entry("other".to_owned()).or_default() += 1;
    }
}

/// The version of what no instance answered.
pub(super) const NOBODY: &str = "unknown";
const REASON_CHARS_MAX: usize = 60;
/// Different reasons, or versions, in one count; what comes later is counted as `other`.
const NAMES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_named_by_what_the_proxy_said() {
        let refused = "upstream connect error or disconnect/reset before headers. reset reason: \
                       remote connection failure, transport failure reason: delayed connect error";
        for (status, body, name) in [
            (200, "ok\n", None),
            (503, "no healthy upstream", Some("503 no healthy upstream")),
            (503, refused, Some("503 remote connection failure")),
            (
                504,
                "upstream request timeout\n",
                Some("504 upstream request timeout"),
            ),
            (404, "", Some("404")),
        ] {
            assert_eq!(Outcome::of_answer(status, body).failure().as_deref(), name);
        }
        let long = Outcome::of_answer(500, &"x".repeat(1000))
            .failure()
            .unwrap();
        assert_eq!(long.len(), "500 ".len() + REASON_CHARS_MAX);
    }

    #[test]
    fn a_tally_adds_up_and_bounds_its_names() {
        let tally = Tally::new();
        for status in 500..600 {
            let outcome = Outcome::Status(status, String::new());
            tally.record(Class::Fast, &outcome, "", Duration::ZERO);
        }
        tally.record(Class::Slow2s, &Outcome::Ok, "v2", Duration::from_secs(2));
        tally.record(Class::Slow2s, &Outcome::Reset, "", Duration::ZERO);
        assert_eq!(tally.totals(), (102, 101));
        let failed_by = tally.failed_by();
        assert_eq!(failed_by.values().sum::<u64>(), 101);
        assert_eq!(
            (failed_by["reset"], failed_by["other"]),
            (1, 100 - NAMES_MAX as u64)
        );
        assert_eq!(tally.class(Class::Slow2s).by_version["v2"], 1);
    }
}

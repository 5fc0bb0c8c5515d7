//! Crashes and restarts, as health checks see them.
//!
//! In go instances that fail their health check after they had passed it, while nobody takes them out; out
//! comes how often that happened to a version. A process that dies, one that hangs and one that is started
//! anew look the same. One that is back before it is probed again is not seen.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::{InstanceId, ServiceName, Time, VersionName};

/// So many crashes are remembered of a service, the latest.
const CRASHES_MAX: usize = 1_000;

/// All that were seen.
#[derive(Debug, Default)]
pub struct Crashes {
    by_service: BTreeMap<ServiceName, VecDeque<Crash>>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// When it was seen.
    pub at: Time,
    /// What ran.
    pub version: VersionName,
    /// Where.
    pub instance: InstanceId,
}

impl Crashes {
    /// Notes one.
    pub fn note(&mut self, service: &ServiceName, crash: Crash) {
        let crashes = self.by_service.entry(service.clone()).or_default();
        crashes.push_back(crash);
        if crashes.len() > CRASHES_MAX {
            crashes.pop_front();
        }
    }

    /// Those of a version since then, in the order in which they were seen.
    pub fn since<'a>(
        &'a self,
        service: &ServiceName,
        version: &'a VersionName,
        since: Time,
    ) -> impl Iterator<Item = &'a Crash> {
        let crashes = self.by_service.get(service).into_iter().flatten();
        crashes.filter(move |crash| crash.at >= since && crash.version == *version)
    }

    /// Forgets services that are no more.
    pub fn retain(&mut self, is_known: impl Fn(&ServiceName) -> bool) {
        self.by_service.retain(|service, _| is_known(service));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Span;

    #[test]
    fn the_latest_are_remembered_by_version() {
        let (cart, v2) = ("cart".parse().unwrap(), "v2".parse().unwrap());
        let at = |second| Span::secs(second).after(Time::UNIX_EPOCH);
        let mut crashes = Crashes::default();
        for second in 0..2_000 {
            let version = if second % 2 == 0 { "v1" } else { "v2" };
            let crash = Crash {
                at: at(second),
                version: version.parse().unwrap(),
                instance: "i".parse().unwrap(),
            };
            crashes.note(&cart, crash);
        }
        assert_eq!(crashes.since(&cart, &v2, at(1_990)).count(), 5);
        assert_eq!(crashes.since(&cart, &v2, at(0)).count(), CRASHES_MAX / 2);
        crashes.retain(|_| false);
        assert_eq!(crashes.since(&cart, &v2, at(0)).count(), 0);
    }
}

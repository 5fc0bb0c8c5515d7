//! How many requests the services get, from what proxies have counted.
//!
//! In go totals, each with when the proxy read it; out come requests per second. A total that is smaller
//! than the one before is of a new process, and counts from nothing. What a proxy was silent about for a
//! while is no longer believed; and while one that may send requests does not count, nobody knows how
//! many there are, which is another thing than none.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use crate::domain::{ProxyId, Rps, ServiceName, Span, Time, VersionName};
use crate::engine::Completed;

/// A rate is of at least so long: two readings that come close tell little.
const WINDOW_NS_MIN: u64 = 900_000_000;
/// After this long without a word a proxy's rate is no longer believed.
const SILENT_AFTER: Span = Span::secs(15);
/// What an instance has carried is remembered for so many samples, one a second: ten minutes.
const SAMPLES_MAX: usize = 600;
/// Fewer samples than these say nothing of what an instance can carry: a minute.
const SAMPLES_MIN: usize = 60;
/// One sample is taken in this time.
const SAMPLE_EVERY: Span = Span::secs(1);
/// What an instance carries is taken for what it has carried in all but the busiest twentieth.
const PERCENTILE: usize = 95;

/// All services' requests.
#[derive(Debug, Default, Clone)]
pub(in crate::engine) struct Traffic {
    counters: BTreeMap<ServiceName, BTreeMap<ProxyId, BTreeMap<VersionName, Counter>>>,
    carried: BTreeMap<ServiceName, Carried>,
}

/// What one proxy has counted of one version.
#[derive(Debug, Clone)]
struct Counter {
    /// Where the present window began.
    total: u64,
    read_at_ns: u64,
    heard: Time,
    /// Requests per second in the last whole window.
    rate: Option<f64>,
}

/// What each instance has carried, as requests per second.
#[derive(Debug, Default, Clone)]
struct Carried {
    last: Option<Time>,
    samples: VecDeque<f64>,
}

impl Traffic {
    /// Takes in what a proxy has counted so far.
    pub(super) fn hear(
        &mut self,
        proxy: &ProxyId,
        completed: &[Completed],
        read_at_ns: u64,
        now: Time,
    ) {
        for said in completed {
            let Some(total) = said.total else { continue };
            let (service, version) = (said.service.clone(), said.version.clone());
            let of_service = self.counters.entry(service).or_default();
            let of_proxy = of_service.entry(proxy.clone()).or_default();
            let counter = of_proxy.entry(version).or_insert(Counter {
                total,
                read_at_ns,
                heard: now,
                rate: None,
            });
            counter.hear(total, read_at_ns, now);
        }
    }

    /// Forgets what is not spoken of any more.
    pub(in crate::engine) fn forget_silent(&mut self, now: Time) {
        self.counters.retain(|_, of_service| {
            of_service.retain(|_, of_proxy| {
                of_proxy.retain(|_, counter| !counter.is_silent(now));
                !of_proxy.is_empty()
            });
            !of_service.is_empty()
        });
    }

    /// Requests per second to a service, `None` while one of these proxies does not count. Versions that
    /// get copies are left out.
    pub(in crate::engine) fn load<'a>(
        &self,
        service: &ServiceName,
        proxies: impl IntoIterator<Item = &'a ProxyId>,
        is_copied_to: impl Fn(&VersionName) -> bool,
        now: Time,
    ) -> Option<f64> {
        let of_service = self.counters.get(service)?;
        let mut load = 0.0;
        for proxy in proxies {
            let own = of_service.get(proxy)?.iter();
            let own = own.filter(|(_, counter)| !counter.is_silent(now));
            // One that has only begun to count a version has sent it next to nothing.
            let mut rates = own.filter_map(|(version, it)| Some((version, it.rate?)));
            let first = rates.next()?;
            let all = std::iter::once(first).chain(rates);
            let own = all.filter(|(version, _)| !is_copied_to(version));
            load += own.map(|(_, rate)| rate).sum::<f64>();
        }
        Some(load)
    }

    /// What is believed of it, without when, as text.
    pub(super) fn timeless(&self) -> String {
        let Self { counters, carried } = self;
        let mut text = String::new();
        for (service, of_service) in counters {
            for (proxy, of_proxy) in of_service {
                let rates: Vec<_> = of_proxy.iter().map(|(of, it)| (of, it.rate)).collect();
                let _ = write!(text, "{service} {proxy} {rates:?};");
            }
        }
        for (service, carried) in carried {
            let _ = write!(text, "{service} {:?};", carried.samples);
        }
        text
    }

    /// Is it time to note again what the instances of a service carry?
    pub(in crate::engine) fn is_due(&self, service: &ServiceName, now: Time) -> bool {
        let last = self.carried.get(service).and_then(|carried| carried.last);
        last.is_none_or(|last| Span::between(last, now) >= SAMPLE_EVERY)
    }

    /// Notes that each instance of a healthy fleet carries so much just now, if it is time to.
    pub(in crate::engine) fn carries(&mut self, service: &ServiceName, each: f64, now: Time) {
        if !self.is_due(service, now) {
            return;
        }
        let carried = self.carried.entry(service.clone()).or_default();
        carried.last = Some(now);
        carried.samples.push_back(each);
        if carried.samples.len() > SAMPLES_MAX {
            carried.samples.pop_front();
        }
    }

    /// What an instance has shown that it carries: the 95th percentile of what it did, once that has been
    /// seen for a minute.
    pub(in crate::engine) fn shown(&self, service: &ServiceName) -> Option<Rps> {
        let samples = &self.carried.get(service)?.samples;
        if samples.len() < SAMPLES_MIN {
            return None;
        }
        let mut sorted: Vec<f64> = samples.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let shown = sorted[(sorted.len() * PERCENTILE).div_ceil(100) - 1];
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is not negative, and the cast saturates"
        )]
        Rps::new(shown.floor() as u32)
    }
}

impl Counter {
    fn hear(&mut self, total: u64, read_at_ns: u64, now: Time) {
        self.heard = now;
        let (more, took) = (
            total.checked_sub(self.total),
            read_at_ns.checked_sub(self.read_at_ns),
        );
        match (more, took) {
            (Some(_), Some(took)) if took < WINDOW_NS_MIN => {}
            (Some(more), Some(took)) => {
                self.rate = Some(more as f64 * 1e9 / took as f64);
                (self.total, self.read_at_ns) = (total, read_at_ns);
            }
            // A new process, or a clock that was set back.
            _ => (self.total, self.read_at_ns) = (total, read_at_ns),
        }
    }

    fn is_silent(&self, now: Time) -> bool {
        Span::between(self.heard, now) >= SILENT_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Span::secs(seconds).after(Time::UNIX_EPOCH)
    }

    struct World(Traffic);

    impl World {
        /// `proxy version total` as of a second.
        fn hear(&mut self, second: u64, words: &str) {
            let mut words = words.split(' ');
            let mut word = || words.next().unwrap();
            let proxy = word().parse().unwrap();
            let version = word().parse().unwrap();
            let completed = Completed {
                total: Some(word().parse().unwrap()),
                ..Completed::nothing_of("cart".parse().unwrap(), version)
            };
            let read_at_ns = second * 1_000_000_000;
            self.0.hear(&proxy, &[completed], read_at_ns, at(second));
        }

        fn load(&self, second: u64, proxies: &[&str]) -> Option<f64> {
            let proxies: Vec<ProxyId> = proxies.iter().map(|id| id.parse().unwrap()).collect();
            let cart = "cart".parse().unwrap();
            let is_copied_to = |version: &VersionName| version.as_str() == "copied";
            self.0.load(&cart, &proxies, is_copied_to, at(second))
        }
    }

    #[test]
    fn a_load_is_what_all_proxies_have_counted_and_unknown_if_one_does_not() {
        let mut world = World(Traffic::default());
        world.hear(10, "a v1 1000");
        assert_eq!(world.load(10, &["a"]), None, "one reading is no rate");
        world.hear(12, "a v1 1100");
        assert_eq!(world.load(12, &["a"]), Some(50.0));
        assert_eq!(world.load(12, &["a", "b"]), None, "b does not count");
        world.hear(12, "b v1 7");
        world.hear(14, "b v1 27");
        world.hear(12, "b copied 0");
        world.hear(14, "b copied 900");
        world.hear(12, "a v2 0");
        world.hear(14, "a v2 6");
        world.hear(14, "a v1 1200");
        assert_eq!(world.load(14, &["a", "b"]), Some(50.0 + 3.0 + 10.0));
        // A new process counts from nothing; until it has for a while, what is known stands.
        world.hear(15, "a v1 3");
        assert_eq!(world.load(15, &["a"]), Some(53.0));
        world.hear(16, "a v1 23");
        assert_eq!(world.load(16, &["a"]), Some(23.0));
        assert_eq!(world.load(31, &["a"]), None, "it is silent");
        world.0.forget_silent(at(60));
        assert!(world.0.counters.is_empty());
    }

    #[test]
    fn what_an_instance_carries_is_shown_by_a_minute_of_it() {
        let mut traffic = Traffic::default();
        let cart = "cart".parse().unwrap();
        for second in 0..200 {
            assert_eq!(traffic.shown(&cart).is_some(), second >= 60, "{second}");
            let each = if second % 50 == 0 { 500.0 } else { 20.5 };
            traffic.carries(&cart, each, at(second));
            traffic.carries(&cart, 9_999.0, at(second));
        }
        assert_eq!(traffic.shown(&cart), Rps::new(20));
        for second in 200..2_000 {
            traffic.carries(&cart, 30.0, at(second));
        }
        assert_eq!(traffic.carried[&cart].samples.len(), SAMPLES_MAX);
        assert_eq!(traffic.shown(&cart), Rps::new(30));
    }
}

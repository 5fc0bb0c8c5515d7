//! The halves of a flush, joined: an instance counts when both of its gauges are known.
//!
//! In go readings, out come load reports. Requests in progress are `rq_active + rq_pending_active` of
//! one moment; when a flush comes in several requests, the two may come apart, and one of them alone
//! could be a zero that proves nothing. A half waits for its other half of the same flush and is
//! forgotten when the proxy begins another. Whether the proxy holds the instance for healthy is said
//! along if it came by then.

use std::collections::BTreeMap;

use crate::domain::ProxyId;
use crate::engine::{InstanceLoad, LoadReport, Source};

use super::parse::{EndpointKey, Gauge, Reading};

/// Proxies that may have halves waiting at once; those beyond must send a flush in one request.
const WAITING_PROXIES_MAX: usize = 1_000;

/// The halves of each proxy's latest flush. Empty between flushes.
#[derive(Debug, Default)]
pub(crate) struct Flushes {
    waiting: BTreeMap<ProxyId, Flush>,
}

#[derive(Debug, Default)]
struct Flush {
    read_at_ns: u64,
    halves: BTreeMap<EndpointKey, Halves>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Halves {
    active: Option<u64>,
    pending: Option<u64>,
    healthy: Option<bool>,
}

impl Flushes {
    /// What is known in full now and was not before; `None` if that is nothing.
    pub(crate) fn join(&mut self, reading: Reading) -> Option<(ProxyId, LoadReport)> {
        let Reading {
            proxy,
            read_at_ns,
            since,
            points,
            completed,
            attempts,
        } = reading;
        let mut halves = match self.waiting.remove(&proxy) {
            Some(flush) if flush.read_at_ns == read_at_ns => flush.halves,
            _ => BTreeMap::new(),
        };
        for point in points {
            let half = halves.entry(point.endpoint).or_default();
            match point.gauge {
                Gauge::Active => half.active = Some(point.value),
                Gauge::Pending => half.pending = Some(point.value),
                Gauge::Healthy => half.healthy = Some(point.value > 0),
            }
        }
        let instances = take_whole(&mut halves);
        if !halves.is_empty() && self.waiting.len() < WAITING_PROXIES_MAX {
            self.waiting
                .insert(proxy.clone(), Flush { read_at_ns, halves });
        }
        let says_nothing = instances.is_empty() && completed.is_empty() && attempts.is_empty();
        (!says_nothing).then_some((
            proxy,
            LoadReport {
                source: Source::Otlp,
                read_at_ns,
                since,
                instances,
                completed,
                attempts,
            },
        ))
    }
}

/// Moves out what has both halves, summed up per instance.
fn take_whole(halves: &mut BTreeMap<EndpointKey, Halves>) -> Vec<InstanceLoad> {
    let mut instances: Vec<InstanceLoad> = Vec::new();
    halves.retain(|endpoint, half| {
        let Halves {
            active: Some(active),
            pending: Some(pending),
            healthy,
        } = *half
        else {
            return true;
        };
        let in_progress = active.saturating_add(pending);
        // Keys are in order, so the addresses of one instance are neighbours.
        match instances.last_mut() {
            Some(last) if is_same(last, endpoint) => {
                last.in_progress = last.in_progress.saturating_add(in_progress);
                last.healthy = last.healthy.zip(healthy).map(|(one, other)| one && other);
            }
            _ => instances.push(InstanceLoad {
                service: endpoint.service.clone(),
                version: endpoint.version.clone(),
                instance: endpoint.instance.clone(),
                in_progress,
                healthy,
            }),
        }
        false
    });
    instances
}

fn is_same(load: &InstanceLoad, endpoint: &EndpointKey) -> bool {
    (&load.service, &load.version, &load.instance)
        == (&endpoint.service, &endpoint.version, &endpoint.instance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::parse::Point;

    /// One reading: `proxy`, time, and `instance[@address] a|p|h value` for each point.
    fn reading(proxy: &str, read_at_ns: u64, points: &[(&str, char, u64)]) -> Reading {
        let point = |(host, gauge, value): &(&str, char, u64)| {
            let (instance, address) = host.split_once('@').unwrap_or((host, ""));
            let endpoint = EndpointKey {
                service: "cart".parse().unwrap(),
                version: "v1".parse().unwrap(),
                instance: instance.parse().unwrap(),
                address: address.to_owned(),
            };
            let gauge = match gauge {
                'a' => Gauge::Active,
                'p' => Gauge::Pending,
                _ => Gauge::Healthy,
            };
            Point {
                endpoint,
                gauge,
                value: *value,
            }
        };
        let points = points.iter().map(point).collect();
        Reading {
            completed: Vec::new(),
            attempts: Vec::new(),
            since: None,
            proxy: proxy.parse().unwrap(),
            read_at_ns,
            points,
        }
    }

    fn show(report: Option<(ProxyId, LoadReport)>) -> String {
        report.map_or("nothing".to_owned(), |(proxy, report)| {
            let loads = report.instances.iter();
            let loads: Vec<_> = loads
                .map(|load| {
                    let healthy = match load.healthy {
                        Some(true) => "+",
                        Some(false) => "-",
                        None => "",
                    };
                    format!("{}={}{healthy}", load.instance, load.in_progress)
                })
                .collect();
            format!("{proxy}@{} {}", report.read_at_ns, loads.join(" "))
        })
    }

    #[test]
    fn halves_meet_only_within_a_flush_of_one_proxy() {
        let mut flushes = Flushes::default();
        for (reading, want) in [
            (reading("e", 5, &[("i", 'a', 1), ("i", 'p', 2)]), "e@5 i=3"),
            (
                reading(
                    "e",
                    6,
                    &[("i", 'p', 0), ("j", 'a', 4), ("k", 'a', 0), ("k", 'p', 0)],
                ),
                "e@6 k=0",
            ),
            (reading("f", 6, &[("i", 'a', 9)]), "nothing"),
            (reading("e", 6, &[("i", 'a', 7)]), "e@6 i=7"),
            (reading("e", 7, &[("j", 'p', 0)]), "nothing"),
            (reading("e", 7, &[("j", 'a', 5)]), "e@7 j=5"),
            // A clock that was set back is no reason to wait for it to catch up.
            (reading("e", 3, &[("j", 'a', 5), ("j", 'p', 1)]), "e@3 j=6"),
            (reading("f", 6, &[("i", 'p', 1)]), "f@6 i=10"),
            (
                reading("g", 1, &[("i", 'h', 1), ("i", 'p', 0), ("i", 'a', 0)]),
                "g@1 i=0+",
            ),
            (
                reading("g", 2, &[("i", 'a', 0), ("i", 'h', 0), ("i", 'p', 0)]),
                "g@2 i=0-",
            ),
        ] {
            assert_eq!(show(flushes.join(reading)), want);
        }
        assert!(flushes.waiting.is_empty());
    }

    #[test]
    fn two_addresses_of_an_instance_are_summed() {
        let both = [
            ("i@a:1", 'a', 1),
            ("i@b:1", 'a', 2),
            ("i@a:1", 'p', 4),
            ("i@b:1", 'p', 8),
        ];
        assert_eq!(
            show(Flushes::default().join(reading("e", 5, &both))),
            "e@5 i=15"
        );
    }
}

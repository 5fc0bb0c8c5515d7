//! Tables: what is reported, and what is made of it. Ports stand for instances: `1` is `i1`, at port
//! 1, in zone `a`; those from 5 on stand in zone `b`. The instances 2 and 6 drain.

use super::super::message::{
    Address, Place, SocketAddress, UpstreamEndpointStats, UpstreamLocalityStats,
};
use super::super::samples;
use super::*;

/// `zone in_progress [address in_progress]…` of one locality.
fn place(text: &str) -> UpstreamLocalityStats {
    let mut words = text.split(' ');
    let zone = words.next().unwrap().to_owned();
    let total_requests_in_progress = words.next().unwrap().parse().unwrap();
    let rest: Vec<&str> = words.collect();
    let endpoint = |pair: &[&str]| UpstreamEndpointStats {
        address: Some(Address {
            socket_address: Some(SocketAddress {
                address: if pair[0] == "name" {
                    "cart.internal"
                } else {
                    "127.0.0.1"
                }
                .into(),
                port_value: pair[0].parse().unwrap_or(1),
            }),
        }),
        total_requests_in_progress: pair[1].parse().unwrap(),
        ..UpstreamEndpointStats::default()
    };
    UpstreamLocalityStats {
        locality: Some(Place {
            region: String::new(),
            zone,
        }),
        total_requests_in_progress,
        upstream_endpoint_stats: rest.chunks(2).map(endpoint).collect(),
        ..UpstreamLocalityStats::default()
    }
}

fn cluster(name: &str, places: &[&str]) -> ClusterStats {
    ClusterStats {
        cluster_name: name.into(),
        upstream_locality_stats: places.iter().map(|text| place(text)).collect(),
        load_report_interval: None,
    }
}

/// `instance=in_progress` of each that is told.
fn told(ledger: &mut Ledger, report: &[ClusterStats]) -> String {
    let services = ["cart".parse().unwrap()].into();
    let loads = ledger.take(report, &samples::plan(), &services);
    let loads: Vec<_> = loads
        .iter()
        .map(|load| format!("{}={}", load.instance, load.in_progress))
        .collect();
    loads.join(" ")
}

#[test]
fn envoys_name_addresses_and_leave_out_what_is_idle() {
    for (places, want) in [
        (&["a 3 1 1 2 2"][..], "i1=1 i2=2 i5=0 i6=0"),
        (&["a 1 2 1", "b 4 5 4"], "i1=0 i2=1 i5=4 i6=0"),
        (&[], "i1=0 i2=0 i5=0 i6=0"),
        // One that the plan does not have any more explains its part.
        (&["a 7 9 7"], "i1=0 i2=0 i5=0 i6=0"),
        // Not an IP address: it may be any of them.
        (&["a 2 name 2"], "i2=2 i5=0 i6=0"),
        // The same locality at two priorities.
        (&["a 1 1 1", "a 2 2 2"], "i1=1 i2=2 i5=0 i6=0"),
    ] {
        let mut ledger = Ledger::new(Habits::Idle);
        let report = [cluster("cart/v1", places)];
        assert_eq!(told(&mut ledger, &report), want, "{places:?}");
    }
}

#[test]
fn a_cluster_that_envoy_does_not_name_may_be_new_to_it() {
    let mut ledger = Ledger::new(Habits::Idle);
    let strange = cluster("tidegate", &["a 1"]);
    let other = cluster("other/v1", &["a 1"]);
    assert_eq!(told(&mut ledger, &[strange, other]), "");
}

#[test]
fn a_locality_counts_against_each_instance_that_drains_there() {
    let mut ledger = Ledger::new(Habits::IdleAndSilent);
    for (places, want) in [
        (&["a 3", "b 0"][..], "i2=3 i5=0 i6=0"),
        (&["b 1"], "i1=0 i2=0 i6=1"),
        (&[], "i1=0 i2=0 i5=0 i6=0"),
    ] {
        let report = [cluster("cart/v1", places)];
        assert_eq!(told(&mut ledger, &report), want, "{places:?}");
    }
    assert_eq!(told(&mut ledger, &[]), "i1=0 i2=0 i5=0 i6=0");
}

#[test]
fn what_a_client_leaves_out_is_as_it_was_and_unknown_before() {
    let mut ledger = Ledger::new(Habits::Unchanged);
    for (places, want) in [
        (&[][..], ""),
        (&["a 2"], "i2=2"),
        (&[], "i2=2"),
        (&["b 0"], "i2=2 i5=0 i6=0"),
        (&["a 0"], "i1=0 i2=0 i5=0 i6=0"),
        (&[], "i1=0 i2=0 i5=0 i6=0"),
    ] {
        let report = [cluster("cart/v1", places)];
        assert_eq!(told(&mut ledger, &report), want, "{places:?}");
    }
    assert_eq!(told(&mut ledger, &[]), "i1=0 i2=0 i5=0 i6=0");
    assert_eq!(ledger.unchanged.len(), 1);
}

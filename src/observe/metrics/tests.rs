//! What a scrape shows, and that the reference is made from the registry.

use std::fmt::Write as _;

use prometheus_client::registry::Registry;

use super::Metrics;
use crate::domain::{Generation, Span, Time};
use crate::engine::{Cause, Entry, Outcome, Proof, Record, Stage};

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");

fn metrics() -> Metrics {
    Metrics::new(Registry::default())
}

fn entry(record: Record) -> Entry {
    Entry {
        at: Time::UNIX_EPOCH,
        request: None,
        record,
    }
}

fn drained(missing: Vec<String>) -> Entry {
    entry(Record::InstanceMoved {
        service: "cart".parse().unwrap(),
        instance: "cart-1".parse().unwrap(),
        to: Stage::Drained {
            proof: Proof {
                took: Span::secs(4),
                witnesses: 2,
                missing,
            },
            cause: Cause::Rollout("cart-42".parse().unwrap()),
        },
        why: "idle".into(),
    })
}

#[track_caller]
fn check_lines(metrics: &Metrics, lines: &[&str]) {
    let text = metrics.encode();
    for line in lines {
        assert!(
            text.lines().any(|l| l == *line),
            "{line} is not in:\n{text}"
        );
    }
}

#[test]
fn entries_feed_the_histograms() {
    let metrics = metrics();
    metrics.observe_entry(&entry(Record::InForce {
        generation: Generation(3),
        proxies: 2,
        took: Span::millis(20),
    }));
    metrics.observe_entry(&drained(Vec::new()));
    metrics.observe_entry(&drained(vec!["edge-7 is not connected".into()]));
    check_lines(
        &metrics,
        &[
            "tidegate_barrier_seconds_count 1",
            "tidegate_barrier_seconds_bucket{le=\"0.025\"} 1",
            "tidegate_drain_seconds_count{outcome=\"proven\"} 1",
            "tidegate_drain_seconds_count{outcome=\"unproven\"} 1",
            "tidegate_journal_entries_total 3",
        ],
    );
}

#[test]
fn gauges_follow_the_view_and_forget_what_it_no_longer_shows() {
    let metrics = metrics();
    let mut view = crate::api::sample::view();
    metrics.observe_view(&view);
    check_lines(
        &metrics,
        &[
            "tidegate_ready 1",
            "tidegate_generation 118",
            "tidegate_rollouts{phase=\"Draining\"} 1",
            "tidegate_blockers{kind=\"drain\"} 1",
            "tidegate_version_weight_ratio{service=\"cart\",version=\"v41\"} 0.65",
            "tidegate_instances{service=\"cart\",version=\"v41\",stage=\"serving\"} 2",
            "tidegate_proxies{state=\"lost\"} 1",
            "tidegate_proxies_refusing 1",
        ],
    );
    view.rollouts.clear();
    metrics.observe_view(&view);
    assert!(!metrics.encode().contains("tidegate_rollouts{"));
}

fn count_streams(metrics: &Metrics) {
    metrics.stream_opened();
    metrics.stream_opened();
    metrics.stream_closed();
    metrics.encoded("route");
    metrics.pushed("route", 1000);
    metrics.acked("route", 0.2);
    metrics.nacked("cluster");
    metrics.gate_released("listener");
    metrics.load_report_dropped();
    let (service, version) = ("cart".parse().unwrap(), "v41".parse().unwrap());
    metrics.requests_reported(&service, &version, 7, 1);
    metrics.requests_reported(&service, &version, 2, 0);
    metrics.journal_appended(0.0004);
    metrics.set_leases(20);
    metrics.connection_refused(crate::serving::Refused::Limit);
    metrics.certificates_read(true);
    metrics.secret_read(false);
    metrics.observe_secrets(&crate::api::sample::secrets());
    metrics.set_journal(70_000, 12, true);
}

#[test]
fn streams_count() {
    let metrics = metrics();
    count_streams(&metrics);
    check_lines(
        &metrics,
        &[
            "tidegate_streams 1",
            "tidegate_encodes_total{kind=\"route\"} 1",
            "tidegate_pushes_total{kind=\"route\"} 1",
            "tidegate_pushed_bytes_total{kind=\"route\"} 1000",
            "tidegate_ack_seconds_count{kind=\"route\"} 1",
            "tidegate_nacks_total{kind=\"cluster\"} 1",
            "tidegate_gate_releases_total{kind=\"listener\"} 1",
            "tidegate_load_reports_dropped_total 1",
            "tidegate_requests_reported_total{service=\"cart\",version=\"v41\",outcome=\"success\"} 9",
            "tidegate_requests_reported_total{service=\"cart\",version=\"v41\",outcome=\"error\"} 1",
            "tidegate_leases 20",
            "tidegate_connections_refused_total{reason=\"limit\"} 1",
            "tidegate_certificate_reads_total{outcome=\"taken\"} 1",
            "tidegate_secret_reads_total{outcome=\"broken\"} 1",
            "tidegate_secrets{state=\"current\"} 1",
            "tidegate_secrets{state=\"broken\"} 0",
            "tidegate_secrets{state=\"missing\"} 1",
            "tidegate_journal_size_bytes 70000",
            "tidegate_journal_uncovered 12",
            "tidegate_journal_not_compacted 1",
        ],
    );
}

/// The reference as it should be: a row for each family, in the order of the registry.
fn reference() -> String {
    let mut out = String::from(
        "# Metrics\n\n\
         What `GET /metrics` shows. Made from the registry by `cargo test metrics`; do not edit.\n\n\
         | name | type | what |\n|---|---|---|\n",
    );
    // A family without a series is not encoded, so each gets one.
    let metrics = metrics();
    metrics.observe_view(&crate::api::sample::view());
    metrics.observe_entry(&drained(Vec::new()));
    metrics.observe_entry(&entry(Record::RolloutEnded {
        rollout: "cart-42".parse().unwrap(),
        outcome: Outcome::Done,
        keep_until: None,
    }));
    count_streams(&metrics);
    let text = metrics.encode();
    let words = |line: &str, keyword: &str| {
        let rest = line.strip_prefix(keyword)?;
        let (name, what) = rest.split_once(' ')?;
        Some((name.to_owned(), what.to_owned()))
    };
    for line in text.lines() {
        let Some((name, help)) = words(line, "# HELP ") else {
            continue;
        };
        let kind = text
            .lines()
            .find_map(|l| words(l, "# TYPE ").and_then(|(of, kind)| (of == name).then_some(kind)));
        let kind = kind.expect("each family has a type");
        let suffix = if kind == "counter" { "_total" } else { "" };
        writeln!(out, "| `{name}{suffix}` | {kind} | {help} |").unwrap();
    }
    out
}

#[test]
fn the_reference_is_fresh() {
    let wanted = reference();
    if fs_err::read_to_string(REFERENCE).ok().as_deref() != Some(&wanted) {
        fs_err::write(REFERENCE, &wanted).unwrap();
        panic!("docs/metrics.md was out of date; it is written anew, commit it");
    }
}

//! The end of a run: tables for people, one JSON object for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::{Table, presets};
use serde::Serialize;

use super::clients::Counts;
use super::judged::Judged;
use super::outcome::{Class, Tally};
use super::promise::{Facts, Promise};
use super::view::Drained;

/// What `--output json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Summary<'a> {
    scenario: &'a str,
    duration_s: f64,
    requests: u64,
    failed: u64,
    failed_by: &'a BTreeMap<String, u64>,
    instances: usize,
    released_proven: usize,
    released_unproven: usize,
    min_ready: Option<u64>,
    ack_ms_p50: Option<f64>,
    ack_ms_max: Option<f64>,
    drain_s: Vec<f64>,
    phase: &'a str,
    /// What gates found: of several rolls each different word once.
    decision: Option<String>,
    /// The longest of the rolls, from the first share of the traffic to the decision.
    detect_s: Option<f64>,
    /// Of all rolls.
    failed_on_new: u64,
    /// The longest of the rolls, from the decision to its end.
    rolled_back_s: Option<f64>,
    /// Each roll.
    rolls: &'a [Judged],
    /// What became of sessions, where there were any.
    #[serde(flatten)]
    sessions: Option<&'a Counts>,
}

impl<'a> Summary<'a> {
    /// Of a run.
    pub(super) fn new(scenario: &'a str, facts: &'a Facts) -> Self {
        let (released_proven, released_unproven) = facts.released();
        let (ack_ms_p50, ack_ms_max) = acks(facts);
        Self {
            scenario,
            duration_s: rounded(facts.seconds, 10.0),
            requests: facts.requests,
            failed: facts.failed,
            failed_by: &facts.failed_by,
            instances: facts.instances,
            released_proven,
            released_unproven,
            min_ready: facts.min_ready(),
            ack_ms_p50,
            ack_ms_max,
            drain_s: drained(facts)
                .iter()
                .map(|d| rounded(d.took_ms / 1000.0, 1000.0))
                .collect(),
            phase: facts.phase(),
            decision: decisions(&facts.judged),
            detect_s: most(facts.judged.iter().filter_map(|it| it.detect_s)),
            failed_on_new: facts.judged.iter().map(|it| it.failed_on_new).sum(),
            rolled_back_s: most(facts.judged.iter().filter_map(|it| it.rolled_back_s)),
            rolls: &facts.judged,
            sessions: facts.sessions.as_ref(),
        }
    }

    /// As one line.
    pub(super) fn line(&self) -> String {
        // Strings, numbers and a map with string keys: nothing in it that could fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn decisions(judged: &[Judged]) -> Option<String> {
    let mut words: Vec<&str> = judged
        .iter()
        .filter_map(|it| it.decision.as_deref())
        .collect();
    words.dedup();
    (!words.is_empty()).then(|| words.join(", "))
}

fn most(seconds: impl Iterator<Item = f64>) -> Option<f64> {
    seconds.max_by(f64::total_cmp)
}

/// The report for people.
pub(super) fn text(title: &str, facts: &Facts, tally: &Tally, promises: &[Promise]) -> String {
    let mut text = format!("\n{title}\n\n{}\n", classes(tally));
    if !drained(facts).is_empty() {
        let _ = writeln!(text, "\n{}", drains(facts));
    }
    let (requests, seconds) = (facts.requests, facts.seconds);
    let _ = writeln!(
        text,
        "\n{requests} requests in {seconds:.1} s, {:.0} per second through {} Envoys; {} failed",
        facts.rate(),
        facts.proxies,
        facts.failed,
    );
    for (reason, count) in &facts.failed_by {
        let _ = writeln!(text, "  {count:>6}  {reason}");
    }
    if let (Some(p50), Some(max)) = acks(facts) {
        let _ = writeln!(
            text,
            "from publish to the last ACK: p50 {p50:.1} ms, max {max:.1} ms"
        );
    }
    if let Some(min) = facts.min_ready() {
        let _ = writeln!(
            text,
            "lowest ready capacity: {min} of {} instances",
            facts.instances
        );
    }
    for roll in facts.judged.iter().filter(|it| it.decision.is_some()) {
        let seconds = |it: Option<f64>| it.map_or("–".to_owned(), |it| format!("{it:.1} s"));
        let _ = writeln!(
            text,
            "{}: {} after {} ({}); {} failed on it; rolled back in {}",
            roll.to,
            roll.decision.as_deref().unwrap_or_default(),
            seconds(roll.detect_s),
            roll.says,
            roll.failed_on_new,
            seconds(roll.rolled_back_s),
        );
    }
    let _ = writeln!(text);
    for promise in promises {
        let verdict = if promise.held { "held  " } else { "BROKEN" };
        let _ = writeln!(text, "  {verdict}  {} ({})", promise.text, promise.seen);
    }
    text
}

fn classes(tally: &Tally) -> Table {
    let mut table = table(&["requests", "count", "failed", "p50", "p99", "answered by"]);
    for class in Class::ALL {
        let counts = tally.class(class);
        let by: Vec<String> = counts
            .by_version
            .iter()
            .map(|(version, count)| format!("{version} {count}"))
            .collect();
        let quantile = |q| counts.latency.quantile(q).map_or("–".to_owned(), millis);
        table.add_row([
            class.label().to_owned(),
            counts.requests.to_string(),
            counts.failed.to_string(),
            quantile(0.5),
            quantile(0.99),
            by.join(", "),
        ]);
    }
    table
}

fn drains(facts: &Facts) -> Table {
    let mut table = table(&["instance", "drained in", "proof"]);
    for Drained {
        instance,
        took_ms,
        proven,
        witnesses,
        missing,
    } in drained(facts)
    {
        let proof = if *proven {
            format!("proven by {witnesses} proxies")
        } else {
            format!("UNPROVEN: {}", missing.join("; "))
        };
        table.add_row([
            instance.clone(),
            format!("{:.2} s", took_ms / 1000.0),
            proof,
        ]);
    }
    table
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(header.iter().copied());
    table
}

fn drained(facts: &Facts) -> &[Drained] {
    facts
        .rollout
        .as_ref()
        .map_or(&[], |rollout| &rollout.report.drained)
}

/// The median and the largest time from publish to the last ACK.
fn acks(facts: &Facts) -> (Option<f64>, Option<f64>) {
    let acks = facts
        .rollout
        .as_ref()
        .map(|rollout| rollout.report.ack_ms.clone());
    let mut acks = acks.unwrap_or_default();
    acks.sort_by(f64::total_cmp);
    let median = acks.get(acks.len().saturating_sub(1) / 2);
    let tenth = |ms: &f64| rounded(*ms, 10.0);
    (median.map(tenth), acks.last().map(tenth))
}

fn millis(latency: Duration) -> String {
    format!("{:.1} ms", latency.as_secs_f64() * 1000.0)
}

pub(super) fn rounded(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::outcome::Outcome;
    use crate::demo::view::Rollout;

    fn facts() -> Facts {
        let rollout: Rollout = serde_json::from_str(
            r#"{"name":"web-v2","phase":"Done","report":{"min_ready":10,"ack_ms":[9.04,1,3.5],
                "drained":[{"instance":"v1-0","took_ms":2104,"proven":true,"missing":[]},
                           {"instance":"v1-1","took_ms":30000,"proven":false,"missing":["edge-2 is gone"]}]}}"#,
        )
        .unwrap();
        Facts {
            instances: 2,
            proxies: 2,
            seconds: 40.04,
            requests: 3,
            failed: 1,
            failed_by: BTreeMap::from([("reset".to_owned(), 1)]),
            rollout: Some(rollout),
            judged: vec![Judged {
                to: "v2".to_owned(),
                decision: Some("worse".to_owned()),
                says: "errors 1% vs 0%".to_owned(),
                detect_s: Some(2.5),
                failed_on_new: 7,
                rolled_back_s: Some(3.0),
                phase: "RolledBack".to_owned(),
            }],
            ..Facts::default()
        }
    }

    #[test]
    fn the_summary_has_every_field_on_one_line() {
        assert_eq!(
            Summary::new("rolling", &facts()).line(),
            r#"{"scenario":"rolling","duration_s":40.0,"requests":3,"failed":1,"failed_by":{"reset":1},"instances":2,"released_proven":1,"released_unproven":1,"min_ready":10,"ack_ms_p50":3.5,"ack_ms_max":9.0,"drain_s":[2.104,30.0],"phase":"Done","decision":"worse","detect_s":2.5,"failed_on_new":7,"rolled_back_s":3.0,"rolls":[{"to":"v2","decision":"worse","says":"errors 1% vs 0%","detect_s":2.5,"failed_on_new":7,"rolled_back_s":3.0,"phase":"RolledBack"}]}"#
        );
        let nothing = Facts::default();
        let line = Summary::new("naive", &nothing).line();
        assert!(
            line.contains(r#""ack_ms_p50":null"#)
                && line.contains(r#""phase":"none","decision":null"#),
            "{line}"
        );
    }

    #[test]
    fn the_report_names_what_was_not_proven_and_what_broke() {
        let tally = Tally::new();
        tally.record(Class::Fast, &Outcome::Ok, "v2", Duration::from_millis(1));
        let promises = [Promise::new("no request fails", false, "1 of 3: 1 × reset")];
        let text = text("rolling", &facts(), &tally, &promises);
        for part in [
            "UNPROVEN: edge-2 is gone",
            "2.10 s",
            "BROKEN  no request fails",
            "v2 1",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

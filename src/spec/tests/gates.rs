//! Good gates, and what rollouts make of them.

use super::accepted::{CART, good, rollout};
use crate::domain::{
    Burn, Check, Codes, Gate, Hook, InTime, KeySource, Metric, OnOneBadBox, OnUnsure, OnWorse,
    Share, Span, Webhook,
};

#[track_caller]
fn gate(spec: &str) -> Gate {
    let loaded = good(&format!("kind: Gate\nname: g\nspec: {spec}\n"));
    loaded.documents.gates.into_values().next().unwrap()
}

/// The one check of a gate.
#[track_caller]
fn check(check: &str) -> Check {
    let gate = gate(&format!("{{ checks: [{check}] }}"));
    let [check] = gate.checks.try_into().unwrap();
    check
}

fn percent(text: &str) -> Share {
    text.parse().unwrap()
}

fn codes(http: &[&str], grpc: &[&str]) -> Codes {
    Codes {
        http: http.iter().map(|code| code.parse().unwrap()).collect(),
        grpc: grpc.iter().map(|code| code.parse().unwrap()).collect(),
    }
}

#[test]
fn a_gate_with_nothing_set_is_strict() {
    let gate = gate("{ checks: [errors: {}, latency: {}] }");
    assert_eq!(
        gate.checks,
        [
            Check::Errors {
                no_worse_than: 1.0,
                min_effect: percent("0.1%"),
                codes: Codes::default(),
                weight: None,
            },
            Check::Latency {
                quantiles: vec![0.5, 0.9, 0.99],
                no_worse_than: 1.1,
                min_effect: percent("0.1%"),
                slower_than: None,
                weight: None,
            },
        ]
    );
    assert_eq!(
        (gate.false_alarm, gate.prove_within),
        (percent("1%"), Span::secs(600))
    );
    assert_eq!(
        (gate.on_worse, gate.on_one_bad_box, gate.if_unsure),
        (OnWorse::Rollback, OnOneBadBox::Replace, OnUnsure::Pause)
    );
}

#[test]
fn checks_take_what_is_written() {
    let table = [
        (
            "errors: { codes: [5xx, 429, 520-530], grpc: [unavailable, 13], noWorseThan: 1.5x, minEffect: 1%, weight: 70% }",
            Check::Errors {
                no_worse_than: 1.5,
                min_effect: percent("1%"),
                codes: codes(&["5xx", "429", "520-530"], &["unavailable", "internal"]),
                weight: Some(percent("70%")),
            },
        ),
        (
            "latency: { at: [], slowerThan: 300ms, minEffect: 0% }",
            Check::Latency {
                quantiles: Vec::new(),
                no_worse_than: 1.1,
                min_effect: percent("0%"),
                slower_than: Some(Span::millis(300)),
                weight: None,
            },
        ),
        (
            "slo: { availability: 99.95%, burn: 14.4x over 1h and 5m }",
            Check::Slo {
                availability: Some(percent("99.95%")),
                codes: Codes::default(),
                latency: None,
                burn: vec![Burn::USUAL[0]],
            },
        ),
        (
            "slo: { latency: { within: 300ms, share: 99% }, grpc: [] }",
            Check::Slo {
                availability: None,
                codes: codes(&["5xx"], &[]),
                latency: Some(InTime {
                    within: Span::millis(300),
                    share: percent("99%"),
                }),
                burn: Burn::USUAL.to_vec(),
            },
        ),
        (
            "slo: { availability: 99%, burn: [6x over 6h and 30m, 3x over 15m] }",
            Check::Slo {
                availability: Some(percent("99%")),
                codes: Codes::default(),
                latency: None,
                burn: vec![Burn::USUAL[1], "3x over 15m".parse().unwrap()],
            },
        ),
        (
            "metric: { prometheus: 'sum(rate(x{version=\"$version\"}[1m]))', below: 5 }",
            Check::Metric(Metric {
                name: None,
                prometheus: "sum(rate(x{version=\"$version\"}[1m]))".to_owned(),
                below: Some(5.0),
                above: None,
                every: Span::secs(15),
                server: None,
            }),
        ),
        (
            "metric: { name: orders, prometheus: up, above: -0.5, below: 1e3, every: 1m, server: 'http://prom:9090' }",
            Check::Metric(Metric {
                name: Some("orders".to_owned()),
                prometheus: "up".to_owned(),
                below: Some(1000.0),
                above: Some(-0.5),
                every: Span::secs(60),
                server: Some("http://prom:9090".to_owned()),
            }),
        ),
        (
            "webhook: { post: 'https://ci.example/verdict', sign: { env: KEY } }",
            Check::Webhook(Webhook {
                name: "ci.example".to_owned(),
                call: Hook::Post {
                    url: "https://ci.example/verdict".to_owned(),
                    headers: std::collections::BTreeMap::new(),
                    timeout: Span::secs(10),
                    sign: Some(KeySource::Env("KEY".to_owned())),
                },
                every: Span::secs(15),
            }),
        ),
        ("crashes: {}", Check::Crashes { at_most: 0 }),
        ("crashes: { atMost: 2 }", Check::Crashes { at_most: 2 }),
        (
            "healthyRatio: { atLeast: 95% }",
            Check::HealthyRatio {
                at_least: percent("95%"),
            },
        ),
    ];
    for (text, wanted) in table {
        let found = check(text);
        assert_eq!(found, wanted, "{text}");
        // And as the journal keeps it.
        let kept = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Check>(&kept).unwrap(), found);
    }
}

#[test]
fn a_rollout_may_say_otherwise_than_its_gates() {
    use OnWorse::{Pause, Report, Rollback, RollbackWave};
    let gates = [
        gate("{ checks: [crashes: {}] }"),
        gate("{ checks: [crashes: {}], onWorse: pause, onOneBadBox: rollback, ifUnsure: proceed }"),
        gate("{ checks: [crashes: {}], onWorse: report }"),
    ];
    assert_eq!(gates[1].on_one_bad_box, OnOneBadBox::Rollback);
    let way = "service: cart, to: v2, waves: [{ pick: the rest }]";
    for (said, worse) in [
        ("", [Rollback, Pause, Report]),
        (", onWorse: rollback", [Rollback; 3]),
        (", onWorse: report", [Report; 3]),
        (
            ", onWorse: { rollback: this wave, then: pause }",
            [RollbackWave, Pause, Report],
        ),
        (
            ", onWorse: { rollback: this wave }",
            [RollbackWave, Pause, Report],
        ),
    ] {
        let rollout = rollout(&format!("{{ {way}{said} }}"));
        let found = [0, 1, 2].map(|i| rollout.on_worse(&gates[i]));
        assert_eq!(found, worse, "{said}");
        assert_eq!(rollout.if_unsure(&gates[1]), OnUnsure::Proceed);
    }
    let rollout = rollout(&format!("{{ {way}, ifUnsure: rollback }}"));
    assert_eq!(rollout.if_unsure(&gates[1]), OnUnsure::Rollback);
}

/// Without a word the built-in gate judges, with `[]` none does, and a document of its name is used instead.
#[test]
fn every_rollout_has_a_gate_unless_it_wants_none() {
    let named = |spec: &str| {
        let gates = rollout(spec).gates;
        gates.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(named("{ service: cart, to: v2 }"), ["no-worse"]);
    assert!(named("{ service: cart, to: v2, gates: [] }").is_empty());
    let name = "no-worse".parse().unwrap();
    let gate_of = |text: &str| good(text).documents.gate(&name).unwrap().into_owned();
    assert_eq!(gate_of(CART), Gate::built_in(name.clone()));
    let declared = gate_of("kind: Gate\nname: no-worse\nspec: { checks: [crashes: {}] }\n");
    assert_eq!(declared.checks, [Check::Crashes { at_most: 0 }]);
    let loaded = good(CART);
    assert_eq!(loaded.documents.gate(&"other".parse().unwrap()), None);
}

#[test]
fn gates_are_accepted_without_a_word() {
    let loaded = good(&format!(
        "{CART}kind: Rollout\nname: r\nspec: {{ service: cart, to: v2, gates: [no-worse] }}\n"
    ));
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, [""; 0]);
}

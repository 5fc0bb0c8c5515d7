//! What people see.

use insta::assert_snapshot;
use serde_json::json;

use super::*;
use crate::api::{Weighed, sample};
use crate::engine::{Entry, Outcome, Phase, Record};
use crate::runtime::DocumentView;

const PLAIN: Look = Look {
    colour: false,
    width: Some(72),
};

const PIPED: Look = Look {
    colour: false,
    width: None,
};

fn located(view: &View) -> Vec<LocatedInstance> {
    let service = &view.services[0];
    let instances = service.instances.iter().map(|instance| LocatedInstance {
        service: service.name.clone(),
        instance: instance.clone(),
    });
    instances.collect()
}

fn ended() -> Numbered {
    Numbered {
        seq: 12,
        entry: Entry {
            at: sample::time("2026-11-23T12:11:56Z"),
            request: None,
            record: Record::RolloutEnded {
                rollout: "cart-42".parse().unwrap(),
                outcome: Outcome::RolledBack,
                keep_until: None,
            },
        },
    }
}

#[test]
fn a_rollout_in_the_middle() {
    let mut view = sample::view();
    view.services[0].instances[2].healthy = Some(false);
    let text = rollout(&view, &view.rollouts[0], &[ended()], view.at, PLAIN);
    assert_snapshot!(text, @"
    cart-42   cart v41 → v42   Draining
    12m4s   batch 2   1 of 3 replaced   generation 118
    2 proxies, 1 of them lost

      v41  ██████████████████████████░░░░░░░░░░░░░░  65%
      v42  ██████████████░░░░░░░░░░░░░░░░░░░░░░░░░░  35%

      v41  D S S!
      v42  S J
      J joining 1   S serving 3   D draining 1   ! fails its health check

    waits for
      cart-1 is draining: edge-7 has 2 requests in progress (for 8s, 4m52s
      left)
        hint: `tidegate rollout skip` releases it unproven
      note: edge-8 is lost

    measured
      1 drained: 1 proven, 0 unproven; median 4.2s, slowest 4.2s
      3 plans acknowledged; median 20ms, slowest 31ms
      never fewer than 3 instances took traffic

    recently
      12:11:56  cart-42: rolled back
    ");
}

#[test]
fn a_rollout_for_a_narrow_terminal_keeps_within_it() {
    let view = sample::view();
    let narrow = Look {
        colour: false,
        width: Some(40),
    };
    let text = rollout(&view, &view.rollouts[0], &[ended()], view.at, narrow);
    for line in text.lines() {
        assert!(line.chars().count() <= 40, "{line:?} in\n{text}");
    }
}

#[test]
fn colours_add_nothing_but_themselves() {
    let view = sample::view();
    let coloured = Look {
        colour: true,
        ..PLAIN
    };
    let with = rollout(&view, &view.rollouts[0], &[], view.at, coloured);
    let without = rollout(&view, &view.rollouts[0], &[], view.at, PLAIN);
    assert!(with.contains("\x1b[33mD\x1b[0m"), "{with}");
    assert_eq!(anstream::adapter::strip_str(&with).to_string(), without);
}

#[test]
fn a_rollout_in_a_line() {
    let mut view = sample::view();
    assert_snapshot!(rollout_line(&view, &view.rollouts[0]), @"Draining 1/3; v41 65% v42 35%; cart-1 is draining: edge-7 has 2 requests in progress");
    view.rollouts[0].phase = Phase::Done;
    view.rollouts[0].blockers.clear();
    assert_snapshot!(rollout_line(&view, &view.rollouts[0]), @"Done 1/3; v41 65% v42 35%");
}

#[test]
fn a_large_fleet_is_cut() {
    let mut view = sample::view();
    let one = sample::instance("cart-1", "v41", "serving", None);
    view.services[0].instances = vec![one; 1000];
    let text = rollout(&view, &view.rollouts[0], &[], view.at, PLAIN);
    assert!(text.contains("and 600 more"), "{text}");
    assert!(text.contains("S serving 1000"), "{text}");
}

#[test]
fn tables() {
    let view = sample::view();
    assert_snapshot!(rollouts(&view.rollouts, view.at, PIPED), @"
    NAME     SERVICE  FROM  TO   PHASE     DONE  FOR    WAITS
    cart-42  cart     v41   v42  Draining  1/3   12m4s  cart-1 is draining: edge-7 has 2 requests in progress
    ");
    assert_snapshot!(instances(&located(&view), PIPED), @"
    SERVICE  INSTANCE  VERSION  STAGE     HEALTH  ACTIVE  ZONE  ADDRESS        DRAINED
    cart     cart-1    v41      draining  ok      2       a     10.0.0.1:8080  -
    cart     cart-2    v41      serving   ok      7       a     10.0.0.1:8080  -
    cart     cart-3    v41      serving   ok      5       a     10.0.0.1:8080  -
    cart     cart-4    v42      serving   ok      6       a     10.0.0.1:8080  -
    cart     cart-5    v42      joining   ok      -       a     10.0.0.1:8080  -
    ");
    assert_snapshot!(proxies(&view.proxies, view.at, PIPED), @"
    PROXY   CLUSTER  AGENT         STREAM  FOR    IN FORCE  REPORT  REFUSES
    edge-7  web      envoy 1.40.0  open    1h12m  118       4s ago  cluster cart/v42 of generation 117: unknown field
    edge-8  web      envoy 1.40.0  lost    1h12m  118       4s ago  -
    ");
    let documents_in_force = [
        document(Kind::Service, "cart", "mesh.yaml"),
        document(Kind::Rollout, "cart-42", "api"),
        document(Kind::Gateway, "mesh", "mesh.yaml"),
    ];
    assert_snapshot!(documents(&documents_in_force, &view, PIPED), @"
    KIND     NAME     SOURCE     STATE
    Service  cart     mesh.yaml  v41 65% v42 35%; 5 instances
    Rollout  cart-42  api        Draining 1/3
    Gateway  mesh     mesh.yaml  -
    ");
    assert_snapshot!(entry(&ended()), @"    12  2026-11-23T12:11:56Z  cart-42: rolled back");
}

fn document(kind: Kind, name: &str, source: &str) -> DocumentView {
    DocumentView {
        kind,
        name: name.into(),
        source: source.into(),
        yaml: String::new(),
    }
}

#[test]
fn nothing_yet_says_what_to_do() {
    let view = sample::view();
    for text in [
        rollouts(&[], view.at, PIPED),
        instances(&[], PIPED),
        proxies(&[], view.at, PIPED),
        documents(&[], &view, PIPED),
    ] {
        assert!(
            text.starts_with("no ") && text.contains("`tidegate "),
            "{text}"
        );
    }
}

#[test]
fn why_is_a_sentence_and_a_hint() {
    let view = sample::view();
    let waiting = &view.rollouts[0];
    let answer = Why {
        rollout: waiting.name.clone(),
        phase: waiting.phase,
        message: format!("cart-42 is Draining: {}", waiting.blockers[0].text),
        blockers: waiting.blockers.clone(),
        notes: waiting.notes.clone(),
        gates: vec!["no-worse: 0.3 of 2.0 decades of evidence against v42".to_owned()],
    };
    assert_snapshot!(why(&answer, PIPED), @"
    cart-42 is Draining: cart-1 is draining: edge-7 has 2 requests in progress
      hint: `tidegate rollout skip` releases it unproven
      gate no-worse: 0.3 of 2.0 decades of evidence against v42
      note: edge-8 is lost
    ");
}

#[test]
fn secrets_show_how_they_stand_and_nothing_of_what_they_are() {
    assert_snapshot!(secrets(&sample::secrets(), PIPED), @"
    SECRET       KIND         STATE    VERSION           EXPIRES               USED BY       PROBLEM
    edge         certificate  current  5f2c9d0be1a87c36  2027-02-21T12:00:00Z  gateway edge  -
    old          certificate  kept     5f2c9d0be1a87c36  2027-02-21T12:00:00Z  service cart  the key in `/etc/tidegate/secrets/old/tls.key` is not that of the certificate in `/etc/tidegate/secrets/old/tls.crt`; write both files of one pair; it is taken as soon as they fit
    partners/ca  CA           missing  -                 -                     gateway edge  there is no `/etc/tidegate/secrets/partners/ca.crt`; it is taken as soon as it is there
    ");
    let none = SecretsView::default();
    assert_snapshot!(secrets(&none, PIPED), @"no secrets; `secrets` in the server's file names a directory of them");
}

/// As after a rollback: nothing is counted any more, and what was decided is there with its numbers.
#[test]
fn evidence_shows_counts_instances_and_what_was_decided() {
    let counts = |requests: u64, bad: u64| json!({ "requests": requests, "bad": bad });
    let point = |second: u32, decades: f64| json!({ "at": format!("2026-11-23T12:00:{second:02}Z"), "decades": decades });
    let evidence = json!({
        "new": "v42", "stable": "v41", "since": "2026-11-23T12:00:00Z", "decades": 2.3, "needed": 2.0,
        "checks": [
            { "check": "errors", "stands": "unsure", "says": "errors 1.2% vs 0.1% of 1450 requests", "decades": 2.6,
              "new": counts(1_450, 17), "stable": counts(13_200, 12), "dispersion": 1.04 },
            { "check": "latency", "stands": "good", "says": "p99 310ms vs 300ms of 1450 requests", "decades": -0.4,
              "thresholds": [{ "over_ms": 300.0, "quantile": 0.99, "new": counts(1_450, 15),
                               "stable": counts(13_200, 131), "decades": -0.4 }] },
            { "check": "metric", "what": "orders", "stands": "good", "says": "orders is 71", "number": 71.0 },
        ],
        "left_out": counts(310, 41),
        "instances": [
            { "instance": "cart-7", "attempts": counts(730, 9), "decades": 0.1, "taken_out": false },
            { "instance": "cart-3", "attempts": counts(40, 9), "decades": 3.1, "taken_out": true },
        ],
        "over_time": [point(0, 0.0), point(5, 0.4), point(10, 1.1), point(15, 2.3)],
    });
    let weighed: Weighed = serde_json::from_value(json!({
        "rollout": "cart-42", "phase": "RolledBack",
        "gates": [{
            "gate": "no-worse", "stands": "worse", "says": "worse: errors 1.2% vs 0.1%", "evidence": null,
            "decisions": [{
                "at": "2026-11-23T12:00:15Z", "verdict": "worse", "says": "errors 1.2% vs 0.1%",
                "follows": "goesBack", "part": [0, 0], "evidence": evidence,
            }],
        }],
    }))
    .unwrap();
    assert_snapshot!(super::evidence(&weighed, PIPED), @"
    cart-42 is RolledBack

    no-worse: worse
      worse: errors 1.2% vs 0.1%
      decided: 12:00:15 worse (errors 1.2% vs 0.1%); it goes back

      CHECK                DECADES  V42                V41                  BURSTS  STANDS
      errors               2.6      17 of 1450, 1.17%  12 of 13200, 0.09%   1.0     worse
      latency              -0.4     -                  -                    -       proven
        over 300 ms (p99)  -0.4     15 of 1450, 1.03%  131 of 13200, 0.99%
      metric               -        -                  -                    -       proven
      metric: orders is 71
      left out while v42 warms up: 41 of 310, 13.23%

      INSTANCE  DECADES AGAINST THE OTHERS  ATTEMPTS
      cart-7    0.1                         9 of 730, 1.23%
      cart-3    3.1                         9 of 40, 22.50%  taken out

      evidence over time, full at 2.0 decades
      12:00:00 ▁▂▅█ 12:00:15
    ");
}

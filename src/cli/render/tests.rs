//! What people see.

use insta::assert_snapshot;

use super::*;
use crate::api::sample;
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

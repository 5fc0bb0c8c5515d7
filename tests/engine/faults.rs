//! Each fault of `tidegate sim --fault` does what its name says, and the rollout comes through it as it should.

use tidegate::domain::{Rollout, Span, ThenDo};
use tidegate::engine::Phase;
use tidegate::sim::{Fault, Outcome, Setup};

use crate::sample::{documents, name, rolling, rollout, service};
use crate::soak::play;

/// Three instances behind two proxies, one by one, with a fault.
fn with(fault: Option<Fault>, edit: impl FnOnce(&mut Setup)) -> Outcome {
    let mut documents = documents(service());
    let next = Rollout {
        strategy: rolling(1, 1, 0),
        gates: vec![name("no-worse")],
        ..rollout("next", "v2")
    };
    documents.rollouts.insert(next.name.clone(), next);
    let mut setup = Setup::new(documents);
    (setup.instances, setup.proxies, setup.seed) = (3, 2, 3);
    setup.faults.extend(fault);
    edit(&mut setup);
    play(&setup).0
}

fn said(outcome: &Outcome, words: &str) -> usize {
    let lines = outcome.timeline.iter();
    lines.filter(|line| line.what.contains(words)).count()
}

fn is_done(outcome: &Outcome) -> bool {
    outcome.report.phase == Some(Phase::Done) && outcome.report.released_proven == 3
}

#[test]
fn without_a_fault_all_goes_well() {
    let played = with(None, |_| {});
    assert!(
        is_done(&played) && played.report.is_good(),
        "{:?}",
        played.report
    );
}

#[test]
fn a_bad_version_passes_its_health_check_and_goes_back_by_its_errors() {
    let played = with(Some(Fault::BadVersion), |_| {});
    let failed: Vec<_> = played.report.failed_by.keys().collect();
    assert_eq!(failed, ["the new version answered with an error"]);
    let report = &played.report;
    assert_eq!(report.phase, Some(Phase::RolledBack), "{report:?}");
    assert!(
        said(&played, "gate no-worse: worse (errors ") == 1,
        "{:?}",
        played.timeline
    );
}

#[test]
fn an_instance_that_flaps_is_taken_out_and_comes_back() {
    let mut flapped = 0;
    for seed in 0..5 {
        let played = with(Some(Fault::Flapping), |setup| {
            (setup.seed, setup.instances) = (seed, 6);
        });
        flapped += said(&played, "503 Service Unavailable").min(said(&played, "healthy again"));
        let report = &played.report;
        assert_eq!((report.phase, report.failed), (Some(Phase::Done), 0));
    }
    assert!(flapped > 0, "none was taken out, and came back");
}

#[test]
fn a_control_plane_that_ends_is_followed_by_another() {
    let played = with(Some(Fault::LeaderLoss), |_| {});
    let ends = said(&played, "the control plane ends");
    assert!(ends > 0, "{:?}", played.timeline);
    assert_eq!(
        ends,
        said(&played, "another control plane goes on from the journal")
    );
    assert!(
        is_done(&played) && played.report.is_good(),
        "{:?}",
        played.report
    );
}

#[test]
fn a_lost_proxy_holds_the_rollout_until_it_is_back() {
    let played = with(Some(Fault::LostProxy), |_| {});
    assert_eq!(said(&played, "loses its connection"), 1);
    assert!(played.report.duration_s > 300.0, "{:?}", played.report);
    assert!(is_done(&played), "{:?}", played.report);
}

#[test]
fn a_lost_proxy_that_is_ignored_leaves_drains_unproven_and_says_so() {
    let played = with(Some(Fault::LostProxy), |setup| {
        for service in setup.documents.services.values_mut() {
            service.drain.lost_proxies.then = ThenDo::Ignore;
            service.drain.lost_proxies.wait = Span::secs(10);
        }
    });
    assert_eq!(played.report.phase, Some(Phase::Done));
    assert!(played.report.released_unproven > 0, "{:?}", played.report);
    assert!(played.report.duration_s < 300.0, "{:?}", played.report);
}

#[test]
fn a_proxy_that_refuses_stops_the_rollout_and_is_named() {
    let played = with(Some(Fault::Nack), |_| {});
    assert!(said(&played, "mesh-2 refused") > 0, "{:?}", played.timeline);
    assert!(played.report.duration_s > 120.0, "{:?}", played.report);
    assert!(
        is_done(&played) && played.report.is_good(),
        "{:?}",
        played.report
    );
}

#[test]
fn slow_requests_make_drains_slow_and_their_limit_makes_them_unproven() {
    let usual = with(None, |setup| setup.rps = 1_000);
    let slow = with(Some(Fault::SlowDrain), |setup| setup.rps = 1_000);
    assert!(slow.report.duration_s > usual.report.duration_s * 5.0);
    assert!(slow.report.released_unproven > 0, "{:?}", slow.report);
    assert_eq!(slow.report.phase, Some(Phase::Done));
}

#[test]
fn slow_starts_make_the_rollout_slow_and_nothing_else() {
    let played = with(Some(Fault::SlowStart), |_| {});
    assert!(played.report.duration_s > 3.0 * 60.0, "{:?}", played.report);
    assert!(
        is_done(&played) && played.report.is_good(),
        "{:?}",
        played.report
    );
}

/// What is not in the list above is in none of these tests.
#[test]
fn there_are_seven() {
    assert_eq!(Fault::ALL.len(), 7);
}

//! Where the shares of a service take its sessions: as Envoy does by hash, a client has a place on a line that the versions
//! part among them by their weights, in their order.

use std::collections::BTreeMap;

use tidegate::domain::{Rollout, ServicePlan, VersionName};
use tidegate::engine::{Outcome, RolloutVerb, Turned};

use crate::sample::{name, rolling, rollout, service};
use crate::stories::{ended, finish};
use crate::ways::{by_steps, step, weight};
use crate::world::World;

/// So many clients, evenly on the line of 10,000.
const CLIENTS: u32 = 500;

/// The versions that each client had one after the other.
#[derive(Debug, Default)]
pub(crate) struct Walks {
    clients: Vec<Vec<VersionName>>,
}

impl Walks {
    pub(crate) fn see(&mut self, service: &ServicePlan) {
        self.clients.resize(CLIENTS as usize, Vec::new());
        for (number, walk) in (0..CLIENTS).zip(&mut self.clients) {
            let mut place = number * (10_000 / CLIENTS);
            let version = service.routed().find(|version| {
                let share = u32::from(version.weight.get());
                let is_it = place < share;
                place = place.saturating_sub(share);
                is_it
            });
            let Some(version) = version else { continue };
            if walk.last() != Some(&version.name) {
                walk.push(version.name.clone());
            }
        }
    }

    /// So many clients went each way.
    fn told(&self) -> BTreeMap<String, usize> {
        let mut told = BTreeMap::new();
        for walk in &self.clients {
            let names: Vec<_> = walk.iter().map(VersionName::as_str).collect();
            *told.entry(names.join(" ")).or_default() += 1;
        }
        told
    }
}

fn fleet() -> World {
    let mut world = World::new(3, true);
    world.settle_in(service(), 10, 2);
    world
}

fn by_shares(id: &str, to: &str) -> Rollout {
    Rollout {
        name: name(id),
        to: name(to),
        gates: Vec::new(),
        ..by_steps(vec![
            step(weight(10), 60),
            step(weight(50), 60),
            step(weight(90), 60),
        ])
    }
}

fn ways(told: &[(&str, usize)]) -> BTreeMap<String, usize> {
    let told = told.iter();
    told.map(|(way, count)| ((*way).to_owned(), *count))
        .collect()
}

#[test]
fn each_client_moves_once_whatever_the_way() {
    let one_by_one = Rollout {
        strategy: rolling(1, 1, 0),
        ..rollout("next", "v2")
    };
    for next in [by_shares("next", "v2"), one_by_one] {
        let mut world = fleet();
        world.roll(next);
        world.until("the end", 3_000, |world| ended(world, "next"));
        assert_eq!(world.truth.walks.told(), ways(&[("v1 v2", 500)]));
    }
}

#[test]
fn an_abort_takes_those_back_that_moved_and_no_others() {
    let mut world = fleet();
    world.roll(by_shares("next", "v2"));
    world.until("half", 600, |w| w.weights().contains("v2:50%"));
    world
        .rollout_verb("next", RolloutVerb::Abort(Turned::Back))
        .unwrap();
    finish(&mut world);
    assert_eq!(world.rollout("next").outcome, Some(Outcome::RolledBack));
    assert_eq!(
        world.truth.walks.told(),
        ways(&[("v1", 250), ("v1 v2 v1", 250)])
    );
}

#[test]
fn a_third_version_takes_each_client_once() {
    for (share, on_v2) in [(10, 50), (50, 250), (90, 450)] {
        let mut world = fleet();
        world.roll(by_shares("next", "v2"));
        let wanted = format!("v2:{share}%");
        world.until(&wanted, 600, |w| w.weights().contains(&wanted));
        world.roll(by_shares("third", "v3"));
        world.until("the end", 3_000, |world| ended(world, "third"));
        assert_eq!(
            world.truth.walks.told(),
            ways(&[("v1 v2 v3", on_v2), ("v1 v3", 500 - on_v2)]),
            "at {share}%"
        );
    }
}

#[test]
fn a_third_version_takes_each_client_once_one_by_one() {
    let one_by_one = |id: &str, to: &str| Rollout {
        strategy: rolling(1, 1, 0),
        gates: Vec::new(),
        ..rollout(id, to)
    };
    for (serving, on_v2) in [(1, 50), (5, 250), (9, 450)] {
        let mut world = fleet();
        world.roll(one_by_one("next", "v2"));
        let share = format!("v2:{}%", serving * 10);
        world.until(&share, 600, |w| w.weights().contains(&share));
        world.roll(one_by_one("third", "v3"));
        world.until("the end", 3_000, |world| ended(world, "third"));
        let told = world.truth.walks.told();
        let ways: Vec<_> = told.keys().map(String::as_str).collect();
        assert_eq!(ways, ["v1 v2 v3", "v1 v3"], "at {share}: {told:?}");
        assert!(
            told["v1 v2 v3"].abs_diff(on_v2) <= 50,
            "at {share}: {told:?}"
        );
    }
}

//! Simulations that are drawn from a seed: documents of every strategy, faults, what people do meanwhile, and
//! control planes that end at a write to the journal. At last somebody clears the way, so that whatever
//! does not end after that never would.

use std::collections::BTreeMap;

use tidegate::domain::{
    Amount, Approval, Bake, BlueGreen, Documents, Gateway, Locality, Order, PlaceName, Policy,
    Rolling, Rollout, RolloutStep, Route, Service, Share, Span, Spread, Stay, StepAction, Steps,
    Strategy, Then, ThenDo, Wave, Waves, Weight,
};
use tidegate::engine::{RolloutVerb, Turned, Verb};
use tidegate::sim::{Chance, Crash, Deed, Fault, Setup};

use crate::sample::{documents, gateway, hook, name, rollout, service};

/// The strategies that [`strategy`] draws from, each with a hook or without.
pub(crate) const KINDS: u64 = 5;

/// Everything that people do by chance they do within this, from the beginning of the first rollout.
pub(crate) const BUSY: Span = Span::secs(90);

/// Then somebody clears the way, again and again.
const CLEARED_FROM: u64 = 240;
const CLEARED_EVERY: u64 = 60;
const CLEARED_TIMES: u64 = 10;

/// What has not ended by then is turned round.
const TURNED_ROUND_AT: u64 = CLEARED_FROM + CLEARED_EVERY * CLEARED_TIMES;

/// The rollouts that there may be; each may be undone, too.
const NAMES: [&str; 3] = ["next", "other", "pay-next"];

// --- strategies

fn some(most: u32, chance: &mut Chance) -> Amount {
    if chance.percent(20) {
        let parts = chance.below(1_000_001);
        return Amount::Percent(Share::per_million(u32::try_from(parts).unwrap_or(0)));
    }
    Amount::Count(up_to(most, chance))
}

fn up_to(most: u32, chance: &mut Chance) -> u32 {
    u32::try_from(chance.below(u64::from(most) + 1)).unwrap_or(most)
}

fn rolling(chance: &mut Chance) -> Rolling {
    let (batch, surge, unavailable) = (some(3, chance), some(3, chance), some(2, chance));
    let role = |role: &str| BTreeMap::from([("role".to_owned(), role.to_owned())]);
    let is_ordered = chance.percent(30);
    Rolling {
        then: chance.percent(30).then(|| Then {
            after: up_to(2, chance),
            batch: some(3, chance),
        }),
        spread: chance.percent(30).then_some(Spread::Zone),
        order: Order {
            first: if is_ordered {
                role("canary")
            } else {
                BTreeMap::new()
            },
            last: if is_ordered {
                role("leader")
            } else {
                BTreeMap::new()
            },
        },
        ..Rolling::new(batch, surge, unavailable)
    }
}

fn step(action: StepAction, chance: &mut Chance) -> RolloutStep {
    let proven = chance.percent(20);
    RolloutStep {
        action,
        stay: Stay {
            at_least: Span::secs(chance.below(20)),
            until_proven: proven.then(|| Span::secs(chance.below(30))),
        },
    }
}

fn approval(chance: &mut Chance) -> Approval {
    Approval {
        give_up: chance.percent(50).then(|| Span::secs(120)),
        ..Approval::default()
    }
}

fn steps(chance: &mut Chance) -> Strategy {
    let mut steps = Vec::new();
    if chance.percent(30) {
        steps.push(step(StepAction::Mirror(Weight::parts(1_000)), chance));
    }
    let mut parts = 0;
    for _ in 0..=chance.below(3) {
        parts += 1 + chance.below(4_000);
        steps.push(step(StepAction::Weight(Weight::parts(parts)), chance));
        if chance.percent(20) {
            let approval = approval(chance);
            steps.push(step(StepAction::Pause(approval), chance));
        }
    }
    let warm_percent = if chance.percent(70) {
        100
    } else {
        up_to(150, chance)
    };
    Strategy::Steps(Steps {
        steps,
        warm_percent,
    })
}

fn wave(called: &str, pick: &str, chance: &mut Chance) -> Wave {
    Wave {
        name: called.to_owned(),
        pick: pick.parse().expect("a pick"),
        parallel: 1 + up_to(1, chance),
        bake: Span::secs(chance.below(20)),
        approve: chance.percent(20).then(|| approval(chance)),
    }
}

fn waves(chance: &mut Chance) -> Strategy {
    let mut waves = vec![wave("first", "b", chance), wave("rest", "the rest", chance)];
    if chance.percent(60) {
        waves.insert(0, wave("one-box", "1 of a", chance));
    }
    let in_each = rolling(chance);
    Strategy::Waves(Waves { waves, in_each })
}

fn strategy(kind: u64, chance: &mut Chance) -> Strategy {
    match kind {
        0 | 1 => Strategy::Rolling(rolling(chance)),
        2 => steps(chance),
        3 => Strategy::BlueGreen(BlueGreen {
            by_zone: chance.percent(50),
            approve: chance.percent(20).then(|| approval(chance)),
        }),
        _ => waves(chance),
    }
}

/// A rollout of `cart` by a strategy of that kind.
pub(crate) fn change(called: &str, to: &str, kind: u64, chance: &mut Chance) -> Rollout {
    Rollout {
        strategy: strategy(kind, chance),
        replace: chance.percent(60).then(hook),
        bake: Bake {
            span: Span::secs(chance.below(20)),
            holdback: up_to(2, chance),
        },
        keep_old: Span::secs(chance.below(3) * 30),
        ..rollout(called, to)
    }
}

// --- documents

pub(crate) fn place(zone: &str) -> Locality {
    Locality {
        region: zone.to_owned(),
        zone: zone.to_owned(),
    }
}

fn any_service(chance: &mut Chance) -> Service {
    let mut service = service();
    service.drain.at_most = Span::secs(if chance.percent(30) { 15 } else { 600 });
    service.drain.lost_proxies.wait = Span::secs(1 + chance.below(20));
    if chance.percent(40) {
        service.drain.lost_proxies.then = ThenDo::Ignore;
    }
    service.min_ready = Span::millis(chance.below(3) * 500);
    service.capacity = chance.percent(30).then(|| name("5rps"));
    service
}

/// `pay` behind the same proxies, and a rollout of it.
fn add_pay(documents: &mut Documents, chance: &mut Chance) {
    let pay = Service {
        name: name("pay"),
        ..any_service(chance)
    };
    let kind = chance.below(KINDS);
    let next = Rollout {
        service: pay.name.clone(),
        ..change("pay-next", "v2", kind, chance)
    };
    for gateway in documents.gateways.values_mut() {
        let listeners = gateway.listeners.iter_mut();
        listeners.for_each(|listener| listener.routes.push(route(&pay)));
    }
    documents.services.insert(pay.name.clone(), pay);
    documents.rollouts.insert(next.name.clone(), next);
}

fn route(service: &Service) -> Route {
    Route {
        hosts: Vec::new(),
        prefix: format!("/{}", service.name),
        service: service.name.clone(),
        overlay: None,
    }
}

fn any_documents(chance: &mut Chance) -> Documents {
    let mut documents = documents(any_service(chance));
    let kind = chance.below(KINDS);
    let next = change("next", "v2", kind, chance);
    documents.rollouts.insert(next.name.clone(), next);
    if chance.percent(15) {
        add_pay(&mut documents, chance);
    }
    if chance.percent(15) {
        let mut edge: Gateway = gateway();
        edge.name = name("edge");
        edge.proxies.cluster = Some("edge".to_owned());
        documents.gateways.insert(edge.name.clone(), edge);
    }
    if chance.percent(20) {
        let places = ["a", "b"].map(|place| PlaceName(place.to_owned()));
        let parts = 300_000 + up_to(700_000, chance);
        let policy = Policy {
            name: name("house"),
            applies: BTreeMap::new(),
            freezes: Vec::new(),
            slots: chance.percent(50).then_some(1),
            never_both: if chance.percent(50) {
                vec![places.to_vec()]
            } else {
                Vec::new()
            },
            blast_radius: chance.percent(30).then(|| Share::per_million(parts)),
            after: Vec::new(),
            may: BTreeMap::new(),
        };
        documents.policies.insert(policy.name.clone(), policy);
    }
    documents
}

/// Something else than before in the documents.
fn edited(before: &Documents, chance: &mut Chance) -> Documents {
    let mut documents = before.clone();
    match chance.below(6) {
        0 => documents.rollouts.clear(),
        1 | 2 => {
            let kind = chance.below(KINDS);
            let to = if chance.percent(30) { "before" } else { "v3" };
            let other = change("other", to, kind, chance);
            documents.rollouts.insert(other.name.clone(), other);
        }
        3 => {
            for rollout in documents.rollouts.values_mut() {
                rollout.to = name("v4");
            }
        }
        4 => {
            for service in documents.services.values_mut() {
                service.drain.at_most = Span::secs(5 + chance.below(60));
                service.min_ready = Span::secs(chance.below(3));
            }
        }
        _ => {
            let kind = chance.below(KINDS);
            let next = change("next", "v2", kind, chance);
            documents.rollouts.insert(next.name.clone(), next);
        }
    }
    documents
}

// --- what people do

fn any_verb(chance: &mut Chance) -> Verb {
    let rollout = name(chance.pick(&NAMES).expect("there are some"));
    let on = |verb| Verb::Rollout {
        name: rollout,
        verb,
    };
    let version = chance.pick(&["before", "v2"]).expect("there are some");
    let instance = name(&format!("{version}-{}", chance.below(5)));
    let service = None;
    match chance.below(18) {
        0 => on(RolloutVerb::Pause),
        1 => on(RolloutVerb::Resume),
        2 | 3 => on(RolloutVerb::Abort(Turned::Back)),
        4 => on(RolloutVerb::Abort(Turned::AtOnce)),
        5 => on(RolloutVerb::Abort(Turned::ThisWave)),
        6 => on(RolloutVerb::Promote {
            all: true,
            step: None,
        }),
        7 => on(RolloutVerb::Promote {
            all: false,
            step: None,
        }),
        8 => on(RolloutVerb::Skip { step: None }),
        9 => on(RolloutVerb::Undo),
        10 => on(RolloutVerb::Retry),
        11 => on(RolloutVerb::Override),
        12 => Verb::Freeze,
        13 => Verb::Unfreeze,
        14 => Verb::ForgetProxy {
            proxy: name("mesh-1"),
        },
        15 => Verb::Undrain { instance, service },
        _ => Verb::Drain { instance, service },
    }
}

fn any_deed(documents: &Documents, chance: &mut Chance) -> Deed {
    match chance.below(12) {
        0..=5 => Deed::Ask(any_verb(chance)),
        6 | 7 => Deed::Edit(Box::new(edited(documents, chance))),
        8 => Deed::HooksFail(chance.percent(50)),
        9 => Deed::Kill(chance.below(100)),
        10 => {
            let version = chance.pick(&["before", "v2", "v3"]);
            let version = name(version.expect("there are some"));
            Deed::Launch(name("cart"), version, place("a"))
        }
        _ => Deed::RestartProxy(chance.below(100)),
    }
}

fn all_names() -> impl Iterator<Item = String> {
    let of_both = |name: &str| [name.to_owned(), format!("{name}-undo")];
    NAMES.into_iter().flat_map(of_both)
}

/// Whatever holds a rollout that somebody can let go.
fn clear_the_way(setup: &mut Setup) {
    for round in 0..2 * CLEARED_TIMES {
        let at = Span::secs(CLEARED_FROM + CLEARED_EVERY * round);
        let mut deeds = vec![Deed::HooksFail(false), Deed::Ask(Verb::Unfreeze)];
        if round == 0 {
            deeds.push(Deed::Edit(Box::new(setup.documents.clone())));
        }
        for rollout in all_names() {
            let mut verbs = vec![RolloutVerb::Resume, RolloutVerb::Retry];
            if round > CLEARED_TIMES / 2 {
                verbs.push(RolloutVerb::Override);
            }
            let asked = verbs.into_iter().map(|verb| Verb::Rollout {
                name: name(&rollout),
                verb,
            });
            deeds.extend(asked.map(Deed::Ask));
        }
        setup.deeds.extend(deeds.into_iter().map(|deed| (at, deed)));
    }
    for rollout in all_names() {
        let (name, verb) = (name(&rollout), RolloutVerb::Abort(Turned::Back));
        let back = Deed::Ask(Verb::Rollout { name, verb });
        // There may be no control plane at that very moment, so it is said again.
        for at in [TURNED_ROUND_AT, TURNED_ROUND_AT + CLEARED_EVERY] {
            setup.deeds.push((Span::secs(at), back.clone()));
        }
    }
}

// --- all of it

/// The simulation of that number.
pub(crate) fn setup(seed: u64) -> Setup {
    let mut chance = Chance(seed);
    let chance = &mut chance;
    let mut setup = Setup::new(any_documents(chance));
    setup.seed = seed;
    // Of its own, so that what was drawn before there were floors stays as it was.
    if Chance(!seed).percent(10) {
        let services = setup.documents.services.values_mut();
        services.for_each(|service| service.min_per_zone = 1);
    }
    setup.instances = 1 + up_to(4, chance);
    setup.proxies = 1 + up_to(1, chance);
    setup.rps = 20;
    setup.places = vec![place("a"), place("b"), place("c")];
    let role = |role: &str| BTreeMap::from([("role".to_owned(), role.to_owned())]);
    setup.labels = vec![role("leader"), BTreeMap::new(), role("canary")];
    setup.approve_after = Some(Span::secs(20));
    if chance.percent(30) {
        setup.capacities = vec![None, Some(name("3rps")), Some(name("10rps"))];
    }
    if chance.percent(10) {
        return setup;
    }
    // Slow starts and slow drains make stories long, and show little that others do not.
    let rare = [Fault::SlowDrain, Fault::SlowStart];
    let faults = Fault::ALL.into_iter();
    let faults = faults.filter(|fault| chance.percent(if rare.contains(fault) { 4 } else { 15 }));
    setup.faults = faults.collect();
    for _ in 0..chance.below(7).saturating_sub(1) {
        let after = chance.up_to(BUSY);
        let deed = any_deed(&setup.documents, chance);
        setup.deeds.push((after, deed));
    }
    for _ in 0..chance.below(5).saturating_sub(2) {
        setup.crashes.push(Crash {
            write: chance.below(120),
            written: chance.percent(50),
        });
    }
    clear_the_way(&mut setup);
    setup
}

/// Is nothing going to fail, and does nobody do anything?
pub(crate) fn is_calm(setup: &Setup) -> bool {
    setup.faults.is_empty() && setup.deeds.is_empty() && setup.crashes.is_empty()
}

/// Does somebody do what may cost requests?
pub(crate) fn may_cost_requests(setup: &Setup) -> bool {
    let is_hasty = |verb: &Verb| match verb {
        Verb::Rollout { verb, .. } => {
            matches!(
                verb,
                RolloutVerb::Skip { .. } | RolloutVerb::Abort(Turned::AtOnce)
            )
        }
        Verb::ForgetProxy { .. } => true,
        _ => false,
    };
    let mut deeds = setup.deeds.iter();
    let is_hasty = deeds.any(|(_, deed)| match deed {
        Deed::Ask(verb) => is_hasty(verb),
        Deed::Kill(_) => true,
        _ => false,
    });
    // A proxy that was away takes several steps in one, and checks new instances only then.
    let costly = [Fault::BadVersion, Fault::LostProxy];
    is_hasty || costly.iter().any(|fault| setup.faults.contains(fault))
}

//! What proxies do and say, taken into the facts.

use super::facts::ProxyFacts;
use super::turn::Turn;
use super::{Actor, ProxyEvent, Record, Reporter, StageKind, State};
use crate::domain::{Address, Generation, ProxyId, ProxyIdentity, ServiceName, Span, VersionName};

/// Takes in a proxy's event.
pub(super) fn hear(turn: &mut Turn<'_>, id: ProxyId, event: ProxyEvent) {
    let now = turn.now;
    if let ProxyEvent::Connected(identity) = event {
        if turn.state.proxies.get(&id) != Some(&identity) {
            turn.record(Record::ProxySeen { identity });
        }
        let facts = turn.facts.proxies.entry(id);
        facts
            .or_insert_with(|| ProxyFacts::new(true, now))
            .connect(now);
        return;
    }
    let Some(facts) = turn.facts.proxies.get_mut(&id) else {
        return;
    };
    match event {
        ProxyEvent::Connected(_) => {}
        ProxyEvent::Disconnected => (facts.connected, facts.since) = (false, now),
        ProxyEvent::InForce(generation) => {
            (facts.in_force, facts.nack) = (Some(generation), None);
            acknowledge_drains(turn, &id, generation);
        }
        ProxyEvent::Load(mut report) => {
            // Nothing is kept under names that a proxy makes up.
            let is_known = |service: &ServiceName, version: &VersionName| {
                is_known(turn.state, service, version)
            };
            let identity = turn.state.proxies.get(&id);
            let reporter = Reporter {
                id: &id,
                region: identity.map_or("", |it| &it.locality.region),
            };
            turn.facts.tally.hear(reporter, &report, is_known, now);
            report
                .completed
                .retain(|it| is_known(&it.service, &it.version));
            turn.facts.hear_load(&id, report, now);
        }
        ProxyEvent::Nacked(nack) => facts.nack = Some(nack),
    }
}

/// Is there such a version?
pub(super) fn is_known(state: &State, service: &ServiceName, version: &VersionName) -> bool {
    let service = state.services.get(service);
    service.is_some_and(|known| known.versions.iter().any(|it| it.name == *version))
}

/// From here the proxy's readings count for everything that drains as of `generation`.
fn acknowledge_drains(turn: &mut Turn<'_>, proxy: &ProxyId, generation: Generation) {
    for (service, state) in &turn.state.services {
        let draining = state
            .instances
            .select(|stand| stand.stage == StageKind::Draining);
        for (id, known) in draining {
            if known.stage.needs().is_some_and(|g| g <= generation) {
                let named = matches!(known.instance.address, Address::Host(_));
                let now = turn.now;
                turn.facts.acknowledge_drain(service, id, proxy, named, now);
            }
        }
    }
}

/// A proxy that has been away for this long, with nothing going on, is forgotten; otherwise fleets
/// whose proxies come and go under new names would pile up names for ever.
const FORGOTTEN_AFTER: Span = Span::secs(24 * 3600);

/// Forgets proxies that are long gone, but never while something may wait for their word.
pub(super) fn forget_long_gone(turn: &mut Turn<'_>) {
    let mut services = turn.state.services.values();
    let busy = turn.state.rollouts.values().any(|rollout| !rollout.over())
        || services.any(|state| state.instances.any(|stand| stand.stage.goes()));
    if busy {
        return;
    }
    let gone = turn.facts.proxies.iter().filter(|(_, facts)| {
        !facts.connected && Span::between(facts.since, turn.now) >= FORGOTTEN_AFTER
    });
    let gone: Vec<ProxyId> = gone.map(|(id, _)| id.clone()).collect();
    for proxy in gone {
        turn.facts.proxies.remove(&proxy);
        let by = Actor("tidegate".to_owned());
        let reason = Some(format!("away for {FORGOTTEN_AFTER}"));
        turn.record(Record::ProxyForgotten { proxy, by, reason });
    }
}

/// Writes down each generation that every connected proxy concerned has in force by now.
pub(super) fn note_in_force(turn: &mut Turn<'_>) {
    if turn.facts.unacknowledged.is_empty() {
        return;
    }
    let is_selected = |identity: &ProxyIdentity| {
        turn.state
            .documents
            .gateways
            .values()
            .any(|gateway| gateway.proxies.selects(identity))
    };
    let concerned: Vec<&ProxyFacts> = turn
        .state
        .proxies
        .values()
        .filter(|identity| is_selected(identity))
        .filter_map(|identity| turn.facts.proxies.get(&identity.id))
        .filter(|facts| facts.connected)
        .collect();
    let Some(everywhere) = concerned.iter().map(|facts| facts.in_force).min().flatten() else {
        return;
    };
    let proxies = u32::try_from(concerned.len()).unwrap_or(u32::MAX);
    let later = turn.facts.unacknowledged.split_off(&everywhere.next());
    let reached = std::mem::replace(&mut turn.facts.unacknowledged, later);
    for (generation, published) in reached {
        let took = Span::between(published, turn.now);
        turn.record(Record::InForce {
            generation,
            proxies,
            took,
        });
    }
}

//! Faults, from the moment at which a rollout begins.

use super::fault::{AWAY, BEGINS_WITHIN, Fault, LEADER_LOSSES, MENDED_AFTER, SICK_FOR, WELL_FOR};
use super::listed::with_hosts;
use super::proxy::Key;
use super::setup::Setup;
use super::world::{Happening, Sim};
use crate::domain::{ProxyId, Span};
use crate::engine::{Effect, Engine, Event, ProxyEvent, State};

/// A control plane is away for up to this long.
const RECOVERS_WITHIN: Span = Span::secs(5);

/// Proxies come back to a new control plane within this.
const COMES_BACK_WITHIN: Span = Span::secs(3);

/// Sources and probers speak again within this.
const DISCOVERED_WITHIN: Span = Span::secs(2);

impl Sim<'_> {
    /// The first rollout has begun.
    pub(super) fn begin_trouble(&mut self) {
        for fault in self.setup.faults.clone() {
            match fault {
                Fault::BadVersion | Fault::SlowDrain | Fault::SlowStart => {}
                Fault::Flapping => {
                    for key in self.one_of_each_service() {
                        self.within(BEGINS_WITHIN, Happening::Flap(key));
                    }
                }
                Fault::LeaderLoss => {
                    for number in 0..LEADER_LOSSES {
                        let window = BEGINS_WITHIN.duration() * u32::try_from(number).unwrap_or(0);
                        let after = self.chance.up_to(BEGINS_WITHIN).duration() + window;
                        self.soon(after.into(), Happening::Crash);
                    }
                }
                Fault::LostProxy => {
                    for id in self.one_of_each_gateway(1) {
                        self.within(BEGINS_WITHIN, Happening::ProxyGoes(id));
                    }
                }
                Fault::Nack => {
                    for id in self.one_of_each_gateway(2) {
                        self.within(BEGINS_WITHIN, Happening::Refuses(id));
                    }
                }
            }
        }
        for (after, deed) in std::mem::take(&mut self.setup.deeds) {
            self.soon(after, Happening::Deed(Box::new(deed)));
        }
    }

    fn within(&mut self, most: Span, what: Happening) {
        let after = self.chance.up_to(most);
        self.soon(after, what);
    }

    fn one_of_each_service(&mut self) -> Vec<Key> {
        let services: Vec<_> = self.setup.documents.services.keys().cloned().collect();
        let mut chosen = Vec::new();
        for service in services {
            let keys = self.processes.keys().filter(|key| key.0 == service);
            let keys: Vec<Key> = keys.cloned().collect();
            chosen.extend(self.chance.pick(&keys).cloned());
        }
        chosen
    }

    /// Another one for each fault, where there are several.
    fn one_of_each_gateway(&self, number: u32) -> Vec<ProxyId> {
        let number = number.min(self.setup.proxies).saturating_sub(1);
        let gateways = self.setup.documents.gateways.values();
        let chosen = gateways.filter_map(|gateway| Setup::identity(gateway, number));
        chosen.map(|identity| identity.id).collect()
    }

    // --- proxies

    /// A proxy's network is gone; it goes on with what it has.
    pub(super) fn proxy_goes(&mut self, id: ProxyId) {
        let Some(proxy) = self.proxies.get_mut(&id).filter(|p| p.connected) else {
            return;
        };
        proxy.disconnect(self.now);
        let services = proxy.rates.keys();
        let services = services.filter_map(|name| self.setup.documents.services.get(name));
        let waits = services
            .map(|service| service.drain.lost_proxies.wait)
            .max();
        let twice = Span::from(waits.unwrap_or(Span::ZERO).duration() * 2);
        let away = twice.max(AWAY);
        self.timeline.say(
            self.now,
            format!("{id} loses its connection and goes on sending by what it has"),
        );
        self.soon(away, Happening::ProxyComes(id.clone()));
        let event = ProxyEvent::Disconnected;
        self.event(Event::Proxy { id, event });
    }

    /// A proxy is there, or there again.
    pub(super) fn proxy_comes(&mut self, id: ProxyId) {
        let now = self.now;
        if self.engine.is_none() {
            return;
        }
        let Some(proxy) = self.proxies.get_mut(&id).filter(|p| !p.connected) else {
            return;
        };
        proxy.connect(now);
        let identity = proxy.identity.clone();
        let event = ProxyEvent::Connected(identity);
        self.event(Event::Proxy {
            id: id.clone(),
            event,
        });
        if let Some(plan) = self.published.clone() {
            self.tell(&id, &plan);
        }
    }

    /// A proxy refuses what it is told from now on.
    pub(super) fn proxy_refuses(&mut self, id: ProxyId) {
        if let Some(proxy) = self.proxies.get_mut(&id) {
            proxy.refuses = true;
            self.timeline
                .say(self.now, format!("{id} refuses whatever it is told"));
            self.soon(MENDED_AFTER, Happening::Mended(id));
        }
    }

    /// Somebody mends it and connects it anew.
    pub(super) fn proxy_is_mended(&mut self, id: ProxyId) {
        let Some(proxy) = self.proxies.get_mut(&id) else {
            return;
        };
        proxy.refuses = false;
        self.timeline.say(self.now, format!("{id} is mended"));
        if proxy.connected {
            proxy.disconnect(self.now);
            let event = ProxyEvent::Disconnected;
            let gone = id.clone();
            self.event(Event::Proxy { id: gone, event });
            self.proxy_comes(id);
        }
    }

    // --- instances

    /// An instance fails its health check, or passes it again.
    pub(super) fn flap(&mut self, key: Key) {
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        process.sick = !process.sick;
        let sick = process.sick;
        if sick {
            let proxies = self.proxies.values_mut();
            proxies.for_each(|proxy| proxy.finds_sick(&key));
        }
        self.probe_soon(key.clone());
        self.within(if sick { SICK_FOR } else { WELL_FOR }, Happening::Flap(key));
    }

    // --- the control plane

    /// It ends. What was on its way to it or from it is lost.
    pub(super) fn crash(&mut self) {
        if self.engine.take().is_none() {
            return;
        }
        self.timeline.say(self.now, "the control plane ends");
        for proxy in self.proxies.values_mut().filter(|p| p.connected) {
            proxy.disconnect(self.now);
        }
        let after = self.chance.up_to(RECOVERS_WITHIN);
        self.soon(after, Happening::Recover);
    }

    /// Another one goes on where the journal ends.
    pub(super) fn recover(&mut self) {
        let state = self.replay();
        self.timeline
            .say(self.now, "another control plane goes on from the journal");
        self.watch.recovered(&state, &self.proxies, self.now);
        let ids = self.proxies.keys().cloned().collect();
        self.take_up(state, ids);
        // Whoever applied documents that were lost with the last write does so again.
        self.apply_again();
    }

    /// A control plane begins with that state, and these proxies come to it.
    pub(super) fn take_up(&mut self, state: State, proxies: Vec<ProxyId>) {
        let (engine, effects) = Engine::recover(state, self.now);
        self.engine = Some(engine);
        for effect in effects {
            match effect {
                Effect::Publish(plan) => self.published = Some(with_hosts(&plan)),
                Effect::Call { call, .. } => self.called(call),
                Effect::Consult { ask, .. } => self.consulted(ask.key),
                Effect::Record(_) | Effect::Resend | Effect::Ask { .. } | Effect::Inquire(_) => {}
            }
        }
        for id in proxies {
            self.within(COMES_BACK_WITHIN, Happening::ProxyComes(id));
        }
        self.within(DISCOVERED_WITHIN, Happening::Discover);
        self.tick_by(self.now);
    }
}

//! The streams of each proxy, as one proxy to the engine.
//!
//! A proxy may have several streams, one per type or while it reconnects. It is connected from the
//! first to the last; a generation is in force when it is on each. What the engine is told goes
//! through a bounded mailbox: a stream that has said something waits for room, and a stream that ends
//! leaves its last word in an outbox, so that it is said even if the stream was cut or panicked.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::inspector::{ProxyState, StreamState};
use super::stream::Machine;
use crate::domain::{Generation, Limits, Nack, ProxyId, ProxyIdentity};
use crate::engine::{Event, ProxyEvent};

/// Why no further stream may be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("this server has {max} streams (`limits.streams`) and takes no more; add a replica")]
    All { max: usize },
    #[error(
        "node {id} has {max} streams (`limits.streamsPerNode`) and gets no more; does each proxy have a node id of its own?"
    )]
    Proxy { id: ProxyId, max: usize },
}

/// All connected proxies.
#[derive(Debug)]
pub(super) struct Registry {
    /// Never locked over an await.
    proxies: Mutex<Proxies>,
    events: mpsc::Sender<Event>,
    streams_max: usize,
    streams_per_proxy_max: usize,
}

#[derive(Debug, Default)]
struct Proxies {
    by_id: HashMap<ProxyId, Proxy>,
    streams: usize,
    next_stream: u64,
    /// Said, and not yet in the engine's mailbox. Who says something waits until it is empty, so it
    /// holds a few events a stream at most.
    outbox: VecDeque<Event>,
}

#[derive(Debug, Default)]
struct Proxy {
    identity: Option<ProxyIdentity>,
    streams: BTreeMap<u64, Place>,
    said: Option<Generation>,
}

/// A stream, as the registry knows it.
#[derive(Debug)]
struct Place {
    in_force: Option<Generation>,
    /// Its state, for those who look at it.
    machine: Machine,
}

impl Registry {
    pub(super) fn new(events: mpsc::Sender<Event>, limits: &Limits) -> Self {
        Self {
            streams_max: limits.streams,
            streams_per_proxy_max: limits.streams_per_node,
            proxies: Mutex::default(),
            events,
        }
    }

    /// Opens a stream of `proxy`; it is closed when the seat is dropped.
    pub(super) fn open(
        self: &Arc<Self>,
        proxy: &ProxyIdentity,
        machine: Machine,
    ) -> Result<Seat, Full> {
        let mut proxies = self.lock();
        if proxies.streams >= self.streams_max {
            let max = self.streams_max;
            return Err(Full::All { max });
        }
        let stream = proxies.next_stream;
        let entry = proxies.by_id.entry(proxy.id.clone()).or_default();
        if entry.streams.len() >= self.streams_per_proxy_max {
            return Err(Full::Proxy {
                id: proxy.id.clone(),
                max: self.streams_per_proxy_max,
            });
        }
        let place = Place {
            in_force: None,
            machine,
        };
        entry.streams.insert(stream, place);
        let is_news = entry.identity.as_ref() != Some(proxy);
        entry.identity = Some(proxy.clone());
        proxies.next_stream += 1;
        proxies.streams += 1;
        if is_news {
            proxies.say(&proxy.id, ProxyEvent::Connected(proxy.clone()));
        }
        Ok(Seat {
            registry: Arc::clone(self),
            id: proxy.id.clone(),
            stream,
        })
    }

    /// Waits until the engine's mailbox has taken all that was said. Order is kept because what is
    /// said leaves the outbox and enters the mailbox under one lock.
    pub(super) async fn deliver(&self) {
        while !self.lock().outbox.is_empty() {
            let permit = self.events.reserve().await;
            let mut proxies = self.lock();
            match (permit, proxies.outbox.pop_front()) {
                (Ok(permit), Some(event)) => permit.send(event),
                (Ok(_), None) => {}
                // Nobody listens any more: the process is about to end.
                (Err(_), _) => proxies.outbox.clear(),
            }
        }
    }

    /// Fills the engine's mailbox with what was said, as far as there is room. Was there enough?
    pub(super) fn try_deliver(&self) -> bool {
        self.lock().try_deliver(&self.events)
    }

    /// What a proxy was told on its streams.
    pub(super) fn look_at(&self, id: &ProxyId) -> Option<ProxyState> {
        let (identity, machines) = {
            let proxies = self.lock();
            let proxy = proxies.by_id.get(id)?;
            let machines = proxy.streams.values().map(|place| place.machine.clone());
            (proxy.identity.clone()?, machines.collect::<Vec<_>>())
        };
        let look = |machine: Machine| {
            let stream = machine.lock();
            StreamState {
                variant: stream.variant(),
                only: machine.only(),
                held: stream.held().collect(),
            }
        };
        Some(ProxyState {
            identity,
            streams: machines.into_iter().map(look).collect(),
        })
    }

    /// The proxies that are connected, by id.
    pub(super) fn connected(&self) -> Vec<ProxyId> {
        let mut ids: Vec<_> = self.lock().by_id.keys().cloned().collect();
        ids.sort_unstable();
        ids
    }

    fn lock(&self) -> MutexGuard<'_, Proxies> {
        // No code that holds the lock leaves the map half changed when it panics.
        self.proxies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxies {
    fn try_deliver(&mut self, events: &mpsc::Sender<Event>) -> bool {
        while !self.outbox.is_empty() {
            let Ok(permit) = events.try_reserve() else {
                return false;
            };
            if let Some(event) = self.outbox.pop_front() {
                permit.send(event);
            }
        }
        true
    }

    fn say(&mut self, id: &ProxyId, event: ProxyEvent) {
        self.outbox.push_back(Event::Proxy {
            id: id.clone(),
            event,
        });
    }

    /// Says what is in force on every stream of a proxy, if that is news.
    fn say_in_force(&mut self, id: &ProxyId) {
        let Some(proxy) = self.by_id.get_mut(id) else {
            return;
        };
        // `None` is less than any generation.
        let everywhere = proxy.streams.values().map(|place| place.in_force);
        let everywhere = everywhere.min().flatten();
        if everywhere > proxy.said {
            proxy.said = everywhere;
            self.outbox
                .extend(everywhere.map(|generation| Event::Proxy {
                    id: id.clone(),
                    event: ProxyEvent::InForce(generation),
                }));
        }
    }
}

/// One stream's place in the registry.
#[derive(Debug)]
pub(super) struct Seat {
    registry: Arc<Registry>,
    id: ProxyId,
    stream: u64,
}

impl Seat {
    pub(super) const fn id(&self) -> &ProxyId {
        &self.id
    }

    /// A generation is in force on this stream.
    pub(super) fn in_force(&self, generation: Generation) {
        let mut proxies = self.registry.lock();
        let proxy = proxies.by_id.get_mut(&self.id);
        if let Some(place) = proxy.and_then(|proxy| proxy.streams.get_mut(&self.stream)) {
            place.in_force = Some(generation);
        }
        proxies.say_in_force(&self.id);
    }

    /// This stream's proxy refused resources. What is in force on it is to be said anew.
    pub(super) fn nacked(&self, nack: Nack) {
        let mut proxies = self.registry.lock();
        if let Some(proxy) = proxies.by_id.get_mut(&self.id) {
            proxy.said = None;
            if let Some(place) = proxy.streams.get_mut(&self.stream) {
                place.in_force = None;
            }
        }
        proxies.say(&self.id, ProxyEvent::Nacked(nack));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut proxies = self.registry.lock();
        proxies.streams -= 1;
        let Some(proxy) = proxies.by_id.get_mut(&self.id) else {
            return;
        };
        proxy.streams.remove(&self.stream);
        if proxy.streams.is_empty() {
            proxies.by_id.remove(&self.id);
            proxies.say(&self.id, ProxyEvent::Disconnected);
        } else {
            proxies.say_in_force(&self.id);
        }
        if proxies.try_deliver(&self.registry.events) {
            return;
        }
        // The mailbox is full and this stream can wait no more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let registry = Arc::clone(&self.registry);
            runtime.spawn(async move { registry.deliver().await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Locality;
    use crate::protocol::Variant;

    fn proxy(id: &str) -> ProxyIdentity {
        ProxyIdentity {
            id: id.parse().unwrap(),
            cluster: String::new(),
            metadata: BTreeMap::new(),
            locality: Locality::default(),
            agent: String::new(),
        }
    }

    fn machine() -> Machine {
        Machine::new(Variant::Delta, None, &Limits::default())
    }

    fn said(events: &mut mpsc::Receiver<Event>) -> Vec<String> {
        let mut said = Vec::new();
        while let Ok(Event::Proxy { id, event }) = events.try_recv() {
            said.push(match event {
                ProxyEvent::Connected(_) => format!("{id} connected"),
                ProxyEvent::Disconnected => format!("{id} disconnected"),
                ProxyEvent::InForce(generation) => format!("{id} in force {generation}"),
                other => format!("{id} {other:?}"),
            });
        }
        said
    }

    #[tokio::test]
    async fn streams_of_one_node_are_one_proxy() {
        let (sender, mut events) = mpsc::channel(64);
        let registry = Arc::new(Registry::new(sender, &Limits::default()));
        let first = registry.open(&proxy("a"), machine()).unwrap();
        let second = registry.open(&proxy("a"), machine()).unwrap();
        first.in_force(Generation(2));
        registry.deliver().await;
        assert_eq!(said(&mut events), ["a connected"]);
        second.in_force(Generation(1));
        registry.deliver().await;
        assert_eq!(said(&mut events), ["a in force 1"]);
        drop(second);
        assert_eq!(said(&mut events), ["a in force 2"]);
        drop(first);
        assert_eq!(said(&mut events), ["a disconnected"]);
        assert!(registry.lock().by_id.is_empty() && registry.lock().streams == 0);
    }

    #[tokio::test]
    async fn a_full_mailbox_loses_and_reorders_nothing() {
        let (sender, mut events) = mpsc::channel(1);
        let registry = Arc::new(Registry::new(sender, &Limits::default()));
        for _ in 0..3 {
            drop(registry.open(&proxy("a"), machine()).unwrap());
        }
        for turn in 0..6 {
            let Some(Event::Proxy { event, .. }) = events.recv().await else {
                panic!()
            };
            assert_eq!(event == ProxyEvent::Disconnected, turn % 2 == 1, "{turn}");
        }
    }

    #[tokio::test]
    async fn streams_of_one_node_are_limited() {
        let limits = Limits {
            streams: 4,
            streams_per_node: 3,
            ..Limits::default()
        };
        let registry = Arc::new(Registry::new(mpsc::channel(64).0, &limits));
        let seats: Vec<_> = (0..limits.streams_per_node)
            .map(|_| registry.open(&proxy("a"), machine()).unwrap())
            .collect();
        assert!(matches!(
            registry.open(&proxy("a"), machine()),
            Err(Full::Proxy { .. })
        ));
        let other = registry.open(&proxy("b"), machine()).unwrap();
        let full = registry.open(&proxy("c"), machine()).unwrap_err();
        assert_eq!(full, Full::All { max: 4 });
        drop((seats, other));
        assert!(registry.open(&proxy("a"), machine()).is_ok());
    }
}

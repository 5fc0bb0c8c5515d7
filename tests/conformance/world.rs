//! The xDS server in memory: real gRPC over pipes, one thread, and a clock that the test moves.
//!
//! All that runs is on one runtime, and nothing in it waits for the outside. So when the runtime has
//! nothing left to run, the server has taken every request and said all that it will say: "nothing
//! comes" is seen at once, and is exact.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use prost::Message;
use tidegate::domain::{Generation, Lifetimes, Limits, Span, Time};
use tidegate::engine::{Event, ProxyEvent};
use tidegate::serving::{NoObserver, Port, PortOptions};
use tidegate::snapshot::{ResourceKind, ResourceSet, Snapshot, labelled};
use tidegate::xds::{Observer, XdsServer};
use tokio::io::DuplexStream;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::codegen::http::Uri;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

use super::client::Client;
use super::variant::Variant;

/// Whose node most clients say they are.
pub(crate) const NODE: &str = "test-id";
/// What the server calls itself.
pub(crate) const REPLICA: &str = "replica-1";

/// Most streams of one node.
pub(crate) const STREAMS_PER_NODE_MAX: usize = 16;

const PIPE_BYTES: usize = 64 * 1024;
/// More than any message has, so that one never waits half-read for somebody to read on.
const WINDOW_BYTES: u32 = 512 * 1024 * 1024;
const EVENTS_MAX: usize = 1 << 16;

/// A task that used up its share of a turn runs again only after the runtime has looked for something
/// else, so idle is what has been idle so many times in a row.
const IDLE_TURNS: usize = 16;

/// A server and whatever the test needs of its surroundings.
pub(crate) struct World {
    runtime: Runtime,
    parked: Arc<Notify>,
    address: Option<SocketAddr>,
    connections: mpsc::Sender<DuplexStream>,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    generation: Cell<u64>,
    events: RefCell<mpsc::Receiver<Event>>,
    released: Arc<Mutex<Vec<String>>>,
    now: Arc<AtomicU64>,
    shutdown: CancellationToken,
}

impl World {
    /// A server that knows nothing yet.
    pub(crate) fn new() -> Self {
        Self::of(Shared::xds)
    }

    /// A server with other services than the discovery services alone.
    pub(crate) fn of(routes: impl FnOnce(Shared) -> Routes) -> Self {
        let parked = Arc::new(Notify::new());
        let hook = Arc::clone(&parked);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || hook.notify_waiters())
            .build()
            .unwrap();
        let (connections, mut incoming) = mpsc::channel(64);
        let (snapshots, receiver) = watch::channel(None);
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let (now, shutdown) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let released = Arc::new(Mutex::default());
        let routes = routes(Shared {
            snapshots: receiver,
            events: sender,
            released: Arc::clone(&released),
            now: Arc::clone(&now),
        });
        let options = PortOptions {
            limits: limits(),
            // The shutdown takes no time, as there is nobody to spread it over.
            lifetimes: Lifetimes {
                drain_window: Span::ZERO,
                ..Lifetimes::default()
            },
            tls: None,
            observer: Arc::new(NoObserver),
            seed: 1,
        };
        let port = runtime.block_on(async { Port::new(options, routes, shutdown.clone()) });
        let port = Arc::new(port);
        runtime.spawn(async move {
            let mut open = JoinSet::new();
            while let Some(pipe) = incoming.recv().await {
                let port = Arc::clone(&port);
                open.spawn(async move { port.serve_one(pipe).await });
            }
        });
        Self {
            runtime,
            parked,
            address: None,
            connections,
            snapshots,
            generation: Cell::new(0),
            events: RefCell::new(events),
            released,
            now,
            shutdown,
        }
    }

    /// A server that has `resources` for [`NODE`], see [`World::publish`].
    pub(crate) fn with(resources: &str) -> Self {
        let world = Self::new();
        world.publish(resources);
        world
    }

    /// A client on a connection of its own.
    pub(crate) fn client(&self, variant: Variant) -> Client<'_> {
        Client::new(self, variant, NODE)
    }

    /// No server of its own: clients connect to the one that listens at `address`.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self {
            address: Some(address),
            ..Self::of(|_| Routes::default())
        }
    }

    /// A connection of its own.
    pub(crate) fn connect(&self) -> Channel {
        if let Some(address) = self.address {
            let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
            return self.run(endpoint.connect()).unwrap();
        }
        let connector = Connector(self.connections.clone());
        let endpoint = Endpoint::from_static("http://in.memory")
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        self.run(endpoint.connect_with_connector(connector))
            .unwrap()
    }

    /// Publishes `c:a@1 e:a@1 l:in@1 r:main@2`, type, name and content, as all that [`NODE`] is to
    /// have.
    pub(crate) fn publish(&self, resources: &str) {
        self.publish_to(NODE, resources);
    }

    /// The same for another node. All other nodes keep what they have.
    pub(crate) fn publish_to(&self, node: &str, resources: &str) {
        let triples = resources.split_whitespace().map(|word| {
            let (name, content) = word[2..].split_once('@').unwrap();
            (kind(&word[..1]), name.to_owned(), content.to_owned())
        });
        self.publish_all(node, triples.collect());
    }

    /// The same, for names that do not fit in a line.
    pub(crate) fn publish_all(&self, node: &str, triples: Vec<(ResourceKind, String, String)>) {
        self.generation.set(self.generation.get() + 1);
        let generation = Generation(self.generation.get());
        self.snapshots.send_modify(|published| {
            let mut snapshot = published.as_deref().cloned().unwrap_or_default();
            snapshot.generation = generation;
            let node = node.parse().unwrap();
            // It grows out of the last one, so that streams look at the changes, as in production.
            let mut set = snapshot.own(&node).map_or_else(
                || ResourceSet::new(generation),
                |last| last.next(generation),
            );
            set.replace_all(triples.into_iter().map(|(kind, name, content)| {
                let content = encoded(&name, &content);
                (kind, labelled(kind, &name, "v", content))
            }));
            snapshot.give(node, Some(Arc::new(set)));
            *published = Some(Arc::new(snapshot));
        });
    }

    /// Publishes a snapshot as it is.
    pub(crate) fn show(&self, snapshot: Snapshot) {
        self.snapshots.send_replace(Some(Arc::new(snapshot)));
    }

    /// Lets time pass, and has every stream look at the clock.
    pub(crate) fn pass(&self, span: Span) {
        let millis = u64::try_from(span.duration().as_millis()).unwrap();
        self.now.fetch_add(millis, Ordering::SeqCst);
        self.snapshots.send_modify(|_| {});
        self.idle();
    }

    /// Asks for what was refused to be tried again.
    pub(crate) fn retry(&self) {
        self.snapshots.send_modify(|published| {
            let again = published.as_ref().unwrap().again();
            *published = Some(Arc::new(again));
        });
        self.idle();
    }

    /// Begins the shutdown.
    pub(crate) fn shut_down(&self) {
        self.shutdown.cancel();
    }

    /// What the engine was told since the last time.
    pub(crate) fn events(&self) -> Vec<String> {
        self.idle();
        let mut events = self.events.borrow_mut();
        let mut said = Vec::new();
        while let Ok(event) = events.try_recv() {
            let Event::Proxy { id, event } = event else {
                panic!("{event:?}")
            };
            said.push(match event {
                ProxyEvent::Connected(_) => format!("{id} connected"),
                ProxyEvent::Disconnected => format!("{id} disconnected"),
                ProxyEvent::InForce(generation) => format!("{id} has {generation}"),
                ProxyEvent::Nacked(nack) => format!(
                    "{id} refused {} {} of {}: {}",
                    nack.kind,
                    nack.resources.join(" "),
                    nack.generation,
                    nack.message
                ),
                load @ ProxyEvent::Load(_) => format!("{id} {load:?}"),
            });
        }
        said
    }

    /// Types whose answer was waited for no longer, since the last time.
    pub(crate) fn released(&self) -> Vec<String> {
        std::mem::take(&mut self.released.lock().unwrap())
    }

    /// Runs until nothing is left to run.
    pub(crate) fn idle(&self) {
        self.run(async {
            for _ in 0..IDLE_TURNS {
                self.parked.notified().await;
            }
        });
    }

    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

/// The limits, with one that is smaller, so that it takes no thousands to reach it.
fn limits() -> Limits {
    Limits {
        streams_per_node: STREAMS_PER_NODE_MAX,
        ..Limits::default()
    }
}

/// What a server's services are made from.
pub(crate) struct Shared {
    pub(crate) snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    pub(crate) events: mpsc::Sender<Event>,
    released: Arc<Mutex<Vec<String>>>,
    now: Arc<AtomicU64>,
}

impl Shared {
    /// The discovery services.
    pub(crate) fn xds(self) -> Routes {
        let now = self.now;
        let clock = move || Span::millis(now.load(Ordering::SeqCst)).after(Time::UNIX_EPOCH);
        let server = XdsServer::new(
            self.snapshots,
            self.events,
            Arc::new(Looking(self.released)),
            REPLICA.to_owned(),
            Arc::new(clock),
            limits(),
        );
        server.into_routes()
    }
}

/// Keeps what only the metrics are told.
struct Looking(Arc<Mutex<Vec<String>>>);

impl Observer for Looking {
    fn gate_released(&self, kind: ResourceKind) {
        self.0.lock().unwrap().push(kind.to_string());
    }
}

/// Makes connections of pipes.
struct Connector(mpsc::Sender<DuplexStream>);

impl Service<Uri> for Connector {
    type Response = TokioIo<DuplexStream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let connections = self.0.clone();
        Box::pin(async move {
            let sent = connections.send(theirs).await;
            sent.map_err(|_| std::io::Error::other("the server is gone"))?;
            Ok(TokioIo::new(ours))
        })
    }
}

/// As much of every resource as the tests look at: a name, as all the types have it in their first
/// field, and a content.
#[derive(Message)]
pub(crate) struct Named {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "1000")]
    pub(crate) content: String,
}

pub(crate) fn encoded(name: &str, content: &str) -> Vec<u8> {
    let (name, content) = (name.to_owned(), content.to_owned());
    Named { name, content }.encode_to_vec()
}

/// The version that a delta stream gives a resource of this content.
pub(crate) fn version(kind: ResourceKind, name: &str, content: &str) -> String {
    let resource = labelled(kind, name, "v", encoded(name, content));
    resource.version.as_ref().to_owned()
}

/// A name and its version, as a delta client that comes back says them.
pub(crate) fn held(letter: &str, name: &str, content: &str) -> (String, String) {
    (name.to_owned(), version(kind(letter), name, content))
}

/// The letters of the types.
const LETTERS: [(&str, ResourceKind); 6] = [
    ("b", ResourceKind::LbEndpoint),
    ("c", ResourceKind::Cluster),
    ("e", ResourceKind::Endpoint),
    ("l", ResourceKind::Listener),
    ("r", ResourceKind::Route),
    ("s", ResourceKind::Secret),
];

pub(crate) fn kind(letter: &str) -> ResourceKind {
    let found = LETTERS.iter().find(|(each, _)| *each == letter);
    found
        .unwrap_or_else(|| panic!("no type has the letter {letter}"))
        .1
}

/// The letter of a type; its last word if it has none.
pub(crate) fn letter(type_url: &str) -> String {
    let known = LETTERS.iter().find(|(_, kind)| kind.type_url() == type_url);
    known.map_or_else(
        || type_url.rsplit('.').next().unwrap_or_default().to_owned(),
        |(letter, _)| (*letter).to_owned(),
    )
}

/// The type URL of a letter; what is no letter is the end of a type URL that is not served.
pub(crate) fn type_url(letter: &str) -> String {
    LETTERS
        .iter()
        .find(|(each, _)| *each == letter)
        .map_or_else(
            || format!("type.googleapis.com/envoy.{letter}"),
            |(_, kind)| kind.type_url().to_owned(),
        )
}

/// Names and their versions.
pub(crate) type Versions = BTreeMap<String, String>;

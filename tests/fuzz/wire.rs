//! What proxies send, as bytes: gRPC messages, well-formed or not, on a stream of any service of the
//! port. Each stream ends with a status that blames nobody here, and what is answered can be read.
//!
//! One server answers all inputs, each on a stream of its own, as in life. The first byte chooses the
//! service, the second the size of the pieces in which the rest arrives. Then come messages, each after two
//! bytes with its length; or bytes that go as they are, if the first byte has its highest bit.

use std::cell::RefCell;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse};
use futures_util::stream;
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tidegate::domain::{Generation, Lifetimes, Limits, Plan, Time};
use tidegate::serving::{NoObserver, Port, PortOptions};
use tidegate::snapshot::{ResourceKind, ResourceSet, Snapshot, labelled};
use tidegate::telemetry::{LoadReports, MetricsReceiver};
use tidegate::xds::XdsServer;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::codegen::http::{HeaderMap, Request};

/// Whose resources there are; other nodes are told nothing.
const NODE: &str = "n";

const PIPE_BYTES: usize = 1 << 20;

/// No input takes longer, unless something waits for ever.
const TIME_MAX: Duration = Duration::from_secs(20);

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What a service answers with.
#[derive(Clone, Copy)]
enum Answers {
    Delta,
    Sotw,
    Unread,
}

const METHODS: [(&str, Answers); 8] = [
    (
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
        Answers::Delta,
    ),
    (
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
        Answers::Sotw,
    ),
    (
        "/envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters",
        Answers::Delta,
    ),
    (
        "/envoy.service.listener.v3.ListenerDiscoveryService/StreamListeners",
        Answers::Sotw,
    ),
    (
        "/envoy.service.endpoint.v3.LocalityEndpointDiscoveryService/DeltaLocalityEndpoints",
        Answers::Delta,
    ),
    (
        "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats",
        Answers::Unread,
    ),
    (
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Answers::Unread,
    ),
    (
        "/envoy.service.status.v3.ClientStatusDiscoveryService/StreamClientStatus",
        Answers::Unread,
    ),
];

/// A server and the one connection to it.
struct World {
    runtime: Runtime,
    requests: SendRequest<Body>,
    /// What lives as long as the server.
    _alive: Box<dyn std::any::Any>,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

pub(crate) fn run(bytes: &[u8]) {
    const RAW: u8 = 1 << 7;
    let Some((&[first, piece], rest)) = bytes.split_first_chunk() else {
        return;
    };
    let (path, answers) = METHODS[usize::from(first & !RAW) % METHODS.len()];
    let body = if first & RAW == 0 {
        framed(rest)
    } else {
        Bytes::copy_from_slice(rest)
    };
    WORLD.with_borrow_mut(|world| {
        let world = world.get_or_insert_with(World::new);
        world.send(path, answers, in_pieces(body, piece.into()));
    });
}

/// The messages of an input as the body of a gRPC request.
fn framed(mut input: &[u8]) -> Bytes {
    let mut body = BytesMut::new();
    while let Some((length, rest)) = input.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (message, rest) = rest.split_at(length);
        body.put_u8(0);
        body.put_u32(u32::try_from(length).unwrap());
        body.put_slice(message);
        input = rest;
    }
    body.freeze()
}

/// The same bytes, so many at a time; all at once if that is 0.
fn in_pieces(mut all: Bytes, size: usize) -> Body {
    let mut pieces = Vec::new();
    while !all.is_empty() {
        let size = if size == 0 { all.len() } else { size };
        let piece = all.split_to(size.min(all.len()));
        pieces.push(Ok::<_, Infallible>(Frame::data(piece)));
    }
    StreamBody::new(stream::iter(pieces)).boxed_unsync()
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (snapshots, receiver) = watch::channel(Some(Arc::new(snapshot())));
        let (plans, plan) = watch::channel(Some(Arc::new(Plan::default())));
        let (events, mut mailbox) = mpsc::channel(1024);
        let (limits, clock) = (Limits::default(), Arc::new(|| Time::UNIX_EPOCH));
        let metrics = MetricsReceiver::new(events.clone());
        let counted = Arc::new(|_: &_, _: &_, _| {});
        let reports = LoadReports::new(
            plan,
            events.clone(),
            metrics.counters(),
            counted,
            clock.clone(),
            limits.clone(),
        );
        let xds = XdsServer::new(
            receiver,
            events,
            Arc::new(tidegate::xds::NoObserver),
            "replica".to_owned(),
            clock,
            limits.clone(),
        );
        let routes = xds.into_routes().add_service(reports);
        let routes = routes.add_service(metrics.into_service());
        let options = PortOptions {
            limits,
            lifetimes: Lifetimes::default(),
            tls: None,
            observer: Arc::new(NoObserver),
            seed: 1,
        };
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        runtime.spawn(async move {
            let port = Port::new(options, routes, CancellationToken::new());
            port.serve_one(theirs).await;
        });
        runtime.spawn(async move { while mailbox.recv().await.is_some() {} });
        let shaken = runtime.block_on(handshake(TokioExecutor::new(), TokioIo::new(ours)));
        let (requests, connection) = shaken.unwrap();
        runtime.spawn(connection);
        Self {
            runtime,
            requests,
            _alive: Box::new((snapshots, plans)),
        }
    }

    fn send(&mut self, path: &str, answers: Answers, body: Body) {
        let request = Request::post(format!("http://in.memory{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(body)
            .unwrap();
        let requests = &mut self.requests;
        let answered = async {
            let response = requests.send_request(request).await.unwrap();
            let (head, body) = response.into_parts();
            let body = body.collect().await.expect("the stream was cut: a panic?");
            let trailers = body.trailers().cloned().unwrap_or(head.headers);
            (trailers, body.to_bytes())
        };
        let in_time = async { tokio::time::timeout(TIME_MAX, answered).await };
        let (trailers, body) = self.runtime.block_on(in_time).expect("it never ends");
        check_status(&trailers);
        check_messages(answers, &body);
    }
}

/// What there is for [`NODE`].
fn snapshot() -> Snapshot {
    let mut set = ResourceSet::new(Generation(1));
    for kind in ResourceKind::ALL {
        for name in ["a", "b", "xdstp://t/x/g/1"] {
            set.insert(kind, labelled(kind, name, "1", Vec::new()));
        }
    }
    let mut snapshot = Snapshot::default();
    snapshot.generation = Generation(1);
    snapshot.give(NODE.parse().unwrap(), Some(Arc::new(set)));
    snapshot
}

/// Whatever came, it is the sender's affair.
fn check_status(trailers: &HeaderMap) {
    let status = tonic::Status::from_header_map(trailers).expect("a status ends a stream");
    let is_ours = matches!(
        status.code(),
        Code::Unknown | Code::DataLoss | Code::Aborted
    );
    assert!(!is_ours, "{status}");
}

/// What is answered are whole messages of the type, each with a nonce of its own.
fn check_messages(answers: Answers, mut body: &[u8]) {
    let mut nonces = Vec::new();
    while let Some((prefix, rest)) = body.split_first_chunk::<5>() {
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        let (message, rest) = rest.split_at(length);
        body = rest;
        nonces.push(match answers {
            Answers::Delta => DeltaDiscoveryResponse::decode(message).unwrap().nonce,
            Answers::Sotw => DiscoveryResponse::decode(message).unwrap().nonce,
            Answers::Unread => continue,
        });
    }
    assert!(body.is_empty(), "half a message");
    let count = nonces.len();
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), count, "a nonce comes twice");
}

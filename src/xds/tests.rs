//! The service against a real gRPC client, over loopback.

mod fanout;
mod limits;
mod status;

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::cluster::v3::cluster_discovery_service_client::ClusterDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
    Resource as Wrapped,
};
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::rpc;
use prost::Message;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Channel;
use tonic::{Code, Streaming};

use super::{Inspector, NoObserver, Observer, XdsServer};
use crate::domain::{Client, Generation, Limits, ProxySelector, Span, Time};
use crate::engine::{Event, ProxyEvent};
use crate::protocol::HeldState;
use crate::serving::tests::serve_plaintext;
use crate::snapshot::{Audience, Dialect, Resource, ResourceKind, ResourceSet, Snapshot};

/// What a client has room for before it must read.
const WINDOW_BYTES: u32 = 65_535;

const CDS: &str = ResourceKind::Cluster.type_url();

/// Longer than anything here takes, and only waited for when something is broken.
const DEADLINE: Duration = Duration::from_secs(20);

/// A resource whose content is its version.
pub(super) fn encoded(kind: ResourceKind, name: &str, version: &str) -> Arc<Resource> {
    let any = Any {
        type_url: kind.type_url().into(),
        value: version.as_bytes().to_vec(),
    };
    let wrapped = Wrapped {
        name: name.into(),
        version: version.into(),
        resource: Some(any.clone()),
        ..Wrapped::default()
    };
    // A message with nothing but one field is that field.
    let sotw = DiscoveryResponse {
        resources: vec![any],
        ..DiscoveryResponse::default()
    };
    let delta = DeltaDiscoveryResponse {
        resources: vec![wrapped],
        ..DeltaDiscoveryResponse::default()
    };
    Arc::new(Resource {
        name: name.into(),
        version: version.into(),
        sotw_field: sotw.encode_to_vec().into(),
        delta_field: delta.encode_to_vec().into(),
        reference: None,
    })
}

fn snapshot(generation: u64, clusters: &[(&str, &str)]) -> Arc<Snapshot> {
    let mut resources = ResourceSet::new(Generation(generation));
    for (name, version) in clusters {
        resources.insert(
            ResourceKind::Cluster,
            encoded(ResourceKind::Cluster, name, version),
        );
    }
    let selector = ProxySelector {
        cluster: Some("edge".into()),
        ..ProxySelector::default()
    };
    let audience = Audience {
        selector,
        resources: [(Dialect::plain(Client::Envoy), Arc::new(resources))].into(),
    };
    Arc::new(Snapshot::new(Generation(generation), vec![audience]))
}

/// What every Envoy is to have.
fn for_all(resources: ResourceSet) -> Arc<Snapshot> {
    let generation = resources.generation;
    let audience = Audience {
        selector: ProxySelector::default(),
        resources: [(Dialect::plain(Client::Envoy), Arc::new(resources))].into(),
    };
    Arc::new(Snapshot::new(generation, vec![audience]))
}

struct World {
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    events: mpsc::Receiver<Event>,
    client: AggregatedDiscoveryServiceClient<Channel>,
    channel: Channel,
    inspector: Inspector,
    shutdown: DropGuard,
}

impl World {
    async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Self {
        Self::observed(limits, Arc::new(NoObserver)).await
    }

    #[expect(clippy::disallowed_methods, reason = "a test is its own supervisor")]
    async fn observed(limits: Limits, observer: Arc<dyn Observer>) -> Self {
        let (snapshots, receiver) = watch::channel(None);
        let (sender, events) = mpsc::channel(64);
        let clock = Arc::new(Time::now);
        let server = XdsServer::new(
            receiver,
            sender,
            observer,
            "replica-1".into(),
            clock,
            limits.clone(),
        );
        let inspector = server.inspector();
        let watchdog = server.watchdog();
        let (address, shutdown) = serve_plaintext(server.into_routes(), limits);
        tokio::spawn(watchdog.run(CancellationToken::new()));
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        let endpoint = endpoint.initial_stream_window_size(WINDOW_BYTES);
        let channel = endpoint.connect().await.unwrap();
        Self {
            snapshots,
            events,
            client: AggregatedDiscoveryServiceClient::new(channel.clone()),
            channel,
            inspector,
            shutdown,
        }
    }

    async fn event(&mut self) -> ProxyEvent {
        let event = tokio::time::timeout(DEADLINE, self.events.recv())
            .await
            .unwrap();
        let Some(Event::Proxy { id, event }) = event else {
            panic!("{event:?}")
        };
        assert_eq!(id.as_str(), "edge-1");
        event
    }

    async fn delta(
        &mut self,
    ) -> (
        mpsc::Sender<DeltaDiscoveryRequest>,
        Streaming<DeltaDiscoveryResponse>,
    ) {
        let (sender, receiver) = mpsc::channel(8);
        let response = self
            .client
            .delta_aggregated_resources(ReceiverStream::new(receiver));
        (sender, response.await.unwrap().into_inner())
    }

    async fn sotw(&mut self) -> (mpsc::Sender<DiscoveryRequest>, Streaming<DiscoveryResponse>) {
        let (sender, receiver) = mpsc::channel(8);
        let response = self
            .client
            .stream_aggregated_resources(ReceiverStream::new(receiver));
        (sender, response.await.unwrap().into_inner())
    }
}

async fn receive<T>(stream: &mut Streaming<T>) -> T {
    tokio::time::timeout(DEADLINE, stream.message())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
}

fn node(id: &str, cluster: &str) -> Node {
    Node {
        id: id.into(),
        cluster: cluster.into(),
        ..Node::default()
    }
}

fn first_delta() -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: Some(node("edge-1", "edge")),
        type_url: CDS.into(),
        ..DeltaDiscoveryRequest::default()
    }
}

fn names(response: &DeltaDiscoveryResponse) -> Vec<(&str, &str)> {
    response
        .resources
        .iter()
        .map(|r| (&*r.name, &*r.version))
        .collect()
}

#[tokio::test]
async fn delta_from_the_first_request_to_the_last() {
    let mut world = World::new().await;
    let (requests, mut responses) = world.delta().await;
    requests.send(first_delta()).await.unwrap();
    assert!(matches!(world.event().await, ProxyEvent::Connected(_)));

    // The request has been read, and nothing was answered: there is no snapshot yet.
    world
        .snapshots
        .send_replace(Some(snapshot(1, &[("a", "1"), ("b", "1")])));
    let response = receive(&mut responses).await;
    assert_eq!(names(&response), [("a", "1"), ("b", "1")]);
    assert_eq!(response.system_version_info, "1");
    assert_eq!(response.control_plane.unwrap().identifier, "replica-1");
    let mut answer = DeltaDiscoveryRequest {
        type_url: CDS.into(),
        response_nonce: response.nonce,
        ..DeltaDiscoveryRequest::default()
    };
    requests.send(answer.clone()).await.unwrap();
    assert_eq!(world.event().await, ProxyEvent::InForce(Generation(1)));

    world
        .snapshots
        .send_replace(Some(snapshot(2, &[("a", "2"), ("b", "1")])));
    let response = receive(&mut responses).await;
    assert_eq!(names(&response), [("a", "2")]);
    answer.response_nonce = response.nonce;
    answer.error_detail = Some(rpc::Status {
        code: 13,
        message: "no   good".into(),
        ..rpc::Status::default()
    });
    requests.send(answer).await.unwrap();
    let ProxyEvent::Nacked(nack) = world.event().await else {
        panic!()
    };
    assert_eq!(
        (nack.generation, nack.kind.as_str()),
        (Generation(2), "cluster")
    );
    assert_eq!(
        (nack.resources, nack.message.as_str()),
        (vec!["a".to_owned()], "no good")
    );

    drop((requests, responses));
    assert_eq!(world.event().await, ProxyEvent::Disconnected);
}

#[tokio::test]
async fn sotw_sends_whole_sets() {
    let mut world = World::new().await;
    world
        .snapshots
        .send_replace(Some(snapshot(1, &[("a", "1"), ("b", "1")])));
    let (requests, mut responses) = world.sotw().await;
    let mut request = DiscoveryRequest {
        node: Some(node("edge-1", "edge")),
        type_url: CDS.into(),
        ..DiscoveryRequest::default()
    };
    requests.send(request.clone()).await.unwrap();
    let first = receive(&mut responses).await;
    assert_eq!(first.resources.len(), 2);
    request.response_nonce.clone_from(&first.nonce);
    request.version_info.clone_from(&first.version_info);
    requests.send(request.clone()).await.unwrap();
    assert!(matches!(world.event().await, ProxyEvent::Connected(_)));
    assert_eq!(world.event().await, ProxyEvent::InForce(Generation(1)));

    world
        .snapshots
        .send_replace(Some(snapshot(2, &[("a", "2"), ("b", "1")])));
    let second = receive(&mut responses).await;
    assert_eq!(second.resources.len(), 2);
    assert_ne!(
        (first.version_info, first.nonce),
        (second.version_info, second.nonce)
    );
    drop((requests, responses));
    assert_eq!(world.event().await, ProxyEvent::Disconnected);
}

#[tokio::test]
async fn a_proxy_that_no_gateway_selects_is_told_nothing_until_one_does() {
    let mut world = World::new().await;
    world
        .snapshots
        .send_replace(Some(snapshot(1, &[("a", "1")])));
    let (requests, mut responses) = world.delta().await;
    let request = DeltaDiscoveryRequest {
        node: Some(node("edge-1", "other")),
        ..first_delta()
    };
    requests.send(request).await.unwrap();
    assert!(matches!(world.event().await, ProxyEvent::Connected(_)));

    let mut all = ResourceSet::new(Generation(2));
    all.insert(
        ResourceKind::Cluster,
        encoded(ResourceKind::Cluster, "z", "1"),
    );
    world.snapshots.send_replace(Some(for_all(all)));
    assert_eq!(names(&receive(&mut responses).await), [("z", "1")]);
}

#[tokio::test]
async fn streams_that_break_the_rules_end_with_a_reason() {
    let mut world = World::new().await;
    let nobody = DeltaDiscoveryRequest {
        node: None,
        ..first_delta()
    };
    let bad = DeltaDiscoveryRequest {
        node: Some(node("a b", "edge")),
        ..first_delta()
    };
    let other = DeltaDiscoveryRequest {
        node: Some(node("edge-2", "edge")),
        ..first_delta()
    };
    for (messages, reason) in [
        (vec![nobody], "has no node"),
        (vec![bad], "a proxy id may not contain ' '"),
        (vec![first_delta(), other], "cannot become node \"edge-2\""),
    ] {
        let (requests, mut responses) = world.delta().await;
        for message in messages {
            requests.send(message).await.unwrap();
        }
        let status = tokio::time::timeout(DEADLINE, responses.message())
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().contains(reason), "{status}");
    }
}

#[tokio::test]
async fn shutdown_ends_streams_with_a_reason() {
    let mut world = World::new().await;
    let (requests, mut responses) = world.delta().await;
    requests.send(first_delta()).await.unwrap();
    assert!(matches!(world.event().await, ProxyEvent::Connected(_)));
    drop(world.shutdown);
    let ended = tokio::time::timeout(DEADLINE, responses.message()).await;
    assert_eq!(ended.unwrap().unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_service_for_one_type_takes_that_type_alone() {
    let mut world = World::new().await;
    world
        .snapshots
        .send_replace(Some(snapshot(1, &[("a", "1")])));
    let mut clusters = ClusterDiscoveryServiceClient::new(world.channel.clone());
    for (type_url, code) in [
        ("", Code::Ok),
        (CDS, Code::Ok),
        (ResourceKind::Route.type_url(), Code::InvalidArgument),
    ] {
        let (requests, receiver) = mpsc::channel(8);
        let response = clusters.delta_clusters(ReceiverStream::new(receiver)).await;
        let mut responses = response.unwrap().into_inner();
        let request = DeltaDiscoveryRequest {
            type_url: type_url.into(),
            ..first_delta()
        };
        requests.send(request).await.unwrap();
        let first = tokio::time::timeout(DEADLINE, responses.message()).await;
        let got = match first.unwrap() {
            Ok(response) => {
                assert_eq!(names(&response.unwrap()), [("a", "1")], "{type_url:?}");
                Code::Ok
            }
            Err(status) => status.code(),
        };
        assert_eq!(got, code, "{type_url:?}");
    }
    let (requests, mut responses) = world.delta().await;
    let untyped = DeltaDiscoveryRequest {
        type_url: String::new(),
        ..first_delta()
    };
    requests.send(untyped).await.unwrap();
    let ended = tokio::time::timeout(DEADLINE, responses.message()).await;
    assert_eq!(ended.unwrap().unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_a_proxy_was_told_can_be_looked_at() {
    let mut world = World::new().await;
    world
        .snapshots
        .send_replace(Some(snapshot(1, &[("a", "1")])));
    let id = "edge-1".parse().unwrap();
    assert!(world.inspector.proxy(&id).is_none());
    let (requests, mut responses) = world.delta().await;
    requests.send(first_delta()).await.unwrap();
    receive(&mut responses).await;
    let state = world.inspector.proxy(&id).unwrap();
    let held = &state.streams[0].held[0];
    assert_eq!((&*held.name, &held.state), ("a", &HeldState::Sent));
    assert_eq!(held.told.as_ref().unwrap().version.as_ref(), "1");
    assert_eq!(world.inspector.connected(), [id]);
}

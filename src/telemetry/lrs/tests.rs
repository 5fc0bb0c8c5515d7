//! The service against a real gRPC client, over loopback.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{Locality, Node};
use envoy_types::pb::envoy::config::endpoint::v3::{ClusterStats, UpstreamLocalityStats};
use envoy_types::pb::envoy::service::load_stats::v3::load_reporting_service_client::LoadReportingServiceClient;
use envoy_types::pb::envoy::service::load_stats::v3::{
    LoadStatsRequest as EnvoyRequest, LoadStatsResponse as EnvoyResponse,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::DropGuard;
use tonic::Code;
use tonic::service::Routes;
use tonic::transport::Channel;

use super::*;
use crate::domain::{Generation, Limits};
use crate::process::clock;
use crate::serving::tests::serve_plaintext;

/// Longer than anything here takes, and only waited for when something is broken.
const DEADLINE: Duration = Duration::from_secs(20);

type Counts = Arc<Mutex<BTreeMap<String, (u64, u64)>>>;

struct World {
    plans: watch::Sender<Option<Arc<Plan>>>,
    events: mpsc::Receiver<Event>,
    client: LoadReportingServiceClient<Channel>,
    counts: Counts,
    service: LoadReports,
    _shutdown: DropGuard,
}

type Stream = (mpsc::Sender<EnvoyRequest>, Streaming<EnvoyResponse>);

impl World {
    async fn new() -> Self {
        let (plans, receiver) = watch::channel(None);
        let (sender, events) = mpsc::channel(64);
        let counts = Counts::default();
        let counted = Arc::clone(&counts);
        let service = LoadReports::new(
            receiver,
            sender,
            Arc::default(),
            Arc::new(move |service, version, more| {
                let mut counts = counted.lock().unwrap_or_else(PoisonError::into_inner);
                let of = counts.entry(format!("{service}/{version}")).or_default();
                *of = (of.0 + more.succeeded, of.1 + more.failed);
            }),
            Arc::new(clock::now),
            Limits::default(),
        );
        let routes = Routes::new(service.clone());
        let (address, shutdown) = serve_plaintext(routes, Limits::default());
        let client = LoadReportingServiceClient::connect(format!("http://{address}"));
        Self {
            plans,
            events,
            client: client.await.unwrap(),
            counts,
            service,
            _shutdown: shutdown,
        }
    }

    fn publish(&self, generation: u64, plan: Plan) {
        let generation = Generation(generation);
        let plan = Plan { generation, ..plan };
        self.plans.send_replace(Some(Arc::new(plan)));
    }

    async fn open(&mut self) -> Stream {
        let (sender, receiver) = mpsc::channel(8);
        let response = self.client.stream_load_stats(ReceiverStream::new(receiver));
        (sender, response.await.unwrap().into_inner())
    }

    /// `instance=in_progress` of the next report.
    async fn report(&mut self) -> String {
        let event = tokio::time::timeout(DEADLINE, self.events.recv());
        let Some(Event::Proxy {
            id,
            event: ProxyEvent::Load(report),
        }) = event.await.unwrap()
        else {
            panic!("no report");
        };
        let loads = report.instances.iter();
        let loads: Vec<_> = loads
            .map(|load| format!("{}={}", load.instance, load.in_progress))
            .collect();
        format!("{id}: {}", loads.join(" "))
    }
}

async fn answer(stream: &mut Stream) -> Result<EnvoyResponse, Status> {
    let message = tokio::time::timeout(DEADLINE, stream.1.message());
    message.await.unwrap().map(Option::unwrap)
}

/// The milliseconds that it is asked to wait between reports.
async fn asked(stream: &mut Stream) -> u64 {
    let response = answer(stream).await.unwrap();
    assert!(response.report_endpoint_granularity);
    let interval = response.load_reporting_interval.unwrap();
    let millis = interval.seconds * 1_000 + i64::from(interval.nanos) / 1_000_000;
    u64::try_from(millis).unwrap()
}

fn node(agent: &str) -> Node {
    Node {
        id: "edge-1".into(),
        cluster: "web".into(),
        user_agent_name: agent.into(),
        client_features: vec![ask::ALL_CLUSTERS_FEATURE.into()],
        ..Node::default()
    }
}

fn first(agent: &str) -> EnvoyRequest {
    EnvoyRequest {
        node: Some(node(agent)),
        cluster_stats: Vec::new(),
    }
}

/// So many in progress in zone `a`, and 3 requests that ended, one of them badly.
fn busy(in_progress: u64) -> EnvoyRequest {
    let places = vec![UpstreamLocalityStats {
        locality: Some(Locality {
            zone: "a".into(),
            ..Locality::default()
        }),
        total_successful_requests: 2,
        total_error_requests: 1,
        total_requests_in_progress: in_progress,
        ..UpstreamLocalityStats::default()
    }];
    let cluster = |name: &str| ClusterStats {
        cluster_name: name.into(),
        upstream_locality_stats: places.clone(),
        ..ClusterStats::default()
    };
    EnvoyRequest {
        node: None,
        cluster_stats: vec![cluster("cart/v1"), cluster("cart/v9"), cluster("tidegate")],
    }
}

#[tokio::test]
async fn reports_are_fast_while_something_drains_and_only_then() {
    let mut world = World::new().await;
    world.publish(1, samples::calm());
    let mut stream = world.open().await;
    stream.0.send(first("envoy")).await.unwrap();
    assert_eq!(asked(&mut stream).await, 10_000);
    world.publish(2, samples::calm());
    world.publish(3, samples::plan());
    assert_eq!(asked(&mut stream).await, 600, "generation 2 is no news");
    world.publish(4, samples::calm());
    assert_eq!(asked(&mut stream).await, 10_000);
}

#[tokio::test]
async fn the_node_may_come_once_or_always_and_counts_add_up() {
    let mut world = World::new().await;
    world.publish(1, samples::plan());
    for of_each in [None, Some(node("gRPC Node"))] {
        let mut stream = world.open().await;
        // An Envoy that comes back puts counts into its first message.
        let back = EnvoyRequest {
            node: Some(node("gRPC Node")),
            ..busy(7)
        };
        stream.0.send(back).await.unwrap();
        asked(&mut stream).await;
        for (in_progress, told) in [(4, "i2=4"), (0, "i1=0 i2=0")] {
            let request = EnvoyRequest {
                node: of_each.clone(),
                ..busy(in_progress)
            };
            stream.0.send(request).await.unwrap();
            assert_eq!(world.report().await, format!("edge-1: {told}"));
        }
    }
    let counts = world.counts.lock().unwrap().clone();
    assert_eq!(counts, [("cart/v1".to_owned(), (12, 6))].into());
}

#[tokio::test]
async fn streams_that_break_the_rules_end_with_a_reason() {
    let mut world = World::new().await;
    world.publish(1, samples::plan());
    let other = EnvoyRequest {
        node: Some(Node {
            id: "edge-2".into(),
            ..Node::default()
        }),
        ..busy(0)
    };
    for (messages, reason) in [
        (vec![busy(0)], "has no node"),
        (vec![first("envoy"), other], "cannot become node \"edge-2\""),
    ] {
        let mut stream = world.open().await;
        for message in messages {
            stream.0.send(message).await.unwrap();
        }
        let status = loop {
            if let Err(status) = answer(&mut stream).await {
                break status;
            }
        };
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().contains(reason), "{status}");
    }
    assert!(world.counts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_client_that_falls_silent_when_idle_is_asked_anew() {
    let mut world = World::new().await;
    world.publish(1, samples::plan());
    let mut stream = world.open().await;
    stream.0.send(first("gRPC C-core")).await.unwrap();
    assert_eq!(asked(&mut stream).await, 600);
    let ended = answer(&mut stream).await.unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable, "{ended}");
}

#[tokio::test]
async fn streams_of_one_node_are_limited_and_leave_nothing_behind() {
    let mut world = World::new().await;
    world.publish(1, samples::calm());
    let mut streams = Vec::new();
    for _ in 0..STREAMS_PER_PROXY_MAX {
        let mut stream = world.open().await;
        stream.0.send(first("envoy")).await.unwrap();
        asked(&mut stream).await;
        streams.push(stream);
    }
    let mut one_more = world.open().await;
    one_more.0.send(first("envoy")).await.unwrap();
    let refused = answer(&mut one_more).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    for (requests, mut responses) in streams {
        drop(requests);
        let ended = tokio::time::timeout(DEADLINE, responses.message());
        assert!(ended.await.unwrap().unwrap().is_none());
    }
    let streams = world.service.shared.streams();
    assert!(streams.by_proxy.is_empty() && streams.in_all == 0);
}

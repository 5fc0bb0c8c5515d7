//! What clients were sent, as others are told.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::service::status::v3::client_config::GenericXdsConfig;
use envoy_types::pb::envoy::service::status::v3::client_status_discovery_service_client::ClientStatusDiscoveryServiceClient;
use envoy_types::pb::envoy::service::status::v3::client_status_discovery_service_server::ClientStatusDiscoveryService;
use envoy_types::pb::envoy::service::status::v3::{
    ClientConfig, ClientStatusRequest, ConfigStatus,
};
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{NodeMatcher, StringMatcher};
use tonic::Request;

use super::*;
use crate::peer::Names;
use crate::serving::Caller;
use crate::xds::status::StatusService;

/// A cluster named `a`, encoded.
const CLUSTER_A: &str = "\n\u{1}a";

/// A client that was sent the cluster, and has not answered yet.
async fn told() -> (
    World,
    mpsc::Sender<DeltaDiscoveryRequest>,
    Streaming<DeltaDiscoveryResponse>,
    DeltaDiscoveryResponse,
) {
    let mut world = World::new().await;
    let first = snapshot(1, &[("a", CLUSTER_A)]);
    world.snapshots.send_replace(Some(first));
    let (requests, mut responses) = world.delta().await;
    requests.send(first_delta()).await.unwrap();
    let response = receive(&mut responses).await;
    (world, requests, responses, response)
}

fn of_node(id: &str) -> ClientStatusRequest {
    let node_id = Some(StringMatcher {
        match_pattern: Some(MatchPattern::Exact(id.into())),
        ..StringMatcher::default()
    });
    ClientStatusRequest {
        node_matchers: vec![NodeMatcher {
            node_id,
            ..NodeMatcher::default()
        }],
        ..ClientStatusRequest::default()
    }
}

/// Asks on one stream until the only resource has a status.
async fn until(world: &World, status: ConfigStatus) -> GenericXdsConfig {
    let mut client = ClientStatusDiscoveryServiceClient::new(world.channel.clone());
    let (requests, receiver) = mpsc::channel(1);
    let answers = client.stream_client_status(ReceiverStream::new(receiver));
    let mut answers = answers.await.unwrap().into_inner();
    let asked = async {
        loop {
            requests.send(of_node("edge-1")).await.unwrap();
            let mut answer = answers.message().await.unwrap().unwrap();
            let mut configs = answer.config.remove(0).generic_xds_configs;
            let config = configs.remove(0);
            if config.config_status() == status {
                return config;
            }
        }
    };
    tokio::time::timeout(DEADLINE, asked).await.unwrap()
}

#[tokio::test]
async fn the_status_follows_what_the_client_answers() {
    let (world, requests, mut responses, response) = told().await;

    let sent = until(&world, ConfigStatus::Stale).await;
    assert_eq!((&*sent.type_url, &*sent.name), (CDS, "a"));
    assert_eq!(sent.version_info, CLUSTER_A);
    let content = sent.xds_config.unwrap();
    assert_eq!(content.type_url, CDS);
    let cluster = Cluster::decode(content.value.as_slice()).unwrap();
    assert_eq!(cluster.name, "a");

    let answer = |nonce: String, error_detail| DeltaDiscoveryRequest {
        node: None,
        response_nonce: nonce,
        error_detail,
        ..first_delta()
    };
    requests.send(answer(response.nonce, None)).await.unwrap();
    let acked = until(&world, ConfigStatus::Synced).await;
    assert_eq!(acked.error_state, None);

    // The same cluster in other words: its name stands in it twice.
    let other = CLUSTER_A.repeat(2);
    let second = snapshot(2, &[("a", &other)]);
    world.snapshots.send_replace(Some(second));
    let response = receive(&mut responses).await;
    let refusal = rpc::Status {
        message: "no such thing".into(),
        ..rpc::Status::default()
    };
    let nack = answer(response.nonce, Some(refusal));
    requests.send(nack).await.unwrap();
    let nacked = until(&world, ConfigStatus::Error).await;
    assert_eq!(nacked.version_info, other);
    let failure = nacked.error_state.unwrap();
    assert_eq!(
        (&*failure.details, failure.version_info),
        ("no such thing", other)
    );
    assert!(failure.last_update_attempt.is_some());
}

#[tokio::test]
async fn content_can_be_left_out_and_strangers_are_nobody() {
    let (world, _requests, _responses, _) = told().await;

    let mut client = ClientStatusDiscoveryServiceClient::new(world.channel.clone());
    let brief = ClientStatusRequest {
        exclude_resource_contents: true,
        ..ClientStatusRequest::default()
    };
    let mut all = client
        .fetch_client_status(brief)
        .await
        .unwrap()
        .into_inner();
    let ClientConfig {
        node,
        generic_xds_configs,
        ..
    } = all.config.remove(0);
    let node = node.unwrap();
    assert_eq!((&*node.id, &*node.cluster), ("edge-1", "edge"));
    assert_eq!(generic_xds_configs[0].xds_config, None);
    assert_eq!(generic_xds_configs[0].name, "a");
    let stranger = client.fetch_client_status(of_node("edge-2")).await;
    assert_eq!(stranger.unwrap().into_inner().config, []);
}

#[tokio::test]
async fn a_named_client_is_shown_its_own_node_and_no_other() {
    let (world, _requests, _responses, _) = told().await;

    let service = StatusService::new(world.inspector.clone());
    let ask = async |name: &str, request: ClientStatusRequest| {
        let names = Names {
            dns: vec![name.to_owned()],
            ..Names::default()
        };
        let mut request = Request::new(request);
        request
            .extensions_mut()
            .insert(Caller::named(names, "{node}"));
        let answer = service.fetch_client_status(request).await;
        answer
            .map(|answer| answer.into_inner().config.len())
            .map_err(|status| status.code())
    };
    assert_eq!(ask("edge-1", of_node("edge-1")).await, Ok(1));
    let own = ClientStatusRequest {
        node: Some(node("edge-1", "edge")),
        ..ClientStatusRequest::default()
    };
    assert_eq!(ask("edge-1", own).await, Ok(1));
    let denied = Err(Code::PermissionDenied);
    assert_eq!(ask("edge-2", of_node("edge-1")).await, denied);
    assert_eq!(ask("edge-1", ClientStatusRequest::default()).await, denied);
}

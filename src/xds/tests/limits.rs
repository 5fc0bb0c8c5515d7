//! What becomes of streams that want too much, or take nothing.

use tonic::Status;

use super::*;

#[tokio::test]
async fn a_peer_that_reads_nothing_is_cut_and_the_others_on_its_connection_are_not() {
    let limits = Limits {
        ack_time: Span::secs(2),
        ..Limits::default()
    };
    let mut world = World::with(limits).await;
    let (stuck, _never_read) = world.delta().await;
    stuck.send(first_delta()).await.unwrap();
    let endpoints = DeltaDiscoveryRequest {
        node: None,
        type_url: ResourceKind::Endpoint.type_url().into(),
        resource_names_subscribe: vec!["0".into()],
        ..first_delta()
    };
    stuck.send(endpoints).await.unwrap();
    assert!(matches!(world.event().await, ProxyEvent::Connected(_)));
    // The clusters are more than there is room for; then the endpoint cannot even be handed over, and
    // from there on nobody asks the stream for anything.
    let version = "v".repeat(100_000);
    let mut resources = ResourceSet::new(Generation(1));
    for kind in [ResourceKind::Cluster, ResourceKind::Endpoint] {
        resources.insert(kind, encoded(kind, "0", &version));
    }
    world.snapshots.send_replace(Some(for_all(resources)));
    assert_eq!(world.event().await, ProxyEvent::Disconnected);

    world
        .snapshots
        .send_replace(Some(snapshot(2, &[("a", "1")])));
    let (requests, mut responses) = world.delta().await;
    requests.send(first_delta()).await.unwrap();
    assert_eq!(names(&receive(&mut responses).await), [("a", "1")]);
}

/// The status that a stream ends with after its first request, if there is one.
async fn ended(limits: Limits, first: Option<DeltaDiscoveryRequest>) -> Status {
    let mut world = World::with(limits).await;
    // So that the connection, at least, has asked for something.
    let (other, _responses) = world.delta().await;
    let (requests, mut responses) = world.delta().await;
    if let Some(first) = first {
        requests.send(first).await.unwrap();
    }
    let ended = tokio::time::timeout(DEADLINE, responses.message()).await;
    drop(other);
    ended.unwrap().unwrap_err()
}

#[tokio::test]
async fn a_stream_ends_with_the_name_of_the_limit() {
    let silent = Limits {
        first_request_time: Span::millis(100),
        ..Limits::default()
    };
    let small_node = Limits {
        node_bytes: 10,
        ..Limits::default()
    };
    let small_request = Limits {
        request_bytes: 200,
        ..Limits::default()
    };
    let large_node = DeltaDiscoveryRequest {
        node: Some(node("edge-1", "a cluster with a long name")),
        ..first_delta()
    };
    let large_request = DeltaDiscoveryRequest {
        resource_names_subscribe: vec!["a".repeat(300)],
        ..first_delta()
    };
    let (late, much) = (Code::DeadlineExceeded, Code::ResourceExhausted);
    for (limits, first, code, name) in [
        (silent, None, late, "`limits.firstRequestTime`"),
        (small_node, Some(large_node), much, "`limits.nodeSize`"),
        (
            small_request,
            Some(large_request),
            much,
            "`limits.requestSize`",
        ),
    ] {
        let status = ended(limits, first).await;
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(name), "{status}");
    }
}

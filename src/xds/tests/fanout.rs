//! What a change costs does not depend on how many streams are told of it.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const STREAMS: usize = 50;

/// Counts responses, and those that were put together rather than shared.
#[derive(Default)]
struct Counts {
    encoded: AtomicUsize,
    pushed: AtomicUsize,
}

impl Observer for Counts {
    fn encoded(&self, _: ResourceKind) {
        self.encoded.fetch_add(1, Ordering::Relaxed);
    }

    fn pushed(&self, _: ResourceKind, _: usize) {
        self.pushed.fetch_add(1, Ordering::Relaxed);
    }
}

/// The first stream that is due has a response put together; for all the others there is nothing to
/// encode, in either variant.
#[tokio::test]
async fn a_change_is_encoded_once_however_many_streams_are_told() {
    let counts = Arc::new(Counts::default());
    let mut world = World::observed(Limits::default(), counts.clone()).await;
    let first = snapshot(1, &[("a", "1"), ("b", "1")]);
    world.snapshots.send_replace(Some(first));
    let mut streams = Vec::new();
    for number in 0..STREAMS {
        let (requests, mut responses) = world.delta().await;
        let first = DeltaDiscoveryRequest {
            node: Some(node(&format!("edge-{number}"), "edge")),
            ..first_delta()
        };
        requests.send(first).await.unwrap();
        let nonce = receive(&mut responses).await.nonce;
        streams.push((requests, responses, nonce));
    }
    let count = |of: &AtomicUsize| of.swap(0, Ordering::Relaxed);
    assert_eq!(
        (count(&counts.encoded), count(&counts.pushed)),
        (1, STREAMS)
    );

    let second = snapshot(2, &[("a", "2"), ("b", "1")]);
    world.snapshots.send_replace(Some(second));
    for (requests, responses, nonce) in &mut streams {
        let ack = DeltaDiscoveryRequest {
            type_url: CDS.into(),
            response_nonce: nonce.clone(),
            ..DeltaDiscoveryRequest::default()
        };
        requests.send(ack).await.unwrap();
        assert_eq!(names(&receive(responses).await), [("a", "2")]);
    }
    assert_eq!(
        (count(&counts.encoded), count(&counts.pushed)),
        (1, STREAMS)
    );
}

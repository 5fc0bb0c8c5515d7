//! Users' own Envoy settings as JSON: the first byte says what they are a part of. Each fault is at a
//! place that is there, and none of it is a panic.

use tidegate::domain::{OverlayPart, Step};
use tidegate::snapshot::check_overlay;

const PARTS: [OverlayPart; 6] = [
    OverlayPart::Cluster,
    OverlayPart::FilterChain,
    OverlayPart::HttpConnectionManager,
    OverlayPart::Listener,
    OverlayPart::Route,
    OverlayPart::TcpProxy,
];

pub(crate) fn run(bytes: &[u8]) {
    let Some((first, json)) = bytes.split_first() else {
        return;
    };
    let part = PARTS[usize::from(*first) % PARTS.len()];
    let json = String::from_utf8_lossy(json);
    let Ok(written) = serde_json::from_str::<serde_json::Value>(&json) else {
        let _ = check_overlay(part, &json);
        return;
    };
    for fault in check_overlay(part, &json) {
        assert!(!fault.message.is_empty());
        let mut at = Some(&written);
        for step in &fault.path {
            at = at.and_then(|value| match step {
                Step::Key(key) => value.get(key),
                Step::Item(index) => value.get(index),
            });
        }
        assert!(
            at.is_some(),
            "a fault at a place that is not there: {fault:?}"
        );
    }
}

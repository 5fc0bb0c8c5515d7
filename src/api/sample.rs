//! A view as tests like it: a rollout in the middle, with a proxy that refuses and one that is lost.

use std::collections::BTreeMap;

use crate::api::{SentRefusal, SentResource, SentState, SentStream, SentView};
use crate::domain::{Generation, Locality, Nack, ProxyIdentity, Time};
use crate::engine::{
    BlockerView, DrainView, InstanceView, Phase, ProxyView, ReportView, RolloutView, ServiceView,
    VersionView, View, Wait,
};
use crate::runtime::{SecretKind, SecretState, SecretView, SecretsView};

pub(crate) fn time(text: &str) -> Time {
    text.parse().unwrap()
}

pub(crate) fn view() -> View {
    View {
        at: time("2026-11-23T12:12:04Z"),
        generation: Generation(118),
        ready: true,
        not_ready: None,
        frozen: None,
        services: vec![ServiceView {
            name: "cart".parse().unwrap(),
            stable: Some("v41".parse().unwrap()),
            versions: vec![version("v41", 65.0), version("v42", 35.0)],
            instances: vec![
                instance("cart-1", "v41", "draining", Some(2)),
                instance("cart-2", "v41", "serving", Some(7)),
                instance("cart-3", "v41", "serving", Some(5)),
                instance("cart-4", "v42", "serving", Some(6)),
                instance("cart-5", "v42", "joining", None),
            ],
            blockers: Vec::new(),
        }],
        rollouts: vec![rollout()],
        proxies: vec![proxy("edge-7", true), proxy("edge-8", false)],
    }
}

fn version(name: &str, weight: f64) -> VersionView {
    VersionView {
        name: name.parse().unwrap(),
        weight,
        routed: true,
    }
}

pub(crate) fn instance(
    id: &str,
    version: &str,
    stage: &str,
    in_progress: Option<u64>,
) -> InstanceView {
    InstanceView {
        id: id.parse().unwrap(),
        version: version.parse().unwrap(),
        address: "10.0.0.1:8080".into(),
        locality: Locality {
            region: "eu".into(),
            zone: "a".into(),
        },
        stage: stage.into(),
        since: time("2026-11-23T12:11:56Z"),
        healthy: Some(true),
        health_detail: "200".into(),
        in_progress,
        drain: None,
    }
}

fn rollout() -> RolloutView {
    RolloutView {
        name: "cart-42".parse().unwrap(),
        service: "cart".parse().unwrap(),
        from: Some("v41".parse().unwrap()),
        to: "v42".parse().unwrap(),
        phase: Phase::Draining,
        planned: time("2026-11-23T11:59:59Z"),
        by: "ada@laptop".into(),
        started: Some(time("2026-11-23T12:00:00Z")),
        ended: None,
        outcome: None,
        done: 1,
        total: 3,
        batch: 2,
        part: None,
        blockers: vec![blocker()],
        gates: Vec::new(),
        notes: vec!["edge-8 is lost".into()],
        report: ReportView {
            drained: vec![DrainView {
                instance: "cart-0".parse().unwrap(),
                proven: true,
                took_ms: 4200,
                witnesses: 2,
                missing: Vec::new(),
            }],
            lost: Vec::new(),
            min_ready: Some(3),
            ack_ms: vec![12, 20, 31],
        },
    }
}

fn blocker() -> BlockerView {
    let on = Wait::Drain {
        instance: "cart-1".parse().unwrap(),
        gaps: vec!["edge-7 has 2 requests in progress".into()],
    };
    BlockerView {
        text: on.to_string(),
        hint: on.hint().map(str::to_owned),
        since: time("2026-11-23T12:11:56Z"),
        until: Some(time("2026-11-23T12:16:56Z")),
        on,
    }
}

fn proxy(id: &str, connected: bool) -> ProxyView {
    ProxyView {
        id: id.parse().unwrap(),
        cluster: "web".into(),
        locality: Locality::default(),
        metadata: BTreeMap::new(),
        agent: "envoy 1.40.0".into(),
        connected,
        since: time("2026-11-23T11:00:00Z"),
        in_force: Some(Generation(118)),
        nack: connected.then(|| Nack {
            generation: Generation(117),
            kind: "cluster".into(),
            resources: vec!["cart/v42".into()],
            message: "unknown field".into(),
        }),
        last_report: Some(time("2026-11-23T12:12:00Z")),
        services: vec!["cart".parse().unwrap()],
    }
}

/// What `edge-7` was sent: a cluster that it refuses, and a route that is not there.
pub(crate) fn sent() -> SentView {
    let resource = |kind: &str, name: &str, state| SentResource {
        kind: kind.into(),
        name: name.into(),
        version: None,
        state,
        refused: None,
        runs: None,
        resource: None,
    };
    let cluster = SentResource {
        version: Some("5f2c".into()),
        runs: Some("0a1b".into()),
        refused: Some(SentRefusal {
            message: "no such policy".into(),
            at: time("2026-11-23T12:11:04Z"),
        }),
        resource: Some(serde_json::json!({
            "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            "name": "cart/v42",
            "connect_timeout": "1s",
        })),
        ..resource("cluster", "cart/v42", SentState::Nacked)
    };
    SentView {
        proxy: ProxyIdentity {
            id: "edge-7".parse().unwrap(),
            cluster: "web".into(),
            metadata: BTreeMap::new(),
            locality: Locality::default(),
            agent: "envoy 1.40.0".into(),
        },
        streams: vec![SentStream {
            variant: "delta".into(),
            only: None,
            resources: vec![cluster, resource("route", "own", SentState::Missing)],
        }],
    }
}

/// One secret that is as it should be, one whose newest files are no pair, one that is not there.
pub(crate) fn secrets() -> SecretsView {
    let secret = |name: &str, state, used_by: &str| SecretView {
        name: name.into(),
        kind: SecretKind::Certificate,
        state,
        version: None,
        expires: None,
        used_by: vec![used_by.into()],
        problem: None,
        hint: None,
    };
    let in_force = |secret| SecretView {
        version: Some("5f2c9d0be1a87c36".into()),
        expires: Some(time("2027-02-21T12:00:00Z")),
        ..secret
    };
    SecretsView {
        directory: Some("/etc/tidegate/secrets".into()),
        problem: None,
        secrets: vec![
            in_force(secret("edge", SecretState::Current, "gateway edge")),
            in_force(SecretView {
                problem: Some("the key in `/etc/tidegate/secrets/old/tls.key` is not that of the certificate in `/etc/tidegate/secrets/old/tls.crt`".into()),
                hint: Some("write both files of one pair; it is taken as soon as they fit".into()),
                ..secret("old", SecretState::Kept, "service cart")
            }),
            SecretView {
                problem: Some("there is no `/etc/tidegate/secrets/partners/ca.crt`".into()),
                hint: Some("it is taken as soon as it is there".into()),
                kind: SecretKind::Ca,
                ..secret("partners/ca", SecretState::Missing, "gateway edge")
            },
        ],
    }
}

//! Discovery as the engine sees it: what arrives, in which order, and what does not.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use super::caller::Caller;
use super::*;
use crate::domain::{
    Delivery, Drain, HealthCheck, InstanceSource, Locality, LostProxies, Probe, Protocol, Service,
    ThenDo, UpstreamTls, VersionLabel,
};

const LONG: Duration = Duration::from_secs(30);

pub(crate) fn service(name: &str) -> Service {
    Service {
        name: name.parse().unwrap(),
        labels: std::collections::BTreeMap::new(),
        source: InstanceSource::Api,
        matches: BTreeMap::new(),
        version_label: VersionLabel("version".to_owned()),
        protocol: Protocol::Http1,
        health: HealthCheck {
            probe: Probe::Tcp,
            interval: Span::millis(50),
            timeout: Span::secs(5),
            healthy_after: 1,
            unhealthy_after: 1,
        },
        capacity: None,
        measured: false,
        min_ready: Span::ZERO,
        min_per_zone: 0,
        warm_up: Span::ZERO,
        sessions: None,
        drain: Drain {
            at_most: Span::secs(60),
            lost_proxies: LostProxies {
                wait: Span::secs(60),
                then: ThenDo::Pause,
            },
        },
        delivery: Delivery::Together,
        tls: UpstreamTls::default(),
        first: None,
        overlay: None,
        run: None,
    }
}

pub(crate) fn instance(id: &str, port: u16, version: &str) -> Instance {
    Instance {
        id: id.parse().unwrap(),
        address: SocketAddr::from(([127, 0, 0, 1], port)).into(),
        version: version.parse().unwrap(),
        locality: Locality::default(),
        capacity: None,
        lease: None,
        labels: BTreeMap::new(),
    }
}

fn documents(services: impl IntoIterator<Item = Service>) -> Documents {
    let services = services
        .into_iter()
        .map(|service| (service.name.clone(), service))
        .collect();
    Documents {
        services,
        ..Documents::default()
    }
}

fn started() -> (Tasks, Discovery, Receiver<Event>) {
    let (events, mailbox) = mpsc::channel(64);
    let tasks = Tasks::new();
    (tasks.clone(), Discovery::start(tasks, events), mailbox)
}

async fn next(mailbox: &mut Receiver<Event>) -> String {
    match timeout(LONG, mailbox.recv()).await.unwrap().unwrap() {
        Event::Discovered { service, instances } => {
            let ids: Vec<_> = instances
                .iter()
                .map(|i| format!("{}/{}", i.id, i.version))
                .collect();
            format!("{service}: {}", ids.join(" "))
        }
        Event::Health {
            instance,
            healthy,
            detail,
            ..
        } => {
            format!(
                "{instance} {}: {detail}",
                if healthy { "healthy" } else { "unhealthy" }
            )
        }
        other => panic!("{other:?}"),
    }
}

/// The next word on the set of instances, whatever probes say meanwhile.
async fn next_set(mailbox: &mut Receiver<Event>) -> String {
    loop {
        let event = next(mailbox).await;
        if !event.contains("healthy: ") {
            return event;
        }
    }
}

/// A server that answers each connection with `answer`, if that is anything.
async fn serve(tasks: &Tasks, answer: &'static str) -> (u16, AbortHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tasks.spawn("server", async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            if !answer.is_empty() {
                let _ = connection.read(&mut [0; 1024]).await;
                let _ = connection.write_all(answer.as_bytes()).await;
            }
        }
    });
    (port, task)
}

#[tokio::test]
async fn leases_and_health_reach_the_engine_in_order() {
    let (tasks, discovery, mut mailbox) = started();
    let cart = service("cart").name;
    assert!(!discovery.synced());
    discovery.apply(&documents([service("cart")]), None);
    assert_eq!(discovery.waiting(), std::slice::from_ref(&cart));

    let (port, server) = serve(&tasks, "").await;
    discovery.seed(&cart, vec![instance("i-1", port, "v1")], Span::secs(60));
    assert_eq!(next(&mut mailbox).await, "cart: i-1/v1");
    assert_eq!(next(&mut mailbox).await, "i-1 healthy: connected");
    assert!(discovery.synced());

    server.abort();
    let event = next(&mut mailbox).await;
    assert!(
        event.starts_with("i-1 unhealthy: cannot connect: "),
        "{event}"
    );

    // Another address under the same id: announced first, judged anew.
    let (port, server) = serve(&tasks, "").await;
    let moved = instance("i-1", port, "v2");
    discovery
        .register(&cart, moved.clone(), Span::secs(60))
        .unwrap();
    assert_eq!(next(&mut mailbox).await, "cart: i-1/v2");
    assert_eq!(next(&mut mailbox).await, "i-1 healthy: connected");

    // The same facts with less time are no news; the end of the lease is.
    discovery.register(&cart, moved, Span::secs(1)).unwrap();
    assert_eq!(next(&mut mailbox).await, "cart: ");

    let error = discovery.renew(&cart, &"i-1".parse().unwrap()).unwrap_err();
    assert!(error.hint().contains("`tidegate register`"), "{error}");
    discovery
        .register(&cart, instance("i-2", port, "v2"), Span::secs(60))
        .unwrap();
    assert_eq!(next_set(&mut mailbox).await, "cart: i-2/v2");
    discovery
        .deregister(&cart, &"i-2".parse().unwrap())
        .unwrap();
    assert_eq!(next_set(&mut mailbox).await, "cart: ");
    server.abort();
    assert!(tasks.shutdown(LONG).await.is_empty());
}

#[tokio::test]
async fn only_a_start_waits_for_leases() {
    let (_tasks, discovery, mut mailbox) = started();
    discovery.apply(&documents([]), None);
    assert!(discovery.synced());
    discovery.apply(&documents([service("cart")]), None);
    assert_eq!(next(&mut mailbox).await, "cart: ");

    let shop = "shop".parse().unwrap();
    let unknown = discovery
        .register(&shop, instance("i", 1, "v1"), Span::secs(60))
        .unwrap_err();
    assert_eq!(unknown, LeaseError::UnknownService { service: shop });
}

#[test]
fn a_start_without_a_seed_settles() {
    let mut sources = Sources::default();
    let (cart, start) = (service("cart").name, Time::UNIX_EPOCH);
    sources.declare(&documents([service("cart")]), start);
    sources
        .register(&cart, instance("i-1", 1, "v1"), Span::secs(60), start)
        .unwrap();
    assert!(sources.take_changes(start).is_empty());
    let settled = sources.next_deadline().unwrap();
    assert_eq!(settled, sources::SETTLE.after(start));
    let changes = sources.take_changes(settled);
    assert_eq!(changes[0].1, [instance("i-1", 1, "v1")]);
    assert!(sources.take_changes(settled).is_empty());
}

fn write_swapped(directory: &Path, text: &str) {
    let new = directory.join(".new");
    fs_err::write(&new, text).unwrap();
    fs_err::rename(new, directory.join("cart.yaml")).unwrap();
}

#[tokio::test]
async fn a_file_is_followed_and_its_last_good_set_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (_tasks, discovery, mut mailbox) = started();
    let mut cart = service("cart");
    cart.source = InstanceSource::File {
        path: "cart.yaml".to_owned(),
    };
    discovery.apply(&documents([cart.clone()]), Some(directory.path()));
    let refused = discovery.register(&cart.name, instance("i", 1, "v1"), Span::secs(60));
    assert_eq!(
        refused,
        Err(LeaseError::NotByLease {
            service: cart.name.clone()
        })
    );

    write_swapped(
        directory.path(),
        "- {id: i-1, address: '127.0.0.1:1', version: v1}",
    );
    assert_eq!(next_set(&mut mailbox).await, "cart: i-1/v1");

    write_swapped(directory.path(), "- {id: i-1");
    timeout(LONG, async {
        while discovery.problems().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(discovery.problems()[&cart.name].contains("cart.yaml: "));
    assert!(discovery.synced(), "the last good set is in force");

    write_swapped(
        directory.path(),
        "- {id: i-2, address: '127.0.0.1:1', version: v1}",
    );
    assert_eq!(next_set(&mut mailbox).await, "cart: i-2/v1");
    assert!(discovery.problems().is_empty());

    // A service that is declared otherwise is read again, by its new terms.
    cart.matches.insert("tier".to_owned(), "edge".to_owned());
    discovery.apply(&documents([cart]), Some(directory.path()));
    while next_set(&mut mailbox).await != "cart: " {}
}

#[tokio::test]
async fn each_kind_of_check_tells_what_it_saw() {
    let tasks = Tasks::new();
    let (ok, _server) = serve(&tasks, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
    let (sick, _server) = serve(&tasks, "HTTP/1.1 503 Sick\r\ncontent-length: 0\r\n\r\n").await;
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("cart", tonic_health::ServingStatus::Serving)
        .await;
    reporter
        .set_service_status("sick", tonic_health::ServingStatus::NotServing)
        .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let grpc = listener.local_addr().unwrap().port();
    tasks.spawn("grpc", async move {
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder().add_service(health);
        server.serve_with_incoming(incoming).await.unwrap();
    });
    // Bound, so that nobody else is given the port, and closed to all.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let closed = closed.local_addr().unwrap().port();
    // Accepted by the system, answered by nobody.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_port = silent.local_addr().unwrap().port();

    let http = || Probe::Http {
        path: "/healthz".to_owned(),
    };
    let ask = |service: &str| Probe::Grpc {
        service: service.to_owned(),
    };
    for (port, protocol, probe, want) in [
        (ok, Protocol::Tcp, Probe::Tcp, "Ok connected"),
        (
            closed,
            Protocol::Tcp,
            Probe::Tcp,
            "Err cannot connect: Connection refused (os error 111)",
        ),
        (ok, Protocol::Http1, http(), "Ok GET /healthz: 200"),
        (sick, Protocol::Http1, http(), "Err GET /healthz: 503"),
        (
            silent_port,
            Protocol::Http1,
            http(),
            "Err no answer within 1s",
        ),
        (grpc, Protocol::Grpc, ask(""), "Ok Health/Check: SERVING"),
        (
            grpc,
            Protocol::Grpc,
            ask("cart"),
            "Ok Health/Check: SERVING",
        ),
        (
            grpc,
            Protocol::Grpc,
            ask("sick"),
            "Err Health/Check: NOT_SERVING",
        ),
        (
            grpc,
            Protocol::Grpc,
            ask("none"),
            "Err Health/Check: NotFound service not registered",
        ),
        (
            closed,
            Protocol::Grpc,
            ask(""),
            "Err cannot connect: Connection refused (os error 111)",
        ),
        // A gRPC server speaks HTTP/2 and knows no such path.
        (grpc, Protocol::Http2, http(), "Ok GET /healthz: 200"),
    ] {
        let name = format!("{probe:?} of {port}");
        let health = HealthCheck {
            probe,
            timeout: Span::secs(1),
            ..service("cart").health
        };
        let address = SocketAddr::from(([127, 0, 0, 1], port)).into();
        let mut caller = Caller::new(address, protocol, UpstreamTls::default());
        let got = match check::check(&mut caller, protocol, &health).await {
            Ok(detail) => format!("Ok {detail}"),
            Err(detail) => format!("Err {detail}"),
        };
        assert_eq!(got, want, "{name}");
    }
}

#[tokio::test]
async fn an_alias_has_the_leases_of_its_service() {
    let (tasks, discovery, mut mailbox) = started();
    let cart = service("cart");
    let live = cart.under(&"live".parse().unwrap(), "v1".parse().unwrap());
    let live = live.unwrap();
    discovery.apply(&documents([]), None);
    discovery.apply(&documents([cart.clone(), live.clone()]), None);
    let both = [next_set(&mut mailbox).await, next_set(&mut mailbox).await];
    assert_eq!(both, ["cart: ", "cart@live: "]);
    for (asked, id) in [(&cart.name, "i-1"), (&live.name, "i-2")] {
        let lease = discovery.register(asked, instance(id, 1, "v1"), Span::secs(60));
        lease.unwrap();
    }
    // Both may come at once or one after the other; what they end on is the same.
    let mut seen = BTreeMap::new();
    while seen.values().filter(|ids| *ids == "i-1/v1 i-2/v1").count() < 2 {
        let set = next_set(&mut mailbox).await;
        let (name, ids) = set.split_once(": ").unwrap();
        seen.insert(name.to_owned(), ids.to_owned());
    }
    assert_eq!(seen.len(), 2);
    discovery
        .deregister(&live.name, &"i-1".parse().unwrap())
        .unwrap();
    while seen.values().filter(|ids| *ids == "i-2/v1").count() < 2 {
        let set = next_set(&mut mailbox).await;
        let (name, ids) = set.split_once(": ").unwrap();
        seen.insert(name.to_owned(), ids.to_owned());
    }
    tasks.shutdown(LONG).await;
}

#[tokio::test]
async fn a_host_by_name_is_the_only_instance_of_its_version() {
    let (tasks, discovery, _mailbox) = started();
    let cart = service("cart").name;
    discovery.apply(&documents([service("cart")]), None);
    let register = |id: &str, address: &str, version: &str| {
        let mut lease = instance(id, 1, version);
        lease.address = address.parse().unwrap();
        let granted = discovery.register(&cart, lease, Span::secs(60));
        granted.map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(register("a", "https://a.example", "v1"), Ok(()));
    assert_eq!(register("a", "https://a2.example", "v1"), Ok(()));
    assert_eq!(register("b", "10.0.0.1:80", "v2"), Ok(()));
    for (id, address, version, other) in [
        ("c", "10.0.0.2:80", "v1", "a"),
        ("c", "https://c.example", "v2", "b"),
    ] {
        let refused = register(id, address, version).unwrap_err();
        let expected = format!(
            "`{id}` and `{other}` of `cart` are of one version, and one of them is the URL of a host"
        );
        assert_eq!(refused, expected);
    }
    tasks.shutdown(LONG).await;
}

#[tokio::test]
async fn what_a_document_lists_is_there_at_once() {
    let (tasks, discovery, mut mailbox) = started();
    let mut cart = service("cart");
    let versions = [("v1", "127.0.0.1:1"), ("v2", "https://b.example:8443")];
    let versions = versions
        .map(|(version, address)| (version.parse().unwrap(), vec![address.parse().unwrap()]));
    cart.source = InstanceSource::Listed {
        versions: versions.into(),
    };
    discovery.apply(&documents([cart.clone()]), None);
    assert_eq!(
        next_set(&mut mailbox).await,
        "cart: 127.0.0.1:1/v1 b.example:8443/v2"
    );
    let refused = discovery.register(&cart.name, instance("i", 1, "v1"), Span::secs(60));
    assert!(matches!(refused, Err(LeaseError::NotByLease { .. })));
    tasks.shutdown(LONG).await;
}

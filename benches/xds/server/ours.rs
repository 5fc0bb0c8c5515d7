//! Tidegate's own service, fed with snapshots, behind the port that `tidegate serve` opens.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use tidegate::domain::{Client, Generation, Lifetimes, Limits, ProxySelector, Time, TlsFiles};
use tidegate::engine::Event;
use tidegate::peer::{Policy, Rule, San};
use tidegate::serving::{Certificates, Port, PortOptions, TlsOptions};
use tidegate::snapshot::{Audience, Dialect, ResourceKind, ResourceSet, Snapshot, encoded};
use tidegate::xds::{NoObserver, XdsServer};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Publisher;
use crate::world::{Typed, World};

/// Room for what streams tell the engine.
const EVENTS_MAX: usize = 1024;

pub(super) struct Ours {
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    now: Arc<ResourceSet>,
}

/// Serves it on the runtime that this is called in.
pub(super) fn serve(
    world: World,
    listener: TcpListener,
    tls: Option<&Path>,
) -> Result<Ours, Box<dyn Error>> {
    let (snapshots, receiver) = watch::channel(None);
    let (sender, mut events) = mpsc::channel::<Event>(EVENTS_MAX);
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    let limits = Limits::default();
    let server = XdsServer::new(
        receiver,
        sender,
        Arc::new(NoObserver),
        "tidegate/bench".into(),
        Arc::new(Time::now),
        limits.clone(),
    );
    tokio::spawn(server.watchdog().run(CancellationToken::new()));
    let options = PortOptions {
        limits,
        lifetimes: Lifetimes::default(),
        tls: tls.map(options).transpose()?,
        observer: Arc::new(tidegate::serving::NoObserver),
        seed: 1,
    };
    let port = Port::new(options, server.into_routes(), CancellationToken::new());
    tokio::spawn(port.serve(listener));

    let mut first = ResourceSet::new(Generation(1));
    world.all().iter().for_each(|typed| put(&mut first, typed));
    let now = Arc::new(first);
    let snapshot = Snapshot::new(now.generation, audiences(&now));
    snapshots.send_replace(Some(Arc::new(snapshot)));
    Ok(Ours { snapshots, now })
}

/// The certificates of the run, and that one of them speaks for all proxies.
fn options(directory: &Path) -> Result<TlsOptions, Box<dyn Error>> {
    let files = TlsFiles {
        certificate: directory.join("server.pem"),
        key: directory.join("server.key"),
        client_ca: directory.join("ca.pem"),
    };
    let certificates = Certificates::load(files, Arc::new(tidegate::serving::NoObserver))?;
    let trust = certificates.trust();
    tokio::spawn(certificates.keep(CancellationToken::new()));
    let rule = Rule {
        san: San::Dns("localhost".parse()?),
        node: None,
        cluster: None,
    };
    let policy = Arc::new(Policy { rules: vec![rule] });
    Ok(TlsOptions { trust, policy })
}

fn put(set: &mut ResourceSet, typed: &Typed) {
    if let Some(kind) = ResourceKind::from_type_url(typed.kind()) {
        set.insert(kind, encoded(kind, typed.name(), typed.encode()));
    }
}

fn audiences(set: &Arc<ResourceSet>) -> Vec<Audience> {
    vec![Audience {
        selector: ProxySelector::default(),
        resources: [(Dialect::plain(Client::Envoy), Arc::clone(set))].into(),
    }]
}

impl Publisher for Ours {
    fn publish(&mut self, changed: Typed) {
        let mut next = self.now.next(Generation(self.now.generation.0 + 1));
        put(&mut next, &changed);
        self.now = Arc::new(next);
        self.snapshots.send_modify(|before| {
            let audiences = audiences(&self.now);
            let generation = self.now.generation;
            let next = match before {
                Some(before) => before.followed_by(generation, audiences),
                None => Snapshot::new(generation, audiences),
            };
            *before = Some(Arc::new(next));
        });
    }
}

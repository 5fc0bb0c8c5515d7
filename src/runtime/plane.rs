//! A control plane, put together: journal replayed, engine recovered, loop and keepers started.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::compaction::{Compaction, JournalView, Written, look};
use super::control::{Applied, Control, ControlError, DocumentsView, Numbered};
use super::documents::{Change, Keeper};
use super::hooks::Hooks;
use super::journal::{self, JournalError, Replayed};
use super::mailbox::{Mailbox, OnAppend, Request, Seen};
use super::measuring::{Measuring, Prometheus};
use super::questions::Questions;
use crate::discovery::{Discovery, LeaseError};
use crate::domain::{Instance, InstanceId, Kind, Plan, Retention, ServiceName, Span};
use crate::engine::{Actor, Answer, Command, Engine, Event, View};
use crate::process::Tasks;
use crate::process::clock;
use crate::secrets::{OnSecretRead, Secrets, SecretsView};
use crate::snapshot::{Compiler, Snapshot};
use crate::store::Store;

/// Events that may wait for the engine.
const EVENTS_MAX: usize = 16_384;
/// Requests that may wait for the engine.
const REQUESTS_MAX: usize = 256;
/// Journal entries that a slow listener may be behind.
const ENTRIES_BEHIND_MAX: usize = 1024;
/// After a restart, holders of leases have at least this long to renew them, and never less than the
/// lease was granted for.
const LEASE_GRACE: Span = Span::secs(30);

/// A running control plane. Clones are handles to the same.
#[derive(Clone)]
pub struct Plane {
    events: mpsc::Sender<Event>,
    requests: mpsc::Sender<Request>,
    changes: mpsc::Sender<Change>,
    views: watch::Receiver<Arc<View>>,
    documents: watch::Receiver<DocumentsView>,
    entries: broadcast::Sender<Arc<Numbered>>,
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    plans: watch::Receiver<Option<Arc<Plan>>>,
    discovery: Discovery,
    secrets: Secrets,
    store: Arc<dyn Store>,
    journal: watch::Receiver<JournalView>,
    written: watch::Receiver<Written>,
    failed: Arc<OnceLock<String>>,
}

/// What a control plane is started with.
pub struct PlaneOptions {
    /// The journal.
    pub store: Arc<dyn Store>,
    /// How long it keeps what.
    pub retention: Retention,
    /// A directory of documents to be watched.
    pub documents: Option<PathBuf>,
    /// Where documents that come through the API are kept.
    pub kept_documents: Option<PathBuf>,
    /// A directory of secrets for proxies, to be watched.
    pub secrets: Option<PathBuf>,
    /// The metrics server that gates ask.
    pub prometheus: Option<Prometheus>,
    /// Told when files of a secret changed.
    pub on_secret_read: OnSecretRead,
    /// Told how long each write to the journal took.
    pub on_append: OnAppend,
}

impl Plane {
    /// Replays the journal and starts; proxies may be answered as soon as there is a snapshot.
    pub fn start(tasks: &Tasks, options: PlaneOptions) -> Result<Self, JournalError> {
        let Replayed {
            state,
            last: last_seq,
            from,
            bytes,
            passed_over,
        } = journal::replay(&*options.store)?;
        if let Some(error) = passed_over {
            tracing::warn!(%error, "Journal: checkpoint passed over, read from the first entry");
        }
        tracing::info!(
            entries = last_seq - from,
            checkpoint = from,
            generation = state.generation.0,
            "Journal replayed"
        );
        let (event_sender, events) = mpsc::channel(EVENTS_MAX);
        let (request_sender, requests) = mpsc::channel(REQUESTS_MAX);
        let (change_sender, changes) = mpsc::channel(REQUESTS_MAX);
        let (snapshot_sender, snapshots) = watch::channel(None);
        let (plan_sender, plans) = watch::channel(None);
        let (document_sender, documents) = watch::channel(DocumentsView::default());
        let (user_sender, users) = watch::channel(Arc::default());
        let (entry_sender, _) = broadcast::channel(ENTRIES_BEHIND_MAX);
        let (journal_sender, journal) = watch::channel(look(&*options.store)?);
        let written = Written {
            last: last_seq,
            bytes,
        };
        let (written_sender, written) = watch::channel(written);
        let failed = Arc::new(OnceLock::new());

        let discovery = Discovery::start(tasks.clone(), event_sender.clone());
        discovery.apply(&state.documents, options.documents.as_deref());
        for (service, known) in &state.services {
            let instances = known.instances.values().map(|known| known.instance.clone());
            discovery.seed(service, instances.collect(), LEASE_GRACE);
        }
        let secrets = Secrets::start(tasks, options.secrets, users, options.on_secret_read);
        let in_force = state.documents.clone();
        let (mut engine, first) = Engine::recover(state, clock::now());
        engine.keep_ended(options.retention.kept);
        let (view_sender, views) = watch::channel(Arc::new(engine.view(clock::now())));

        let has_prometheus = options.prometheus.is_some();
        let mailbox = Mailbox {
            engine,
            compiler: Compiler::default(),
            store: Arc::clone(&options.store),
            last_seq,
            events,
            requests,
            secrets: secrets.resources(),
            secret_users: user_sender,
            snapshots: snapshot_sender,
            plans: plan_sender,
            views: view_sender,
            entries: entry_sender.clone(),
            questions: Questions::new(tasks.clone(), event_sender.clone()),
            hooks: Hooks::new(tasks.clone(), event_sender.clone()),
            measuring: Measuring::new(tasks.clone(), event_sender.clone(), options.prometheus),
            on_append: options.on_append,
            written: written_sender,
            failed: Arc::clone(&failed),
            unsaid: None,
            seen: Seen::default(),
            stop: tasks.stopping(),
        };
        tasks.spawn_essential("engine", mailbox.run(first));
        let compaction = Compaction {
            store: Arc::clone(&options.store),
            retention: options.retention,
            written: written.clone(),
            view: journal_sender,
            stop: tasks.stopping(),
        };
        tasks.spawn("compaction", compaction.run(from));
        let keeper = Keeper {
            directory: options.documents,
            kept: options.kept_documents,
            changes,
            requests: request_sender.clone(),
            discovery: discovery.clone(),
            secrets: secrets.clone(),
            has_prometheus,
            view: document_sender,
            stop: tasks.stopping(),
            own: Vec::new(),
            in_force,
        };
        tasks.spawn_essential("documents", keeper.run());
        Ok(Self {
            events: event_sender,
            requests: request_sender,
            changes: change_sender,
            views,
            documents,
            entries: entry_sender,
            snapshots,
            plans,
            discovery,
            secrets,
            store: options.store,
            journal,
            written,
            failed,
        })
    }

    /// Where facts go in.
    pub fn events(&self) -> mpsc::Sender<Event> {
        self.events.clone()
    }

    /// What proxies are to be told; `None` until the state is whole.
    pub fn snapshots(&self) -> watch::Receiver<Option<Arc<Snapshot>>> {
        self.snapshots.clone()
    }

    /// The plans that the snapshots were made of.
    pub fn plans(&self) -> watch::Receiver<Option<Arc<Plan>>> {
        self.plans.clone()
    }

    /// Why the journal could not be written, if that is what stopped it.
    pub fn failure(&self) -> Option<&str> {
        self.failed.get().map(String::as_str)
    }

    /// So many leases of instances are alive.
    pub fn leases(&self) -> usize {
        self.discovery.leases()
    }

    /// Whoever starts with the machine, as this process does, may ask before the documents have been
    /// looked at for the first time.
    fn has_read_documents(&self) -> bool {
        // Nobody marks what this receiver has seen, so it stays changed from the first set on.
        self.documents.has_changed().unwrap_or(true)
    }

    async fn change(
        &self,
        change: impl FnOnce(oneshot::Sender<Result<Applied, ControlError>>) -> Change,
    ) -> Result<Applied, ControlError> {
        let (reply, answer) = oneshot::channel();
        self.changes
            .send(change(reply))
            .await
            .map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

#[async_trait]
impl Control for Plane {
    async fn command(&self, command: Command) -> Result<Answer, ControlError> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Command(Box::new(command), reply);
        self.requests.send(request).await.map_err(|_| stopping())?;
        Ok(answer.await.map_err(|_| stopping())??)
    }

    async fn apply(&self, yaml: String, by: Actor) -> Result<Applied, ControlError> {
        self.change(|reply| Change::Apply(yaml, by, reply)).await
    }

    async fn delete(&self, kind: Kind, name: &str, by: Actor) -> Result<Applied, ControlError> {
        let name = name.to_owned();
        self.change(|reply| Change::Delete(kind, name, by, reply))
            .await
    }

    fn documents(&self) -> DocumentsView {
        let mut view = self.documents.borrow().clone();
        view.warnings.extend(self.secrets.view().warnings());
        view
    }

    fn secrets(&self) -> Arc<SecretsView> {
        self.secrets.view()
    }

    async fn register(
        &self,
        service: ServiceName,
        instance: Instance,
        ttl: Span,
    ) -> Result<Answer, ControlError> {
        let id = instance.id.clone();
        let granted = self.discovery.register(&service, instance, ttl);
        let ends = granted.map_err(|error| match error {
            LeaseError::UnknownService { .. } if !self.has_read_documents() => {
                ControlError::Unavailable("its documents are still being read".to_owned())
            }
            _ => invalid(error),
        })?;
        Ok(format!("{id} of {service} is registered until {ends:.0}").into())
    }

    async fn deregister(
        &self,
        service: ServiceName,
        instance: InstanceId,
    ) -> Result<Answer, ControlError> {
        self.discovery
            .deregister(&service, &instance)
            .map_err(invalid)?;
        Ok(format!("{instance} of {service} is no longer registered").into())
    }

    fn view(&self) -> watch::Receiver<Arc<View>> {
        self.views.clone()
    }

    fn entries(&self) -> broadcast::Receiver<Arc<Numbered>> {
        self.entries.subscribe()
    }

    fn journal(&self) -> JournalView {
        let mut view = self.journal.borrow().clone();
        // The rest changes with checkpoints alone.
        view.last = view.last.max(self.written.borrow().last);
        view
    }

    async fn checkpoint(&self) -> Result<Option<Vec<u8>>, ControlError> {
        let store = Arc::clone(&self.store);
        let read = tokio::task::spawn_blocking(move || store.checkpoint()).await;
        let unavailable =
            |error: &dyn std::fmt::Display| ControlError::Unavailable(error.to_string());
        let stored = read
            .map_err(|e| unavailable(&e))?
            .map_err(|e| unavailable(&e))?;
        Ok(stored.map(|stored| stored.bytes))
    }

    async fn history(&self, from: u64, limit: usize) -> Result<Vec<Numbered>, ControlError> {
        let store = Arc::clone(&self.store);
        let read = tokio::task::spawn_blocking(move || journal::read(&*store, from, limit)).await;
        let unavailable =
            |error: &dyn std::fmt::Display| ControlError::Unavailable(error.to_string());
        let entries = read
            .map_err(|e| unavailable(&e))?
            .map_err(|e| unavailable(&e))?;
        Ok(entries
            .into_iter()
            .map(|(seq, entry)| Numbered { seq, entry })
            .collect())
    }
}

fn stopping() -> ControlError {
    ControlError::Unavailable("it is stopping".to_owned())
}

fn invalid(error: LeaseError) -> ControlError {
    ControlError::Invalid {
        what: error.to_string(),
        hint: error.hint().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;
    use crate::domain::Locality;
    use crate::store::MemoryStore;

    /// On one thread, what was started has not run before the first wait.
    #[tokio::test]
    async fn an_unknown_service_is_no_mistake_before_the_documents_are_read() {
        let tasks = Tasks::new();
        let options = PlaneOptions {
            store: Arc::new(MemoryStore::new()),
            retention: Retention::default(),
            documents: None,
            kept_documents: None,
            secrets: None,
            prometheus: None,
            on_secret_read: Arc::new(|_| {}),
            on_append: Arc::new(|_| {}),
        };
        let plane = Plane::start(&tasks, options).unwrap();
        let register = || {
            let instance = Instance {
                id: "cart-1".parse().unwrap(),
                address: SocketAddr::from(([127, 0, 0, 1], 80)).into(),
                version: "v1".parse().unwrap(),
                locality: Locality::default(),
                capacity: None,
                lease: None,
                labels: std::collections::BTreeMap::new(),
            };
            plane.register("cart".parse().unwrap(), instance, Span::secs(10))
        };
        let early = register().await.unwrap_err();
        assert!(matches!(early, ControlError::Unavailable(_)), "{early}");

        plane.documents.clone().changed().await.unwrap();
        let late = register().await.unwrap_err();
        assert!(matches!(late, ControlError::Invalid { .. }), "{late}");
        tasks.shutdown(Duration::from_secs(30)).await;
    }
}

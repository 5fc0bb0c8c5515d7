//! Which instances there are, and which of them are healthy.
//!
//! In come the declared services and the calls of whoever starts instances; out go
//! [`Event::Discovered`], always a service's whole set, and [`Event::Health`].
//!
//! One task publishes, so the sets of a service arrive in the order in which they held, and an
//! instance is announced before its first verdict. Nothing is published of a service before its source
//! has spoken: half a set would look like a fleet that has vanished. What the sets mean, the engine
//! decides.

mod caller;
mod check;
mod file;
mod leases;
mod probe;
mod sources;
mod verdict;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

use crate::domain::{Documents, Instance, InstanceId, ServiceName, Span, Time};
use crate::engine::Event;
use crate::process::Tasks;
use crate::process::clock;

pub use leases::{LEASES_MAX, LeaseError, TTL_MAX, TTL_MIN};

use probe::Probes;
use sources::{FileSource, Sources};

/// The sources and probes of all services. Clones share them; no call waits for another's I/O.
#[derive(Clone, Debug)]
pub struct Discovery {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// A plain mutex: it is held for look-ups and changes in memory, never over an await.
    state: Mutex<State>,
    tasks: Tasks,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    sources: Sources,
    following: BTreeMap<ServiceName, Following>,
}

/// A file that is being followed, for as long as this value lives.
#[derive(Debug)]
struct Following {
    epoch: u64,
    path: PathBuf,
    task: AbortHandle,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Discovery {
    /// Starts with no services; what is found goes to the engine's mailbox.
    pub fn start(tasks: Tasks, events: mpsc::Sender<Event>) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            tasks: tasks.clone(),
            wake: Notify::new(),
        });
        let probes = Probes::new(tasks.clone(), events.clone());
        tasks.spawn_essential("discovery", publish(Arc::clone(&shared), events, probes));
        Self { shared }
    }

    /// Makes the services of `documents` the ones that are followed. Files with a relative path are
    /// looked for in `documents_dir`, or the working directory.
    ///
    /// The first call counts as a start: leases that were held before it may be unknown yet, so a
    /// service with leases waits for [`Discovery::seed`], or until it is [`sources::SETTLE`] later.
    pub fn apply(&self, documents: &Documents, documents_dir: Option<&Path>) {
        let mut state = self.shared.lock();
        state.sources.declare(documents, clock::now());
        let files: Vec<FileSource> = state.sources.files().collect();
        let directory = documents_dir.unwrap_or(Path::new("."));
        state.following.retain(|name, following| {
            files.iter().any(|file| {
                file.service.name == *name
                    && file.epoch == following.epoch
                    && directory.join(&file.path) == following.path
            })
        });
        for file in files {
            if !state.following.contains_key(&file.service.name) {
                let (name, following) = self.shared.follow(file, directory);
                state.following.insert(name, following);
            }
        }
        drop(state);
        self.shared.wake.notify_one();
    }

    /// Tells which instances of a service held leases before a restart. Each has `grace` to renew, so
    /// that is to be at least the time between two renewals. An empty list says that there were none.
    pub fn seed(&self, service: &ServiceName, instances: Vec<Instance>, grace: Span) {
        self.shared
            .lock()
            .sources
            .seed(service, instances, grace, clock::now());
        self.shared.wake.notify_one();
    }

    /// Grants or extends a lease, and returns when it ends.
    pub fn register(
        &self,
        service: &ServiceName,
        instance: Instance,
        ttl: Span,
    ) -> Result<Time, LeaseError> {
        let ends = self
            .shared
            .lock()
            .sources
            .register(service, instance, ttl, clock::now())?;
        self.shared.wake.notify_one();
        Ok(ends)
    }

    /// Extends a lease by its time to live, and returns when it ends.
    pub fn renew(&self, service: &ServiceName, id: &InstanceId) -> Result<Time, LeaseError> {
        self.shared.lock().sources.renew(service, id, clock::now())
    }

    /// Ends a lease at once.
    pub fn deregister(&self, service: &ServiceName, id: &InstanceId) -> Result<(), LeaseError> {
        self.shared.lock().sources.deregister(service, id)?;
        self.shared.wake.notify_one();
        Ok(())
    }

    /// So many leases are alive.
    pub fn leases(&self) -> usize {
        self.shared.lock().sources.leases()
    }

    /// Services whose source has a problem, and which: their last good set stays in force.
    pub fn problems(&self) -> BTreeMap<ServiceName, String> {
        self.shared.lock().sources.problems()
    }

    /// Services of which nothing has been published yet.
    pub fn waiting(&self) -> Vec<ServiceName> {
        self.shared.lock().sources.waiting()
    }

    /// Have documents been applied, and has every service's set been published?
    pub fn synced(&self) -> bool {
        self.shared.lock().sources.synced()
    }
}

impl Shared {
    /// Each change is completed before anything can panic, so a poisoned lock is no news.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(self: &Arc<Self>, file: FileSource, directory: &Path) -> (ServiceName, Following) {
        let FileSource {
            service,
            path,
            epoch,
        } = file;
        let (name, path) = (service.name.clone(), directory.join(path));
        let shared = Arc::clone(self);
        let heard = {
            let name = name.clone();
            move |read: Result<Vec<Instance>, String>| {
                shared.lock().sources.heard(&name, epoch, read);
                shared.wake.notify_one();
            }
        };
        let stop = self.tasks.stopping();
        let task = self.tasks.spawn("instances file", {
            let path = path.clone();
            async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = file::follow(service, path, heard) => {}
                }
            }
        });
        (name, Following { epoch, path, task })
    }

    /// How long to wait for the next lease to end, or service to settle.
    fn next_look(&self) -> Duration {
        let deadline = self.lock().sources.next_deadline();
        let wait = deadline.map_or(LOOK_MAX, |at| Span::between(clock::now(), at).duration());
        wait.clamp(LOOK_MIN, LOOK_MAX)
    }
}

/// Deadlines are looked at no more often than this, even if many follow each other.
const LOOK_MIN: Duration = Duration::from_millis(10);
/// And at least this often: the wall clock, unlike the timer, may be set.
const LOOK_MAX: Duration = Duration::from_secs(5);

async fn publish(shared: Arc<Shared>, events: mpsc::Sender<Event>, mut probes: Probes) {
    let stop = shared.tasks.stopping();
    loop {
        let (changes, declared) = {
            let mut state = shared.lock();
            (
                state.sources.take_changes(clock::now()),
                state.sources.names(),
            )
        };
        probes.keep_services(&declared);
        for (service, instances) in changes {
            // No verdict on an old address may follow the news of a new one.
            probes.retire(&service, &instances);
            let event = Event::Discovered {
                service: service.name.clone(),
                instances: instances.clone(),
            };
            tokio::select! {
                () = stop.cancelled() => return,
                sent = events.send(event) => if sent.is_err() { return },
            }
            probes.sync(&service, &instances);
            shared.lock().sources.published(&service);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(shared.next_look()) => {}
        }
    }
}

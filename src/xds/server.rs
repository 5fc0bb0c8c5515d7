//! The server: what all streams share, and the doors to it.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tonic::service::Routes;

use super::discovery;
use super::frames::Frames;
use super::registry::Registry;
use super::status::StatusService;
use super::{Clock, Inspector, Observer, Watchdog};
use crate::domain::Limits;
use crate::engine::Event;
use crate::snapshot::Snapshot;

/// Where snapshots come from; `None` until all that goes into the first one is known.
pub type Snapshots = watch::Receiver<Option<Arc<Snapshot>>>;

/// Serves snapshots to proxies, and tells the engine what becomes of them.
pub struct XdsServer {
    shared: Shared,
}

/// What all streams share.
pub(super) struct Shared {
    pub(super) snapshots: Snapshots,
    pub(super) registry: Arc<Registry>,
    pub(super) frames: Frames,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) clock: Clock,
    pub(super) limits: Limits,
    pub(super) watchdog: Watchdog,
}

impl XdsServer {
    /// A server that answers from `snapshots` and tells `events`. Proxies see `control_plane` as
    /// the identifier of this replica. Its services are for a [`serving::Port`](crate::serving::Port).
    pub fn new(
        snapshots: Snapshots,
        events: mpsc::Sender<Event>,
        observer: Arc<dyn Observer>,
        control_plane: String,
        clock: Clock,
        limits: Limits,
    ) -> Self {
        let registry = Arc::new(Registry::new(events, &limits));
        let watchdog = Watchdog::new(limits.ack_time, Arc::clone(&clock), Arc::clone(&observer));
        let frames = Frames::new(control_plane);
        Self {
            shared: Shared {
                snapshots,
                registry,
                frames,
                observer,
                clock,
                limits,
                watchdog,
            },
        }
    }

    /// A look at what proxies were told.
    pub fn inspector(&self) -> Inspector {
        Inspector::new(Arc::clone(&self.shared.registry))
    }

    /// Who cuts streams whose peers read nothing; to be run beside the services.
    pub fn watchdog(&self) -> Watchdog {
        self.shared.watchdog.clone()
    }

    /// Its services: all types on one stream, each type on streams of its own, and the clients' status.
    pub fn into_routes(self) -> Routes {
        let status = StatusService::new(self.inspector()).into_server();
        discovery::routes(self.shared).add_service(status)
    }
}

impl fmt::Debug for XdsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XdsServer").finish_non_exhaustive()
    }
}

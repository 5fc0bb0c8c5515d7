//! The server: what all streams share, and the doors to it.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::discovery;
use super::frames::Frames;
use super::registry::Registry;
use super::{Clock, Inspector, Observer};
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
    pub(super) shutdown: CancellationToken,
}

impl XdsServer {
    /// A server that answers from `snapshots` and tells `events`. Proxies see `control_plane` as
    /// the identifier of this replica; `shutdown` ends every stream.
    pub fn new(
        snapshots: Snapshots,
        events: mpsc::Sender<Event>,
        observer: Arc<dyn Observer>,
        control_plane: String,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> Self {
        let registry = Arc::new(Registry::new(events));
        let frames = Frames::new(control_plane);
        Self {
            shared: Shared {
                snapshots,
                registry,
                frames,
                observer,
                clock,
                shutdown,
            },
        }
    }

    /// A look at what proxies were told.
    pub fn inspector(&self) -> Inspector {
        Inspector::new(Arc::clone(&self.shared.registry))
    }

    /// Its services: all types on one stream, and each type on streams of its own.
    pub fn into_routes(self) -> Routes {
        discovery::routes(self.shared)
    }
}

impl fmt::Debug for XdsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XdsServer").finish_non_exhaustive()
    }
}

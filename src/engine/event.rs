//! What goes into the engine: facts from the fleet, never commands (those are [`super::Event`]s).

use serde::{Deserialize, Serialize};

use super::HookAnswer;
use crate::domain::{
    Documents, Generation, Instance, InstanceId, Nack, ProxyId, ProxyIdentity, ServiceName,
    VersionName,
};

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An address that house rules depend on was asked.
    Answered {
        /// Which.
        url: String,
        /// Is it so that nothing may begin? Or why there is no answer, cut to a limit.
        answer: Result<bool, String>,
    },
    /// A source knows an instance, new or described anew.
    Appeared {
        /// The service.
        service: ServiceName,
        /// The instance.
        instance: Box<Instance>,
    },
    /// All instances of a service that its source knows now; who is missing has vanished.
    Discovered {
        /// The service.
        service: ServiceName,
        /// The whole set.
        instances: Vec<Instance>,
    },
    /// A valid set of documents is to be in force from now on.
    Documents {
        /// The whole set.
        documents: Box<Documents>,
        /// Who changed it.
        by: Actor,
    },
    /// An instance turned healthy or unhealthy, or was probed for the first time.
    Health {
        /// The service.
        service: ServiceName,
        /// The instance.
        instance: InstanceId,
        /// Does it pass its health check?
        healthy: bool,
        /// What the last probe said.
        detail: String,
    },
    /// A hook call has ended.
    HookDone {
        /// The call's idempotency key.
        key: String,
        /// What it answered, or what went wrong. Whoever makes calls cuts both to a limit.
        result: Result<String, String>,
    },
    /// A hook was asked whether a rollout may go on.
    HookSaid {
        /// The key by which it was asked.
        key: String,
        /// What it said.
        answer: HookAnswer,
    },
    /// A proxy did or said something.
    Proxy {
        /// Which.
        id: ProxyId,
        /// What.
        event: ProxyEvent,
    },
    /// Time has passed.
    Tick,
    /// A source no longer knows an instance.
    Vanished {
        /// The service.
        service: ServiceName,
        /// The instance.
        instance: InstanceId,
    },
}

impl Event {
    /// Does it change facts alone, so that several of them may be taken in before anything is
    /// decided?
    pub const fn is_observation(&self) -> bool {
        matches!(self, Self::Health { .. } | Self::Proxy { .. })
    }
}

/// What a proxy does and says.
#[derive(Clone, Debug, PartialEq)]
pub enum ProxyEvent {
    /// Its first stream is open.
    Connected(ProxyIdentity),
    /// Its last stream is closed.
    Disconnected,
    /// Everything it subscribes to is acknowledged as of this generation.
    InForce(Generation),
    /// It reported how many requests are in progress on instances.
    Load(LoadReport),
    /// It refused resources.
    Nacked(Nack),
}

/// One proxy's word on requests in progress, read at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// How it came.
    pub source: Source,
    /// When the proxy took the reading, in nanoseconds on the proxy's own clock. It is compared
    /// only with other readings of the same proxy from the same source.
    pub read_at_ns: u64,
    /// Each instance that the reading is about; zeros are said, so absence means "not known".
    pub instances: Vec<InstanceLoad>,
    /// What it has had answered by each version that the reading is about.
    pub completed: Vec<Completed>,
}

/// How many requests a version has answered to a proxy since that started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// The service.
    pub service: ServiceName,
    /// The version, from the cluster's name.
    pub version: VersionName,
    /// All of them, copies included.
    pub total: u64,
}

/// The ways in which a proxy says what is in progress; each has a clock of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Load reports (LRS): what is under way, and not what waits for a connection.
    Lrs,
    /// Envoy's metrics (OTLP): both, and whether the proxy uses the instance.
    Otlp,
}

/// One instance, as one proxy sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceLoad {
    /// The service.
    pub service: ServiceName,
    /// The version, from the cluster's name.
    pub version: VersionName,
    /// The instance, from `Endpoint.hostname` or by its address.
    pub instance: InstanceId,
    /// Requests in progress, or more where the proxy does not tell instances apart.
    pub in_progress: u64,
    /// Does the proxy itself send it new requests? Its own health checks, and what it was told,
    /// both say so. `None` if the reading does not tell.
    pub healthy: Option<bool>,
}

/// Who did something: a person, a program, a directory of documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor(pub String);

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

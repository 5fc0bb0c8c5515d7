//! What goes into the engine: facts from the fleet, never commands (those are [`super::Event`]s).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{CheckId, HookAnswer, Said};
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
    /// Somebody was asked for the check of a gate.
    Measured {
        /// The check.
        of: CheckId,
        /// Which question it answers.
        number: u64,
        /// The answer.
        said: Said,
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

/// One proxy's word on requests, those in progress and those that are answered, read at one moment.
///
/// A flush may come in parts. So what a report leaves out is not known, and never zero.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadReport {
    /// How it came.
    pub source: Source,
    /// When the proxy took the reading, in nanoseconds on the proxy's own clock. It is compared
    /// only with other readings of the same proxy from the same source.
    pub read_at_ns: u64,
    /// What tells the process that counts from others before and after it, if that is told: when it began,
    /// in whatever unit.
    pub since: Option<u64>,
    /// Each instance that the reading is about; zeros are said, so absence means "not known".
    pub instances: Vec<InstanceLoad>,
    /// What it has had answered by each version that the reading is about.
    pub completed: Vec<Completed>,
    /// What it has had answered by each endpoint that the reading is about.
    pub attempts: Vec<Attempts>,
}

/// What a version has answered to a proxy since that started. Cumulative: a lost report loses nothing.
///
/// These are what the proxy's own clients were answered in the end, so a request that was repeated
/// counts once; copies count like all others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Completed {
    /// The service.
    pub service: ServiceName,
    /// The version, from the cluster's name.
    pub version: VersionName,
    /// All of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Answers by code, in the order of codes: `(status, how many)`. What the proxy answers itself since
    /// nobody else does is among them: 503 where no connection is to be had or one is reset, 504 for
    /// a timeout.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<(u16, u64)>,
    /// Only classes of codes are told: 500 stands for all that begin with a 5.
    #[serde(default)]
    pub by_class: bool,
    /// gRPC calls by status, in the order of statuses, where the service speaks gRPC.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grpc: Vec<(u16, u64)>,
    /// What happened that no code of an answer tells.
    #[serde(default)]
    pub mishaps: Mishaps,
    /// How long those answers took that came whole and from the version: not those that were cut off,
    /// and not those that the proxy gave itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
}

impl Completed {
    /// A version of which nothing is said yet.
    pub const fn nothing_of(service: ServiceName, version: VersionName) -> Self {
        Self {
            service,
            version,
            total: None,
            codes: Vec::new(),
            by_class: false,
            grpc: Vec::new(),
            mishaps: Mishaps::NONE,
            times: None,
        }
    }
}

/// What a proxy counts of how requests fail, and does not tell apart by how they ended. All are cumulative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mishaps {
    /// Answers that broke the protocol, most often since their connection ended in the middle: of their
    /// head, and then the client got a 502, or of their body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<u64>,
    /// Answers that were not complete in time: not begun, and then the client got a 504, or cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<u64>,
    /// Requests that were sent again, so that what went wrong with them may have had no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<u64>,
}

impl Mishaps {
    /// Nothing is told.
    pub const NONE: Self = Self {
        broken: None,
        late: None,
        repeated: None,
    };
}

/// How long answers took, in classes of time. Cumulative over time, and not summed up over the classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// The upper edges of all classes but the last, in milliseconds, ascending.
    pub bounds_ms: Arc<[f64]>,
    /// How many fell into each class: `counts[i]` took at most `bounds_ms[i]` and more than the edge
    /// before; the last took longer than all edges. So there is one more of them than there are edges.
    pub counts: Vec<u64>,
}

/// What an endpoint has answered to a proxy since that has known it. Cumulative, like [`Completed`], but
/// a request that was repeated counts as often as it was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// The service.
    pub service: ServiceName,
    /// The version, from the cluster's name.
    pub version: VersionName,
    /// The instance.
    pub instance: InstanceId,
    /// Where it answers: an instance that moves is counted anew.
    pub address: String,
    /// Answered, and with no code of 5xx.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<u64>,
    /// Answered with 5xx, not in time, or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<u64>,
}

/// The ways in which a proxy says what is in progress; each has a clock of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

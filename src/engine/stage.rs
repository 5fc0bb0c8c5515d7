//! The life of an instance: one stage at a time, and which stage may follow which.
//!
//! ```text
//! Registered ⇄ Ready → Joining → Serving → Suspended → Joining
//!                                   │           │
//!                                Leaving ──▶ Draining → Drained → Removed → Released
//! ```
//!
//! What no proxy ever heard of is released at once. Up to `Drained` an operator, or a rollback, may turn an instance round. `Released` is a promise
//! to whoever stops it, so nothing leads back from there.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Actor;
use crate::domain::{EndpointState, Generation, RolloutName, Span, Time, counted};

/// Where an instance stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Known, but not healthy for long enough yet. No proxy has heard of it.
    Registered,
    /// Healthy for `minReady`. No proxy has heard of it.
    Ready,
    /// Told to the proxies; gets no share of the weights before all of them know it.
    Joining {
        /// The generation that tells them.
        generation: Generation,
    },
    /// Takes requests, and its capacity counts.
    Serving,
    /// Was serving, fails its health check: finishes what it has, gets nothing new.
    Suspended,
    /// Still takes requests, but its capacity no longer counts: the weights move away first.
    Leaving {
        /// The generation whose weights leave it out.
        generation: Generation,
        /// Why it goes.
        cause: Cause,
    },
    /// Finishes what it has. The proxies must first acknowledge that, then show that nothing is left.
    Draining {
        /// The generation that says so.
        generation: Generation,
        /// Why it goes.
        cause: Cause,
        /// When that began.
        since: Time,
    },
    /// Proven idle, or given up on; the proof says which.
    Drained {
        /// What shows it.
        proof: Proof,
        /// Why it goes.
        cause: Cause,
    },
    /// Taken from the proxies' lists.
    Removed {
        /// The generation without it.
        generation: Generation,
        /// What shows that it was drained.
        proof: Proof,
        /// Why it goes.
        cause: Cause,
    },
    /// Safe to stop.
    Released {
        /// What shows that it was drained.
        proof: Proof,
        /// Why it went.
        cause: Cause,
    },
}

/// A stage without what belongs to it, in the order of an instance's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageKind {
    /// See [`Stage::Registered`]; likewise for all.
    Registered,
    /// Healthy.
    Ready,
    /// Told to the proxies.
    Joining,
    /// Takes requests.
    Serving,
    /// Fails its health check.
    Suspended,
    /// Its weight goes.
    Leaving,
    /// Finishes what it has.
    Draining,
    /// Idle.
    Drained,
    /// Taken from the lists.
    Removed,
    /// Safe to stop.
    Released,
}

impl StageKind {
    /// What a proxy is told of an instance in this stage; `None` when it is not told of it at all.
    pub const fn endpoint(self) -> Option<EndpointState> {
        match self {
            Self::Joining | Self::Serving | Self::Leaving => Some(EndpointState::Healthy),
            Self::Suspended | Self::Draining | Self::Drained => Some(EndpointState::Draining),
            Self::Registered | Self::Ready | Self::Removed | Self::Released => None,
        }
    }

    /// Is the instance told to the proxies, and nobody has begun to take it out?
    pub const fn stays(self) -> bool {
        matches!(self, Self::Joining | Self::Serving | Self::Suspended)
    }

    /// Is it being taken out, or has it been?
    pub const fn goes(self) -> bool {
        matches!(
            self,
            Self::Leaving | Self::Draining | Self::Drained | Self::Removed | Self::Released
        )
    }
}

impl fmt::Display for StageKind {
    /// The word for people and metric labels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Registered => "registered",
            Self::Ready => "ready",
            Self::Joining => "joining",
            Self::Serving => "serving",
            Self::Suspended => "suspended",
            Self::Leaving => "leaving",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Removed => "removed",
            Self::Released => "released",
        })
    }
}

/// Why an instance is taken out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// Somebody asked for this instance.
    Operator(Actor),
    /// A rollout replaces it.
    Rollout(RolloutName),
    /// A gate of a rollout finds it worse than the others of its version. That is no move of the rollout's, and counts
    /// against no budget: it goes as a sick one does.
    Gate(RolloutName),
}

impl Cause {
    /// The rollout on whose account it is, if it is one's.
    pub const fn rollout(&self) -> Option<&RolloutName> {
        match self {
            Self::Rollout(name) | Self::Gate(name) => Some(name),
            Self::Operator(_) => None,
        }
    }
}

/// What shows that an instance is drained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// From the first word of DRAINING to the decision.
    pub took: Span,
    /// So many proxies acknowledged, then reported no request in progress, twice.
    pub witnesses: u32,
    /// What could not be proven; empty for a full proof.
    pub missing: Vec<String>,
}

impl Proof {
    /// Did every proxy show it?
    pub fn is_full(&self) -> bool {
        self.missing.is_empty()
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_full() {
            match self.witnesses {
                0 => f.write_str("no proxy could send it anything"),
                some => write!(f, "proven by {} in {}", counted(some, "proxy"), self.took),
            }
        } else {
            write!(
                f,
                "unproven after {}: {}",
                self.took,
                self.missing.join("; ")
            )
        }
    }
}

impl Stage {
    /// The stage alone.
    pub const fn kind(&self) -> StageKind {
        match self {
            Self::Registered => StageKind::Registered,
            Self::Ready => StageKind::Ready,
            Self::Joining { .. } => StageKind::Joining,
            Self::Serving => StageKind::Serving,
            Self::Suspended => StageKind::Suspended,
            Self::Leaving { .. } => StageKind::Leaving,
            Self::Draining { .. } => StageKind::Draining,
            Self::Drained { .. } => StageKind::Drained,
            Self::Removed { .. } => StageKind::Removed,
            Self::Released { .. } => StageKind::Released,
        }
    }

    /// What a proxy is told of an instance in this stage; `None` when it is not told of it at all.
    pub const fn endpoint(&self) -> Option<EndpointState> {
        self.kind().endpoint()
    }

    /// The generation that must be in force before the instance goes on.
    pub const fn needs(&self) -> Option<Generation> {
        match self {
            Self::Joining { generation }
            | Self::Leaving { generation, .. }
            | Self::Draining { generation, .. }
            | Self::Removed { generation, .. } => Some(*generation),
            _ => None,
        }
    }

    /// Why the instance goes, if it does.
    pub const fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Leaving { cause, .. }
            | Self::Draining { cause, .. }
            | Self::Drained { cause, .. }
            | Self::Removed { cause, .. }
            | Self::Released { cause, .. } => Some(cause),
            _ => None,
        }
    }

    /// What shows that the instance is drained, once that is decided.
    pub const fn proof(&self) -> Option<&Proof> {
        match self {
            Self::Drained { proof, .. }
            | Self::Removed { proof, .. }
            | Self::Released { proof, .. } => Some(proof),
            _ => None,
        }
    }

    /// May `next` follow? Everything else is a bug of ours.
    pub const fn may_become(&self, next: &Self) -> bool {
        use Stage::{
            Drained, Draining, Joining, Leaving, Ready, Registered, Released, Removed, Serving,
            Suspended,
        };
        matches!(
            (self, next),
            (Registered, Ready | Released { .. })
                | (Ready, Registered | Joining { .. } | Released { .. })
                | (Joining { .. }, Serving | Suspended | Leaving { .. })
                | (Serving, Suspended | Leaving { .. })
                | (Suspended, Joining { .. } | Draining { .. })
                | (Leaving { .. }, Serving | Draining { .. })
                | (Draining { .. }, Serving | Drained { .. })
                | (Drained { .. }, Serving | Removed { .. })
                | (Removed { .. }, Released { .. })
                | (Released { .. } | Removed { .. }, Registered)
        )
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)
    }
}
